//! Values of parameters: escapes and lists (FHIR R4 search.html#escaping).

/// Parts between separators that are not escaped; the escapes stay.
pub(crate) fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut from = 0;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            parts.push(text.get(from..at).unwrap_or_default());
            from = at + c.len_utf8();
        }
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

/// A part without its escapes; `\` before another character than `,`, `$`, `|`, `\` stays.
pub(crate) fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', Some(next @ (',' | '$' | '|' | '\\'))) => {
                out.push(*next);
                rest.next();
            }
            _ => out.push(c),
        }
    }
    out
}

/// Whether every `\` of a part escapes something (FHIR R4 search.html#escaping).
pub(crate) fn is_escaped(text: &str) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\\' && !matches!(rest.next(), Some(',' | '$' | '|' | '\\')) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_where_no_escape_stands() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<String> = split(text, ',').into_iter().map(unescape).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("a,b", &["a", "b"]);
        check("a\\,b,c", &["a,b", "c"]);
        check("a\\\\,b", &["a\\", "b"]);
        check("\\|\\$\\x\\", &["|$\\x\\"]);
        check("", &[""]);
        for (text, fine) in [
            ("a\\,b", true),
            ("a\\\\", true),
            ("a\\b", false),
            ("a\\", false),
        ] {
            assert_eq!(is_escaped(text), fine, "{text}");
        }
    }
}
