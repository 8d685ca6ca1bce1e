//! Reading and writing cells.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Cell, DelimitedDocument, DelimitedOptions, Row, RowEnd};
use crate::error::ParseError;
use crate::limits::Limits;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) fn parse(
    source: &Bytes,
    options: DelimitedOptions,
    limits: &Limits,
) -> Result<DelimitedDocument, ParseError> {
    if source.len() > limits.bytes_max || u32::try_from(source.len()).is_err() {
        return Err(ParseError::TooLarge(
            limits.bytes_max.min(u32::MAX as usize),
        ));
    }
    let at = if source.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    let document = DelimitedDocument {
        source: source.clone(),
        options,
        rows: Vec::new(),
        cells: Vec::new(),
        header: Vec::new(),
        row_end: RowEnd::Lf,
        touched: false,
    };
    let mut parser = Parser {
        source,
        at,
        document,
    };
    while parser.at < source.len() {
        parser.row();
        if parser.document.cells.len() > limits.nodes_max {
            return Err(ParseError::TooManyNodes(limits.nodes_max));
        }
    }
    let mut document = parser.document;
    if options.header
        && let Some(row) = document.rows.first()
    {
        let header = document.cells_of(row);
        document.header = header
            .iter()
            .map(|cell| document.text(cell).into_owned())
            .collect();
    }
    Ok(document)
}

/// The source is shorter than 4 GB, so positions fit.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked before the first call"
)]
const fn pos(at: usize) -> u32 {
    at as u32
}

struct Parser<'s> {
    source: &'s [u8],
    at: usize,
    document: DelimitedDocument,
}

impl Parser<'_> {
    fn row(&mut self) {
        let (start, first) = (self.at, self.document.cells.len());
        loop {
            let from = self.at;
            self.cell();
            self.document.cells.push((pos(from), pos(self.at)));
            if self.source.get(self.at) == Some(&self.document.options.separator) {
                self.at += 1;
            } else {
                break;
            }
        }
        let end = self.at;
        let row_end = match (self.source.get(end), self.source.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => Some(RowEnd::CrLf),
            (Some(b'\r'), _) => Some(RowEnd::Cr),
            (Some(b'\n'), _) => Some(RowEnd::Lf),
            _ => None,
        };
        if let Some(row_end) = row_end {
            self.at += row_end.as_bytes().len();
            if self.document.rows.is_empty() {
                self.document.row_end = row_end;
            }
        }
        if start == end {
            self.document.cells.truncate(first);
            return;
        }
        let count = pos(self.document.cells.len() - first);
        let (start, end, next) = (pos(start), pos(end), pos(self.at));
        self.document.rows.push(Row::Read {
            start,
            end,
            next,
            first: pos(first),
            count,
        });
    }

    fn cell(&mut self) {
        let options = self.document.options;
        if let Some(quote) = options.quote
            && self.source.get(self.at) == Some(&quote)
        {
            self.at += 1;
            loop {
                let rest = self.source.get(self.at..).unwrap_or_default();
                let Some(found) = memchr::memchr(quote, rest) else {
                    self.at = self.source.len();
                    return;
                };
                self.at += found + 1;
                if self.source.get(self.at) != Some(&quote) {
                    break;
                }
                self.at += 1;
            }
        }
        let rest = self.source.get(self.at..).unwrap_or_default();
        self.at += memchr::memchr3(options.separator, b'\r', b'\n', rest).unwrap_or(rest.len());
    }
}

impl DelimitedDocument {
    pub(super) fn cells_of(&self, row: &Row) -> Vec<Cell> {
        match row {
            Row::Read { first, count, .. } => {
                let (first, count) = (*first as usize, *count as usize);
                let cells = self.cells.get(first..first + count).unwrap_or_default();
                cells
                    .iter()
                    .map(|&(start, end)| Cell::Read(start, end))
                    .collect()
            }
            Row::Edited { cells, .. } | Row::Added { cells } => cells.clone(),
            Row::Removed { .. } => Vec::new(),
        }
    }

    /// The value of a cell, without its quotes.
    pub(super) fn text<'a>(&'a self, cell: &'a Cell) -> Cow<'a, str> {
        match cell {
            Cell::Written(value) => Cow::Borrowed(value),
            Cell::Read(start, end) => {
                let raw = self
                    .source
                    .get(*start as usize..*end as usize)
                    .unwrap_or_default();
                match self.options.quote {
                    Some(quote) if raw.first() == Some(&quote) => {
                        Cow::Owned(self.decode(&unquote(raw, quote)).into_owned())
                    }
                    _ => self.decode(raw),
                }
            }
        }
    }

    fn decode<'a>(&self, raw: &'a [u8]) -> Cow<'a, str> {
        match std::str::from_utf8(raw) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => self.options.fallback.decode_without_bom_handling(raw).0,
        }
    }
}

/// A quoted cell without its quotes; text behind the closing one is kept.
fn unquote(raw: &[u8], quote: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.get(1..).unwrap_or_default();
    let mut inside = true;
    while let [byte, after @ ..] = rest {
        rest = after;
        if inside && *byte == quote {
            match after {
                [next, after @ ..] if *next == quote => {
                    out.push(quote);
                    rest = after;
                }
                _ => inside = false,
            }
        } else {
            out.push(*byte);
        }
    }
    out
}

/// A value as a cell, quoted where it must be, in the character set of the document.
pub(super) fn encode(document: &DelimitedDocument, value: &str) -> Vec<u8> {
    let options = document.options;
    let bytes = if std::str::from_utf8(&document.source).is_ok() {
        Cow::Borrowed(value.as_bytes())
    } else {
        options.fallback.encode(value).0
    };
    let special = |byte: &u8| {
        *byte == options.separator || matches!(byte, b'\r' | b'\n') || options.quote == Some(*byte)
    };
    let blank = value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']);
    match options.quote {
        Some(quote) if blank || bytes.iter().any(special) => {
            let mut out = vec![quote];
            for &byte in &*bytes {
                out.extend(std::iter::repeat_n(byte, 1 + usize::from(byte == quote)));
            }
            out.push(quote);
            out
        }
        Some(_) => bytes.into_owned(),
        // Without quotes nothing may look like a separator.
        None => bytes
            .iter()
            .map(|byte| if special(byte) { b' ' } else { *byte })
            .collect(),
    }
}
