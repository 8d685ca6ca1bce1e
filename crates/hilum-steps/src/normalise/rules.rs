//! The rules, each from one text to another.

use super::config::{NameCase, Order};

/// How dates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `20240501102030+0200`
    Hl7,
    /// `2024-05-01T10:20:30+02:00`
    Iso,
}

/// A date as far as it is known.
struct Date {
    year: u32,
    month: Option<u32>,
    day: Option<u32>,
    /// Hour, minute, second, fraction, as far as they are written.
    time: Option<(u32, u32, Option<u32>, String)>,
    /// `Z` or sign, hours and minutes.
    zone: String,
}

/// A date in the style of the format; `None` if it cannot be read, or is none of the calendar.
pub(super) fn date(text: &str, style: Style, order: Option<Order>) -> Option<String> {
    let text = text.trim();
    let (day, time) = match text.find(['T', ' ']) {
        Some(at) if text.get(..at)?.contains(['-', '/', '.']) => {
            (text.get(..at)?, text.get(at + 1..)?.trim())
        }
        _ => (text, ""),
    };
    let start = day.as_bytes().get(..8);
    let eight_digits = start.is_some_and(|start| start.iter().all(u8::is_ascii_digit));
    let mut date = if eight_digits || !day.contains(['-', '/', '.']) {
        packed(day)?
    } else {
        let parts: Vec<&str> = day.split(['-', '/', '.']).collect();
        written(&parts, day, order)?
    };
    if !time.is_empty() {
        (date.time, date.zone) = clock(time)?;
    }
    date.is_real().then(|| date.show(style))
}

fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let fits = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// `2024`, `202405`, `20240501`, `202405011020`, with seconds, fraction and zone.
fn packed(text: &str) -> Option<Date> {
    let (digits, zone) = match text.find(['+', '-', 'Z']) {
        Some(at) => (text.get(..at)?, zone(text.get(at..)?)?),
        None => (text, String::new()),
    };
    let (digits, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let part = |range: std::ops::Range<usize>| number(digits.get(range)?, 2..=2);
    if ![4, 6, 8, 12, 14].contains(&digits.len()) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if !fraction.is_empty() && digits.len() < 14 {
        return None;
    }
    let second = part(12..14);
    let time = part(8..10)
        .zip(part(10..12))
        .map(|(hour, minute)| (hour, minute, second, fraction.to_owned()));
    if time.is_none() && !zone.is_empty() {
        return None;
    }
    Some(Date {
        year: number(digits.get(..4)?, 4..=4)?,
        month: part(4..6),
        day: part(6..8),
        time,
        zone,
    })
}

/// Parts with separators: year first, or day and month in the order that the separator implies.
fn written(parts: &[&str], text: &str, order: Option<Order>) -> Option<Date> {
    let [a, b, rest @ ..] = parts else {
        return None;
    };
    let c = rest.first().copied();
    if rest.len() > 1 {
        return None;
    }
    let date = |year, month, day| Date {
        year,
        month,
        day,
        time: None,
        zone: String::new(),
    };
    if let Some(year) = number(a, 4..=4) {
        let day = match c {
            Some(day) => Some(number(day, 1..=2)?),
            None => None,
        };
        return Some(date(year, Some(number(b, 1..=2)?), day));
    }
    let year = number(c?, 4..=4)?;
    if let Some(month) = month_name(b) {
        return Some(date(year, Some(month), Some(number(a, 1..=2)?)));
    }
    let (a, b) = (number(a, 1..=2)?, number(b, 1..=2)?);
    let (day, month) = match (text.contains('.'), order) {
        (true, _) | (false, Some(Order::Dmy)) => (a, b),
        (false, Some(Order::Mdy)) => (b, a),
        (false, None) => return None,
    };
    Some(date(year, Some(month), Some(day)))
}

fn month_name(text: &str) -> Option<u32> {
    let names = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    (1..)
        .zip(names)
        .find(|(_, name)| text.eq_ignore_ascii_case(name))
        .map(|(month, _)| month)
}

type Clock = Option<(u32, u32, Option<u32>, String)>;

/// `10:20`, `10:20:30.5`, with `Z`, `+02:00` or `+0200` behind.
fn clock(text: &str) -> Option<(Clock, String)> {
    let (time, zone) = match text.find(['+', '-', 'Z']) {
        Some(at) => (text.get(..at)?.trim_end(), zone(text.get(at..)?)?),
        None => (text, String::new()),
    };
    let mut parts = time.split(':');
    let hour = number(parts.next()?, 1..=2)?;
    let minute = number(parts.next()?, 2..=2)?;
    let (second, fraction) = match parts.next() {
        Some(part) => {
            let (second, fraction) = part.split_once('.').unwrap_or((part, ""));
            (Some(number(second, 2..=2)?), fraction)
        }
        None => (None, ""),
    };
    let fits = parts.next().is_none() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| (Some((hour, minute, second, fraction.to_owned())), zone))
}

fn zone(text: &str) -> Option<String> {
    if text == "Z" {
        return Some("+0000".to_owned());
    }
    let digits: String = text.chars().skip(1).filter(|c| *c != ':').collect();
    let hours = number(digits.get(..2)?, 2..=2)?;
    let minutes = number(digits.get(2..)?, 2..=2)?;
    let sign = text.chars().next().filter(|c| matches!(c, '+' | '-'))?;
    (hours <= 14 && minutes < 60).then(|| format!("{sign}{digits}"))
}

impl Date {
    fn is_real(&self) -> bool {
        let leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            Some(2) => 28 + u32::from(leap),
            Some(4 | 6 | 9 | 11) => 30,
            Some(1..=12) => 31,
            Some(_) => return false,
            None => 0,
        };
        let time = self.time.as_ref().is_none_or(|(hour, minute, second, _)| {
            *hour < 24 && *minute < 60 && second.is_none_or(|second| second < 60)
        });
        (1800..=2200).contains(&self.year)
            && self.day.is_none_or(|day| (1..=days).contains(&day))
            && (self.time.is_none() || self.day.is_some())
            && time
    }

    fn show(&self, style: Style) -> String {
        let iso = style == Style::Iso;
        let mut out = format!("{:04}", self.year);
        for part in [self.month, self.day].into_iter().flatten() {
            out.push_str(&format!("{}{part:02}", if iso { "-" } else { "" }));
        }
        let Some((hour, minute, second, fraction)) = &self.time else {
            return out;
        };
        let colon = if iso { ":" } else { "" };
        out.push_str(&format!(
            "{}{hour:02}{colon}{minute:02}",
            if iso { "T" } else { "" }
        ));
        match second {
            Some(second) => out.push_str(&format!("{colon}{second:02}")),
            // A zone in ISO form needs seconds.
            None if iso => out.push_str(":00"),
            None => {}
        }
        if !fraction.is_empty() {
            // The standard knows four digits (HL7 v2.5.1 §2A.89).
            let digits = if iso {
                fraction.as_str()
            } else {
                fraction.get(..4).unwrap_or(fraction)
            };
            out.push_str(&format!(".{digits}"));
        }
        match self.zone.split_at_checked(3) {
            Some((hours, minutes)) if iso => out.push_str(&format!("{hours}:{minutes}")),
            _ => out.push_str(&self.zone),
        }
        out
    }
}

/// A name with single blanks, and its letters as wanted.
pub(super) fn name(text: &str, case: NameCase) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let upper = joined.chars().any(char::is_uppercase);
    let lower = joined.chars().any(char::is_lowercase);
    // A mixed name was written with care, a single letter is an initial.
    if case == NameCase::Keep || upper == lower || joined.chars().count() < 2 {
        return joined;
    }
    let mut out = String::with_capacity(joined.len());
    let mut first = true;
    for c in joined.chars() {
        if first {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        first = matches!(c, ' ' | '-' | '\'' | '’');
    }
    out
}

/// An identifier without white space and what is stripped, in capitals.
pub(super) fn identifier(text: &str, strip: &str) -> String {
    let kept = text
        .chars()
        .filter(|c| !c.is_whitespace() && !strip.contains(*c));
    kept.flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_take_the_form_of_the_format() {
        for (text, hl7, iso) in [
            ("2024-05-01", "20240501", "2024-05-01"),
            ("2024/5/1", "20240501", "2024-05-01"),
            ("01.05.2024", "20240501", "2024-05-01"),
            ("1-MAY-2024", "20240501", "2024-05-01"),
            ("20240501", "20240501", "2024-05-01"),
            ("2024-05", "202405", "2024-05"),
            ("2024", "2024", "2024"),
            (
                "2024-05-01T10:20:30.123456+02:00",
                "20240501102030.1234+0200",
                "2024-05-01T10:20:30.123456+02:00",
            ),
            ("2024-05-01 9:05", "202405010905", "2024-05-01T09:05:00"),
            (
                "20240501102030-0500",
                "20240501102030-0500",
                "2024-05-01T10:20:30-05:00",
            ),
            (
                "2024-05-01T10:20:30Z",
                "20240501102030+0000",
                "2024-05-01T10:20:30+00:00",
            ),
            ("2024-02-29", "20240229", "2024-02-29"),
        ] {
            assert_eq!(date(text, Style::Hl7, None).as_deref(), Some(hl7), "{text}");
            assert_eq!(date(text, Style::Iso, None).as_deref(), Some(iso), "{text}");
        }
        assert_eq!(
            date("03/04/2024", Style::Hl7, Some(Order::Dmy)).as_deref(),
            Some("20240403")
        );
        assert_eq!(
            date("03/04/2024", Style::Hl7, Some(Order::Mdy)).as_deref(),
            Some("20240304")
        );
        for text in [
            "",
            "03/04/2024",
            "2023-02-29",
            "2024-13-01",
            "soon",
            "2024-05-01T25:00",
            "1-2",
            "99999999",
            "2024-05-01-02",
            "é1.05.2024",
            "20240501T",
        ] {
            assert_eq!(date(text, Style::Hl7, None), None, "{text}");
        }
    }

    #[test]
    fn names_and_identifiers_lose_what_is_no_part_of_them() {
        for (text, keep, title) in [
            ("  DOE ", "DOE", "Doe"),
            ("van  den Berg", "van den Berg", "van den Berg"),
            ("O'BRIEN-SMITH", "O'BRIEN-SMITH", "O'Brien-Smith"),
            ("jane ann", "jane ann", "Jane Ann"),
            ("Q", "Q", "Q"),
            ("ÉMILE", "ÉMILE", "Émile"),
        ] {
            assert_eq!(name(text, NameCase::Keep), keep);
            assert_eq!(name(text, NameCase::Title), title);
        }
        assert_eq!(identifier(" ab 12-3.4", "-."), "AB1234");
        assert_eq!(identifier("00-7", ""), "00-7");
    }
}
