//! How values become comparable: folding, hashing, ordering, precision.
//!
//! The same functions serve rows and queries, so the two cannot disagree.

use hilum_message::{IndexKey, IndexToken};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Folds a string for search: no case, no accents, single spaces, at most `chars_max` characters.
pub(crate) fn fold(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = 0;
    let mut space = false;
    if text.is_ascii() {
        // Nearly all text is; the general way below costs ten times as much.
        for byte in text.bytes() {
            push_folded(
                &mut out,
                &mut space,
                &mut chars,
                chars_max,
                byte.to_ascii_lowercase().into(),
            );
        }
    } else {
        let bare = text.nfkd().filter(|c| !is_combining_mark(*c));
        for c in bare.flat_map(char::to_lowercase) {
            match c {
                'ß' => {
                    for _ in 0..2 {
                        push_folded(&mut out, &mut space, &mut chars, chars_max, 's');
                    }
                }
                // İ and its like decompose again when lower-cased.
                _ if is_combining_mark(c) => {}
                _ => push_folded(&mut out, &mut space, &mut chars, chars_max, c),
            }
        }
    }
    out
}

fn push_folded(out: &mut String, space: &mut bool, chars: &mut usize, max: usize, c: char) {
    if c.is_whitespace() {
        *space = !out.is_empty();
        return;
    }
    if std::mem::take(space) && *chars < max {
        out.push(' ');
        *chars += 1;
    }
    if *chars < max {
        out.push(c);
        *chars += 1;
    }
}

/// Cuts text to at most `chars_max` characters.
pub(crate) fn cut(text: &str, chars_max: usize) -> &str {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => text.get(..at).unwrap_or(text),
        None => text,
    }
}

/// An order-preserving integer of a number; both zeros are one.
pub(crate) fn ordinal(value: f64) -> i64 {
    let value = if value == 0.0 { 0.0 } else { value };
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// The hashes under which values stand in the index tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens {
    key: IndexKey,
}

impl Tokens {
    pub(crate) const fn new(key: IndexKey) -> Self {
        Self { key }
    }

    fn of(&self, field: &str, value: &str) -> i64 {
        let IndexToken(token) = IndexToken::of(&self.key, field, value);
        token
    }

    /// A code, identifier value, boolean.
    pub(crate) fn code(&self, code: &str) -> i64 {
        self.of("code", code)
    }

    /// A code system: 32 bits, because it only tells apart rows that have the same code already;
    /// never 0, which is no system.
    pub(crate) fn system(&self, system: &str) -> i64 {
        (self.of("system", system) & 0xffff_ffff).max(1)
    }

    /// Folded text, also the key of its word.
    pub(crate) fn word(&self, folded: &str) -> i64 {
        self.of("word", folded)
    }

    /// The exact form of a string: 32 bits beside the hash of its folded form.
    pub(crate) fn exact(&self, text: &str) -> i64 {
        (self.of("exact", text) & 0xffff_ffff).max(1)
    }

    /// A resource of this store.
    pub(crate) fn resource(&self, resource_type: &str, id: &str) -> i64 {
        // A type's name has no slash, so the pair is unambiguous.
        self.of("resource", &format!("{resource_type}/{id}"))
    }

    /// A URL outside, with or without version.
    pub(crate) fn url(&self, url: &str) -> i64 {
        self.of("url", url)
    }

    /// An identifier together with the code of its type.
    pub(crate) fn of_type(&self, code: &str, value: &str) -> i64 {
        self.of("of-type", &format!("{}|{code}|{value}", code.len()))
    }

    /// A canonical unit.
    pub(crate) fn unit(&self, canonical: &str) -> i64 {
        self.of("unit", canonical)
    }

    /// A delivery id.
    pub(crate) fn delivery(&self, id: &str) -> i64 {
        self.of("delivery", id)
    }
}

/// A written decimal: its value, and the range that its digits stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decimal {
    pub(crate) value: f64,
    /// Included.
    pub(crate) low: f64,
    /// Not included.
    pub(crate) high: f64,
}

impl Decimal {
    /// Reads `5.40` as 5.4 in [5.395, 5.405) and `1e2` as 100 in [95, 105)
    /// (FHIR R4 search.html#number: the precision of the search value counts).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (mantissa, exponent) = match bytes.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(at) => (text.get(..at)?, text.get(at + 1..)?.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let valid = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && digits.bytes().any(|b| b.is_ascii_digit())
            && digits.bytes().filter(|b| *b == b'.').count() <= 1;
        if !valid || text.len() > 60 || exponent.abs() > 300 {
            return None;
        }
        let decimals = digits.split_once('.').map_or(0, |(_, after)| after.len());
        let value: f64 = text.parse().ok()?;
        // Half a unit of the last digit, made as text so that the ends round as decimals do. The
        // standard's own example takes `1e2` as [95, 105): one digit counts as two there.
        let lone = exponent != 0 && digits.len() == 1;
        let last = exponent - i32::try_from(decimals).ok()? - i32::from(lone);
        let half: f64 = format!("5e{}", last - 1).parse().ok()?;
        let shift = |by: f64| {
            let text = format!("{:.*}", usize::try_from(1 - last).unwrap_or(0), value + by);
            text.parse::<f64>().unwrap_or(value + by)
        };
        Some(Self {
            value,
            low: shift(-half),
            high: shift(half),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_lose_case_accents_and_spare_spaces() {
        for (text, folded) in [
            ("Müller", "muller"),
            ("  Van  der\tBerg ", "van der berg"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("İstanbul", "istanbul"),
            ("Ångström", "angstrom"),
            ("", ""),
        ] {
            assert_eq!(fold(text, 100), folded);
        }
        assert_eq!(fold("abcdef", 3), "abc");
        assert_eq!(cut("aÄb", 2), "aÄ");
    }

    #[test]
    fn ordinals_keep_the_order_of_numbers() {
        let numbers = [
            f64::NEG_INFINITY,
            -1e300,
            -2.5,
            -1e-300,
            0.0,
            1e-300,
            0.1,
            1.0,
            f64::INFINITY,
        ];
        for pair in numbers.windows(2) {
            assert!(ordinal(pair[0]) < ordinal(pair[1]));
        }
        assert_eq!(ordinal(0.0), ordinal(-0.0));
    }

    #[test]
    fn decimals_stand_for_the_range_of_their_digits() {
        for (text, value, low, high) in [
            ("100", 100.0, 99.5, 100.5),
            ("5.40", 5.4, 5.395, 5.405),
            ("1e2", 100.0, 95.0, 105.0),
            ("1.0e2", 100.0, 95.0, 105.0),
            ("-0.5", -0.5, -0.55, -0.45),
        ] {
            assert_eq!(
                Decimal::parse(text),
                Some(Decimal { value, low, high }),
                "{text}"
            );
        }
        for text in ["", ".", "1.2.3", "NaN", "inf", "1e999", "0x1", "--1"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
