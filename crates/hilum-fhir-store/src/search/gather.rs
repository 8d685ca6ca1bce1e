//! Where the matches of a test can be found: ranges of the index tables.

use super::run::Exec;
use super::test::{CellTest, Interval, TokenSet, Unit};
use super::{Part, Source, Way};
use crate::entry::{IndexId, SHORT_DATE_MS, short};
use crate::error::StoreError;
use crate::query::{Prefix, StringMode, UriMode};

/// A part of an index table.
#[derive(Clone, Debug)]
pub(super) enum Range {
    Token {
        index: IndexId,
        code: i64,
        extra: Option<i64>,
    },
    Word(IndexId, WordMatch),
    Span(SpanRange),
    Wide(WideRange),
    /// Known resources, sorted.
    Pks(Vec<i64>),
    /// Resources by their own tokens.
    Resources(Vec<i64>),
    /// Current versions made by changes in this range, ends included.
    Recent(Option<u16>, i64, i64),
}

/// Which words.
#[derive(Clone, Debug)]
pub(crate) enum WordMatch {
    All,
    Prefix(String),
    Contains(String),
}

/// Intervals whose ends lie within bounds, all included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanRange {
    pub(crate) index: i64,
    pub(crate) unit: i64,
    pub(crate) low: (i64, i64),
    pub(crate) high: (i64, i64),
}

/// Long intervals that end at `high_min` or later and begin at `low_max` or earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WideRange {
    pub(crate) index: i64,
    pub(crate) unit: i64,
    pub(crate) high_min: i64,
    pub(crate) low_max: i64,
}

/// The ranges that hold all values of `param` that pass `test` (and perhaps others); `None` if no
/// index narrows it.
pub(super) fn ranges(param: u32, test: &CellTest) -> Option<Vec<Range>> {
    let mut out = Vec::new();
    let value = IndexId::value(param);
    match test {
        CellTest::Token(set) => tokens(value, set, &mut out)?,
        CellTest::ReferenceIdentifier(set) => tokens(IndexId::beside(param), set, &mut out)?,
        CellTest::TokenText(texts) => {
            let index = IndexId::beside(param);
            out.extend(
                texts
                    .iter()
                    .map(|text| Range::Word(index, WordMatch::Prefix(text.clone()))),
            );
        }
        CellTest::OfType(wanted) => {
            out.extend(wanted.iter().map(|(system, key)| Range::Token {
                index: IndexId::of_type(param),
                code: *key,
                extra: *system,
            }));
        }
        CellTest::String(mode, texts, hashes) => {
            out.extend(
                texts
                    .iter()
                    .zip(hashes)
                    .map(|(text, (word, exact))| match mode {
                        StringMode::Prefix => Range::Word(value, WordMatch::Prefix(text.clone())),
                        StringMode::Contains | StringMode::Suffix => {
                            Range::Word(value, WordMatch::Contains(text.clone()))
                        }
                        StringMode::Exact | StringMode::Equal => Range::Token {
                            index: value,
                            code: *word,
                            extra: (*mode == StringMode::Exact).then_some(*exact),
                        },
                    }),
            );
        }
        CellTest::Date(intervals) => {
            for interval in intervals {
                spans(value, 0, *interval, SHORT_DATE_MS, &mut out)?;
            }
        }
        CellTest::Number(intervals) => {
            for interval in intervals {
                spans(value, 0, *interval, 0, &mut out)?;
            }
        }
        CellTest::Quantity(wanted) => {
            for (unit, interval) in wanted {
                let unit = match unit {
                    Unit::Any | Unit::Code(_) => 0,
                    Unit::Canonical(unit) => *unit,
                };
                spans(value, unit, *interval, 0, &mut out)?;
            }
        }
        CellTest::Reference(keys) => out.extend(keys.iter().map(|key| Range::Token {
            index: value,
            code: *key,
            extra: None,
        })),
        CellTest::Uri(mode, uris) => {
            out.extend(
                uris.iter()
                    .map(|(uri, code)| of_uri(value, *mode, uri, *code)),
            );
        }
        CellTest::Composite(alternatives) => {
            for tests in alternatives {
                composite(value, tests, &mut out)?;
            }
        }
    }
    Some(out)
}

fn of_uri(index: IndexId, mode: UriMode, uri: &str, code: i64) -> Range {
    let prefix = match mode {
        UriMode::Equal => {
            return Range::Token {
                index,
                code,
                extra: None,
            };
        }
        UriMode::Below => uri,
        // All ancestors begin with the authority.
        UriMode::Above => authority(uri),
    };
    Range::Word(index, WordMatch::Prefix(prefix.to_owned()))
}

/// `http://host` of a URL; nothing of other URIs.
fn authority(uri: &str) -> &str {
    let end = uri.find("://").map_or(0, |at| {
        let host = at + 3;
        let rest = uri.get(host..).unwrap_or_default();
        host + rest.find('/').unwrap_or(rest.len())
    });
    uri.get(..end).unwrap_or_default()
}

fn tokens(index: IndexId, set: &TokenSet, out: &mut Vec<Range>) -> Option<()> {
    if !set.systems.is_empty() {
        return None;
    }
    let token = |code, extra| Range::Token { index, code, extra };
    out.extend(set.codes.iter().map(|code| token(*code, None)));
    out.extend(
        set.pairs
            .iter()
            .map(|(code, system)| token(*code, Some(*system))),
    );
    Some(())
}

/// Whether a comparison is one of the ends of an interval with bounds, so that [`spans`] has no more
/// than what passes.
pub(super) const fn is_between_ends(prefix: Prefix) -> bool {
    match prefix {
        Prefix::Eq | Prefix::Lt | Prefix::Sa | Prefix::Eb => true,
        Prefix::Ne | Prefix::Gt | Prefix::Ge | Prefix::Le | Prefix::Ap => false,
    }
}

/// Intervals no longer than `short_max` are found by their lower end alone; longer ones that reach
/// into a range from below are found by their upper end.
fn spans(
    index: IndexId,
    unit: i64,
    interval: Interval,
    short_max: i64,
    out: &mut Vec<Range>,
) -> Option<()> {
    let (min, max) = (i64::MIN, i64::MAX);
    let index = index.0;
    let span = |low, high| {
        Range::Span(SpanRange {
            index,
            unit,
            low,
            high,
        })
    };
    let Interval { prefix, low, high } = interval;
    let reach = |from: i64| from.saturating_sub(short_max);
    match prefix {
        Prefix::Ne => return None,
        Prefix::Eq => out.push(span((low, high), (low, high))),
        Prefix::Lt | Prefix::Eb => {
            let high_max = if prefix == Prefix::Eb {
                low.saturating_sub(1)
            } else {
                max
            };
            out.push(span((min, low.saturating_sub(1)), (min, high_max)));
        }
        Prefix::Le => out.push(span((min, high), (min, max))),
        Prefix::Sa => out.push(span((high.saturating_add(1), max), (min, max))),
        Prefix::Gt | Prefix::Ge | Prefix::Ap => {
            // Everything that ends at `end` or later, and begins at `last` or earlier.
            let (end, last) = match prefix {
                Prefix::Gt => (high.saturating_add(1), max),
                Prefix::Ge => (low, max),
                _ => (low, high),
            };
            out.push(span((reach(end), last), (end, max)));
            out.push(Range::Wide(WideRange {
                index,
                unit,
                high_min: end,
                low_max: reach(end).saturating_sub(1).min(last),
            }));
        }
    }
    Some(())
}

fn composite(index: IndexId, tests: &[CellTest], out: &mut Vec<Range>) -> Option<()> {
    let (first, second) = (tests.first()?, tests.get(1));
    let codes: Vec<i64> = match first {
        CellTest::Token(set) if set.systems.is_empty() => {
            let pairs = set.pairs.iter().map(|(code, _)| *code);
            set.codes.iter().copied().chain(pairs).collect()
        }
        CellTest::Reference(keys) => keys.clone(),
        _ => return None,
    };
    for code in codes {
        let all = Interval {
            prefix: Prefix::Sa,
            low: i64::MIN,
            high: i64::MIN,
        };
        let token = |extra| Range::Token { index, code, extra };
        match second {
            Some(CellTest::Date(intervals)) => {
                for interval in intervals {
                    spans(index, code, *interval, SHORT_DATE_MS, out)?;
                }
            }
            Some(CellTest::Number(intervals)) => {
                for interval in intervals {
                    spans(index, code, *interval, 0, out)?;
                }
            }
            Some(CellTest::Quantity(wanted)) => {
                for (unit, interval) in wanted {
                    match unit {
                        Unit::Any | Unit::Code(_) => spans(index, code, *interval, 0, out)?,
                        // The table has these values as they were written.
                        Unit::Canonical(_) => spans(index, code, all, 0, out)?,
                    }
                }
            }
            Some(CellTest::Token(set)) if set.systems.is_empty() => {
                let pairs = set.pairs.iter().map(|(code, _)| code);
                out.extend(
                    set.codes
                        .iter()
                        .chain(pairs)
                        .map(|code| token(Some(short(*code)))),
                );
            }
            _ => out.push(token(None)),
        }
    }
    Some(())
}

impl<S: Source> Exec<'_, S> {
    /// The resources of some ranges, sorted and each once, if there are fewer than `cap`.
    pub(super) fn gather(
        &mut self,
        ranges: &[Range],
        cap: usize,
    ) -> Result<Result<Vec<i64>, ()>, StoreError> {
        let mut pks = Vec::new();
        for range in ranges {
            let room = cap.saturating_sub(pks.len());
            if room == 0 || !self.gather_one(range, room, &mut pks)? {
                return Ok(Err(()));
            }
        }
        let until = self.until;
        pks.retain(|pk| *pk <= until);
        pks.sort_unstable();
        pks.dedup();
        Ok(Ok(pks))
    }

    /// False if there are `room` or more.
    fn gather_one(
        &mut self,
        range: &Range,
        room: usize,
        pks: &mut Vec<i64>,
    ) -> Result<bool, StoreError> {
        let part = self.part(Way::Up, room);
        let before = pks.len();
        match range {
            Range::Token { index, code, extra } => {
                pks.extend(self.source.token(index.0, *code, *extra, part)?);
            }
            Range::Word(index, wanted) => {
                let words = self.source.words(index.0, wanted, None, Way::Up, room)?;
                self.spend(words.len())?;
                if words.len() >= room {
                    return Ok(false);
                }
                for (_, code) in words {
                    let left = room.saturating_sub(pks.len() - before);
                    if left == 0 {
                        return Ok(false);
                    }
                    let part = self.part(Way::Up, left);
                    pks.extend(self.source.token(index.0, code, None, part)?);
                }
            }
            Range::Span(range) => {
                pks.extend(self.source.within(range, room)?);
            }
            Range::Wide(range) => {
                pks.extend(self.source.wide(range, room)?);
            }
            Range::Pks(known) => pks.extend(known),
            Range::Resources(tokens) => {
                if tokens.len() >= room {
                    return Ok(false);
                }
                pks.extend(self.source.by_tokens(tokens)?);
            }
            Range::Recent(of, first, last) => {
                let part = Part {
                    above: first.saturating_sub(1),
                    to: *last,
                    way: Way::Up,
                    limit: room,
                };
                let found = self.source.recent(*of, part)?;
                pks.extend(found.into_iter().map(|(_, pk)| pk));
            }
        }
        let found = pks.len() - before;
        self.spend(found)?;
        Ok(found < room)
    }
}
