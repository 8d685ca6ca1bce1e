//! Which codes may be shown.

/// Characters of a code that is shown; a longer one is more likely to be text.
pub const CODE_SHOWN_MAX: usize = 20;
/// Digits of a code that is shown; more look like the identifier of a person or an order.
const DIGITS_MAX: usize = 8;

/// A code if it looks like one. What looks like an identifier or like free text is content, and
/// only its length may be told.
#[must_use]
pub fn shown(code: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':');
    let digits = code.chars().filter(char::is_ascii_digit).count();
    let is_code = code.len() <= CODE_SHOWN_MAX && code.chars().all(plain) && digits <= DIGITS_MAX;
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_shown_and_identifiers_and_texts_are_not() {
        for code in [
            "K",
            "ZZ9",
            "718-7",
            "GLU_POC",
            "12345678",
            "ABCDEFGHIJKLMNOPQRST",
        ] {
            assert_eq!(shown(code), Some(code));
        }
        for text in ["123456789", "Jane Doe", "Müller", "ABCDEFGHIJKLMNOPQRSTU"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
