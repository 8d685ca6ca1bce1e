//! Numbers: every digit as it was written, in the form of FHIR.

use std::borrow::Cow;

/// A decimal of FHIR from NM (HL7 v2.5.1 §2A.2.44): a plus sign and leading zeros go, a point has
/// digits on both sides; precision stays. `None` where it is no number.
pub(crate) fn decimal(text: &str) -> Option<Cow<'_, str>> {
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
pub(crate) fn integer(text: &str) -> Option<Cow<'_, str>> {
    let number = decimal(text)?;
    let Some((whole, fraction)) = number.split_once('.') else {
        return (!number.contains(['e', 'E'])).then_some(number);
    };
    let zeros = fraction.bytes().all(|byte| byte == b'0');
    zeros.then(|| Cow::Owned(whole.to_owned()))
}

/// The comparator in front of a number, and what is behind it.
pub(crate) fn comparator(text: &str) -> Option<(&'static str, &str)> {
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

/// The bounds of a reference range (OBX-7) that reads as `3.5-5.1`, `>= 60` or `<5`; none of both where
/// it is anything else.
pub(crate) fn bounds(text: &str) -> (Option<&str>, Option<&str>) {
    let number = |text: &str| decimal(text).is_some();
    if let Some((sign, limit)) = comparator(text).filter(|(_, limit)| number(limit)) {
        return match sign {
            "<" | "<=" => (None, Some(limit)),
            _ => (Some(limit), None),
        };
    }
    // A dash in front is a sign.
    let text = text.trim();
    let dash = text.bytes().skip(1).position(|byte| byte == b'-');
    let parts = dash.and_then(|at| Some((text.get(..=at)?, text.get(at + 2..)?)));
    match parts.map(|(low, high)| (low.trim(), high.trim())) {
        Some((low, high)) if number(low) && number(high) => (Some(low), Some(high)),
        _ => (None, None),
    }
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
        assert_eq!(integer("7.00").as_deref(), Some("7"));
        assert_eq!(integer("7.5"), None);
        assert_eq!(integer("1e3"), None);
        assert_eq!(comparator("<= 5"), Some(("<=", "5")));
        assert_eq!(comparator("<5"), Some(("<", "5")));
        assert_eq!(comparator("5"), None);
    }

    #[test]
    fn a_range_that_reads_as_numbers_has_bounds() {
        assert_eq!(bounds("3.5-5.1"), (Some("3.5"), Some("5.1")));
        assert_eq!(bounds(" 70 - 105 "), (Some("70"), Some("105")));
        assert_eq!(bounds("-2.0 - 2.0"), (Some("-2.0"), Some("2.0")));
        assert_eq!(bounds("-3--1"), (Some("-3"), Some("-1")));
        assert_eq!(bounds(">= 60"), (Some("60"), None));
        assert_eq!(bounds("<5"), (None, Some("5")));
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
            assert_eq!(bounds(text), (None, None), "{text:?}");
        }
    }
}
