//! Conditions on contained resources (FHIR R4 search.html#contained): those of `_contained`, and those
//! of chains, which lead into contained resources as well.
//!
//! A contained resource has its own packing within that of its container, with marked parameters, and
//! is tested like any other. Nearly always nothing is contained, which one look tells.

use super::gather::Range;
use super::node::{Compiled, Node};
use super::run::Exec;
use super::{Part, Row, Source, Way};
use crate::entry::{CONTAINS, Cell, IndexId, MARK, Rows, contained};
use crate::error::StoreError;
use crate::query::{Chain, Contained, Criterion};

/// Where all containers are in which something can match.
pub(super) fn ranges(inner: &Compiled) -> Vec<Range> {
    let own = inner.nodes.iter().find_map(own_ranges);
    own.unwrap_or_else(|| {
        let of = |ty: &u16| Range::Token {
            index: IndexId::value(CONTAINS),
            code: i64::from(*ty),
            extra: None,
        };
        inner.types.iter().map(of).collect()
    })
}

/// Values have marked rows in the tables; what else a condition says is about resources of their own.
fn own_ranges(node: &Node) -> Option<Vec<Range>> {
    match node {
        Node::Cells { .. } => node.ranges(),
        Node::And(nodes) => nodes.iter().find_map(own_ranges),
        Node::Or(nodes) => {
            let each = nodes.iter().map(own_ranges).collect::<Option<Vec<_>>>()?;
            Some(each.concat())
        }
        Node::Missing(_)
        | Node::Pks(_)
        | Node::FullText(_)
        | Node::Tokens(_)
        | Node::Updated { .. }
        | Node::Types(_)
        | Node::Follow { .. }
        | Node::Referenced { .. }
        | Node::Inside { .. }
        | Node::Not(_) => None,
    }
}

impl<S: Source> Exec<'_, S> {
    pub(super) fn compile_contained(
        &mut self,
        of: &Contained,
        depth: usize,
    ) -> Result<Node, StoreError> {
        let types = of.types.iter().map(|of| of.0).collect();
        let found = self.inside(Vec::new(), types, &of.criteria, depth)?;
        Ok(found.unwrap_or_else(|| Node::Or(Vec::new())))
    }

    /// What a chain finds in contained resources, beside what it finds elsewhere.
    pub(super) fn or_contained(
        &mut self,
        chain: &Chain,
        elsewhere: Node,
        depth: usize,
    ) -> Result<Node, StoreError> {
        if self.mark != 0 || self.led_out {
            return Ok(elsewhere);
        }
        let through = chain.params.iter().map(|param| param.0).collect();
        let types = chain.types.iter().map(|of| of.0).collect();
        let inside = self.inside(through, types, &chain.criteria, depth)?;
        Ok(match inside {
            Some(inside) => Node::Or(vec![elsewhere, inside]),
            None => elsewhere,
        })
    }

    /// None if no resource contains one of these types.
    fn inside(
        &mut self,
        through: Vec<u32>,
        mut types: Vec<u16>,
        criteria: &[Criterion],
        depth: usize,
    ) -> Result<Option<Node>, StoreError> {
        if self.mark != 0 {
            return Err(StoreError::Invalid("a contained resource in another one"));
        }
        let contained = self.contained_types()?;
        types.retain(|of| contained.contains(of));
        if types.is_empty() {
            return Ok(None);
        }
        self.mark = MARK;
        let inner = self.compile_all(types, criteria, depth + 1);
        self.mark = 0;
        let inner = Box::new(inner?);
        Ok(Some(Node::Inside { through, inner }))
    }

    /// The types of everything that is contained in something.
    fn contained_types(&mut self) -> Result<Vec<u16>, StoreError> {
        if let Some(known) = &self.contained {
            return Ok(known.clone());
        }
        let index = IndexId::value(CONTAINS).0;
        let mut types = Vec::new();
        let mut code = -1;
        while let Some(next) = self.source.token_behind(index, code)? {
            code = next;
            let part = Part {
                above: 0,
                to: self.until,
                way: Way::Up,
                limit: 1,
            };
            if !self.source.token(index, code, None, part)?.is_empty() {
                types.extend(u16::try_from(code).ok());
            }
        }
        self.contained = Some(types.clone());
        Ok(types)
    }

    pub(super) fn contains(
        &mut self,
        through: &[u32],
        inner: &mut Compiled,
        row: &Row,
    ) -> Result<bool, StoreError> {
        let rows = Rows(&row.rows);
        let refers = |to: i64| {
            let mut cells = through.iter().flat_map(|param| rows.of(*param));
            cells.any(|cell| matches!(cell, Cell::ReferenceUrl { url, .. } if url == to))
        };
        for of in inner.types.clone() {
            for cell in rows.of(contained(of)) {
                let Cell::Contained { local, token, rows } = cell else {
                    continue;
                };
                if !through.is_empty() && !refers(local) {
                    continue;
                }
                let own = Row {
                    resource_type: of,
                    token,
                    rows: rows.0.to_vec(),
                    id: row.id.clone(),
                    ..*row
                };
                if self.fulfils(inner, &own)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
