//! Text between XML and its value.

use std::borrow::Cow;

use encoding_rs::Encoding;
use memchr::{memchr, memchr3};

use crate::error::ParseError;

/// Bytes of the longest reference, `&#x10FFFF;`, with room for leading zeros.
const REFERENCE_MAX: usize = 16;

/// The reference at the start, with its length.
fn reference(text: &[u8]) -> Option<(char, usize)> {
    let end = memchr(b';', text.get(..text.len().min(REFERENCE_MAX))?)?;
    let c = match text.get(1..end)? {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x', digits @ ..] => number(digits, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        _ => return None,
    };
    Some((c, end + 1))
}

fn number(digits: &[u8], radix: u32) -> Option<char> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let text = std::str::from_utf8(digits).ok()?;
    char::from_u32(u32::from_str_radix(text, radix).ok()?).filter(|c| is_allowed(*c))
}

/// Characters that XML 1.0 can hold.
pub(super) fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// Every `&` begins a reference that needs no declaration.
pub(super) fn check_references(text: &[u8], at: usize) -> Result<(), ParseError> {
    let mut from = 0;
    while let Some(found) = memchr(b'&', text.get(from..).unwrap_or_default()) {
        from += found;
        match reference(text.get(from..).unwrap_or_default()) {
            Some((_, length)) => from += length,
            None => return Err(ParseError::Entity(at + from)),
        }
    }
    Ok(())
}

pub(super) fn decode<'a>(bytes: &'a [u8], encoding: Option<&'static Encoding>) -> Cow<'a, str> {
    match encoding {
        None => Cow::Borrowed(std::str::from_utf8(bytes).unwrap_or_default()),
        Some(encoding) => encoding.decode_without_bom_handling(bytes).0,
    }
}

/// The value of a run of content: references resolved, CDATA opened, comments left out, line ends
/// as one line feed.
pub(super) fn value<'a>(bytes: &'a [u8], encoding: Option<&'static Encoding>) -> Cow<'a, str> {
    if memchr3(b'&', b'<', b'\r', bytes).is_none() {
        return decode(bytes, encoding);
    }
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr3(b'&', b'<', b'\r', rest) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.push_str(&decode(plain, encoding));
        let taken = match special {
            [b'\r', b'\n', ..] => 1,
            [b'\r', ..] => {
                out.push('\n');
                1
            }
            [b'&', ..] => match reference(special) {
                Some((c, length)) => {
                    out.push(c);
                    length
                }
                None => 1,
            },
            _ => markup(special, encoding, &mut out),
        };
        rest = special.get(taken..).unwrap_or_default();
    }
    out.push_str(&decode(rest, encoding));
    Cow::Owned(out)
}

/// CDATA is text; comments and processing instructions are nothing. Gives their length.
fn markup(bytes: &[u8], encoding: Option<&'static Encoding>, out: &mut String) -> usize {
    let cdata = bytes.starts_with(b"<![CDATA[");
    let (from, end): (usize, &[u8]) = match bytes {
        _ if cdata => (9, b"]]>"),
        [b'<', b'!', ..] => (4, b"-->"),
        _ => (2, b"?>"),
    };
    let inner = bytes.get(from..).unwrap_or_default();
    let length = memchr::memmem::find(inner, end).unwrap_or(inner.len());
    if cdata {
        out.push_str(&decode(inner.get(..length).unwrap_or_default(), encoding));
    }
    from + length + end.len()
}

/// A value as it stands in content or in an attribute, in the character set of the document.
pub(super) fn escape(value: &str, attribute: bool, encoding: Option<&'static Encoding>) -> Vec<u8> {
    let mut out = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if attribute => out.push_str("&quot;"),
            '\'' if attribute => out.push_str("&apos;"),
            '\n' | '\t' if attribute => out.push_str(&format!("&#{};", u32::from(c))),
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
    match encoding {
        None => out.into_bytes(),
        // What the set lacks becomes a numeric reference.
        Some(encoding) => encoding.encode(&out).0.into_owned(),
    }
}
