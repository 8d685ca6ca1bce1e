//! The order of matches, and walking along it.

use std::cmp::Ordering;

use super::gather::{SpanRange, WordMatch};
use super::node::Compiled;
use super::run::Exec;
use super::{Context, Part, Row, Source, Way};
use crate::entry::{Cell, IndexId, Rows};
use crate::error::StoreError;
use crate::id::ParamKind;
use crate::query::{Cursor, Direction, Query, SortBy, SortValue};

/// Values of an index that are looked at together, at most.
const BATCH_MAX: usize = 512;

/// A match and its place in the order.
#[derive(Clone, Debug)]
pub(super) struct Match {
    pub(super) keys: Vec<SortValue>,
    pub(super) pk: i64,
}

/// What a key compares.
#[derive(Clone, Debug)]
enum By {
    Params(Vec<u32>),
    Id,
    Updated,
}

/// The index along which the first key can be walked.
#[derive(Clone, Copy, Debug)]
enum Index {
    Words(IndexId),
    Spans(IndexId),
    Changes,
}

/// The order of a search. Equal matches are in the order of `pk`, in the direction of the first key.
#[derive(Clone, Debug)]
pub(super) struct Order {
    keys: Vec<(By, Direction)>,
    index: Option<Index>,
    /// Walked from its end: for the page before a match.
    reversed: bool,
}

impl Order {
    pub(super) fn new(query: &Query, context: &Context) -> Self {
        let sort = &query.sort;
        let keys: Vec<(By, Direction)> = sort
            .iter()
            .map(|key| {
                let by = match &key.by {
                    SortBy::Param(params) => By::Params(params.iter().map(|key| key.0).collect()),
                    SortBy::Id => By::Id,
                    SortBy::LastUpdated => By::Updated,
                };
                (by, key.direction)
            })
            .collect();
        let index = match sort.first().map(|key| &key.by) {
            Some(SortBy::LastUpdated) => Some(Index::Changes),
            Some(SortBy::Param(params)) => match params[..] {
                [only] => context.catalog.definition(only).and_then(|param| {
                    let index = IndexId::value(only.0);
                    match param.kind {
                        ParamKind::String | ParamKind::Uri => Some(Index::Words(index)),
                        ParamKind::Date | ParamKind::Number | ParamKind::Quantity => {
                            Some(Index::Spans(index))
                        }
                        ParamKind::Token | ParamKind::Reference | ParamKind::Composite => None,
                    }
                }),
                _ => None,
            },
            Some(SortBy::Id) | None => None,
        };
        let reversed = query.after.as_ref().is_some_and(|cursor| cursor.back);
        Self {
            keys,
            index,
            reversed,
        }
    }

    /// The order of creation.
    pub(super) const fn is_plain(&self) -> bool {
        self.keys.is_empty()
    }

    /// The first key can be walked along.
    pub(super) const fn has_index(&self) -> bool {
        self.index.is_some()
    }

    pub(super) const fn is_reversed(&self) -> bool {
        self.reversed
    }

    /// The way along `pk`, and along the index of the first key.
    pub(super) fn way(&self) -> Way {
        let down = matches!(self.keys.first(), Some((_, Direction::Descending)));
        if down == self.reversed {
            Way::Up
        } else {
            Way::Down
        }
    }

    pub(super) fn place(&self, row: &Row) -> Match {
        Match {
            keys: self
                .keys
                .iter()
                .map(|(by, way)| value(by, *way, row))
                .collect(),
            pk: row.pk,
        }
    }

    fn compare(&self, a: (&[SortValue], i64), b: (&[SortValue], i64)) -> Ordering {
        if self.reversed {
            return self.forward(b, a);
        }
        self.forward(a, b)
    }

    fn forward(&self, a: (&[SortValue], i64), b: (&[SortValue], i64)) -> Ordering {
        let pairs = a.0.iter().zip(b.0);
        for ((_, way), (a, b)) in self.keys.iter().zip(pairs) {
            let order = match (a, b) {
                (SortValue::Missing, SortValue::Missing) => Ordering::Equal,
                (SortValue::Missing, _) => return Ordering::Greater,
                (_, SortValue::Missing) => return Ordering::Less,
                (a, b) => {
                    let order = a.partial_cmp(b).unwrap_or(Ordering::Equal);
                    match way {
                        Direction::Ascending => order,
                        Direction::Descending => order.reverse(),
                    }
                }
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        match self.keys.first() {
            Some((_, Direction::Descending)) => b.1.cmp(&a.1),
            Some((_, Direction::Ascending)) | None => a.1.cmp(&b.1),
        }
    }

    pub(super) fn is_after(&self, one: &Match, cursor: &Cursor) -> bool {
        let order = self.compare((&one.keys, one.pk), (&cursor.keys, cursor.last.0));
        order == Ordering::Greater
    }

    pub(super) fn sort(&self, matches: &mut [Match]) {
        matches.sort_by(|a, b| self.compare((&a.keys, a.pk), (&b.keys, b.pk)));
    }
}

/// Of several values the first in the direction counts.
fn value(by: &By, way: Direction, row: &Row) -> SortValue {
    let params = match by {
        By::Id => return SortValue::Text(row.id.as_str().into()),
        By::Updated => return SortValue::Ordinal(row.seq),
        By::Params(params) => params,
    };
    let mut best = SortValue::Missing;
    for param in params {
        for cell in Rows(&row.rows).of(*param) {
            let found = match cell {
                Cell::Token { shown: text, .. }
                | Cell::String { folded: text, .. }
                | Cell::Uri(text) => SortValue::Text(text.into()),
                Cell::Date { low, .. } | Cell::Number { low, .. } | Cell::Quantity { low, .. } => {
                    SortValue::Ordinal(low)
                }
                // Brings equal references together; their hashes have no order that means anything.
                Cell::Reference(key) | Cell::ReferenceUrl { url: key, .. } => {
                    SortValue::Ordinal(key)
                }
                Cell::TokenText(_)
                | Cell::OfType { .. }
                | Cell::ReferenceIdentifier { .. }
                | Cell::Composite(_)
                | Cell::Contained { .. } => continue,
            };
            let better = match way {
                Direction::Ascending => found < best,
                Direction::Descending => found > best || best == SortValue::Missing,
            };
            if best == SortValue::Missing || better {
                best = found;
            }
        }
    }
    best
}

/// Matches found along an index, until there are enough.
struct Found<'a> {
    order: &'a Order,
    after: Option<&'a Cursor>,
    want: usize,
    matches: Vec<Match>,
}

impl Found<'_> {
    fn offer(&mut self, one: Match) {
        if self
            .after
            .is_none_or(|cursor| self.order.is_after(&one, cursor))
        {
            self.matches.push(one);
        }
    }

    /// Enough are known; with further keys only once the value of the first one has changed.
    fn enough(&self) -> bool {
        self.matches.len() >= self.want
    }
}

impl<S: Source> Exec<'_, S> {
    /// The matches behind `after` in the order, when all tests are frequent.
    pub(super) fn walk_sorted(
        &mut self,
        compiled: &mut Compiled,
        order: &Order,
        after: Option<&Cursor>,
        want: usize,
    ) -> Result<Vec<Match>, StoreError> {
        let mut found = Found {
            order,
            after,
            want,
            matches: Vec::new(),
        };
        let first = after.and_then(|cursor| cursor.keys.first());
        let in_missing = first == Some(&SortValue::Missing);
        match order.index {
            None => {
                self.note(|| "collects all matches to sort them".to_owned());
                self.walk_pks(compiled, 0, Way::Up, &mut |_, row| {
                    found.offer(order.place(row));
                    Ok(true)
                })?;
            }
            Some(index) => {
                self.note(|| format!("walks the order of {index:?}"));
                let missing = !matches!(index, Index::Changes);
                // What has no value comes last, so the way back begins with it.
                if order.reversed && in_missing && missing {
                    self.walk_missing(compiled, &mut found)?;
                }
                if (order.reversed || !in_missing) && !found.enough() {
                    match index {
                        Index::Words(index) => self.walk_words(compiled, index, &mut found)?,
                        Index::Spans(index) => self.walk_spans(compiled, index, &mut found)?,
                        Index::Changes => self.walk_changes(compiled, &mut found)?,
                    }
                }
                if !order.reversed && !found.enough() && missing {
                    self.walk_missing(compiled, &mut found)?;
                }
            }
        }
        order.sort(&mut found.matches);
        found.matches.truncate(want);
        Ok(found.matches)
    }

    /// Tests resources that the index names under `value`; those whose place is elsewhere (they
    /// have a value that comes first) are passed over.
    fn offer_all(
        &mut self,
        compiled: &mut Compiled,
        pks: &[i64],
        values: &dyn Fn(usize) -> SortValue,
        found: &mut Found<'_>,
    ) -> Result<(), StoreError> {
        let rows = self.met(pks)?;
        let mut rows = rows.into_iter().peekable();
        for (at, pk) in pks.iter().enumerate() {
            let Some(row) = rows.next_if(|row| row.pk == *pk) else {
                continue;
            };
            let one = found.order.place(&row);
            if one.keys.first() == Some(&values(at))
                && row.pk <= self.until
                && self.fulfils(compiled, &row)?
            {
                self.met_match();
                found.offer(one);
            }
        }
        Ok(())
    }

    fn walk_changes(
        &mut self,
        compiled: &mut Compiled,
        found: &mut Found<'_>,
    ) -> Result<(), StoreError> {
        let way = found.order.way();
        let mut above = match (found.after.and_then(|cursor| cursor.keys.first()), way) {
            (Some(SortValue::Ordinal(seq)), _) => *seq,
            (_, Way::Up) => 0,
            (_, Way::Down) => i64::MAX,
        };
        let mut limit = self.first_batch();
        loop {
            let to = if way == Way::Up { i64::MAX } else { 0 };
            let part = Part {
                above,
                to,
                way,
                limit,
            };
            limit = (limit * 2).min(BATCH_MAX);
            let of = self.only_type();
            let changes = self.source.recent(of, part)?;
            let Some((last, _)) = changes.last().copied() else {
                return Ok(());
            };
            let pks: Vec<i64> = changes.iter().map(|(_, pk)| *pk).collect();
            let seq = |at: usize| {
                changes
                    .get(at)
                    .map_or(SortValue::Missing, |(seq, _)| SortValue::Ordinal(*seq))
            };
            self.offer_all(compiled, &pks, &seq, found)?;
            if found.enough() {
                return Ok(());
            }
            above = last;
        }
    }

    fn walk_spans(
        &mut self,
        compiled: &mut Compiled,
        index: IndexId,
        found: &mut Found<'_>,
    ) -> Result<(), StoreError> {
        let (way, single) = (found.order.way(), found.order.keys.len() == 1);
        let all = (i64::MIN, i64::MAX);
        let range = SpanRange {
            index: index.0,
            unit: 0,
            low: all,
            high: all,
        };
        let outside = if way == Way::Up { i64::MIN } else { i64::MAX };
        let mut from = found.after.and_then(|cursor| match cursor.keys.first() {
            // With further keys the whole group of the first value is looked at again.
            Some(SortValue::Ordinal(low)) if single => Some((*low, cursor.last.0)),
            Some(SortValue::Ordinal(low)) => Some((*low, outside)),
            Some(SortValue::Text(_) | SortValue::Missing) | None => None,
        });
        let mut limit = self.first_batch();
        loop {
            let mut group = self.source.span(&range, from, way, limit)?;
            limit = (limit * 2).min(BATCH_MAX);
            let Some(last) = group.last().copied() else {
                return Ok(());
            };
            group.dedup();
            let pks: Vec<i64> = group.iter().map(|(_, pk)| *pk).collect();
            let low = |at: usize| {
                group
                    .get(at)
                    .map_or(SortValue::Missing, |(low, _)| SortValue::Ordinal(*low))
            };
            self.offer_all(compiled, &pks, &low, found)?;
            let passed = |one: &Match| one.keys.first() != Some(&SortValue::Ordinal(last.0));
            if found.enough() && (single || found.matches.get(found.want - 1).is_some_and(passed)) {
                return Ok(());
            }
            from = Some(last);
        }
    }

    fn walk_words(
        &mut self,
        compiled: &mut Compiled,
        index: IndexId,
        found: &mut Found<'_>,
    ) -> Result<(), StoreError> {
        let (way, single) = (found.order.way(), found.order.keys.len() == 1);
        let mut from = None;
        if let Some(cursor) = found.after
            && let Some(SortValue::Text(word)) = cursor.keys.first()
        {
            let code = self.context.tokens.word(word);
            let above = if single { cursor.last.0 } else { 0 };
            self.walk_word(compiled, index, (word, code), above, found)?;
            if found.enough() {
                return Ok(());
            }
            from = Some(word.to_string());
        }
        loop {
            let words =
                self.source
                    .words(index.0, &WordMatch::All, from.as_deref(), way, BATCH_MAX)?;
            self.spend(words.len())?;
            let Some((last, _)) = words.last().cloned() else {
                return Ok(());
            };
            for (word, code) in &words {
                self.walk_word(compiled, index, (word, *code), 0, found)?;
                if found.enough() {
                    return Ok(());
                }
            }
            from = Some(last);
        }
    }

    /// All matches of one word; with a single key only as many as are needed.
    fn walk_word(
        &mut self,
        compiled: &mut Compiled,
        index: IndexId,
        (word, code): (&str, i64),
        above: i64,
        found: &mut Found<'_>,
    ) -> Result<(), StoreError> {
        let single = found.order.keys.len() == 1;
        let mut part = self.part(found.order.way(), self.first_batch());
        if above != 0 {
            part.above = above;
        }
        loop {
            let mut pks = self.source.token(index.0, code, None, part)?;
            let Some(last) = pks.last().copied() else {
                return Ok(());
            };
            pks.dedup();
            let value = SortValue::Text(word.into());
            self.offer_all(compiled, &pks, &|_| value.clone(), found)?;
            if single && found.enough() {
                return Ok(());
            }
            part.above = last;
            part.limit = (part.limit * 2).min(BATCH_MAX);
        }
    }

    /// Resources without a value, which come last.
    fn walk_missing(
        &mut self,
        compiled: &mut Compiled,
        found: &mut Found<'_>,
    ) -> Result<(), StoreError> {
        let single = found.order.keys.len() == 1;
        let above = match found.after {
            Some(cursor) if single && cursor.keys.first() == Some(&SortValue::Missing) => {
                cursor.last.0
            }
            Some(_) | None => 0,
        };
        let way = found.order.way();
        self.walk_pks(compiled, above, way, &mut |_, row| {
            let one = found.order.place(row);
            if one.keys.first() == Some(&SortValue::Missing) {
                found.offer(one);
            }
            Ok(!(single && found.enough()))
        })
    }
}
