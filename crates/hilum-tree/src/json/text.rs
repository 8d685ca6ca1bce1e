//! Strings and numbers between JSON and their values.

use std::borrow::Cow;

use super::parse::number_length;

/// The value of a string that the parser has checked, quotes included in `raw`.
pub(super) fn unquote(raw: &str) -> Cow<'_, str> {
    let inner = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(raw);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    let mut high: Option<u32> = None;
    while let Some(c) = chars.next() {
        let unit = match c {
            '\\' => match chars.next() {
                Some('u') => Some(hex(&mut chars)),
                Some('b') => Some(0x08),
                Some('f') => Some(0x0C),
                Some('n') => Some(0x0A),
                Some('r') => Some(0x0D),
                Some('t') => Some(0x09),
                Some(other) => Some(u32::from(other)),
                None => None,
            },
            c => Some(u32::from(c)),
        };
        let Some(unit) = unit else { break };
        match (high.take(), unit) {
            (Some(first), 0xDC00..=0xDFFF) => {
                let joined = 0x1_0000_u32 + ((first - 0xD800) << 10) + (unit - 0xDC00);
                out.push(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER));
                continue;
            }
            (Some(_), _) => out.push(char::REPLACEMENT_CHARACTER),
            (None, _) => {}
        }
        match unit {
            0xD800..=0xDBFF => high = Some(unit),
            unit => out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }
    if high.is_some() {
        out.push(char::REPLACEMENT_CHARACTER);
    }
    Cow::Owned(out)
}

fn hex(chars: &mut std::str::Chars<'_>) -> u32 {
    chars
        .by_ref()
        .take(4)
        .fold(0, |sum, c| (sum << 4) | c.to_digit(16).unwrap_or_default())
}

/// A value as a string of JSON.
pub(super) fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The text is a number of JSON.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && number_length(text.as_bytes()) == text.len()
}

/// Zeros that an exponent may add before a number keeps its written form.
const EXPONENT_MAX: i32 = 40;

/// A number without its exponent, which expressions do not read.
pub(super) fn plain_decimal(raw: &str) -> Cow<'_, str> {
    let Some((mantissa, exponent)) = raw.split_once(['e', 'E']) else {
        return Cow::Borrowed(raw);
    };
    let exponent = exponent
        .parse::<i32>()
        .ok()
        .filter(|at| at.abs() <= EXPONENT_MAX);
    let Some(exponent) = exponent else {
        return Cow::Borrowed(raw);
    };
    let (sign, digits) = mantissa
        .strip_prefix('-')
        .map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len())
        .unwrap_or(i32::MAX)
        .saturating_add(exponent);
    let text = if point <= 0 {
        format!("0.{}{all}", "0".repeat(point.unsigned_abs() as usize))
    } else {
        let point = point.unsigned_abs() as usize;
        match all.split_at_checked(point) {
            Some((whole, "")) => whole.to_owned(),
            Some((whole, fraction)) => format!("{whole}.{fraction}"),
            None => format!("{all}{}", "0".repeat(point - all.len())),
        }
    };
    let significant = text.trim_start_matches('0');
    let text = match significant.chars().next() {
        Some('.') | None => format!("0{significant}"),
        Some(_) => significant.to_owned(),
    };
    Cow::Owned(format!("{sign}{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_survive_both_ways() {
        for (raw, value) in [
            (r#""a\u00e9\n\/""#, "aé\n/"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ud83d x""#, "\u{FFFD} x"),
            (r#""\ude00""#, "\u{FFFD}"),
        ] {
            assert_eq!(unquote(raw), value, "{raw}");
            assert_eq!(unquote(&quote(value)), value, "{raw}");
        }
        assert_eq!(quote("a\"\\\u{1}\t"), r#""a\"\\\u0001\t""#);
    }

    #[test]
    fn numbers_lose_their_exponent_and_keep_their_digits() {
        for (raw, plain) in [
            ("1.50", "1.50"),
            ("1.5e3", "1500"),
            ("-1.25E-2", "-0.0125"),
            ("12e-1", "1.2"),
            ("0e5", "0"),
            ("1e99", "1e99"),
        ] {
            assert_eq!(plain_decimal(raw), plain, "{raw}");
        }
        assert!(is_number("-0.5e+10") && !is_number("01") && !is_number("1.") && !is_number("+1"));
    }
}
