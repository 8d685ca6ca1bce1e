//! Numbers: every digit as it was written, in the form of FHIR.

use std::borrow::Cow;

use crate::settings::DecimalSign;

/// A decimal of FHIR from a number as a system writes it. Without a declared sign it is the NM of the
/// standard and nothing else: `4,1` and `1 000` are no numbers then. `None` too where the declared
/// sign leaves two ways to read it: `4.100` of a system with a decimal comma.
#[must_use]
pub fn read(text: &str, sign: Option<DecimalSign>) -> Option<Cow<'_, str>> {
    let Some(sign) = sign else {
        return decimal(text);
    };
    let text = text.trim();
    let (point, group) = match sign {
        DecimalSign::Point => ('.', ','),
        DecimalSign::Comma => (',', '.'),
    };
    // What has neither the other sign nor blanks within is what the standard says.
    let is_other = |c: char| c == ',' || is_blank(c) || (c == '.' && sign == DecimalSign::Comma);
    if !text.contains(is_other) {
        return decimal(text);
    }
    let (signed, rest) = match text.as_bytes().first()? {
        b'-' => ("-", text.get(1..)?),
        b'+' => ("", text.get(1..)?),
        _ => ("", text),
    };
    let (whole, fraction) = match rest.split_once(point) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (rest, None),
    };
    if whole.is_empty() || fraction.is_some_and(|digits| !is_digits(digits)) {
        return None;
    }
    let whole = match ungrouped(whole, group) {
        Some(whole) => whole,
        // A comma is declared and the point of the standard came: unless three digits follow it,
        // it is none between thousands.
        None if fraction.is_none() && sign == DecimalSign::Comma => return decimal(rest_of(text)?),
        None => return None,
    };
    // One group behind a point may be a fraction of three digits as well.
    let is_doubtful = sign == DecimalSign::Comma
        && fraction.is_none()
        && rest.matches('.').count() == 1
        && !rest.contains(is_blank);
    if is_doubtful {
        return None;
    }
    let digits = match fraction {
        Some(fraction) => format!("{signed}{whole}.{fraction}"),
        None => format!("{signed}{whole}"),
    };
    decimal(&digits).map(|read| Cow::Owned(read.into_owned()))
}

/// The text, where its point has not exactly three digits behind it.
fn rest_of(text: &str) -> Option<&str> {
    let fraction = text.split_once('.')?.1;
    (fraction.len() != 3).then_some(text)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A blank between thousands: SPACE, NO-BREAK SPACE, THIN SPACE, NARROW NO-BREAK SPACE.
const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}')
}

/// Digits without what parts thousands: one sign throughout, three digits behind each.
fn ungrouped(text: &str, group: char) -> Option<String> {
    let between = text.chars().find(|c| !c.is_ascii_digit());
    let Some(between) = between else {
        return Some(text.to_owned());
    };
    if between != group && !is_blank(between) {
        return None;
    }
    let mut parts = text.split(between);
    let first = parts
        .next()
        .filter(|first| is_digits(first) && first.len() <= 3)?;
    let mut out = first.to_owned();
    for part in parts {
        if !is_digits(part) || part.len() != 3 {
            return None;
        }
        out.push_str(part);
    }
    Some(out)
}

/// A decimal of FHIR from NM (HL7 v2.5.1 §2A.2.44): a plus sign and leading zeros go, a point has
/// digits on both sides; precision stays. `None` where it is no number.
#[must_use]
pub fn decimal(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", text.get(1..)?),
        b'+' => ("", text.get(1..)?),
        _ => ("", text),
    };
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => digits.split_at_checked(at)?,
        None => (digits, ""),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !plain(whole) || !plain(fraction) {
        return None;
    }
    if !exponent.is_empty() {
        let power = exponent.get(1..)?;
        let power = power.strip_prefix(['+', '-']).unwrap_or(power);
        if power.is_empty() || power.len() > 3 || !plain(power) {
            return None;
        }
    }
    let trimmed = whole.trim_start_matches('0');
    let whole_kept = if trimmed.is_empty() { "0" } else { trimmed };
    let point = if fraction.is_empty() { "" } else { "." };
    if whole_kept.len() == whole.len()
        && mantissa.len() == whole.len() + point.len() + fraction.len()
        && !text.starts_with('+')
    {
        return Some(Cow::Borrowed(text));
    }
    Some(Cow::Owned(format!(
        "{sign}{whole_kept}{point}{fraction}{exponent}"
    )))
}

/// A whole number; `7.0` is one.
pub(crate) fn integer(text: &str, sign: Option<DecimalSign>) -> Option<Cow<'_, str>> {
    let number = read(text, sign)?;
    let Some((whole, fraction)) = number.split_once('.') else {
        return (!number.contains(['e', 'E'])).then_some(number);
    };
    let zeros = fraction.bytes().all(|byte| byte == b'0');
    zeros.then(|| Cow::Owned(whole.to_owned()))
}

/// The comparator in front of a number, and what is behind it.
#[must_use]
pub fn comparator(text: &str) -> Option<(&'static str, &str)> {
    let text = text.trim();
    let signs = [
        ("<=", "<="),
        (">=", ">="),
        ("=<", "<="),
        ("=>", ">="),
        ("\u{2264}", "<="),
        ("\u{2265}", ">="),
        ("<", "<"),
        (">", ">"),
    ];
    signs
        .iter()
        .find_map(|(sign, comparator)| Some((*comparator, text.strip_prefix(sign)?.trim())))
}

/// The bounds of a reference range (OBX-7) that reads as `3.5-5.1`, `>= 60` or `<5`, as decimals of
/// FHIR; none of both where it is anything else.
#[must_use]
pub fn bounds(
    text: &str,
    sign: Option<DecimalSign>,
) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
    if let Some((comparator, limit)) = comparator(text) {
        let limit = read(limit, sign);
        return match comparator {
            "<" | "<=" => (None, limit),
            _ => (limit, None),
        };
    }
    match interval(text).map(|(low, high)| (read(low, sign), read(high, sign))) {
        Some((Some(low), Some(high))) => (Some(low), Some(high)),
        _ => (None, None),
    }
}

/// The two sides of the dash between bounds; a dash in front is a sign.
#[must_use]
pub fn interval(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let dash = text.bytes().skip(1).position(|byte| byte == b'-')?;
    Some((text.get(..=dash)?.trim(), text.get(dash + 2..)?.trim()))
}

/// Minutes in a unit of time, of UCUM or of HL7 v2 tables.
pub(crate) fn minutes_in(unit: &str) -> Option<f64> {
    Some(match unit.trim().to_ascii_lowercase().as_str() {
        "s" | "sec" | "second" | "seconds" => 1.0 / 60.0,
        "min" | "m" | "minute" | "minutes" => 1.0,
        "h" | "hr" | "hour" | "hours" => 60.0,
        "d" | "day" | "days" => 1440.0,
        "wk" | "w" | "week" | "weeks" => 10_080.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stay_as_they_were_written() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(decimal(text).as_deref(), expected, "{text:?}");
        };
        check("5.40", Some("5.40"));
        check(" 7 ", Some("7"));
        check("+1.5", Some("1.5"));
        check("-.50", Some("-0.50"));
        check("007", Some("7"));
        check("00", Some("0"));
        check("3.", Some("3"));
        check("1E5", Some("1E5"));
        check("1e+05", Some("1e+05"));
        for wrong in [
            "", ".", "-", "<5", "5-10", "1,5", "1e", "NaN", "1e1234", "5 mg",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn whole_numbers_and_comparators() {
        assert_eq!(integer("7.00", None).as_deref(), Some("7"));
        assert_eq!(integer("7.5", None), None);
        assert_eq!(integer("1e3", None), None);
        assert_eq!(comparator("<= 5"), Some(("<=", "5")));
        assert_eq!(comparator("<5"), Some(("<", "5")));
        assert_eq!(comparator("5"), None);
    }

    #[test]
    fn a_range_that_reads_as_numbers_has_bounds() {
        let check = |text: &str, low: Option<&str>, high: Option<&str>| {
            let (is_low, is_high) = bounds(text, None);
            assert_eq!((is_low.as_deref(), is_high.as_deref()), (low, high));
        };
        check("3.5-5.1", Some("3.5"), Some("5.1"));
        check(" 70 - 105 ", Some("70"), Some("105"));
        check("-2.0 - 2.0", Some("-2.0"), Some("2.0"));
        check("-3--1", Some("-3"), Some("-1"));
        check(">= 60", Some("60"), None);
        check("<5", None, Some("5"));
        for text in [
            "",
            "-",
            "5",
            "5-",
            "1-2-3",
            "1:80-1:160",
            "neg",
            "-5",
            "3,5-5,1",
            "<neg",
            "5-10 mg",
        ] {
            assert_eq!(bounds(text, None), (None, None), "{text:?}");
        }
    }

    #[test]
    fn a_comma_is_read_as_the_system_declares_it() {
        let check = |text: &str, none: Option<&str>, point: Option<&str>, comma: Option<&str>| {
            let of = |sign| read(text, sign).map(Cow::into_owned);
            assert_eq!(of(None).as_deref(), none, "{text:?}, undeclared");
            let read = of(Some(DecimalSign::Point));
            assert_eq!(read.as_deref(), point, "{text:?}, point");
            let read = of(Some(DecimalSign::Comma));
            assert_eq!(read.as_deref(), comma, "{text:?}, comma");
        };
        check("4,1", None, None, Some("4.1"));
        check("-0,50", None, None, Some("-0.50"));
        check("1 000", None, Some("1000"), Some("1000"));
        check("1\u{a0}000,5", None, None, Some("1000.5"));
        check("1.000,5", None, None, Some("1000.5"));
        check("1,000.5", None, Some("1000.5"), None);
        check("1,000", None, Some("1000"), Some("1.000"));
        check("1.000.000", None, None, Some("1000000"));
        check("4.1", Some("4.1"), Some("4.1"), Some("4.1"));
        check("4.100", Some("4.100"), Some("4.100"), None);
        check("12", Some("12"), Some("12"), Some("12"));
        for text in [
            ",5",
            "4,",
            "1 00",
            "1,00,0",
            "1 000.000,5",
            "4,1,2",
            "a,b",
            "1e3,5",
            "4 1",
        ] {
            check(text, None, None, None);
        }
    }
}
