//! Conditions on one resource that need not be stored: subscriptions ask whether what is about to be
//! written is what they wait for.
//!
//! They are compiled once, as the conditions of searches are, and hold for the same packed rows. What
//! needs the tables (chains, `_has`, full text, `_lastUpdated`) is refused when they are compiled.

use super::node::{Compiled, Node};
use super::run::Exec;
use super::{Context, Part, Row, Source, SpanRange, TextMatch, Way, WideRange, WordMatch};
use crate::entry::Rows;
use crate::error::StoreError;
use crate::id::ResourceType;
use crate::query::Query;

/// Types and criteria of a query, compiled.
#[derive(Clone, Debug)]
pub struct Condition(Compiled);

/// The searchable form of a resource.
#[derive(Clone, Debug)]
pub struct Searchable {
    resource_type: u16,
    token: i64,
    rows: Vec<u8>,
}

impl Searchable {
    pub(crate) const fn new(of: ResourceType, token: i64, rows: Vec<u8>) -> Self {
        Self {
            resource_type: of.0,
            token,
            rows,
        }
    }
}

impl Condition {
    pub(crate) fn compile(context: &Context, query: &Query) -> Result<Self, StoreError> {
        let types: Vec<u16> = query.types.iter().map(|of| of.0).collect();
        let mut exec = Exec::up_to(NoTables, context, u64::MAX, 0);
        let compiled = exec.compile_all(types, &query.criteria, 0)?;
        if compiled.nodes.iter().any(needs_tables) {
            return Err(refused());
        }
        Ok(Self(compiled))
    }

    /// Whether a resource is of the types and fulfils the criteria.
    #[must_use]
    pub fn holds(&self, of: &Searchable) -> bool {
        let Compiled { types, nodes } = &self.0;
        (types.is_empty() || types.contains(&of.resource_type))
            && nodes.iter().all(|node| holds(node, of))
    }
}

fn needs_tables(node: &Node) -> bool {
    match node {
        Node::Cells { .. } | Node::Missing(_) | Node::Tokens(_) | Node::Types(_) => false,
        Node::Pks(_)
        | Node::FullText(_)
        | Node::Updated { .. }
        | Node::Follow { .. }
        | Node::Inside { .. }
        | Node::Referenced { .. } => true,
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(needs_tables),
        Node::Not(node) => needs_tables(node),
    }
}

fn holds(node: &Node, of: &Searchable) -> bool {
    let rows = Rows(&of.rows);
    match node {
        Node::Cells { params, test } => params
            .iter()
            .any(|param| rows.of(*param).any(|cell| test.holds(cell))),
        Node::Missing(params) => params.iter().all(|param| rows.of(*param).next().is_none()),
        Node::Tokens(tokens) => tokens.binary_search(&of.token).is_ok(),
        Node::Types(types) => types.contains(&of.resource_type),
        Node::And(nodes) => nodes.iter().all(|node| holds(node, of)),
        Node::Or(nodes) => nodes.iter().any(|node| holds(node, of)),
        Node::Not(node) => !holds(node, of),
        // Refused when it was compiled.
        Node::Pks(_)
        | Node::FullText(_)
        | Node::Updated { .. }
        | Node::Follow { .. }
        | Node::Inside { .. }
        | Node::Referenced { .. } => false,
    }
}

const fn refused() -> StoreError {
    StoreError::Invalid(
        "a condition on one resource takes no chain, `_has`, full text or `_lastUpdated`",
    )
}

/// The tables that a condition does without.
struct NoTables;

impl Source for NoTables {
    fn last_seq(&mut self) -> Result<i64, StoreError> {
        Err(refused())
    }

    fn token(
        &mut self,
        _index: i64,
        _code: i64,
        _extra: Option<i64>,
        _part: Part,
    ) -> Result<Vec<i64>, StoreError> {
        Err(refused())
    }

    fn token_count(
        &mut self,
        _index: i64,
        _code: i64,
        _extra: Option<i64>,
        _to: i64,
    ) -> Result<u64, StoreError> {
        Err(refused())
    }

    fn token_behind(&mut self, _index: i64, _code: i64) -> Result<Option<i64>, StoreError> {
        Err(refused())
    }

    fn extra_behind(
        &mut self,
        _index: i64,
        _code: i64,
        _extra: i64,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        Err(refused())
    }

    fn span(
        &mut self,
        _range: &SpanRange,
        _from: Option<(i64, i64)>,
        _way: Way,
        _limit: usize,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        Err(refused())
    }

    fn within(&mut self, _range: &SpanRange, _limit: usize) -> Result<Vec<i64>, StoreError> {
        Err(refused())
    }

    fn wide(&mut self, _range: &WideRange, _limit: usize) -> Result<Vec<i64>, StoreError> {
        Err(refused())
    }

    fn words(
        &mut self,
        _index: i64,
        _wanted: &WordMatch,
        _from: Option<&str>,
        _way: Way,
        _limit: usize,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        Err(refused())
    }

    fn resources(&mut self, _of: Option<u16>, _part: Part) -> Result<Vec<i64>, StoreError> {
        Err(refused())
    }

    fn count_of(&mut self, _resource_type: u16) -> Result<u64, StoreError> {
        Err(refused())
    }

    fn recent(&mut self, _of: Option<u16>, _part: Part) -> Result<Vec<(i64, i64)>, StoreError> {
        Err(refused())
    }

    fn seq_at(&mut self, _updated_ms: i64) -> Result<i64, StoreError> {
        Err(refused())
    }

    fn rows(&mut self, _pks: &[i64]) -> Result<Vec<Row>, StoreError> {
        Err(refused())
    }

    fn fulltext(&mut self, _matching: &TextMatch, _limit: usize) -> Result<Vec<i64>, StoreError> {
        Err(refused())
    }

    fn fulltext_holds(&mut self, _matching: &TextMatch, _pk: i64) -> Result<bool, StoreError> {
        Err(refused())
    }

    fn by_tokens(&mut self, _tokens: &[i64]) -> Result<Vec<i64>, StoreError> {
        Err(refused())
    }
}
