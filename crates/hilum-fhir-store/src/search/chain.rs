//! Chains and `_has`: a search inside a search.
//!
//! If the inner search finds few resources, they are found first and the outer test is one for
//! their references. If it finds many, each candidate's own references are followed instead.

use std::collections::HashMap;

use super::node::{Compiled, Node};
use super::run::{CAPS, Exec};
use super::test::CellTest;
use super::{Row, Source};
use crate::entry::{Cell, Rows};
use crate::error::StoreError;
use crate::query::{Chain, Has};

/// Tokens of what a resource references through parameters (all if empty).
pub(super) fn references(row: &Row, params: &[u32], out: &mut Vec<i64>) {
    let mut take = |cell: Cell<'_>| {
        if let Cell::Reference(token) = cell {
            out.push(token);
        }
    };
    if params.is_empty() {
        Rows(&row.rows).iter().for_each(|(_, cell)| take(cell));
    } else {
        for param in params {
            Rows(&row.rows).of(*param).for_each(&mut take);
        }
    }
}

impl<S: Source> Exec<'_, S> {
    pub(super) fn compile_chain(
        &mut self,
        chain: &Chain,
        depth: usize,
    ) -> Result<Node, StoreError> {
        let elsewhere = self.compile_elsewhere(chain, depth)?;
        self.or_contained(chain, elsewhere, depth)
    }

    /// What a chain finds among resources that are not contained.
    fn compile_elsewhere(&mut self, chain: &Chain, depth: usize) -> Result<Node, StoreError> {
        let params = self.keys(&chain.params);
        let types = chain.types.iter().map(|of| of.0).collect();
        let (mark, led_out) = (self.mark, self.led_out);
        (self.mark, self.led_out) = (0, led_out || mark != 0);
        let inner = self.compile_all(types, &chain.criteria, depth + 1);
        (self.mark, self.led_out) = (mark, led_out);
        let mut inner = inner?;
        let Some(found) = self.all_of(&mut inner)? else {
            self.note(|| format!("chain through {params:?} is followed from each candidate"));
            return Ok(Node::Follow {
                params,
                inner: Box::new(inner),
                known: HashMap::new(),
            });
        };
        let mut tokens: Vec<i64> = found.iter().map(|row| row.token).collect();
        tokens.sort_unstable();
        self.note(|| format!("chain through {params:?} has {} targets", tokens.len()));
        Ok(Node::Cells {
            params,
            test: CellTest::Reference(tokens),
        })
    }

    /// A test for the few resources that are referenced, if an index names those that reference them;
    /// else one that looks for what references a candidate, which [`Exec::settle`] may replace.
    pub(super) fn compile_has(&mut self, has: &Has, depth: usize) -> Result<Node, StoreError> {
        if self.mark != 0 {
            return Err(StoreError::Invalid("`_has` of what is contained"));
        }
        let params: Vec<u32> = has.params.iter().map(|param| param.0).collect();
        let mut inner = self.compile_all(vec![has.resource_type.0], &has.criteria, depth + 1)?;
        let Some(list) = self.few(&inner, CAPS[0])? else {
            return Ok(Node::Referenced {
                params,
                inner: Box::new(inner),
            });
        };
        self.referenced_by(&params, &list.pks, &mut inner)
    }

    /// Lists what some resources reference, where a test looked for what references a candidate and
    /// an index names the former after all. There may be thousands, so a page is tried to be found
    /// without it first.
    pub(super) fn settle(&mut self, nodes: &mut [Node]) -> Result<(), StoreError> {
        for node in nodes {
            match node {
                Node::Referenced { params, inner } => match self.candidates(inner)? {
                    Some(candidates) => *node = self.referenced_by(params, &candidates, inner)?,
                    None => self.note(|| {
                        format!("references through {params:?} are followed from each candidate")
                    }),
                },
                Node::And(nodes) | Node::Or(nodes) => self.settle(nodes)?,
                Node::Not(node) => self.settle(std::slice::from_mut(node))?,
                Node::Cells { .. }
                | Node::Missing(_)
                | Node::Pks(_)
                | Node::FullText(_)
                | Node::Tokens(_)
                | Node::Updated { .. }
                | Node::Types(_)
                | Node::Follow { .. }
                | Node::Inside { .. } => {}
            }
        }
        Ok(())
    }

    /// What the matches among some candidates reference.
    fn referenced_by(
        &mut self,
        params: &[u32],
        candidates: &[i64],
        inner: &mut Compiled,
    ) -> Result<Node, StoreError> {
        let mut tokens = Vec::new();
        for row in self.matches_among(candidates, inner)? {
            references(&row, params, &mut tokens);
        }
        tokens.sort_unstable();
        tokens.dedup();
        self.note(|| {
            format!(
                "references through {params:?} name {} resources",
                tokens.len()
            )
        });
        Ok(Node::Tokens(tokens))
    }

    /// All matches of an inner search, if an index says that they are few.
    fn all_of(&mut self, inner: &mut Compiled) -> Result<Option<Vec<Row>>, StoreError> {
        let Some(candidates) = self.candidates(inner)? else {
            return Ok(None);
        };
        self.matches_among(&candidates, inner).map(Some)
    }

    fn matches_among(
        &mut self,
        candidates: &[i64],
        inner: &mut Compiled,
    ) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        for row in self.rows(candidates)? {
            if self.fulfils(inner, &row)? {
                found.push(row);
            }
        }
        Ok(found)
    }
}
