//! CSV as RFC 4180 has it, with the place of every cell.
//!
//! A reader that gives only texts cannot change one cell and leave every other byte of the file
//! alone; this one gives the range of each cell too. Lines end in LF or CRLF; a cell in quotes may
//! hold commas, line ends and doubled quotes.

use std::borrow::Cow;
use std::ops::Range;

/// One record of a file.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// Where each cell stands, quotes included.
    pub(crate) cells: Vec<Range<usize>>,
    /// Where the record ends, before its line end.
    pub(crate) end: usize,
}

/// What keeps a file from being read as CSV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) line: u64,
    pub(crate) text: &'static str,
}

/// The records of a text; empty lines are passed over.
pub(crate) struct Scan<'t> {
    text: &'t str,
    at: usize,
    line: u64,
}

impl<'t> Scan<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let at = if text.starts_with('\u{FEFF}') {
            '\u{FEFF}'.len_utf8()
        } else {
            0
        };
        Self { text, at, line: 1 }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// Past the line end that begins here.
    fn end_line(&mut self) {
        if self.byte(self.at) == Some(b'\r') {
            self.at += 1;
        }
        if self.byte(self.at) == Some(b'\n') {
            self.at += 1;
        }
        self.line += 1;
    }

    /// A line end begins here. A lone CR is part of a cell.
    fn at_line_end(&self) -> bool {
        match self.byte(self.at) {
            Some(b'\n') => true,
            Some(b'\r') => matches!(self.byte(self.at + 1), Some(b'\n') | None),
            Some(_) | None => false,
        }
    }

    fn cell(&mut self) -> Result<Range<usize>, Unreadable> {
        let start = self.at;
        if self.byte(self.at) != Some(b'"') {
            while self.at < self.text.len()
                && self.byte(self.at) != Some(b',')
                && !self.at_line_end()
            {
                self.at += 1;
            }
            return Ok(start..self.at);
        }
        let opened = self.line;
        self.at += 1;
        loop {
            match self.byte(self.at) {
                None => {
                    return Err(Unreadable {
                        line: opened,
                        text: "a quote is opened here and never closed",
                    });
                }
                Some(b'"') if self.byte(self.at + 1) == Some(b'"') => self.at += 2,
                Some(b'"') => break,
                Some(b'\n') => {
                    self.line += 1;
                    self.at += 1;
                }
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        if self.at < self.text.len() && self.byte(self.at) != Some(b',') && !self.at_line_end() {
            return Err(Unreadable {
                line: self.line,
                text: "after a closing quote there must be a comma or the end of the line; write a \
                       quote inside a cell twice",
            });
        }
        Ok(start..self.at)
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Record, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.text.len() && self.at_line_end() {
            self.end_line();
        }
        if self.at >= self.text.len() {
            return None;
        }
        let line = self.line;
        let mut cells = Vec::new();
        loop {
            match self.cell() {
                Ok(cell) => cells.push(cell),
                Err(error) => {
                    self.at = self.text.len();
                    return Some(Err(error));
                }
            }
            if self.byte(self.at) == Some(b',') {
                self.at += 1;
            } else {
                break;
            }
        }
        let end = self.at;
        if self.at < self.text.len() {
            self.end_line();
        }
        Some(Ok(Record { line, cells, end }))
    }
}

/// The text of a cell, without quotes and the white space around it.
pub(crate) fn cell<'t>(text: &'t str, range: &Range<usize>) -> Cow<'t, str> {
    let raw = text.get(range.clone()).unwrap_or_default();
    let inner = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if inner.contains("\"\"") => {
            Cow::Owned(inner.replace("\"\"", "\"").trim().to_owned())
        }
        Some(inner) => Cow::Borrowed(inner.trim()),
        None => Cow::Borrowed(raw.trim()),
    }
}

/// A text as a cell: in quotes where it needs them.
pub(crate) fn quoted(text: &str) -> Cow<'_, str> {
    let edge = |c: Option<char>| c.is_some_and(char::is_whitespace);
    let needs = text.contains([',', '"', '\n', '\r'])
        || edge(text.chars().next())
        || edge(text.chars().last());
    if needs {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(u64, Vec<String>)> {
        let records = Scan::new(text).map(Result::unwrap);
        records
            .map(|record| {
                let cells = record
                    .cells
                    .iter()
                    .map(|range| cell(text, range).into_owned());
                (record.line, cells.collect())
            })
            .collect()
    }

    #[test]
    fn cells_are_found_with_their_lines() {
        let text = "\u{FEFF}a, b\r\n\r\n\"x,\"\"y\"\"\n z\",\"\"\nlast,";
        let expected = [
            (1, vec!["a", "b"]),
            (3, vec!["x,\"y\"\n z", ""]),
            (5, vec!["last", ""]),
        ];
        let found = read(text);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(
                (found.0, found.1.iter().map(String::as_str).collect()),
                expected
            );
        }
        assert!(read("").is_empty() && read("\n\r\n").is_empty());
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_with_its_line() {
        let lines = |text| -> Vec<_> {
            Scan::new(text)
                .filter_map(Result::err)
                .map(|error| error.line)
                .collect()
        };
        assert_eq!(lines("a\n\"b\n\nc"), [2]);
        assert_eq!(lines("a\n\"b\"c"), [2]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(cells in prop::collection::vec("[a \",\n\ré]{0,6}", 1..5)) {
            let line: Vec<_> = cells.iter().map(|text| quoted(text)).collect();
            let text = format!("head\n{}\n", line.join(","));
            let found = read(&text);
            let trimmed: Vec<_> = cells.iter().map(|text| text.trim().to_owned()).collect();
            if line.join(",").is_empty() {
                prop_assert_eq!(found.len(), 1);
            } else {
                prop_assert_eq!(&found[1].1, &trimmed);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[a\",\n\r\u{FEFF}é]{0,40}") {
            let records: Vec<_> = Scan::new(&text).collect();
            for record in records.into_iter().flatten() {
                for range in &record.cells {
                    cell(&text, range);
                }
                prop_assert!(text.get(..record.end).is_some());
            }
        }
    }
}
