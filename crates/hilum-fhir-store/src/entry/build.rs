//! From the caller's rows to a packing.

use super::{CONTAINS, MARK, TOKEN_SORT_CHARS, canonical, kind};
use crate::config::Limits;
use crate::error::StoreError;
use crate::normal::{Tokens, cut, fold, ordinal};
use crate::row::{CompositePart, IndexRow, IndexValue};

/// Packs the rows of one resource.
///
/// # Errors
/// If there are more than a resource may have.
pub(crate) fn pack(
    rows: &[IndexRow],
    tokens: &Tokens,
    limits: &Limits,
) -> Result<Vec<u8>, StoreError> {
    let within = |row: &IndexRow| match &row.value {
        IndexValue::Contained { rows, .. } => rows.len(),
        _ => 0,
    };
    if rows.len() + rows.iter().map(within).sum::<usize>() > limits.rows_max {
        return Err(StoreError::Limit {
            limit: "rows_max",
            max: limits.rows_max as u64,
        });
    }
    Ok(Packer { tokens, limits }.rows(rows, 0))
}

pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Packer<'a> {
    tokens: &'a Tokens,
    limits: &'a Limits,
}

impl Packer<'_> {
    fn rows(&self, rows: &[IndexRow], mark: u32) -> Vec<u8> {
        let mut packed: Vec<(u32, Vec<u8>)> = Vec::with_capacity(rows.len());
        for row in rows {
            let mut bytes = Vec::with_capacity(32);
            if self.value(&row.value, &mut bytes) {
                packed.push((row.param.0 | mark, bytes));
            }
        }
        packed.sort_unstable();
        packed.dedup();
        let mut out = Vec::with_capacity(packed.iter().map(|(_, bytes)| bytes.len() + 3).sum());
        for (param, bytes) in packed {
            varint(u64::from(param), &mut out);
            out.extend_from_slice(&bytes);
        }
        out
    }

    /// Writes kind, length and payload; false if the value says nothing that could be searched.
    fn value(&self, value: &IndexValue, out: &mut Vec<u8>) -> bool {
        let mut body = Vec::with_capacity(24);
        let kind = match value {
            IndexValue::Token { system, code } => {
                self.token(system.as_deref(), code.as_deref(), &mut body);
                let shown = code
                    .as_deref()
                    .map_or("", |code| cut(code, TOKEN_SORT_CHARS));
                body.extend_from_slice(shown.as_bytes());
                kind::TOKEN
            }
            IndexValue::TokenText(text) => {
                body.extend_from_slice(fold(text, self.limits.text_chars_max).as_bytes());
                kind::TOKEN_TEXT
            }
            IndexValue::OfType {
                system,
                code,
                value,
            } => {
                push(self.tokens.of_type(code, value), &mut body);
                self.system(system.as_deref(), &mut body);
                kind::OF_TYPE
            }
            IndexValue::String(text) => {
                push32(self.tokens.exact(text), &mut body);
                body.extend_from_slice(fold(text, self.limits.text_chars_max).as_bytes());
                kind::STRING
            }
            IndexValue::Date { start_ms, end_ms } => {
                // Closed here, as all intervals: an open end stays open.
                let last = if *end_ms == i64::MAX {
                    i64::MAX
                } else {
                    end_ms - 1
                };
                interval(*start_ms, last.max(*start_ms), &mut body);
                kind::DATE
            }
            IndexValue::Number { low, high } => {
                interval(ordinal(*low), ordinal(high.max(*low)), &mut body);
                kind::NUMBER
            }
            IndexValue::Quantity { .. } => {
                self.quantity(value, &mut body);
                kind::QUANTITY
            }
            IndexValue::Reference { resource_type, id } => {
                push(self.tokens.resource(resource_type, id), &mut body);
                kind::REFERENCE
            }
            IndexValue::ReferenceUrl { url, version } => {
                self.url(url, version.as_deref(), &mut body);
                kind::REFERENCE_URL
            }
            IndexValue::ReferenceIdentifier { system, value } => {
                self.token(system.as_deref(), value.as_deref(), &mut body);
                kind::REFERENCE_IDENTIFIER
            }
            IndexValue::Uri(uri) => {
                body.extend_from_slice(uri.as_bytes());
                kind::URI
            }
            IndexValue::Composite(parts) => {
                self.composite(parts, &mut body);
                kind::COMPOSITE
            }
            IndexValue::Contained {
                resource_type,
                id,
                rows,
            } => {
                self.contained(resource_type, id, rows, &mut body);
                kind::CONTAINED
            }
            // Kept by the full-text index alone.
            IndexValue::FullText(_) => return false,
        };
        out.push(kind);
        varint(body.len() as u64, out);
        out.extend_from_slice(&body);
        true
    }

    fn url(&self, url: &str, version: Option<&str>, out: &mut Vec<u8>) {
        push(self.tokens.url(url), out);
        if let Some(version) = version {
            push(self.tokens.url(&format!("{url}|{version}")), out);
        }
    }

    fn contained(&self, resource_type: &str, id: &str, rows: &[IndexRow], out: &mut Vec<u8>) {
        push(self.tokens.url(&format!("#{id}")), out);
        push(self.tokens.resource(resource_type, id), out);
        // Nothing is contained in what is contained.
        let own = rows.iter().filter(|row| row.param.0 < CONTAINS);
        let own: Vec<IndexRow> = own.cloned().collect();
        out.extend_from_slice(&self.rows(&own, MARK));
    }

    fn token(&self, system: Option<&str>, code: Option<&str>, out: &mut Vec<u8>) {
        push(code.map_or(0, |code| self.tokens.code(code)), out);
        self.system(system, out);
    }

    fn system(&self, system: Option<&str>, out: &mut Vec<u8>) {
        push32(system.map_or(0, |system| self.tokens.system(system)), out);
    }

    fn composite(&self, parts: &[CompositePart], out: &mut Vec<u8>) {
        varint(parts.len() as u64, out);
        for part in parts {
            let mut inner = Vec::new();
            for value in &part.0 {
                self.value(value, &mut inner);
            }
            varint(inner.len() as u64, out);
            out.extend_from_slice(&inner);
        }
    }

    fn quantity(&self, value: &IndexValue, out: &mut Vec<u8>) {
        let IndexValue::Quantity {
            low,
            high,
            system,
            code,
            unit,
        } = value
        else {
            return;
        };
        let (low, high) = (*low, high.max(*low));
        interval(ordinal(low), ordinal(high), out);
        let hash = |text: &Option<String>| text.as_deref().map_or(0, |text| self.tokens.code(text));
        push(hash(code), out);
        push(hash(unit), out);
        let (Some(system), Some(code)) = (system, code) else {
            return;
        };
        let (name, values) = match canonical(system, code, &[low, high]) {
            Some(canonical) => (canonical.unit, canonical.values),
            None => (format!("{system}|{code}"), vec![low, high]),
        };
        push(self.tokens.unit(&name), out);
        if let [low, high] = values[..] {
            let (low, high) = (low.min(high), low.max(high));
            interval(ordinal(low), ordinal(high), out);
        }
    }
}

fn push(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// A value of at most 32 bits.
fn push32(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u32).to_le_bytes());
}

/// Most intervals are points or short, so the length is written instead of the end.
fn interval(low: i64, high: i64, out: &mut Vec<u8>) {
    push(low, out);
    varint(high.wrapping_sub(low).cast_unsigned(), out);
}
