//! Percent escapes and query strings.

/// Decodes `%41`; what is no escape stays as it is, what is no UTF-8 is refused.
pub(crate) fn decode(text: &str) -> Result<String, NotText> {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'%') {
        return Ok(text.to_owned());
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .filter(|hex| hex.iter().all(u8::is_ascii_hexdigit))
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).map_err(|_| NotText)
}

/// Escapes that do not give UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotText;

/// The names and values of a query string or a form, in their order.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, NotText> {
    let plain = |text: &str| {
        if text.contains('+') {
            decode(&text.replace('+', " "))
        } else {
            decode(text)
        }
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((plain(name)?, plain(value)?))
        })
        .collect()
}

/// A text as a part of a query: what could be misread is escaped.
pub(crate) fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b':'
            | b','
            | b'$'
            | b'/'
            | b'*'
            | b'('
            | b')' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                for half in [byte >> 4, byte & 15] {
                    out.push(
                        char::from_digit(u32::from(half), 16)
                            .map_or('0', |digit| digit.to_ascii_uppercase()),
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_escapes_and_refuses_what_is_no_text() {
        for (text, expected) in [
            ("a%20b", Ok("a b")),
            ("%", Ok("%")),
            ("%4", Ok("%4")),
            ("%zz", Ok("%zz")),
            ("%+4", Ok("%+4")),
            ("%e4", Err(NotText)),
            ("%C3%A4", Ok("\u{e4}")),
        ] {
            assert_eq!(decode(text), expected.map(str::to_owned), "{text}");
        }
        let expected = [("a", "1"), ("b", "x y"), ("c", "")].map(|(a, b)| (a.into(), b.into()));
        assert_eq!(pairs("a=1&b=x+y&&c"), Ok(expected.to_vec()));
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        for text in [
            "a b",
            "http://x.example/a|b\\,c",
            "100%&=+#",
            "\u{e4}\u{1f600}",
        ] {
            let mut out = String::new();
            encode(text, &mut out);
            assert_eq!(decode(&out).as_deref(), Ok(text));
            assert!(
                out.is_ascii() && !out.contains(['&', '=', '+', '#', ' ']),
                "{out}"
            );
        }
    }
}
