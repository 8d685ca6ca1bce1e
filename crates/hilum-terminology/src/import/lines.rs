//! Lines of a file, and the columns of a line.

use std::io::BufRead;

use super::error::ImportError;
use super::input::{Input, Member, Stream};

/// Bytes of one line.
pub const LINE_BYTES_MAX: usize = 4 << 20;

/// The lines of a file, without what ends them.
pub(super) struct Lines<'t> {
    stream: Stream<'t>,
    file: String,
    number: u64,
    bytes: Vec<u8>,
    text: String,
}

impl<'t> Lines<'t> {
    pub(super) fn open(input: &Input<'t>, member: &Member) -> Result<Self, ImportError> {
        Ok(Self {
            stream: input.stream(member)?,
            file: member.file_name().to_owned(),
            number: 0,
            bytes: Vec::new(),
            text: String::new(),
        })
    }

    /// The next line.
    pub(super) fn next(&mut self) -> Result<Option<&str>, ImportError> {
        self.bytes.clear();
        let mut limited = std::io::Read::take(&mut self.stream, LINE_BYTES_MAX as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.bytes);
        let read = read.map_err(|error| ImportError::Read(self.file.clone(), error))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read > LINE_BYTES_MAX {
            return Err(self.wrong(format!("it has more than {LINE_BYTES_MAX} bytes")));
        }
        let mut bytes = self.bytes.as_slice();
        if self.number == 1 {
            bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        }
        bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        self.text.clear();
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text.push_str(text),
            // Files of the FDA and older ones of the CDC are in Windows-1252.
            Err(_) => self.text.extend(bytes.iter().map(|byte| western(*byte))),
        }
        Ok(Some(&self.text))
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// An error about the line that was read last.
    pub(super) fn wrong(&self, text: impl Into<String>) -> ImportError {
        ImportError::line(&self.file, self.number, text)
    }
}

/// A character of Windows-1252: Latin-1 but for some between 0x80 and 0x9F.
fn western(byte: u8) -> char {
    match byte {
        0x80 => '\u{20AC}',
        0x85 => '\u{2026}',
        0x91 => '\u{2018}',
        0x92 => '\u{2019}',
        0x93 => '\u{201C}',
        0x94 => '\u{201D}',
        0x95 => '\u{2022}',
        0x96 => '\u{2013}',
        0x97 => '\u{2014}',
        0x99 => '\u{2122}',
        other => char::from(other),
    }
}

/// A table with a head: the columns that are wanted, in the order in which they were asked for.
pub(super) struct Columns {
    places: Vec<Option<usize>>,
    needed: usize,
}

impl Columns {
    /// Finds columns by the names of the first line, case aside. Those before `optional` have to be
    /// there.
    pub(super) fn of(
        head: &[&str],
        file: &str,
        needed: &[&str],
        optional: &[&str],
    ) -> Result<Self, ImportError> {
        let mut places = Vec::new();
        for (at, name) in needed.iter().chain(optional).enumerate() {
            let place = head
                .iter()
                .position(|own| own.trim().eq_ignore_ascii_case(name));
            if place.is_none() && at < needed.len() {
                let text = format!("there is no column {name}");
                return Err(ImportError::line(file, 1, text));
            }
            places.push(place);
        }
        let needed = places.iter().take(needed.len()).flatten().max();
        Ok(Self {
            needed: needed.map_or(0, |last| last + 1),
            places,
        })
    }

    /// Whether a line has the columns that have to be there.
    pub(super) const fn fit(&self, count: usize) -> bool {
        count >= self.needed
    }

    /// The text of the column that was asked for at this place.
    pub(super) fn get<'r>(&self, row: &[&'r str], at: usize) -> &'r str {
        let place = self.places.get(at).copied().flatten();
        place
            .and_then(|place| row.get(place))
            .copied()
            .unwrap_or_default()
            .trim()
    }
}

/// A file with commas or tabs and quotes, row by row.
pub(super) fn quoted<'t>(
    input: &Input<'t>,
    member: &Member,
    mut each: impl FnMut(&[&str], u64) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let stream = input.stream(member)?;
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(stream);
    let mut row = csv::ByteRecord::new();
    let mut texts: Vec<String> = Vec::new();
    loop {
        let more = rows.read_byte_record(&mut row);
        let line = row.position().map_or(1, csv::Position::line);
        let more =
            more.map_err(|error| ImportError::line(member.file_name(), line, error.to_string()))?;
        if !more {
            return Ok(());
        }
        texts.clear();
        for (at, bytes) in row.iter().enumerate() {
            if bytes.len() > LINE_BYTES_MAX {
                let text = format!("a column has more than {LINE_BYTES_MAX} bytes");
                return Err(ImportError::line(member.file_name(), line, text));
            }
            let bytes = match (line, at) {
                (1, 0) => bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes),
                _ => bytes,
            };
            texts.push(match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => bytes.iter().map(|byte| western(*byte)).collect(),
            });
        }
        let columns: Vec<&str> = texts.iter().map(String::as_str).collect();
        each(&columns, line)?;
    }
}
