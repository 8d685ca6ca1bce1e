//! The header of a message, read without the rest of it.
//!
//! What an answer is built from, and which bytes a resend shares with the first time, stand in the
//! first line. Reading it costs one look for separators in that line, and works on what is no
//! message otherwise, because bad input is answered too.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

use crate::batch::{ItemKind, items};
use crate::charset::{Charset, CharsetName};
use crate::delimiters::Delimiters;
use crate::message::wide;

/// The highest field that is read; answers need MSH-18.
const FIELD_MAX: usize = 21;

/// How much of a UTF-16 or UTF-32 message is decoded for its header.
const WIDE_BYTES_MAX: usize = 16_384;

/// The first line of a message or batch.
#[derive(Clone)]
pub struct Header<'b> {
    /// From `MSH` to the end of the line, in the view's character set.
    line: Cow<'b, [u8]>,
    delimiters: Delimiters,
    /// Spans of the fields in the line, from field 1.
    fields: [(u32, u32); FIELD_MAX],
    /// The set of `line`.
    pub(crate) view: Charset,
    /// The set of the wire; ASCII where nothing but ASCII was said.
    pub(crate) wire: Charset,
}

impl std::fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Header")
            .field("bytes", &self.line.len())
            .finish_non_exhaustive()
    }
}

impl<'b> Header<'b> {
    /// The header of a message, or of a batch, as it was received; `None` where there is none.
    #[must_use]
    pub fn read(bytes: &'b [u8]) -> Option<Self> {
        if let Some((wire, text)) = wide(bytes.get(..bytes.len().min(WIDE_BYTES_MAX))?) {
            let line = Cow::Owned(line(text.as_bytes())?.to_vec());
            return Self::of(line, Charset::Utf8, wire);
        }
        let line = line(bytes)?;
        let header = Self::of(Cow::Borrowed(line), Charset::Ascii, Charset::Ascii)?;
        let set = header.charset();
        let plain = line.is_ascii() && memchr(0x1B, line).is_none();
        if plain || !set.hides_separators() {
            let view = if plain && set.hides_separators() {
                Charset::Utf8
            } else {
                set
            };
            return Some(Self {
                view,
                wire: set,
                ..header
            });
        }
        let text = set.decode(line).0.into_owned();
        Self::of(Cow::Owned(text.into_bytes()), Charset::Utf8, set)
    }

    fn of(line: Cow<'b, [u8]>, view: Charset, wire: Charset) -> Option<Self> {
        let separator = *line.get(3)?;
        let end = u32::try_from(line.len()).ok()?;
        let mut fields = [(end, end); FIELD_MAX];
        let mut slots = fields.iter_mut();
        *slots.next()? = (3, 4);
        let mut start = 4;
        for (at, slot) in memchr_iter(separator, &line)
            .skip(1)
            .map(Some)
            .chain([None])
            .zip(slots)
        {
            let at = at.and_then(|at| u32::try_from(at).ok()).unwrap_or(end);
            *slot = (start, at);
            start = at.saturating_add(1);
        }
        let encoding = fields
            .get(1)
            .map(|(start, end)| (*start as usize)..(*end as usize))?;
        let delimiters = Delimiters::read(separator, line.get(encoding)?).0;
        Some(Self {
            line,
            delimiters,
            fields,
            view,
            wire,
        })
    }

    /// The separators in use.
    #[must_use]
    pub const fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// A field as it stands; empty where the header is shorter.
    #[must_use]
    pub fn field(&self, n: usize) -> &[u8] {
        let span = n.checked_sub(1).and_then(|at| self.fields.get(at));
        span.and_then(|(start, end)| self.line.get(*start as usize..*end as usize))
            .unwrap_or_default()
    }

    /// A component of the first repetition of a field, from 1, as it stands.
    #[must_use]
    pub fn component(&self, field: usize, n: usize) -> &[u8] {
        let Delimiters {
            component,
            repetition,
            ..
        } = self.delimiters;
        let field = self.field(field);
        let first = field.get(..memchr(repetition, field).unwrap_or(field.len()));
        let mut parts = first.unwrap_or_default().split(|byte| *byte == component);
        n.checked_sub(1)
            .and_then(|at| parts.nth(at))
            .unwrap_or_default()
    }

    /// As [`crate::Message::charset`] would say, seen from this line alone.
    fn charset(&self) -> Charset {
        if !self.line.is_ascii() && std::str::from_utf8(&self.line).is_ok() {
            return Charset::Utf8;
        }
        let names = self
            .field(18)
            .split(|byte| *byte == self.delimiters.repetition);
        let mut declared = Charset::Ascii;
        for name in names.filter(|name| !name.is_empty()) {
            match Charset::named(&String::from_utf8_lossy(name)) {
                CharsetName::Known(Charset::Iso2022Jp) => return Charset::Iso2022Jp,
                CharsetName::Known(set) if declared == Charset::Ascii && !set.is_wide() => {
                    declared = set;
                }
                CharsetName::Known(_) | CharsetName::Unknown => {}
            }
        }
        declared
    }
}

/// The first line, if it is a header, from its id on.
fn line(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let blank = |byte: &&u8| byte.is_ascii_whitespace() || matches!(**byte, 0x0B | 0x1C);
    let line = start.get(start.iter().take_while(blank).count()..)?;
    let (id, rest) = line.split_at_checked(3)?;
    let known = [b"MSH", b"msh", b"FHS", b"BHS"]
        .iter()
        .any(|known| id == *known);
    if !known || !Delimiters::usable(*rest.first()?) {
        return None;
    }
    line.get(..memchr2(b'\r', b'\n', line).unwrap_or(line.len()))
}

/// Feeds `sink` with the bytes that are the same when a peer sends a payload again: all but
/// MSH-7, and FHS-7 and BHS-7, of every header in it.
pub fn resend_bytes(payload: &[u8], sink: &mut dyn FnMut(&[u8])) {
    let mut from = 0;
    for item in items(payload) {
        match item.kind {
            ItemKind::Message | ItemKind::FileHeader | ItemKind::BatchHeader => {}
            ItemKind::BatchTrailer | ItemKind::FileTrailer | ItemKind::Junk => continue,
        }
        let text = payload.get(item.range.clone()).unwrap_or_default();
        let Some(line) = line(text) else { continue };
        // What stands before the line is blank, so that it begins with the first of its bytes.
        let indent = line.first().and_then(|id| memchr(*id, text)).unwrap_or(0);
        let base = item.range.start.saturating_add(indent);
        let Some(separator) = line.get(3) else {
            continue;
        };
        let mut ends = memchr_iter(*separator, line).skip(5);
        if let Some(start) = ends.next() {
            let start = base.saturating_add(start).saturating_add(1);
            sink(payload.get(from..start).unwrap_or_default());
            from = base.saturating_add(ends.next().unwrap_or(line.len()));
        }
    }
    sink(payload.get(from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], field: usize, expected: &[u8]) {
        let header = Header::read(text).expect("a header");
        assert_eq!(header.field(field), expected, "field {field}");
    }

    #[test]
    fn fields_are_those_of_the_first_line() {
        let text = b"\x0B MSH|^~\\&|A|B^C|||2026||ADT^A01~X|7\rPID|1|2|3|4|5|6|7|8|9|10|11";
        for (n, expected) in [
            (1, "|"),
            (2, "^~\\&"),
            (3, "A"),
            (4, "B^C"),
            (10, "7"),
            (11, ""),
            (99, ""),
        ] {
            check(text, n, expected.as_bytes());
        }
        let header = Header::read(text).expect("a header");
        assert_eq!(
            (header.component(9, 2), header.component(9, 3)),
            (&b"A01"[..], &b""[..])
        );
        for no in [&b""[..], b"MSH", b"MSHA", b"PID|1", b"\xFF"] {
            assert!(Header::read(no).is_none());
        }
    }

    #[test]
    fn fields_of_wide_sets_and_of_sets_that_hide_separators_are_read_as_text() {
        let wide: Vec<u8> = "MSH|^~\\&|Ä|B\r"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        check(&wide, 3, "Ä".as_bytes());
        // The second byte of this character is a backslash in Big5.
        check(
            b"MSH|^~\\&|\xB3\x5C|B||||||||||||||BIG-5\r",
            3,
            "許".as_bytes(),
        );
    }
}
