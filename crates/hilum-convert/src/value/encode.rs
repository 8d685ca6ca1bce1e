//! Base64, and text in URLs.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// Senders leave the padding out, and leave bits behind the last byte.
pub(super) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Bytes in base64 (RFC 4648 §4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of base64 without white space; `None` where it is none.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text).ok()
}

/// Hexadecimal digits as base64; `None` where they are none.
pub(crate) fn hex_to_base64(text: &str) -> Option<String> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() || pairs.is_empty() {
        return None;
    }
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| {
            let high = char::from(*high).to_digit(16)?;
            let low = char::from(*low).to_digit(16)?;
            u8::try_from(high << 4 | low).ok()
        })
        .collect();
    Some(base64(&bytes?))
}

/// Text as a part of a URL: what is not unreserved is a percent escape (RFC 3986 §2.3).
pub(crate) fn percent(text: &str, out: &mut String) {
    escape(text, |_| false, out);
}

/// A part of a token of a search in a URL: what separates parts and values is escaped first (FHIR R4
/// search.html#escaping).
pub(crate) fn token(text: &str, out: &mut String) {
    escape(text, |byte| matches!(byte, b'\\' | b'|' | b',' | b'$'), out);
}

fn escape(text: &str, separates: impl Fn(u8) -> bool, out: &mut String) {
    let reserved =
        |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'));
    let digit = |half: u8| match half {
        0..=9 => char::from(b'0' + half),
        _ => char::from(b'A' + (half - 10)),
    };
    // Parts of a character are escaped one by one, so a part in between holds whole ones.
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| reserved(byte)) {
        out.push_str(text.get(from..at).unwrap_or_default());
        from = at + 1;
        if separates(byte) {
            out.push_str("%5C");
        }
        out.push('%');
        out.push(digit(byte >> 4));
        out.push(digit(byte & 15));
    }
    out.push_str(text.get(from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_every_length_are_written() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(base64(bytes), expected);
        check(b"", "");
        check(b"f", "Zg==");
        check(b"fo", "Zm8=");
        check(b"foo", "Zm9v");
        check(b"foobar", "Zm9vYmFy");
        check(&[0xff, 0xfe], "//4=");
        for bytes in [&b""[..], b"f", b"fo", b"foo", b"foobar", &[0xff, 0xfe]] {
            assert_eq!(from_base64(&base64(bytes)).as_deref(), Some(bytes));
        }
        for text in ["A", "AA===", "A=AA", "A A=", "AAAAA"] {
            assert_eq!(from_base64(text), None, "{text}");
        }
        assert_eq!(hex_to_base64("66 6F6f").as_deref(), Some("Zm9v"));
        assert_eq!(hex_to_base64("6"), None);
    }

    #[test]
    fn what_is_not_unreserved_is_escaped() {
        let mut out = String::new();
        percent("a|b ä-~", &mut out);
        assert_eq!(out, "a%7Cb%20%C3%A4-~");
    }

    #[test]
    fn what_separates_tokens_is_escaped_twice() {
        let mut out = String::new();
        token("a|b,c$d\\e", &mut out);
        assert_eq!(out, "a%5C%7Cb%5C%2Cc%5C%24d%5C%5Ce");
    }
}
