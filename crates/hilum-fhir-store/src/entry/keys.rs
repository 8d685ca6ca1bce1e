//! The rows of the index tables that a packing stands for.

use super::contained::type_of;
use super::{CONTAINS, Cell, Rows};
use crate::normal::Tokens;

/// Longest interval that the `span` table finds from either side by its lower end: a day, because
/// most dates are days or moments. Longer ones have a row in `wide` as well.
pub(crate) const SHORT_DATE_MS: i64 = 86_400_000;

/// A parameter and which aspect of it: what stands in the first column of the index tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IndexId(pub(crate) i64);

impl IndexId {
    /// The values themselves.
    pub(crate) fn value(param: u32) -> Self {
        Self(i64::from(param) << 2)
    }

    /// Display text of tokens, identifiers of references.
    pub(crate) fn beside(param: u32) -> Self {
        Self(i64::from(param) << 2 | 1)
    }

    /// Identifiers with their type.
    pub(crate) fn of_type(param: u32) -> Self {
        Self(i64::from(param) << 2 | 2)
    }
}

/// A row of an index table, without the resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TableRow<'a> {
    /// `token`: found by equality.
    Token {
        index: IndexId,
        code: i64,
        extra: i64,
    },
    /// `token` under the hash of a text, and the text itself in `word`.
    Word {
        index: IndexId,
        code: i64,
        extra: i64,
        text: &'a str,
    },
    /// `span`, and `wide` as well if it is long.
    Span {
        index: IndexId,
        unit: i64,
        low: i64,
        high: i64,
        wide: bool,
    },
}

/// The table rows of a packing, sorted and each once.
pub(crate) fn table_rows<'a>(rows: Rows<'a>, tokens: &Tokens) -> Vec<TableRow<'a>> {
    let mut out = Vec::new();
    for (param, cell) in rows.iter() {
        push(param, cell, tokens, &mut out);
    }
    out.sort_unstable();
    out.dedup();
    out
}

fn push<'a>(param: u32, cell: Cell<'a>, tokens: &Tokens, out: &mut Vec<TableRow<'a>>) {
    let value = IndexId::value(param);
    let token = |index, code, extra| TableRow::Token { index, code, extra };
    let word = |index, text, extra| TableRow::Word {
        index,
        code: tokens.word(text),
        extra,
        text,
    };
    match cell {
        Cell::Token { code, system, .. } => out.push(token(value, code, system)),
        Cell::TokenText(text) => out.push(word(IndexId::beside(param), text, 0)),
        Cell::OfType { key, system } => out.push(token(IndexId::of_type(param), key, system)),
        Cell::String { exact, folded } => out.push(word(value, folded, exact)),
        Cell::Date { low, high } => out.push(date(value, 0, low, high)),
        Cell::Number { low, high } => out.push(number(value, 0, low, high)),
        Cell::Quantity {
            low,
            high,
            canonical,
            ..
        } => {
            out.push(number(value, 0, low, high));
            if let Some((unit, low, high)) = canonical {
                out.push(number(value, unit, low, high));
            }
        }
        Cell::Reference(key) => out.push(token(value, key, 0)),
        Cell::ReferenceUrl { url, versioned } => {
            out.push(token(value, url, 0));
            if let Some(versioned) = versioned {
                out.push(token(value, versioned, 0));
            }
        }
        Cell::ReferenceIdentifier { code, system } => {
            out.push(token(IndexId::beside(param), code, system));
        }
        Cell::Uri(uri) => out.push(word(value, uri, 0)),
        Cell::Contained { rows, .. } => {
            out.push(token(IndexId::value(CONTAINS), type_of(param), 0));
            for (param, cell) in rows.iter() {
                push(param, cell, tokens, out);
            }
        }
        Cell::Composite(parts) => {
            let mut parts = parts.iter();
            let (Some(first), second) = (parts.next(), parts.next()) else {
                return;
            };
            for code in first.iter().filter_map(|cell| equality(cell, tokens)) {
                let Some(second) = second else {
                    out.push(token(value, code, 0));
                    continue;
                };
                for cell in second.iter() {
                    out.push(match cell {
                        Cell::Date { low, high } => date(value, code, low, high),
                        Cell::Number { low, high } | Cell::Quantity { low, high, .. } => {
                            number(value, code, low, high)
                        }
                        Cell::Token { .. }
                        | Cell::TokenText(_)
                        | Cell::OfType { .. }
                        | Cell::String { .. }
                        | Cell::Reference(_)
                        | Cell::ReferenceUrl { .. }
                        | Cell::ReferenceIdentifier { .. }
                        | Cell::Uri(_)
                        | Cell::Composite(_)
                        | Cell::Contained { .. } => {
                            let extra = equality(cell, tokens).map_or(0, short);
                            token(value, code, extra)
                        }
                    });
                }
            }
        }
    }
}

fn date<'a>(index: IndexId, unit: i64, low: i64, high: i64) -> TableRow<'a> {
    TableRow::Span {
        index,
        unit,
        low,
        high,
        wide: high.saturating_sub(low) > SHORT_DATE_MS,
    }
}

fn number<'a>(index: IndexId, unit: i64, low: i64, high: i64) -> TableRow<'a> {
    TableRow::Span {
        index,
        unit,
        low,
        high,
        wide: high > low,
    }
}

/// The hash by which a value is found when only equality counts.
fn equality(cell: Cell<'_>, tokens: &Tokens) -> Option<i64> {
    match cell {
        Cell::Token { code, .. } | Cell::ReferenceIdentifier { code, .. } => Some(code),
        Cell::Reference(key) | Cell::OfType { key, .. } => Some(key),
        Cell::ReferenceUrl { url, .. } => Some(url),
        Cell::String { folded: text, .. } | Cell::TokenText(text) | Cell::Uri(text) => {
            Some(tokens.word(text))
        }
        Cell::Date { .. }
        | Cell::Number { .. }
        | Cell::Quantity { .. }
        | Cell::Composite(_)
        | Cell::Contained { .. } => None,
    }
}

/// The second hash of a row, shortened because the first one has done most of the work.
pub(crate) fn short(code: i64) -> i64 {
    (code & 0xffff_ffff).max(1)
}
