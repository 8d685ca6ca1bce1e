//! A table of codes, read from CSV.
//!
//! The first row names the columns. `code` and `display` occur twice: those between `source` and
//! `target` belong to the source, those behind `target` to the target. `source` and `target` hold
//! the code systems; an empty source system fits every system. A row goes from `draft` to
//! `reviewed`, `approved` and `retired`, and counts while it is `approved` (or `active`, or has no
//! status at all, as in older tables) and the message arrived within `from` and `until`.

mod columns;
mod look;
mod row;
mod sheet;
#[cfg(test)]
mod tests;

pub use columns::{COLUMNS, Column};
pub use look::{Table, TableOptions, Used};
pub use row::{Coding, Equivalence, Row, Signed, Status};
pub use sheet::Sheet;

use std::fmt;

/// Rows of one table.
pub const ROWS_MAX: usize = 1_000_000;
/// Rows with the same code, whatever their systems and dates.
pub const SAME_CODE_MAX: usize = 1_000;
/// Mistakes of one table that are told.
const MISTAKES_MAX: usize = 20;

/// Something wrong in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line of the file, from 1; 0 for the table as a whole.
    pub line: u64,
    /// What is wrong.
    pub text: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Mistake {
    pub(crate) fn at(line: u64, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
            remedy: None,
        }
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.text)
    }
}

/// The text of a file; the error says what it is instead.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, Mistake> {
    const REMEDY: &str = "save the table as CSV in UTF-8";
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(Mistake::at(1, "the table is UTF-16 and not UTF-8").remedy(REMEDY));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        Mistake::at(line, "not readable as UTF-8").remedy(REMEDY)
    })
}
