//! The separators a message declares in MSH-1 and MSH-2 (HL7 v2.5.1 §2.5.4).
//!
//! Read to the next field separator, so that MSH-2 may have three, four, five or more characters.
//! What is missing, alphanumeric or doubled takes the standard's suggestion, so that the set in
//! use is always unambiguous; the bytes of MSH-2 themselves are never changed.

/// The separators of one message; all are distinct ASCII punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    /// Between fields (MSH-1).
    pub field: u8,
    /// Between components, first of MSH-2.
    pub component: u8,
    /// Between repetitions, second of MSH-2.
    pub repetition: u8,
    /// Around escape sequences, third of MSH-2.
    pub escape: u8,
    /// Between subcomponents, fourth of MSH-2.
    pub subcomponent: u8,
    /// Marks truncated values, fifth of MSH-2 from v2.7; never splits anything.
    pub truncation: Option<u8>,
}

/// What was odd about MSH-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct DelimiterNotes {
    pub(crate) short: bool,
    pub(crate) long: bool,
    pub(crate) ambiguous: bool,
}

/// Stand for separators that neither MSH-2 nor the standard leave a character for; values never
/// hold them because controls are escaped.
const UNUSED: [u8; 4] = [1, 2, 3, 4];

impl Default for Delimiters {
    fn default() -> Self {
        Self {
            field: b'|',
            component: b'^',
            repetition: b'~',
            escape: b'\\',
            subcomponent: b'&',
            truncation: None,
        }
    }
}

impl Delimiters {
    /// Whether a byte may be a separator at all.
    pub(crate) fn usable(byte: u8) -> bool {
        byte.is_ascii_punctuation() && byte != b'"'
    }

    /// Reads MSH-2, the characters between the first two field separators.
    pub(crate) fn read(field: u8, encoding: &[u8]) -> (Self, DelimiterNotes) {
        let mut notes = DelimiterNotes {
            short: encoding.len() < 4,
            long: encoding.len() > 5,
            ambiguous: false,
        };
        let mut chosen = UNUSED;
        let standard = *b"^~\\&";
        let free = |chosen: &[u8; 4], byte: u8| byte != field && !chosen.contains(&byte);
        for (at, byte) in encoding.iter().take(4).enumerate() {
            let usable = Self::usable(*byte) && free(&chosen, *byte);
            match chosen.get_mut(at) {
                Some(slot) if usable => *slot = *byte,
                _ => notes.ambiguous = true,
            }
        }
        for (at, byte) in standard.into_iter().enumerate() {
            let free = free(&chosen, byte);
            if let Some(slot) = chosen.get_mut(at).filter(|slot| **slot < b' ' && free) {
                *slot = byte;
            }
        }
        let [component, repetition, escape, subcomponent] = chosen;
        let truncation = encoding
            .get(4)
            .copied()
            .filter(|b| Self::usable(*b) && free(&chosen, *b));
        (
            Self {
                field,
                component,
                repetition,
                escape,
                subcomponent,
                truncation,
            },
            notes,
        )
    }

    /// MSH-2 as a message with these separators writes it.
    pub fn encoding_characters(&self) -> Vec<u8> {
        let mut out = vec![
            self.component,
            self.repetition,
            self.escape,
            self.subcomponent,
        ];
        out.extend(self.truncation);
        out
    }

    /// Whether a span holds nothing but separators below the field, which is the same as nothing.
    pub(crate) fn is_blank(&self, span: &[u8]) -> bool {
        match span.first() {
            None => true,
            Some(first) if !self.splits_field(*first) => false,
            Some(_) => span.iter().all(|byte| self.splits_field(*byte)),
        }
    }

    fn splits_field(&self, byte: u8) -> bool {
        byte == self.component || byte == self.subcomponent || byte == self.repetition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoding: &str, expected: &str, ambiguous: bool) {
        let (read, notes) = Delimiters::read(b'|', encoding.as_bytes());
        assert_eq!(
            read.encoding_characters(),
            expected.as_bytes(),
            "{encoding}"
        );
        assert_eq!(notes.ambiguous, ambiguous, "{encoding}");
    }

    #[test]
    fn reads_any_number_of_encoding_characters() {
        check("^~\\&", "^~\\&", false);
        check("^~\\&#", "^~\\&#", false);
        check("^~\\&#!?", "^~\\&#", false);
        check("^~\\", "^~\\&", false);
        check("", "^~\\&", false);
        check("%*?@", "%*?@", false);
    }

    #[test]
    fn doubled_or_alphanumeric_separators_take_the_suggested_ones() {
        check("^^\\&", "^~\\&", true);
        check("aB1&", "^~\\&", true);
        check("~^\\", "~^\\&", false);
    }
}
