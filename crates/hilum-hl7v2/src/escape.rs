//! Escape sequences within values (HL7 v2.5.1 §2.7).
//!
//! Reading: what is unknown or has no end stays text, `\.br\`, `\H\` and `\N\` become `<br>`,
//! `<hl>` and `</hl>`. Writing: every separator, the escape character and every control but tab is
//! escaped, so that no value can break out of its place or of its frame, and reading what was
//! written gives the value back.

use std::borrow::Cow;

use memchr::memchr;

use crate::charset::{Charset, Iso2022, Unencodable};
use crate::delimiters::Delimiters;

/// How the bytes of a value become text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoding {
    /// The set of the bytes at hand.
    pub(crate) view: Charset,
    /// The set of the wire, in which `\X..\` counts.
    pub(crate) wire: Charset,
    /// For bytes that are not what they should be.
    pub(crate) fallback: Charset,
}

impl Decoding {
    fn text<'b>(&self, set: Charset, bytes: &'b [u8]) -> Cow<'b, str> {
        match set {
            Charset::Ascii | Charset::Utf8 => crate::charset::decode_utf8(bytes, self.fallback).0,
            Charset::Utf16Le
            | Charset::Utf16Be
            | Charset::Utf32Le
            | Charset::Utf32Be
            | Charset::Iso2022Jp
            | Charset::Cns11643
            | Charset::Table(_) => set.decode(bytes).0,
        }
    }
}

/// What one escape sequence means.
enum Meaning {
    Byte(u8),
    Bytes(Vec<u8>),
    Text(&'static str),
    Char(char),
    Switch(Iso2022),
    /// Known, has no text of its own here, stays as written.
    Kept,
    Unknown,
}

fn meaning(body: &[u8], delimiters: &Delimiters) -> Meaning {
    match body {
        b"F" => Meaning::Byte(delimiters.field),
        b"S" => Meaning::Byte(delimiters.component),
        b"T" => Meaning::Byte(delimiters.subcomponent),
        b"R" => Meaning::Byte(delimiters.repetition),
        b"E" => Meaning::Byte(delimiters.escape),
        b"P" => Meaning::Byte(delimiters.truncation.unwrap_or(b'#')),
        b".br" => Meaning::Text("<br>"),
        b"H" => Meaning::Text("<hl>"),
        b"N" => Meaning::Text("</hl>"),
        [b'X', digits @ ..] => match hex(digits) {
            Some(bytes) => match bytes.as_slice() {
                // A code unit of UTF-16, as some senders write it.
                [0, low] if *low >= 0x80 => Meaning::Char(char::from(*low)),
                _ => Meaning::Bytes(bytes),
            },
            None => Meaning::Unknown,
        },
        [b'C' | b'M', digits @ ..] => match hex(digits) {
            Some(sequence) => {
                Iso2022::selected(switch_bytes(&sequence)).map_or(Meaning::Kept, Meaning::Switch)
            }
            None => Meaning::Unknown,
        },
        [b'Z', rest @ ..] if rest.iter().all(u8::is_ascii_alphanumeric) => Meaning::Kept,
        [b'.', a, b, rest @ ..] if formatting(*a, *b, rest) => Meaning::Kept,
        _ => Meaning::Unknown,
    }
}

/// The bytes after ESC; the leading `1B` may be spelled out or not, and `24` alone means `(`.
fn switch_bytes(sequence: &[u8]) -> &[u8] {
    sequence.strip_prefix(b"\x1B").unwrap_or(sequence)
}

fn formatting(a: u8, b: u8, rest: &[u8]) -> bool {
    matches!(
        &[a, b],
        b"sp" | b"fi" | b"nf" | b"in" | b"ti" | b"sk" | b"ce" | b"br"
    ) && rest
        .iter()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-'))
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| {
            let high = char::from(*high).to_digit(16)?;
            let low = char::from(*low).to_digit(16)?;
            u8::try_from(high << 4 | low).ok()
        })
        .collect()
}

/// The longest body of an escape sequence that is looked for.
const BODY_MAX: usize = 65_536;

/// The body of the sequence that begins just before `after`.
fn body(after: &[u8], escape: u8) -> Option<&[u8]> {
    let end = memchr(escape, after.get(..after.len().min(BODY_MAX))?)?;
    after.get(..end)
}

/// Whether a span holds an escape sequence that is unknown or has no end.
pub(crate) fn has_unknown(span: &[u8], delimiters: &Delimiters) -> bool {
    let mut rest = span;
    while let Some(at) = memchr(delimiters.escape, rest) {
        let after = rest.get(at.saturating_add(1)..).unwrap_or_default();
        let Some(body) = body(after, delimiters.escape) else {
            return true;
        };
        if matches!(meaning(body, delimiters), Meaning::Unknown) {
            return true;
        }
        rest = after
            .get(body.len().saturating_add(1)..)
            .unwrap_or_default();
    }
    false
}

/// Blank lines or blanks that one formatting command may stand for.
const BLANKS_MAX: usize = 200;

/// Text of a span with formatting commands as line breaks and blanks.
pub(crate) fn plain<'s>(
    span: &'s [u8],
    delimiters: &Delimiters,
    decoding: &Decoding,
) -> Cow<'s, str> {
    let mut out: Vec<u8> = Vec::with_capacity(span.len());
    let mut changed = false;
    let mut rest = span;
    while let Some(at) = memchr(delimiters.escape, rest) {
        let (text, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(text);
        let after = tail.get(1..).unwrap_or_default();
        let Some(body) = body(after, delimiters.escape) else {
            out.extend_from_slice(tail);
            rest = &[];
            break;
        };
        let whole = body.len().saturating_add(2);
        match layout(body) {
            Some((byte, count)) => {
                changed = true;
                out.extend(std::iter::repeat_n(byte, count));
            }
            // What is no command keeps its first mark only, as an unknown sequence does.
            None if matches!(meaning(body, delimiters), Meaning::Unknown) => {
                out.push(delimiters.escape);
                rest = after;
                continue;
            }
            None => out.extend_from_slice(tail.get(..whole).unwrap_or(tail)),
        }
        rest = tail.get(whole..).unwrap_or_default();
    }
    if !changed {
        return unescape(span, delimiters, decoding);
    }
    out.extend_from_slice(rest);
    Cow::Owned(unescape(&out, delimiters, decoding).into_owned())
}

/// The bytes that a formatting command stands for in plain text.
fn layout(body: &[u8]) -> Option<(u8, usize)> {
    let (command, number) = match body {
        b"H" | b"N" => return Some((b' ', 0)),
        [b'.', a, b, number @ ..] if formatting(*a, *b, number) => ([*a, *b], number),
        _ => return None,
    };
    let number = std::str::from_utf8(number).ok();
    let number = number.and_then(|number| number.parse::<usize>().ok());
    let count = number.unwrap_or(1).min(BLANKS_MAX);
    Some(match &command {
        b"br" | b"ce" => (b'\n', 1),
        b"sp" => (b'\n', count),
        b"sk" => (b' ', count),
        _ => (b' ', 0),
    })
}

/// Text of a span as written, decoded only.
pub(crate) fn decode<'b>(span: &'b [u8], decoding: &Decoding) -> Cow<'b, str> {
    decoding.text(decoding.view, span)
}

/// Text of a leaf: decoded and unescaped.
pub(crate) fn unescape<'b>(
    span: &'b [u8],
    delimiters: &Delimiters,
    decoding: &Decoding,
) -> Cow<'b, str> {
    if memchr(delimiters.escape, span).is_none() {
        return decode(span, decoding);
    }
    let mut out = Unescaped {
        decoding,
        set: None,
        text: String::new(),
        run: Vec::new(),
        hex: false,
    };
    let mut rest = span;
    while let Some(at) = memchr(delimiters.escape, rest) {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.plain(plain);
        let after = tail.get(1..).unwrap_or_default();
        let sequence = body(after, delimiters.escape);
        let found = sequence.map_or(Meaning::Unknown, |body| meaning(body, delimiters));
        let mut taken = sequence.map_or(0, |body| body.len().saturating_add(1));
        match found {
            Meaning::Byte(byte) => out.plain(&[byte]),
            Meaning::Bytes(bytes) => out.hex(&bytes),
            Meaning::Text(text) => out.push_str(text),
            Meaning::Char(c) => out.push_str(c.encode_utf8(&mut [0; 4])),
            Meaning::Switch(set) => {
                out.flush();
                out.set = Some(set).filter(|set| *set != Iso2022::Ascii);
            }
            Meaning::Kept => {
                out.plain(tail.get(..taken.saturating_add(1)).unwrap_or_default());
            }
            Meaning::Unknown => {
                out.plain(&[delimiters.escape]);
                taken = 0;
            }
        }
        rest = after.get(taken..).unwrap_or_default();
    }
    out.plain(rest);
    out.flush();
    Cow::Owned(out.text)
}

/// Collects runs of bytes so that a character spelled over several escapes is decoded whole.
struct Unescaped<'d> {
    decoding: &'d Decoding,
    set: Option<Iso2022>,
    text: String,
    run: Vec<u8>,
    /// The run came from `\X..\` and counts in the set of the wire.
    hex: bool,
}

impl Unescaped<'_> {
    fn plain(&mut self, bytes: &[u8]) {
        // Where view and wire agree, hex and plain bytes may form one character together.
        self.collect(bytes, self.hex && self.decoding.view == self.decoding.wire);
    }

    fn hex(&mut self, bytes: &[u8]) {
        self.collect(bytes, true);
    }

    fn collect(&mut self, bytes: &[u8], hex: bool) {
        if bytes.is_empty() {
            return;
        }
        if self.hex != hex && self.decoding.view != self.decoding.wire {
            self.flush();
        }
        self.hex = hex;
        self.run.extend_from_slice(bytes);
    }

    fn push_str(&mut self, text: &str) {
        self.flush();
        self.text.push_str(text);
    }

    fn flush(&mut self) {
        let run = std::mem::take(&mut self.run);
        let hex = std::mem::take(&mut self.hex);
        if run.is_empty() {
            return;
        }
        if let Some(set) = self.set {
            set.decode(&run, &mut self.text);
            return;
        }
        let set = match self.decoding.wire {
            // A wide wire has been decoded as a whole; its hex escapes spell UTF-8.
            wire if hex && !wire.is_wide() => wire,
            _ => self.decoding.view,
        };
        self.text.push_str(&self.decoding.text(set, &run));
    }
}

/// The bytes of a value as it stands in a message, in the character set at hand.
pub(crate) fn escape(
    value: &str,
    delimiters: &Delimiters,
    charset: Charset,
) -> Result<Vec<u8>, Unencodable> {
    let mut text = String::with_capacity(value.len().saturating_add(8));
    let mark = char::from(delimiters.escape);
    for c in value.chars() {
        match u8::try_from(c).ok().filter(u8::is_ascii) {
            Some(byte) => match letter(byte, delimiters) {
                Some(letter) => text.extend([mark, letter, mark]),
                None if byte < b' ' && byte != b'\t' || byte == 0x7F => {
                    text.push(mark);
                    text.push_str(&format!("X{byte:02X}"));
                    text.push(mark);
                }
                None => text.push(c),
            },
            None => text.push(c),
        }
    }
    match charset.encode(&text)? {
        Cow::Borrowed(_) => Ok(text.into_bytes()),
        Cow::Owned(bytes) => Ok(bytes),
    }
}

fn letter(byte: u8, delimiters: &Delimiters) -> Option<char> {
    Some(match byte {
        b if b == delimiters.escape => 'E',
        b if b == delimiters.field => 'F',
        b if b == delimiters.component => 'S',
        b if b == delimiters.subcomponent => 'T',
        b if b == delimiters.repetition => 'R',
        b if Some(b) == delimiters.truncation => 'P',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTF8: Decoding = Decoding {
        view: Charset::Utf8,
        wire: Charset::Utf8,
        fallback: Charset::LATIN_1,
    };

    fn check(span: &[u8], expected: &str) {
        assert_eq!(
            unescape(span, &Delimiters::default(), &UTF8),
            expected,
            "{span:?}"
        );
    }

    #[test]
    fn reads_the_sequences_of_the_standard() {
        check(
            br"a\F\b\S\c\T\d\R\e\E\f\X0D0A\g\.br\h\H\i\N\j\P\",
            "a|b^c&d~e\\f\r\ng<br>h<hl>i</hl>j#",
        );
        check(br"\X00E0\", "à");
        check(br"\XC3\\XBC\", "ü");
        check(br"\XFC\", "ü");
        check(b"\\M2442\\;3\\C2842\\ED", "山ED");
        check(b"\\C2D41\\\xFC\\C2842\\", "ü");
    }

    #[test]
    fn keeps_as_text_what_is_unknown_or_unpaired() {
        check(
            br"BSV 4\5 re. and \Zxx\ and \X0G\",
            r"BSV 4\5 re. and \Zxx\ and \X0G\",
        );
        check(br"\", r"\");
        check(br"\\F\", r"\|");
        check(br"\.sp2\x\.in+4\", r"\.sp2\x\.in+4\");
    }

    #[test]
    fn formatting_becomes_lines_and_blanks_in_plain_text() {
        let check = |span: &[u8], expected: &str| {
            let plain = plain(span, &Delimiters::default(), &UTF8);
            assert_eq!(plain, expected, "{span:?}");
        };
        check(
            br"a\.br\b\.sp2\c\.sk3\d\H\e\N\f\.in+4\g",
            "a\nb\n\nc   defg",
        );
        check(br"a\F\b\.br\\X0D\c", "a|b\n\rc");
        check(br"4\5 and \.br\x", "4\\5 and \nx");
        check(br"<br>\T\", "<br>&");
        check(br"end\", r"end\");
    }

    #[test]
    fn tells_unknown_sequences() {
        let unknown = |span: &[u8]| has_unknown(span, &Delimiters::default());
        assert!(unknown(br"4\5 re"));
        assert!(unknown(br"\X0G\"));
        assert!(!unknown(br"\F\ \.sp\ \Zab\ \X0A\"));
    }

    #[test]
    fn writes_what_would_split_or_break_a_frame_as_escapes() {
        let written = escape(
            "a|b^c\r\u{b}\u{1c}\\",
            &Delimiters::default(),
            Charset::Utf8,
        );
        assert_eq!(
            written.as_deref(),
            Ok(br"a\F\b\S\c\X0D\\X0B\\X1C\\E\".as_slice())
        );
    }
}
