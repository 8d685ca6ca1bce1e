//! Strings of JSON and their values.

/// The value of a string, without its quotes; `None` where an escape is wrong or half of a surrogate
/// pair stands alone, which is no character.
pub(crate) fn unescape(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, escaped)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = escaped.chars();
        match chars.next()? {
            'u' => {
                let first = hex(&mut chars)?;
                out.push(match first {
                    0xD800..=0xDBFF => {
                        let pair = chars.next() == Some('\\') && chars.next() == Some('u');
                        let second = pair.then(|| hex(&mut chars)).flatten()?;
                        if !(0xDC00..=0xDFFF).contains(&second) {
                            return None;
                        }
                        char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))?
                    }
                    unit => char::from_u32(unit)?,
                });
            }
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{C}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            same @ ('"' | '\\' | '/') => out.push(same),
            _ => return None,
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    Some(out)
}

fn hex(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = (unit << 4) | chars.next()?.to_digit(16)?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::write_string;

    #[test]
    fn strings_survive_both_ways() {
        for (raw, value) in [
            (r"a\u00e9\n\/", Some("aé\n/")),
            (r"\ud83d\ude00x\\", Some("😀x\\")),
            (r"\ud83d x", None),
            (r"\ude00", None),
        ] {
            assert_eq!(unescape(raw).as_deref(), value, "{raw}");
        }
        for value in ["", "a\"b\\c\u{1}\t\r\né😀", "plain"] {
            let mut out = Vec::new();
            write_string(value, &mut out);
            let written = String::from_utf8(out).unwrap();
            let raw = written
                .strip_prefix('"')
                .unwrap()
                .strip_suffix('"')
                .unwrap();
            assert_eq!(unescape(raw).as_deref(), Some(value));
        }
    }
}
