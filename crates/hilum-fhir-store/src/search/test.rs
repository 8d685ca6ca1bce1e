//! Tests on packed values.

use crate::entry::Cell;
use crate::query::{Prefix, StringMode, UriMode};

/// What a value must be, hashed and folded; one alternative is enough.
#[derive(Clone, Debug)]
pub(super) enum CellTest {
    Token(TokenSet),
    TokenText(Vec<String>),
    /// System (0 is none, `None` any) and key.
    OfType(Vec<(Option<i64>, i64)>),
    /// Folded texts, and for each the hashes of the word and of the exact text.
    String(StringMode, Vec<String>, Vec<(i64, i64)>),
    Date(Vec<Interval>),
    Number(Vec<Interval>),
    Quantity(Vec<(Unit, Interval)>),
    /// Sorted.
    Reference(Vec<i64>),
    ReferenceIdentifier(TokenSet),
    /// URIs and their hashes.
    Uri(UriMode, Vec<(String, i64)>),
    Composite(Vec<Vec<Self>>),
}

/// Alternatives of a token search, each list sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct TokenSet {
    pub(super) codes: Vec<i64>,
    /// Code and system; system 0 is none.
    pub(super) pairs: Vec<(i64, i64)>,
    pub(super) systems: Vec<i64>,
}

impl TokenSet {
    pub(super) fn sort(&mut self) {
        self.codes.sort_unstable();
        self.codes.dedup();
        self.pairs.sort_unstable();
        self.pairs.dedup();
        self.systems.sort_unstable();
    }

    fn holds(&self, code: i64, system: i64) -> bool {
        let of = |list: &[i64], value: i64| !list.is_empty() && list.binary_search(&value).is_ok();
        (code != 0 && of(&self.codes, code))
            || (!self.pairs.is_empty() && self.pairs.binary_search(&(code, system)).is_ok())
            || (system != 0 && of(&self.systems, system))
    }
}

/// The unit of a quantity test.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    Any,
    /// Hash of a code or a unit's text.
    Code(i64),
    /// Hash of a canonical unit; the interval is in it.
    Canonical(i64),
}

/// A comparison with a closed interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) prefix: Prefix,
    pub(super) low: i64,
    pub(super) high: i64,
}

impl Interval {
    /// FHIR R4 search.html#prefix, on closed intervals.
    pub(super) fn holds(self, low: i64, high: i64) -> bool {
        let within = low >= self.low && high <= self.high;
        match self.prefix {
            Prefix::Eq => within,
            Prefix::Ne => !within,
            Prefix::Gt => high > self.high,
            Prefix::Lt => low < self.low,
            Prefix::Ge => high > self.high || within,
            Prefix::Le => low < self.low || within,
            Prefix::Sa => low > self.high,
            Prefix::Eb => high < self.low,
            Prefix::Ap => low <= self.high && high >= self.low,
        }
    }
}

impl CellTest {
    /// Whether a value passes.
    pub(super) fn holds(&self, cell: Cell<'_>) -> bool {
        match (self, cell) {
            (Self::Token(set), Cell::Token { code, system, .. })
            | (Self::ReferenceIdentifier(set), Cell::ReferenceIdentifier { code, system }) => {
                set.holds(code, system)
            }
            (Self::TokenText(texts), Cell::TokenText(text)) => {
                texts.iter().any(|wanted| text.starts_with(&**wanted))
            }
            (Self::OfType(wanted), Cell::OfType { key, system }) => wanted
                .iter()
                .any(|(of, wanted)| *wanted == key && of.is_none_or(|of| of == system)),
            (Self::String(mode, texts, hashes), Cell::String { exact, folded }) => match mode {
                StringMode::Prefix => texts.iter().any(|text| folded.starts_with(&**text)),
                StringMode::Contains => texts.iter().any(|text| folded.contains(&**text)),
                StringMode::Equal => texts.iter().any(|text| **text == *folded),
                StringMode::Suffix => texts.iter().any(|text| folded.ends_with(&**text)),
                StringMode::Exact => {
                    let mut both = texts.iter().zip(hashes);
                    both.any(|(text, (_, hash))| **text == *folded && *hash == exact)
                }
            },
            (Self::Date(intervals), Cell::Date { low, high })
            | (Self::Number(intervals), Cell::Number { low, high }) => {
                intervals.iter().any(|interval| interval.holds(low, high))
            }
            (Self::Quantity(wanted), Cell::Quantity { .. }) => wanted
                .iter()
                .any(|(unit, interval)| quantity(*unit, *interval, cell)),
            (Self::Reference(keys), Cell::Reference(key)) => keys.binary_search(&key).is_ok(),
            (Self::Reference(keys), Cell::ReferenceUrl { url, versioned }) => {
                let known = |key: i64| keys.binary_search(&key).is_ok();
                known(url) || versioned.is_some_and(known)
            }
            (Self::Uri(mode, uris), Cell::Uri(uri)) => uris.iter().any(|(wanted, _)| match mode {
                UriMode::Equal => wanted == uri,
                UriMode::Above => covers(uri, wanted),
                UriMode::Below => covers(wanted, uri),
            }),
            (Self::Composite(alternatives), Cell::Composite(parts)) => {
                alternatives.iter().any(|tests| {
                    let mut pairs = 0;
                    let all = tests.iter().zip(parts.iter()).all(|(test, values)| {
                        pairs += 1;
                        values.iter().any(|cell| test.holds(cell))
                    });
                    all && pairs == tests.len()
                })
            }
            // A value of another form does not pass: text beside tokens, say.
            _ => false,
        }
    }
}

fn quantity(unit: Unit, interval: Interval, cell: Cell<'_>) -> bool {
    let Cell::Quantity {
        low,
        high,
        code,
        name,
        canonical,
    } = cell
    else {
        return false;
    };
    match unit {
        Unit::Any => interval.holds(low, high),
        Unit::Code(wanted) => (code == wanted || name == wanted) && interval.holds(low, high),
        Unit::Canonical(wanted) => {
            canonical.is_some_and(|(unit, low, high)| unit == wanted && interval.holds(low, high))
        }
    }
}

/// `upper` is `lower` or one of its ancestors by path.
fn covers(upper: &str, lower: &str) -> bool {
    let Some(rest) = lower.strip_prefix(upper) else {
        return false;
    };
    rest.is_empty() || rest.starts_with('/') || upper.ends_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_compare_intervals_as_the_standard_says() {
        // The searched interval is [10, 19].
        let check = |prefix, holds: [bool; 7]| {
            let values = [
                (0, 5),
                (5, 12),
                (12, 15),
                (15, 25),
                (25, 30),
                (0, 30),
                (10, 19),
            ];
            let interval = Interval {
                prefix,
                low: 10,
                high: 19,
            };
            assert_eq!(
                values.map(|(low, high)| interval.holds(low, high)),
                holds,
                "{prefix:?}"
            );
        };
        let (t, f) = (true, false);
        check(Prefix::Eq, [f, f, t, f, f, f, t]);
        check(Prefix::Ne, [t, t, f, t, t, t, f]);
        check(Prefix::Gt, [f, f, f, t, t, t, f]);
        check(Prefix::Lt, [t, t, f, f, f, t, f]);
        check(Prefix::Ge, [f, f, t, t, t, t, t]);
        check(Prefix::Le, [t, t, t, f, f, t, t]);
        check(Prefix::Sa, [f, f, f, f, t, f, f]);
        check(Prefix::Eb, [t, f, f, f, f, f, f]);
        check(Prefix::Ap, [f, t, t, t, f, t, t]);
    }

    #[test]
    fn a_uri_covers_itself_and_what_lies_below_its_path() {
        for (upper, lower, covered) in [
            ("http://a/b", "http://a/b", true),
            ("http://a/b", "http://a/b/c", true),
            ("http://a/", "http://a/b", true),
            ("http://a/b", "http://a/bc", false),
            ("http://a/b/c", "http://a/b", false),
        ] {
            assert_eq!(covers(upper, lower), covered, "{upper} {lower}");
        }
    }
}
