//! Values of FHIR as v2 writes them.

use hilum_fhir::definitions::PrimitiveKind;

use hilum_message::ATTACHMENT_TOKEN;

use super::draft::escape;
use super::zone::shifted;
use crate::Zone;

/// Appends the value of a primitive; times in a zone where one is given.
pub(super) fn primitive(
    kind: Option<PrimitiveKind>,
    text: &str,
    zone: Option<&dyn Zone>,
    out: &mut String,
) {
    match kind {
        Some(PrimitiveKind::Boolean) => out.push(if text == "true" { 'Y' } else { 'N' }),
        Some(PrimitiveKind::Date | PrimitiveKind::DateTime | PrimitiveKind::Instant) => {
            let there = zone.and_then(|zone| shifted(text, zone));
            time(there.as_deref().unwrap_or(text), out);
        }
        Some(PrimitiveKind::Time) => digits(text, out),
        Some(PrimitiveKind::Decimal) => decimal(text, out),
        _ => escape(text, out),
    }
}

fn digits(text: &str, out: &mut String) {
    out.extend(text.chars().filter(|c| c.is_ascii_digit() || *c == '.'));
}

/// A date or time with the precision that it has (HL7 v2.5.1 §2.A.22). Fractions beyond the four
/// digits of v2 are cut.
pub(super) fn time(text: &str, out: &mut String) {
    let (date, clock) = text.split_once('T').unwrap_or((text, ""));
    digits(date, out);
    if clock.is_empty() {
        return;
    }
    let offset = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
    let (clock, offset) = clock.split_at_checked(offset).unwrap_or((clock, ""));
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    digits(whole, out);
    if !fraction.is_empty() {
        out.push('.');
        out.extend(fraction.chars().take(4));
    }
    match offset {
        "" => {}
        "Z" => out.push_str("+0000"),
        offset => out.extend(offset.chars().filter(|c| *c != ':')),
    }
}

/// Digits that an exponent may add at most.
const ZEROS_MAX: usize = 40;

/// A decimal; NM knows no exponent, so one is written out where it is not too large.
fn decimal(text: &str, out: &mut String) {
    let Some((number, exponent)) = text.split_once(['e', 'E']) else {
        return out.push_str(text);
    };
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let Ok(exponent) = exponent.parse::<i32>() else {
        return escape(text, out);
    };
    if exponent.unsigned_abs() as usize > ZEROS_MAX {
        return escape(text, out);
    }
    let all: String = [whole, fraction].concat();
    let point = i64::try_from(whole.len()).unwrap_or(0) + i64::from(exponent);
    out.push_str(sign);
    match usize::try_from(point) {
        Err(_) | Ok(0) => {
            out.push_str("0.");
            let zeros = usize::try_from(-point).unwrap_or(0);
            out.extend(std::iter::repeat_n('0', zeros));
            out.push_str(&all);
        }
        Ok(point) if point >= all.len() => {
            out.push_str(&all);
            out.extend(std::iter::repeat_n('0', point - all.len()));
        }
        Ok(point) => {
            let (left, right) = all.split_at_checked(point).unwrap_or((&all, ""));
            out.push_str(left);
            out.push('.');
            out.push_str(right);
        }
    }
}

/// Whether the content is not here but outside memory, with a token in its place.
pub(super) fn is_outside(base64: &str) -> bool {
    base64.contains(ATTACHMENT_TOKEN)
}

/// The bytes of base64 as text; none where they are no UTF-8.
pub(super) fn plain(base64: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in base64.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => continue,
        };
        held = held << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).unwrap_or(0));
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: PrimitiveKind, text: &str, expected: &str) {
        let mut out = String::new();
        primitive(Some(kind), text, None, &mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn times_keep_precision_and_offset() {
        check(PrimitiveKind::Date, "2026-01", "202601");
        check(PrimitiveKind::DateTime, "2026-01-02", "20260102");
        let time = "2026-01-02T10:11:12.12345+01:00";
        check(PrimitiveKind::Instant, time, "20260102101112.1234+0100");
        check(
            PrimitiveKind::DateTime,
            "2026-01-02T10:11:12Z",
            "20260102101112+0000",
        );
        check(
            PrimitiveKind::DateTime,
            "2026-01-02T10:11:12-05:30",
            "20260102101112-0530",
        );
        check(PrimitiveKind::Time, "10:11:00", "101100");
    }

    #[test]
    fn numbers_have_no_exponent() {
        check(PrimitiveKind::Decimal, "1.50", "1.50");
        check(PrimitiveKind::Decimal, "-1.5e3", "-1500");
        check(PrimitiveKind::Decimal, "12.34E1", "123.4");
        check(PrimitiveKind::Decimal, "1e-3", "0.001");
        check(PrimitiveKind::Decimal, "1e99", "1e99");
    }

    #[test]
    fn base64_is_read_as_text() {
        assert_eq!(plain("R3LDvMOfZQ==").as_deref(), Some("Grüße"));
        assert_eq!(plain("/w=="), None);
    }
}
