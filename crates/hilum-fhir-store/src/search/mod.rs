//! Planning and running a search over any backend.
//!
//! A backend is a [`Source`]: it scans index tables in order and fetches searchable forms. All
//! decisions are here, so both backends answer alike.
//!
//! # How a search is done
//! 1. [`compile`] turns criteria into [`Node`]s: hashes, folded words, closed intervals. A chain
//!    whose inner search finds few resources becomes a test for their references.
//!    A `_has` whose inner search finds more is a test of each candidate; only if a short walk finds
//!    no page so, it lists what is referenced.
//! 2. Each node that can name its matches (an equality, a range, a word) is asked for them with a
//!    rising cap, those first that have few as a rule. Nodes that stay below the first cap that anyone
//!    stays below are intersected as sorted lists: these are the candidates. Between the first caps
//!    and the larger ones a short walk is tried, which ends when its pace will not fill the page.
//! 3. If none stays below the largest cap, every match is frequent, so walking along the order of
//!    the page meets matches soon: by `pk`, or by the index of the first sort key.
//! 4. Each candidate's packed rows answer all remaining tests with one fetch.
//!
//! Every scan draws on a budget; the deadline of the reading connection ends what takes too long.

mod alone;
mod chain;
mod compile;
mod contained;
mod gather;
mod list;
mod node;
mod run;
mod sort;
mod test;
mod values;

use crate::catalog::Catalog;
use crate::config::Limits;
use crate::error::StoreError;
use crate::id::{Pk, Seq};
use crate::moment::Listing;
use crate::normal::Tokens;
use crate::query::{Cursor, Query};
use crate::stored::{Found, Page, Stored};

pub use alone::{Condition, Searchable};
pub(crate) use gather::{SpanRange, WideRange, WordMatch};
use run::Exec;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// A part of an ordered scan: values after `after` (before, if downward) up to `until`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) above: i64,
    pub(crate) to: i64,
    pub(crate) way: Way,
    pub(crate) limit: usize,
}

/// A resource with its searchable form.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) pk: i64,
    pub(crate) resource_type: u16,
    pub(crate) token: i64,
    pub(crate) seq: i64,
    pub(crate) updated_ms: i64,
    pub(crate) id: String,
    pub(crate) rows: Vec<u8>,
}

/// What a full text must hold: all phrases, each of one or more words that follow each other.
#[derive(Clone, Debug)]
pub(crate) struct TextMatch {
    /// In the narrative, not in the whole resource.
    pub(crate) narrative: bool,
    /// As they were asked for.
    pub(crate) phrases: Vec<String>,
}

/// A snapshot of a backend's tables.
pub(crate) trait Source {
    /// The last change that the snapshot holds.
    fn last_seq(&mut self) -> Result<i64, StoreError>;

    /// Resources with a token, in the order of `pk`; one may come twice.
    fn token(
        &mut self,
        index: i64,
        code: i64,
        extra: Option<i64>,
        part: Part,
    ) -> Result<Vec<i64>, StoreError>;

    /// How many resources have a token.
    fn token_count(
        &mut self,
        index: i64,
        code: i64,
        extra: Option<i64>,
        to: i64,
    ) -> Result<u64, StoreError>;

    /// The smallest code of a token of an index behind `code`.
    fn token_behind(&mut self, index: i64, code: i64) -> Result<Option<i64>, StoreError>;

    /// The smallest second part of the tokens with a code behind `extra`, with the first resource
    /// that has it.
    fn extra_behind(
        &mut self,
        index: i64,
        code: i64,
        extra: i64,
    ) -> Result<Option<(i64, i64)>, StoreError>;

    /// Lower ends and resources of a range of intervals, in that order, behind `from`.
    fn span(
        &mut self,
        range: &SpanRange,
        from: Option<(i64, i64)>,
        way: Way,
        limit: usize,
    ) -> Result<Vec<(i64, i64)>, StoreError>;

    /// Resources of a range of intervals, in no order; one may come twice.
    fn within(&mut self, range: &SpanRange, limit: usize) -> Result<Vec<i64>, StoreError>;

    /// Resources of a range of long intervals, in no order.
    fn wide(&mut self, range: &WideRange, limit: usize) -> Result<Vec<i64>, StoreError>;

    /// Words of a parameter in their order, with their hashes, behind `from`.
    fn words(
        &mut self,
        index: i64,
        wanted: &WordMatch,
        from: Option<&str>,
        way: Way,
        limit: usize,
    ) -> Result<Vec<(String, i64)>, StoreError>;

    /// Resources of one type, or of all, that are not deleted, in the order of `pk`.
    fn resources(&mut self, of: Option<u16>, part: Part) -> Result<Vec<i64>, StoreError>;

    /// How many resources of a type are not deleted.
    fn count_of(&mut self, resource_type: u16) -> Result<u64, StoreError>;

    /// Numbers of current versions and their resources, in the order of change.
    fn recent(&mut self, of: Option<u16>, part: Part) -> Result<Vec<(i64, i64)>, StoreError>;

    /// The first change that is not older than a time; one behind the last if all are older.
    fn seq_at(&mut self, updated_ms: i64) -> Result<i64, StoreError>;

    /// The searchable forms of resources that are not deleted, in the order asked for.
    fn rows(&mut self, pks: &[i64]) -> Result<Vec<Row>, StoreError>;

    /// Resources whose full text matches, in no order.
    fn fulltext(&mut self, matching: &TextMatch, limit: usize) -> Result<Vec<i64>, StoreError>;

    /// Whether the full text of a resource matches.
    fn fulltext_holds(&mut self, matching: &TextMatch, pk: i64) -> Result<bool, StoreError>;

    /// The resources of tokens that are not deleted, in no order.
    fn by_tokens(&mut self, tokens: &[i64]) -> Result<Vec<i64>, StoreError>;
}

/// What a search needs besides the tables.
pub(crate) struct Context {
    pub(crate) catalog: std::sync::Arc<Catalog>,
    pub(crate) tokens: Tokens,
    pub(crate) limits: Limits,
}

/// The matches of a page, without their bodies.
pub(crate) struct Hits {
    pub(crate) pks: Vec<i64>,
    pub(crate) next: Option<Cursor>,
    pub(crate) prev: Option<Cursor>,
    pub(crate) total: Option<u64>,
    pub(crate) seq: Seq,
    pub(crate) plan: String,
}

impl Hits {
    /// The page, with what it found.
    pub(crate) fn page(self, found: Vec<Stored>) -> Page {
        let found = found.into_iter().map(|stored| Found {
            pk: stored.pk,
            stored,
        });
        Page {
            found: found.collect(),
            next: self.next,
            prev: self.prev,
            total: self.total,
            seq: self.seq,
        }
    }
}

/// Runs a query for one page.
pub(crate) fn page<S: Source>(
    source: S,
    context: &Context,
    query: &Query,
) -> Result<Hits, StoreError> {
    let mut exec = Exec::new(source, context, u64::MAX, query.after.as_ref())?;
    exec.page(query)
}

/// Everything that some queries find, from the one snapshot that all sources see.
pub(crate) fn list<S: Source>(
    source: impl Fn() -> S,
    context: &Context,
    queries: &[Query],
) -> Result<Listing, StoreError> {
    let mut listing = Listing {
        seq: Seq(source().last_seq()?),
        matches: Vec::with_capacity(queries.len()),
    };
    for query in queries {
        let mut query = Query {
            count: context.limits.page_max,
            ..query.clone()
        };
        let mut found = Vec::new();
        loop {
            let hits = page(source(), context, &query)?;
            found.extend(hits.pks.into_iter().map(Pk));
            match hits.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        listing.matches.push(found);
    }
    Ok(listing)
}

/// What each of some queries finds, at most `query.count` resources with their ids, from the one
/// snapshot that all sources see.
pub(crate) fn named<S: Source>(
    source: impl Fn() -> S,
    context: &Context,
    queries: &[Query],
) -> Result<Vec<Vec<(Pk, String)>>, StoreError> {
    let seq = source().last_seq()?;
    let one = |query: &Query| {
        let hits = Exec::up_to(source(), context, u64::MAX, seq).page(query)?;
        let rows = if hits.pks.is_empty() {
            Vec::new()
        } else {
            source().rows(&hits.pks)?
        };
        Ok(rows.into_iter().map(|row| (Pk(row.pk), row.id)).collect())
    };
    queries.iter().map(one).collect()
}

/// The resources that a query finds, at most `query.count`, looking at no more than `rows_max`
/// rows; sees changes up to `seq`.
pub(crate) fn matches<S: Source>(
    source: S,
    context: &Context,
    query: &Query,
    rows_max: u64,
    seq: i64,
) -> Result<Vec<Pk>, StoreError> {
    let mut exec = Exec::up_to(source, context, rows_max, seq);
    let hits = exec.page(query)?;
    Ok(hits.pks.into_iter().map(Pk).collect())
}

/// One resource for each different value of parameters; see [`values`].
pub(crate) fn one_of_each<S: Source>(
    mut source: S,
    params: &[u32],
    max: usize,
) -> Result<Vec<i64>, StoreError> {
    values::one_of_each(&mut source, params, max)
}

/// Tokens of the resources that some resources reference through parameters (all if empty).
pub(crate) fn referenced<S: Source>(
    mut source: S,
    from: &[i64],
    params: &[u32],
) -> Result<Vec<i64>, StoreError> {
    let mut tokens = Vec::new();
    for row in source.rows(from)? {
        chain::references(&row, params, &mut tokens);
    }
    tokens.sort_unstable();
    tokens.dedup();
    source.by_tokens(&tokens)
}

/// Resources that reference some resources through parameters, at most `max`.
pub(crate) fn referencing<S: Source>(
    mut source: S,
    to: &[i64],
    params: &[u32],
    max: usize,
) -> Result<Vec<i64>, StoreError> {
    let rows = source.rows(to)?;
    let mut pks = Vec::new();
    for row in &rows {
        for param in params {
            let index = crate::entry::IndexId::value(*param).0;
            let limit = max.saturating_sub(pks.len());
            let part = Part {
                above: 0,
                to: i64::MAX,
                way: Way::Up,
                limit,
            };
            pks.extend(source.token(index, row.token, None, part)?);
        }
    }
    pks.sort_unstable();
    pks.dedup();
    Ok(pks)
}
