//! The lexical forms of primitives (FHIR R4 datatypes.html#primitive).
//!
//! Each check looks at every byte once. What a form cannot say (that a code is in a value set, that
//! a URL leads somewhere) is not looked at.

use crate::definitions::PrimitiveKind;

/// Characters of a `string`, `markdown` (FHIR R4 datatypes.html#string: one megabyte).
const STRING_CHARS_MAX: usize = 1_048_576;

/// Characters of an `id`.
const ID_CHARS_MAX: usize = 64;

/// Why a text is no value of a primitive type; `None` if it is one.
#[must_use]
pub fn fault(kind: PrimitiveKind, text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    let (holds, rule) = match kind {
        PrimitiveKind::Boolean => (matches!(text, "true" | "false"), "not true or false"),
        PrimitiveKind::Integer => (is_integer(text), "not a whole number of 32 bits"),
        PrimitiveKind::UnsignedInt => (
            is_integer(text) && !text.starts_with('-'),
            "not a whole number from 0 to 2147483647",
        ),
        PrimitiveKind::PositiveInt => (
            is_integer(text) && !text.starts_with('-') && text != "0",
            "not a whole number from 1 to 2147483647",
        ),
        PrimitiveKind::Decimal => (is_decimal(bytes), "not a decimal number"),
        PrimitiveKind::String | PrimitiveKind::Markdown => return string_fault(text),
        PrimitiveKind::Code => (is_code(bytes), "not a code: outer or doubled white space"),
        PrimitiveKind::Id => (
            is_id(bytes),
            "not an id: 1 to 64 letters, digits, `-` and `.`",
        ),
        PrimitiveKind::Uri | PrimitiveKind::Url | PrimitiveKind::Canonical => {
            (is_uri(text), "not a URI: empty or with white space")
        }
        PrimitiveKind::Oid => (is_oid(text), "not an OID in the form urn:oid:1.2.3"),
        PrimitiveKind::Uuid => (is_uuid(text), "not a UUID in the form urn:uuid:"),
        PrimitiveKind::Date => (is_date(bytes), "not a date (YYYY, YYYY-MM or YYYY-MM-DD)"),
        PrimitiveKind::DateTime => (
            is_date_time(bytes),
            "not a date (YYYY, YYYY-MM, YYYY-MM-DD) or a date with time and zone",
        ),
        PrimitiveKind::Instant => (
            is_instant(bytes),
            "not an instant (YYYY-MM-DDThh:mm:ss.sss and a zone)",
        ),
        PrimitiveKind::Time => (is_time(bytes), "not a time (hh:mm:ss)"),
        PrimitiveKind::Base64Binary => (is_base64(bytes), "not base64"),
        PrimitiveKind::Xhtml => return crate::xhtml::fault(text),
    };
    (!holds).then_some(rule)
}

fn string_fault(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Some("empty");
    }
    if has_control(bytes) {
        return Some("a control character");
    }
    if bytes.iter().all(|byte| is_blank(*byte)) {
        return Some("nothing but white space");
    }
    if bytes.len() > STRING_CHARS_MAX && text.chars().count() > STRING_CHARS_MAX {
        return Some("longer than 1048576 characters");
    }
    None
}

/// What stands in a text, found eight bytes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    /// What JSON must escape: a quotation mark, a backslash or a control character.
    pub(crate) special: bool,
    /// A blank.
    pub(crate) blank: bool,
    /// Something outside ASCII.
    pub(crate) wide: bool,
}

impl Scan {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        const ONES: u64 = u64::MAX / 255;
        const HIGHS: u64 = ONES << 7;
        // A byte below the limit borrows, so that its highest bit is set; the lowest such is right,
        // and that is enough to know that there is one.
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES.wrapping_mul(limit)) & !word;
        let is = |word: u64, byte: u8| below(word ^ ONES.wrapping_mul(u64::from(byte)), 1);
        let (words, mut rest) = bytes.as_chunks::<8>();
        // The last eight bytes once more stand for those behind the last whole word.
        let last = bytes.last_chunk::<8>().filter(|_| !rest.is_empty());
        if last.is_some() {
            rest = &[];
        }
        let (mut special, mut blank, mut wide) = (0, 0, 0);
        for word in words.iter().chain(last) {
            let word = u64::from_le_bytes(*word);
            special |= below(word, u64::from(b' ')) | is(word, b'"') | is(word, b'\\');
            blank |= is(word, b' ');
            wide |= word;
        }
        let mut found = Self {
            special: special & HIGHS != 0,
            blank: blank & HIGHS != 0,
            wide: wide & HIGHS != 0,
        };
        for byte in rest {
            found.special |= *byte < b' ' || matches!(*byte, b'"' | b'\\');
            found.blank |= *byte == b' ';
            found.wide |= *byte >= 0x80;
        }
        found
    }

    /// As [`fault`], of the text that was looked at.
    pub(crate) fn fault(self, kind: PrimitiveKind, text: &str) -> Option<&'static str> {
        let sure = !self.special
            && match kind {
                // One that starts with more than a blank is more than blanks.
                PrimitiveKind::String | PrimitiveKind::Markdown => {
                    text.len() <= STRING_CHARS_MAX && text.as_bytes().first() > Some(&b' ')
                }
                PrimitiveKind::Code => !self.blank && !text.is_empty(),
                PrimitiveKind::Uri | PrimitiveKind::Url | PrimitiveKind::Canonical => {
                    !self.blank && !self.wide && !text.is_empty()
                }
                _ => false,
            };
        if sure { None } else { fault(kind, text) }
    }
}

/// Whether there is a control character that neither a string nor XML may have. Every byte is looked
/// at whatever was found, so that several can be looked at at once.
pub(crate) fn has_control(bytes: &[u8]) -> bool {
    let control = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    bytes
        .iter()
        .fold(false, |found, byte| found | control(*byte))
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain && (digits == "0" || !digits.starts_with('0')) && text.parse::<i32>().is_ok()
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
fn is_decimal(text: &[u8]) -> bool {
    number_length(text) == text.len() && !text.is_empty()
}

/// How many bytes at the start are a number of JSON; 0 if they are none.
pub(crate) fn number_length(text: &[u8]) -> usize {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|b| b.is_ascii_digit()).count()
    };
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && text.get(at) == Some(&b'0')) {
        return 0;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return 0;
        }
        at += 1 + fraction;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return 0;
        }
        at += 1 + sign + exponent;
    }
    at
}

/// `[^\s]+(\s[^\s]+)*`
fn is_code(text: &[u8]) -> bool {
    let mut after_blank = true;
    for byte in text {
        let blank = is_blank(*byte) || *byte < b' ';
        if blank && after_blank {
            return false;
        }
        after_blank = blank;
    }
    !after_blank
}

/// Whether this may be the logical id of a resource.
#[must_use]
pub fn is_id(text: &[u8]) -> bool {
    (1..=ID_CHARS_MAX).contains(&text.len())
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

fn is_uri(text: &str) -> bool {
    if text.is_ascii() {
        return !text.is_empty()
            && !text
                .bytes()
                .fold(false, |blank, byte| blank | (byte <= b' '));
    }
    text.chars().all(|c| !c.is_whitespace() && c > ' ')
}

/// `urn:oid:[0-2](\.(0|[1-9][0-9]*))+`
fn is_oid(text: &str) -> bool {
    let Some(oid) = text.strip_prefix("urn:oid:") else {
        return false;
    };
    let mut arcs = oid.split('.');
    let first = arcs
        .next()
        .is_some_and(|arc| matches!(arc, "0" | "1" | "2"));
    let mut rest = arcs.peekable();
    first
        && rest.peek().is_some()
        && rest.all(|arc| {
            !arc.is_empty()
                && (arc == "0" || !arc.starts_with('0'))
                && arc.bytes().all(|byte| byte.is_ascii_digit())
        })
}

/// `urn:uuid:` and 8-4-4-4-12 hexadecimal digits; peers write upper case too.
fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("urn:uuid:") else {
        return false;
    };
    uuid.len() == 36
        && uuid.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Two digits at a place, as a number.
fn two(text: &[u8], at: usize) -> Option<u8> {
    match text.get(at..at + 2)? {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    }
}

fn year(text: &[u8]) -> Option<u16> {
    let year = u16::from(two(text, 0)?) * 100 + u16::from(two(text, 2)?);
    (year > 0).then_some(year)
}

const fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A full day at the start.
fn starts_with_day(text: &[u8]) -> bool {
    let Some(year) = year(text) else { return false };
    let (Some(b'-'), Some(month)) = (text.get(4), two(text, 5)) else {
        return false;
    };
    let (Some(b'-'), Some(day)) = (text.get(7), two(text, 8)) else {
        return false;
    };
    (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day)
}

fn is_date(text: &[u8]) -> bool {
    match text.len() {
        4 => year(text).is_some(),
        7 => {
            year(text).is_some()
                && text.get(4) == Some(&b'-')
                && two(text, 5).is_some_and(|month| (1..=12).contains(&month))
        }
        10 => starts_with_day(text),
        _ => false,
    }
}

/// `hh:mm:ss` at the start, with or without fraction; how many bytes it takes.
fn clock(text: &[u8]) -> Option<usize> {
    let (hour, minute, second) = (two(text, 0)?, two(text, 3)?, two(text, 6)?);
    let colons = text.get(2) == Some(&b':') && text.get(5) == Some(&b':');
    // A leap second is written 60.
    if !colons || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if text.get(8) != Some(&b'.') {
        return Some(8);
    }
    let rest = text.get(9..)?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    (digits > 0).then_some(9 + digits)
}

fn is_time(text: &[u8]) -> bool {
    clock(text) == Some(text.len())
}

fn is_zone(text: &[u8]) -> bool {
    match text {
        b"Z" => true,
        [b'+' | b'-', ..] if text.len() == 6 && text.get(3) == Some(&b':') => {
            match (two(text, 1), two(text, 4)) {
                (Some(hours), Some(minutes)) => {
                    (hours < 14 && minutes < 60) || (hours == 14 && minutes == 0)
                }
                _ => false,
            }
        }
        _ => false,
    }
}

fn is_instant(text: &[u8]) -> bool {
    starts_with_day(text)
        && text.get(10) == Some(&b'T')
        && text
            .get(11..)
            .and_then(|rest| rest.get(clock(rest)?..))
            .is_some_and(is_zone)
}

fn is_date_time(text: &[u8]) -> bool {
    is_date(text) || is_instant(text)
}

/// White space is allowed between groups, as it is where lines are wrapped.
fn is_base64(text: &[u8]) -> bool {
    let mut check = Base64Check::default();
    check.take(text) && check.holds()
}

/// Whether a text that comes in parts is base64 (FHIR R4 datatypes.html#base64Binary).
#[derive(Clone, Copy, Debug, Default)]
pub struct Base64Check {
    digits: u64,
    padding: u64,
}

impl Base64Check {
    /// Looks at the next part; false if the text cannot be base64 any more.
    #[must_use]
    pub fn take(&mut self, part: &[u8]) -> bool {
        for byte in part {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if self.padding == 0 => {
                    self.digits += 1;
                }
                b'=' => self.padding += 1,
                byte if is_blank(*byte) => {}
                _ => return false,
            }
        }
        true
    }

    /// Whether the parts so far are base64 as a whole.
    #[must_use]
    pub const fn holds(self) -> bool {
        let whole = (self.digits + self.padding).is_multiple_of(4);
        self.digits > 0 && self.padding <= 2 && whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_those_of_the_standard() {
        use PrimitiveKind as P;
        let cases: &[(PrimitiveKind, &[&str], &[&str])] = &[
            (P::Boolean, &["true", "false"], &["True", "1", ""]),
            (
                P::Integer,
                &["0", "-1", "2147483647", "-2147483648"],
                &["01", "+1", "1.0", "2147483648", "", "-", "1e3", "-01"],
            ),
            (P::UnsignedInt, &["0", "7"], &["-1", "-0"]),
            (P::PositiveInt, &["1"], &["0", "-1"]),
            (
                P::Decimal,
                &["0", "-0.00", "1.50", "1e10", "1.0E-3", "10"],
                &["", "1.", ".5", "+1", "01", "1e", "NaN", "1 "],
            ),
            (P::String, &["a", " a ", "a\nb\t"], &["", " ", "\u{1}"]),
            (P::Code, &["a", "a b"], &["", " a", "a ", "a  b", "a\n"]),
            (P::Id, &["a-B.9"], &["", "a_b", "a b", "ä"]),
            (P::Uri, &["urn:x", "http://a/ä"], &["", "a b", "a\u{a0}b"]),
            (
                P::Oid,
                &["urn:oid:2.16.840"],
                &["urn:oid:3.1", "urn:oid:1", "2.16", "urn:oid:1.02"],
            ),
            (
                P::Uuid,
                &["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
                &["urn:uuid:c757873d", "c757873d-ec9a-4326-a141-556f43239520"],
            ),
            (
                P::Date,
                &["2024", "2024-02", "2024-02-29"],
                &[
                    "24",
                    "2023-02-29",
                    "2024-13",
                    "2024-1-1",
                    "0000",
                    "2024-02-29T00:00:00Z",
                    "2024-",
                ],
            ),
            (
                P::DateTime,
                &[
                    "2024",
                    "2024-02-29T10:00:00Z",
                    "2024-02-29T23:59:60.123+14:00",
                ],
                &[
                    "2024-02-29T10:00Z",
                    "2024-02-29T10:00:00",
                    "2024-02-29T24:00:00Z",
                    "2024-02-29T10:00:00+14:01",
                ],
            ),
            (
                P::Instant,
                &["2024-02-29T10:00:00.5-05:00"],
                &["2024-02-29", "2024-02-29T10:00:00.Z"],
            ),
            (
                P::Time,
                &["10:00:00", "10:00:00.123"],
                &["10:00", "25:00:00", "10:00:00Z"],
            ),
            (
                P::Base64Binary,
                &["AAAA", "AA==", "AAAA\nAAA="],
                &["", "A", "AA=A", "AAA*", "===="],
            ),
        ];
        for (kind, good, bad) in cases {
            for text in *good {
                assert_eq!(fault(*kind, text), None, "{kind:?} {text:?}");
            }
            for text in *bad {
                assert!(fault(*kind, text).is_some(), "{kind:?} {text:?}");
            }
        }
    }

    #[test]
    fn a_string_ends_at_one_megabyte_and_an_id_at_64_characters() {
        let longest = "x".repeat(STRING_CHARS_MAX);
        assert_eq!(fault(PrimitiveKind::String, &longest), None);
        assert!(fault(PrimitiveKind::String, &format!("{longest}x")).is_some());
        let longest = "x".repeat(ID_CHARS_MAX);
        assert_eq!(fault(PrimitiveKind::Id, &longest), None);
        assert!(fault(PrimitiveKind::Id, &format!("{longest}x")).is_some());
    }
}
