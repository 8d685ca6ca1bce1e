//! A compiled condition, and its answer for one resource.

use std::collections::HashMap;

use super::contained;
use super::gather::{Range, is_between_ends, ranges};
use super::run::Exec;
use super::test::{CellTest, Interval};
use super::{Part, Row, Source, TextMatch, Way};
use crate::entry::{IndexId, Rows};
use crate::error::StoreError;

/// Referencing resources that are looked at together.
const REFERENCING_BATCH: usize = 64;
/// References that are read in the time of fetching one row.
const REFERENCES_PER_FETCH: usize = 16;

/// A condition on a resource.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A value of one of the parameters passes.
    Cells {
        params: Vec<u32>,
        test: CellTest,
    },
    /// None of the parameters has a value.
    Missing(Vec<u32>),
    /// It is one of these (sorted).
    Pks(Vec<i64>),
    /// Its full text matches.
    FullText(TextMatch),
    /// Its own token is one of these (sorted).
    Tokens(Vec<i64>),
    /// Its last change passes; the numbers of the changes that can, and the type if it is known.
    Updated {
        intervals: Vec<Interval>,
        seqs: Vec<(i64, i64)>,
        of: Option<u16>,
    },
    Types(Vec<u16>),
    /// A resource that it references through one of the parameters fulfils all; what is known of
    /// those is remembered.
    Follow {
        params: Vec<u32>,
        inner: Box<Compiled>,
        known: HashMap<i64, bool>,
    },
    /// A resource that references it through one of the parameters fulfils all.
    Referenced {
        params: Vec<u32>,
        inner: Box<Compiled>,
    },
    /// A resource that it contains fulfils all; one that it references through one of the
    /// parameters, if there are any.
    Inside {
        through: Vec<u32>,
        inner: Box<Compiled>,
    },
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
}

/// Types and conditions.
#[derive(Clone, Debug, Default)]
pub(super) struct Compiled {
    /// Empty is all.
    pub(super) types: Vec<u16>,
    pub(super) nodes: Vec<Node>,
}

impl Node {
    /// Where all matches are, if an index says it.
    pub(super) fn ranges(&self) -> Option<Vec<Range>> {
        match self {
            Self::Cells { params, test } => {
                let mut all = Vec::new();
                for param in params {
                    all.extend(ranges(*param, test)?);
                }
                Some(all)
            }
            Self::Pks(pks) => Some(vec![Range::Pks(pks.clone())]),
            Self::Tokens(tokens) => Some(vec![Range::Resources(tokens.clone())]),
            Self::Updated { seqs, of, .. } => Some(
                seqs.iter()
                    .map(|(first, last)| Range::Recent(*of, *first, *last))
                    .collect(),
            ),
            Self::Or(nodes) => {
                let mut all = Vec::new();
                for node in nodes {
                    all.extend(node.ranges()?);
                }
                Some(all)
            }
            Self::And(nodes) => nodes.iter().find_map(Self::ranges),
            Self::Inside { inner, .. } => Some(contained::ranges(inner)),
            Self::Missing(_)
            | Self::FullText(_)
            | Self::Types(_)
            | Self::Follow { .. }
            | Self::Referenced { .. }
            | Self::Not(_) => None,
        }
    }

    /// Which nodes are asked first: those that have few matches as a rule, and last those that cost
    /// more than a look at the packed values.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Pks(_) | Self::Tokens(_) | Self::Types(_) => 0,
            Self::Cells { test, .. } => match test {
                CellTest::Reference(_)
                | CellTest::ReferenceIdentifier(_)
                | CellTest::OfType(_)
                | CellTest::Composite(_) => 1,
                CellTest::Token(_)
                | CellTest::TokenText(_)
                | CellTest::String(..)
                | CellTest::Uri(..) => 2,
                CellTest::Date(_) | CellTest::Number(_) | CellTest::Quantity(_) => 3,
            },
            Self::Updated { .. } | Self::Inside { .. } | Self::And(_) | Self::Or(_) => 4,
            Self::Missing(_) | Self::Not(_) => 5,
            Self::FullText(_) | Self::Follow { .. } | Self::Referenced { .. } => 6,
        }
    }

    /// Its ranges hold its matches and nothing else.
    pub(super) fn is_exact(&self) -> bool {
        match self {
            Self::Cells { test, .. } => match test {
                CellTest::Token(_)
                | CellTest::ReferenceIdentifier(_)
                | CellTest::OfType(_)
                | CellTest::Reference(_) => true,
                CellTest::Date(intervals) | CellTest::Number(intervals) => intervals
                    .iter()
                    .all(|interval| is_between_ends(interval.prefix)),
                CellTest::TokenText(_)
                | CellTest::String(..)
                | CellTest::Quantity(_)
                | CellTest::Uri(..)
                | CellTest::Composite(_) => false,
            },
            Self::Missing(_)
            | Self::Pks(_)
            | Self::FullText(_)
            | Self::Tokens(_)
            | Self::Updated { .. }
            | Self::Types(_)
            | Self::Follow { .. }
            | Self::Referenced { .. }
            | Self::Inside { .. }
            | Self::And(_)
            | Self::Or(_)
            | Self::Not(_) => false,
        }
    }

    /// What it is, for a plan: kinds and counts only.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Cells { params, test } => {
                let kind = match test {
                    CellTest::Token(_) => "token",
                    CellTest::TokenText(_) => "token text",
                    CellTest::OfType(_) => "of-type",
                    CellTest::String(..) => "string",
                    CellTest::Date(_) => "date",
                    CellTest::Number(_) => "number",
                    CellTest::Quantity(_) => "quantity",
                    CellTest::Reference(_) => "reference",
                    CellTest::ReferenceIdentifier(_) => "reference identifier",
                    CellTest::Uri(..) => "uri",
                    CellTest::Composite(_) => "composite",
                };
                format!("{kind} of {params:?}")
            }
            Self::Missing(params) => format!("missing {params:?}"),
            Self::Pks(pks) => format!("{} resources by full text", pks.len()),
            Self::FullText(_) => "full text".to_owned(),
            Self::Tokens(tokens) => format!("{} resources", tokens.len()),
            Self::Updated { .. } => "last updated".to_owned(),
            Self::Types(types) => format!("{} types", types.len()),
            Self::Follow { params, .. } => format!("chain through {params:?}"),
            Self::Referenced { params, .. } => format!("referenced through {params:?}"),
            Self::Inside { inner, .. } => {
                format!("{} conditions on what is contained", inner.nodes.len())
            }
            Self::And(nodes) => format!("all of {}", nodes.len()),
            Self::Or(nodes) => format!("any of {}", nodes.len()),
            Self::Not(node) => format!("not {}", node.name()),
        }
    }
}

impl<S: Source> Exec<'_, S> {
    /// Whether a resource is of the types and fulfils the conditions.
    pub(super) fn fulfils(
        &mut self,
        compiled: &mut Compiled,
        row: &Row,
    ) -> Result<bool, StoreError> {
        if !compiled.types.is_empty() && !compiled.types.contains(&row.resource_type) {
            return Ok(false);
        }
        for node in &mut compiled.nodes {
            if !self.holds(node, row)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holds(&mut self, node: &mut Node, row: &Row) -> Result<bool, StoreError> {
        let rows = Rows(&row.rows);
        Ok(match node {
            Node::Cells { params, test } => params
                .iter()
                .any(|param| rows.of(*param).any(|cell| test.holds(cell))),
            Node::Missing(params) => params.iter().all(|param| rows.of(*param).next().is_none()),
            Node::Pks(pks) => pks.binary_search(&row.pk).is_ok(),
            Node::FullText(matching) => self.source.fulltext_holds(matching, row.pk)?,
            Node::Tokens(tokens) => tokens.binary_search(&row.token).is_ok(),
            Node::Updated { intervals, .. } => {
                let at = row.updated_ms;
                intervals.iter().any(|interval| interval.holds(at, at))
            }
            Node::Types(types) => types.contains(&row.resource_type),
            Node::Follow {
                params,
                inner,
                known,
            } => self.follows(params, inner, known, row)?,
            Node::Referenced { params, inner } => self.is_referenced(params, inner, row)?,
            Node::Inside { through, inner } => self.contains(through, inner, row)?,
            Node::And(nodes) => {
                for node in nodes {
                    if !self.holds(node, row)? {
                        return Ok(false);
                    }
                }
                true
            }
            Node::Or(nodes) => {
                for node in nodes {
                    if self.holds(node, row)? {
                        return Ok(true);
                    }
                }
                false
            }
            Node::Not(node) => !self.holds(node, row)?,
        })
    }

    fn follows(
        &mut self,
        params: &[u32],
        inner: &mut Compiled,
        known: &mut HashMap<i64, bool>,
        row: &Row,
    ) -> Result<bool, StoreError> {
        let mut tokens = Vec::new();
        super::chain::references(row, params, &mut tokens);
        for token in tokens {
            let answer = match known.get(&token) {
                Some(answer) => *answer,
                None => {
                    let mut answer = false;
                    let pks = self.source.by_tokens(&[token])?;
                    for target in self.rows(&pks)? {
                        answer = answer || self.fulfils(inner, &target)?;
                    }
                    known.insert(token, answer);
                    answer
                }
            };
            if answer {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_referenced(
        &mut self,
        params: &[u32],
        inner: &mut Compiled,
        row: &Row,
    ) -> Result<bool, StoreError> {
        for param in params {
            let index = IndexId::value(*param).0;
            let mut above = 0;
            loop {
                let part = Part {
                    above,
                    to: self.until,
                    way: Way::Up,
                    limit: REFERENCING_BATCH,
                };
                let mut pks = self.source.token(index, row.token, None, part)?;
                let Some(last) = pks.last().copied() else {
                    break;
                };
                let ended = pks.len() < part.limit;
                pks.dedup();
                self.spend(1 + pks.len() / REFERENCES_PER_FETCH)?;
                let certain = self.keep_tokens(inner, &mut pks)?;
                if certain && !pks.is_empty() {
                    return Ok(true);
                }
                for referencing in self.rows(&pks)? {
                    if self.fulfils(inner, &referencing)? {
                        return Ok(true);
                    }
                }
                if ended {
                    break;
                }
                above = last;
            }
        }
        Ok(false)
    }

    /// Takes from some resources those that lack a token which is asked for; true if what is left
    /// matches.
    fn keep_tokens(&mut self, inner: &Compiled, pks: &mut Vec<i64>) -> Result<bool, StoreError> {
        let mut certain = !inner.nodes.is_empty();
        for node in &inner.nodes {
            let ranges = node.ranges().unwrap_or_default();
            let narrowed = match (&ranges[..], &pks[..]) {
                (_, []) => return Ok(false),
                ([Range::Token { index, code, extra }], [first, ..]) => {
                    let part = Part {
                        above: first - 1,
                        to: pks.last().copied().unwrap_or(*first),
                        way: Way::Up,
                        limit: REFERENCING_BATCH * 4,
                    };
                    let found = self.source.token(index.0, *code, *extra, part)?;
                    let all = found.len() < part.limit;
                    if all {
                        pks.retain(|pk| found.binary_search(pk).is_ok());
                    }
                    all
                }
                _ => false,
            };
            certain = certain && narrowed && self.is_certain(inner, node);
        }
        Ok(certain)
    }
}
