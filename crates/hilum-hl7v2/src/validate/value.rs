//! Forms of primitive values (HL7 v2.5.1 §2.A, HL7 v2.8.2 §2.A).
//!
//! Only the form is looked at, on the bytes as they stand: no allocation, no conversion.

/// What the form of a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Form {
    /// Anything.
    #[default]
    Text,
    /// NM
    Number,
    /// SI
    Sequence,
    /// DT
    Date,
    /// TM
    Time,
    /// DTM, and the first component of TS
    DateTime,
    /// ID: a code of the field's table
    Code,
    /// IS: a code of a table that a site fills
    SiteCode,
}

impl Form {
    /// The form of a data type by its name.
    pub(crate) fn of(data_type: &str) -> Self {
        match data_type {
            "NM" => Self::Number,
            "SI" => Self::Sequence,
            "DT" => Self::Date,
            "TM" => Self::Time,
            "DTM" | "TS" => Self::DateTime,
            "ID" => Self::Code,
            "IS" => Self::SiteCode,
            _ => Self::Text,
        }
    }

    /// Whether a value, as it stands in the message, has the form. Codes are looked up elsewhere.
    pub(crate) fn accepts(self, value: &[u8]) -> bool {
        match self {
            Self::Text | Self::Code | Self::SiteCode => true,
            Self::Number => is_number(value),
            Self::Sequence => !value.is_empty() && value.len() <= 9 && digits(value),
            Self::Date => matches!(value.len(), 4 | 6 | 8) && is_date(value),
            Self::Time => {
                let (time, zone) = split_zone(value);
                matches!(time.len(), 2 | 4 | 6..) && is_time(time) && zone.is_none_or(is_zone)
            }
            Self::DateTime => is_date_time(value),
        }
    }
}

fn digits(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
}

fn is_number(value: &[u8]) -> bool {
    let value = value
        .strip_prefix(b"+")
        .or_else(|| value.strip_prefix(b"-"))
        .unwrap_or(value);
    let mut seen = false;
    let mut point = false;
    for byte in value {
        match byte {
            b'0'..=b'9' => seen = true,
            b'.' if !point => point = true,
            _ => return false,
        }
    }
    seen
}

fn pair(text: &[u8], at: usize) -> Option<u8> {
    match text.get(at..at.saturating_add(2)) {
        Some(&[tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    }
}

/// `YYYY[MM[DD]]`; the day has to exist.
fn is_date(text: &[u8]) -> bool {
    let (Some(century), Some(years)) = (pair(text, 0), pair(text, 2)) else {
        return false;
    };
    let year = u16::from(century) * 100 + u16::from(years);
    let month = match text.len() {
        4 => return true,
        _ => pair(text, 4),
    };
    let Some(month @ 1..=12) = month else {
        return false;
    };
    if text.len() == 6 {
        return true;
    }
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    pair(text, 6).is_some_and(|day| (1..=days).contains(&day))
}

/// `HH[MM[SS[.S[S[S[S]]]]]]`
fn is_time(text: &[u8]) -> bool {
    let within = |at: usize, max: u8| pair(text, at).is_some_and(|value| value <= max);
    let whole = match text.len() {
        2 => within(0, 23),
        4 => within(0, 23) && within(2, 59),
        6.. => within(0, 23) && within(2, 59) && within(4, 59),
        _ => false,
    };
    let fraction = match text.get(6..) {
        None | Some([]) => true,
        Some([b'.', rest @ ..]) => (1..=4).contains(&rest.len()) && digits(rest),
        Some(_) => false,
    };
    whole && fraction
}

fn split_zone(value: &[u8]) -> (&[u8], Option<&[u8]>) {
    match value.iter().position(|byte| matches!(byte, b'+' | b'-')) {
        Some(at) => {
            let (time, zone) = value.split_at(at);
            (time, Some(zone))
        }
        None => (value, None),
    }
}

/// `+/-ZZZZ`
fn is_zone(zone: &[u8]) -> bool {
    let hours = pair(zone, 1).is_some_and(|hours| hours <= 14);
    zone.len() == 5 && hours && pair(zone, 3).is_some_and(|minutes| minutes <= 59)
}

/// `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`
fn is_date_time(value: &[u8]) -> bool {
    let (text, zone) = split_zone(value);
    if !zone.is_none_or(is_zone) {
        return false;
    }
    match text.len() {
        4 | 6 | 8 => is_date(text),
        9.. => {
            let (date, time) = text.split_at(8);
            is_date(date) && is_time(time)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_accept_what_the_standard_allows() {
        let check = |form: Form, good: &str, bad: &str| {
            for value in good.split_whitespace() {
                assert!(form.accepts(value.as_bytes()), "{form:?} {value}");
            }
            for value in bad.split_whitespace() {
                assert!(!form.accepts(value.as_bytes()), "{form:?} {value}");
            }
        };
        check(
            Form::Number,
            "0 -1 +1.5 .5 5. 007 123456789012345678901234567890",
            "1e5 1,5 - + . 1.2.3 < >5 12a",
        );
        check(Form::Sequence, "0 1 9999", "-1 1.0 a 1234567890");
        check(
            Form::Date,
            "2026 202602 20260228 20240229 20000229",
            "20260229 19000229 20261301 20260100 2026-01 202 20260431 2026010",
        );
        check(
            Form::Time,
            "12 1230 123059 123059.1 123059.1234 1230+0100 12-0530",
            "24 1260 123060 123059. 123059.12345 1 12305 1230+1 1230+0160",
        );
        check(
            Form::DateTime,
            "2026 202601 20260131 2026013123 202601312359 20260131235959 20260131235959.9999-0500 2026+0100",
            "20260132 2026013124 202601312360 2026013123595 2026-01-31 today 20260131T10 20260131235959.99999",
        );
        check(Form::Text, "anything", "");
        assert!(
            !Form::Number.accepts(b"") && !Form::DateTime.accepts(b"") && !Form::Time.accepts(b"")
        );
    }
}
