//! Delimited text: CSV, TSV and what else separates cells by one byte (RFC 4180 and its habits).
//!
//! A cell that begins with the quote runs to the closing quote, line ends included; a doubled
//! quote inside stands for one. A quote elsewhere is text, and text behind a closing quote is
//! kept. A row may have fewer or more cells than the header. Lines without any byte are kept and
//! are no rows.

mod edit;
mod parse;
mod tree;

use bytes::Bytes;
use encoding_rs::Encoding;
use hilum_fhirpath::NodeId;

use crate::error::ParseError;
use crate::limits::Limits;

/// How cells and rows are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelimitedOptions {
    /// Between cells.
    pub separator: u8,
    /// Around cells; `None` where quotes are text.
    pub quote: Option<u8>,
    /// The first row names the columns.
    pub header: bool,
    /// For bytes that are not UTF-8.
    pub fallback: &'static Encoding,
}

impl Default for DelimitedOptions {
    fn default() -> Self {
        Self {
            separator: b',',
            quote: Some(b'"'),
            header: true,
            fallback: encoding_rs::WINDOWS_1252,
        }
    }
}

/// What ends a row that is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RowEnd {
    /// LF.
    #[default]
    Lf,
    /// CR LF.
    CrLf,
    /// CR.
    Cr,
}

impl RowEnd {
    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
            Self::Cr => b"\r",
        }
    }
}

/// One cell: a run of the source with its quotes, or a value that an edit brought.
#[derive(Clone)]
enum Cell {
    Read(u32, u32),
    Written(String),
}

#[derive(Clone)]
enum Row {
    /// Places in the source: the row, where its end is, where the next begins, its cells.
    Read {
        start: u32,
        end: u32,
        next: u32,
        first: u32,
        count: u32,
    },
    /// Changed: its cells, and the same places.
    Edited {
        cells: Vec<Cell>,
        start: u32,
        end: u32,
        next: u32,
    },
    /// Added behind what was read.
    Added { cells: Vec<Cell> },
    /// Left out, up to `next`; 0 for one that was added before.
    Removed { next: u32 },
}

/// A document of delimited text.
#[derive(Clone)]
pub struct DelimitedDocument {
    source: Bytes,
    options: DelimitedOptions,
    rows: Vec<Row>,
    cells: Vec<(u32, u32)>,
    header: Vec<String>,
    row_end: RowEnd,
    touched: bool,
}

impl std::fmt::Debug for DelimitedDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "DelimitedDocument({} bytes, {} rows)",
            self.source.len(),
            self.rows.len()
        )
    }
}

impl DelimitedDocument {
    /// Reads a document.
    pub fn parse(
        source: &Bytes,
        options: DelimitedOptions,
        limits: &Limits,
    ) -> Result<Self, ParseError> {
        parse::parse(source, options, limits)
    }

    /// How it was read.
    #[must_use]
    pub const fn options(&self) -> DelimitedOptions {
        self.options
    }

    /// The names of the columns; empty without a header.
    #[must_use]
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The rows below the header, with the places of those that were read: row and its end.
    pub fn rows(&self) -> impl Iterator<Item = (NodeId, Option<std::ops::Range<usize>>)> {
        let live = self.rows.iter().enumerate().skip(self.first_row());
        live.filter_map(|(index, row)| {
            let range = match row {
                Row::Removed { .. } => return None,
                Row::Added { .. } => None,
                Row::Read { start, next, .. } | Row::Edited { start, next, .. } => {
                    Some(*start as usize..*next as usize)
                }
            };
            Some((tree::row_node(index), range))
        })
    }

    /// The bytes of the header row with its end, if there is one.
    #[must_use]
    pub fn header_bytes(&self) -> Option<Bytes> {
        match self.rows.first() {
            Some(Row::Read { next, .. }) if self.options.header => {
                Some(self.source.slice(..*next as usize))
            }
            _ => None,
        }
    }

    fn assemble(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.source.len().saturating_add(256));
        let mut at = 0;
        for row in &self.rows {
            match row {
                Row::Read { next, .. } => {
                    self.copy(at, *next, &mut out);
                    at = *next;
                }
                Row::Edited {
                    cells,
                    start,
                    end,
                    next,
                } => {
                    self.copy(at, *start, &mut out);
                    self.write_cells(cells, &mut out);
                    self.copy(*end, *next, &mut out);
                    at = *next;
                }
                Row::Removed { next: 0 } => {}
                Row::Removed { next } => at = *next,
                Row::Added { cells } => {
                    // Blank lines at the end stay before what is added.
                    out.extend_from_slice(self.source.get(at as usize..).unwrap_or_default());
                    at = u32::MAX;
                    if !matches!(out.last(), None | Some(b'\r' | b'\n')) {
                        out.extend_from_slice(self.row_end.as_bytes());
                    }
                    self.write_cells(cells, &mut out);
                    out.extend_from_slice(self.row_end.as_bytes());
                }
            }
        }
        out.extend_from_slice(self.source.get(at as usize..).unwrap_or_default());
        out
    }

    fn copy(&self, start: u32, end: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(
            self.source
                .get(start as usize..end as usize)
                .unwrap_or_default(),
        );
    }

    fn write_cells(&self, cells: &[Cell], out: &mut Vec<u8>) {
        for (place, cell) in cells.iter().enumerate() {
            if place > 0 {
                out.push(self.options.separator);
            }
            match cell {
                Cell::Read(start, end) => self.copy(*start, *end, out),
                Cell::Written(value) => out.extend_from_slice(&parse::encode(self, value)),
            }
        }
    }

    fn first_row(&self) -> usize {
        usize::from(self.options.header && !self.rows.is_empty())
    }
}
