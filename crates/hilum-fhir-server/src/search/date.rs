//! Dates of searches as ranges of time (FHIR R4 search.html#date).

use hilum_fhir_store::{IntervalTest, Prefix};
use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

/// A date with an optional prefix. A time without a zone is read as UTC, as it is when resources
/// are indexed. `None` if it is no date.
pub(crate) fn interval(prefix: Prefix, text: &str, now_ms: i64) -> Option<IntervalTest> {
    let (mut start_ms, mut end_ms) = range(text)?;
    if prefix == Prefix::Ap {
        // A tenth of the distance from now on either side.
        let away = now_ms.saturating_sub(start_ms).saturating_abs() / 10;
        start_ms = start_ms.saturating_sub(away);
        end_ms = end_ms.saturating_add(away);
    }
    Some(IntervalTest {
        prefix,
        start_ms,
        end_ms,
    })
}

/// The first millisecond of an instant.
pub(crate) fn instant_of(text: &str) -> Option<i64> {
    range(text).map(|(start, _)| start)
}

/// The first millisecond, and the first after it.
fn range(text: &str) -> Option<(i64, i64)> {
    let bytes = text.as_bytes();
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map(|part| digits(part, 2));
    let day = parts.next().map(|part| digits(part, 2));
    if parts.next().is_some() || !bytes.is_ascii() {
        return None;
    }
    let narrow = |value: i64| i8::try_from(value).ok();
    let (month_of, day_of) = (month.unwrap_or(Some(1))?, day.unwrap_or(Some(1))?);
    let first = Date::new(
        i16::try_from(year).ok()?,
        narrow(month_of)?,
        narrow(day_of)?,
    )
    .ok()?;
    if let Some(time) = time {
        day?;
        return timed(first, time);
    }
    let next = match (month, day) {
        (None, _) => first.checked_add(1.year()),
        (Some(_), None) => first.checked_add(1.month()),
        (Some(_), Some(_)) => first.checked_add(1.day()),
    };
    let utc = |date: Date| instant(date.to_datetime(Time::midnight()), 0);
    Some((utc(first)?, utc(next.ok()?)?))
}

fn timed(date: Date, text: &str) -> Option<(i64, i64)> {
    let zone = text.find(['Z', '+', '-', ' ']).unwrap_or(text.len());
    let (time, zone) = text.split_at_checked(zone)?;
    // The `+` of a zone that was not escaped is a blank by now.
    let zone = zone.replace(' ', "+");
    let offset = match zone.as_str() {
        "" | "Z" => 0,
        zone => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
            if hours > 14 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes)
        }
    };
    let mut parts = time.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next();
    if parts.next().is_some() || hour > 23 || minute > 59 {
        return None;
    }
    let (seconds, length_ms, ms) = match second {
        None => (0, 60_000, 0),
        Some(second) => match second.split_once('.') {
            None => (digits(second, 2)?, 1_000, 0),
            Some((whole, part)) => {
                if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                let known: String = part.chars().chain("00".chars()).take(3).collect();
                let length = match part.len() {
                    1 => 100,
                    2 => 10,
                    _ => 1,
                };
                (digits(whole, 2)?, length, known.parse().ok()?)
            }
        },
    };
    if seconds > 60 {
        return None;
    }
    let start = instant(date.to_datetime(Time::midnight()), offset)?
        + hour * 3_600_000
        + minute * 60_000
        + seconds * 1_000
        + ms;
    Some((start, start + length_ms))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let all = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

fn instant(at: DateTime, offset_minutes: i64) -> Option<i64> {
    let utc = TimeZone::fixed(Offset::UTC);
    let at = at.to_zoned(utc).ok()?.timestamp().as_millisecond();
    Some(at - offset_minutes * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_range_that_its_precision_leaves_open() {
        let check = |text: &str, expected: Option<(&str, i64)>| {
            let expected = expected.map(|(start, length)| {
                let start: jiff::Timestamp = start.parse().unwrap();
                (start.as_millisecond(), start.as_millisecond() + length)
            });
            assert_eq!(range(text), expected, "{text}");
        };
        let day = 86_400_000;
        check("2020", Some(("2020-01-01T00:00:00Z", 366 * day)));
        check("2021-02", Some(("2021-02-01T00:00:00Z", 28 * day)));
        check("2021-12-31", Some(("2021-12-31T00:00:00Z", day)));
        check("2021-12-31T10:20", Some(("2021-12-31T10:20:00Z", 60_000)));
        check(
            "2021-12-31T10:20:30+02:00",
            Some(("2021-12-31T08:20:30Z", 1_000)),
        );
        check(
            "2021-12-31T10:20:30 02:00",
            Some(("2021-12-31T08:20:30Z", 1_000)),
        );
        check(
            "2021-12-31T00:20:30.5Z",
            Some(("2021-12-31T00:20:30.500Z", 100)),
        );
        check(
            "2021-12-31T00:20:30.1239Z",
            Some(("2021-12-31T00:20:30.123Z", 1)),
        );
        for wrong in [
            "",
            "20",
            "2021-13",
            "2021-02-30",
            "2021-1-1",
            "2021-01-01T",
            "2021-01-01T10",
            "2021T10:00",
            "2021-01-01T25:00",
            "2021-01-01T10:00:00.Z",
            "2021-01-01T10:00+2",
            "x",
            "99999",
            "-2021",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn what_is_about_then_is_wider_the_longer_ago_it_was() {
        let now = range("2021-01-11").unwrap().0;
        let near = interval(Prefix::Ap, "2021-01-01", now).unwrap();
        assert_eq!(now - near.start_ms, 11 * 86_400_000);
    }
}
