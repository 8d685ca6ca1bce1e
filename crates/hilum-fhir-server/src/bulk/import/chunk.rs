//! Lines of a file, some at a time.

use std::io;
use std::path::Path;

use hilum_db::Files;

/// Bytes that are read at once, unless a line is longer.
const BYTES: usize = 2 << 20;

/// One line that is not blank.
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: u64,
    /// Where the next line begins.
    pub(super) end: u64,
    /// Its text; `None` if it is longer than a line may be.
    pub(super) text: Option<Vec<u8>>,
}

/// Where reading goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) offset: u64,
    /// Lines before it.
    pub(super) line: u64,
}

/// The next lines, at most so many, and where it goes on; no lines and the same place at the end.
pub(super) fn read(
    files: &dyn Files,
    path: &Path,
    from: Place,
    lines_max: usize,
    line_bytes_max: usize,
) -> io::Result<(Vec<Line>, Place)> {
    let mut buffer = vec![0; BYTES];
    loop {
        let got = files.read_at(path, from.offset, &mut buffer)?;
        let at_end = got < buffer.len();
        let bytes = buffer.get(..got).unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        match whole {
            Some(last) if !at_end => {
                let bytes = bytes.get(..=last).unwrap_or_default();
                return Ok(split(bytes, from, lines_max));
            }
            _ if at_end => return Ok(split(bytes, from, lines_max)),
            _ if buffer.len() > line_bytes_max => return too_long(files, path, from),
            _ => {
                let longer = buffer.len().saturating_mul(2).min(line_bytes_max + 2);
                buffer.resize(longer, 0);
            }
        }
    }
}

fn split(bytes: &[u8], from: Place, lines_max: usize) -> (Vec<Line>, Place) {
    let (mut lines, mut place) = (Vec::new(), from);
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        if lines.len() >= lines_max {
            break;
        }
        place = Place {
            offset: place.offset + piece.len() as u64,
            line: place.line + 1,
        };
        let text = piece.trim_ascii();
        if !text.is_empty() {
            lines.push(Line {
                number: place.line,
                end: place.offset,
                text: Some(text.to_vec()),
            });
        }
    }
    (lines, place)
}

/// Passes over a line that is too long.
fn too_long(files: &dyn Files, path: &Path, from: Place) -> io::Result<(Vec<Line>, Place)> {
    let mut buffer = vec![0; BYTES];
    let mut offset = from.offset;
    let end = loop {
        let got = files.read_at(path, offset, &mut buffer)?;
        let bytes = buffer.get(..got).unwrap_or_default();
        match bytes.iter().position(|byte| *byte == b'\n') {
            Some(at) => break offset + at as u64 + 1,
            None if got < buffer.len() => break offset + got as u64,
            None => offset += got as u64,
        }
    };
    let place = Place {
        offset: end,
        line: from.line + 1,
    };
    let line = Line {
        number: place.line,
        end,
        text: None,
    };
    Ok((vec![line], place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_db::RealFiles;

    #[test]
    fn every_line_is_read_once_however_they_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let long = "y".repeat(BYTES + 10);
        let text = format!("one\n\n  two\r\n{long}\nthree\n{}", "z".repeat(3 * BYTES));
        std::fs::write(&path, text).unwrap();
        let mut found = Vec::new();
        let mut place = Place::default();
        loop {
            let (lines, next) = read(&RealFiles, &path, place, 2, 2 * BYTES).unwrap();
            if next == place {
                break;
            }
            found.extend(lines.into_iter().map(|line| {
                let text = line.text.map(|text| (text.len(), text[0]));
                (line.number, text)
            }));
            place = next;
        }
        let expected = [
            (1, Some((3, b'o'))),
            (3, Some((3, b't'))),
            (4, Some((BYTES + 10, b'y'))),
            (5, Some((5, b't'))),
            (6, None),
        ];
        assert_eq!(found, expected);
    }
}
