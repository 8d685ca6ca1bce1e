//! Times in the zone of whoever reads them: the same instant, as the clock there shows it. Many
//! receivers do not look at the offset of a time.

use hilum_message::calendar::{date_of, days_of};

use crate::{LocalTime, Zone};

/// Minutes of a day.
const DAY: i64 = 24 * 60;

/// A time of FHIR with an offset, written with the offset of a zone; `None` where it has no offset or
/// is no time.
pub(super) fn shifted(text: &str, zone: &dyn Zone) -> Option<String> {
    let (date, clock) = text.split_once('T')?;
    let mut parts = date.splitn(3, '-');
    let mut next = || parts.next()?.parse::<i64>().ok();
    let (year, month, day) = (next()?, next()?, next()?);
    let at = clock.find(['Z', '+', '-'])?;
    let (clock, offset) = clock.split_at_checked(at)?;
    let hour: i64 = clock.get(..2)?.parse().ok()?;
    let minute: i64 = clock.get(3..5)?.parse().ok()?;
    let seconds = clock.get(5..)?;
    let second = seconds.get(1..3).and_then(|text| text.parse().ok());
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let utc = days_of(year, month, day) * DAY + hour * 60 + minute - minutes(offset)?;
    let of = |minutes: i64| zone.offset_minutes(local(minutes, second.unwrap_or(0))?);
    // Near a change of the clock the first guess may be the offset of the other side.
    let guess = i64::from(of(utc)?);
    let ahead = of(utc + guess).map_or(guess, i64::from);
    let there = local(utc + ahead, 0)?;
    let sign = if ahead < 0 { '-' } else { '+' };
    Some(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}{seconds}{sign}{:02}:{:02}",
        there.year,
        there.month,
        there.day,
        there.hour,
        there.minute,
        ahead.abs() / 60,
        ahead.abs() % 60
    ))
}

/// Minutes ahead of UTC of `Z` or `+01:00`.
fn minutes(offset: &str) -> Option<i64> {
    if offset == "Z" {
        return Some(0);
    }
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    Some(sign * (i64::from(hours) * 60 + i64::from(minutes)))
}

/// The clock at minutes since 1970-01-01.
fn local(minutes: i64, second: u8) -> Option<LocalTime> {
    let (year, month, day) = date_of(minutes.div_euclid(DAY));
    let rest = minutes.rem_euclid(DAY);
    Some(LocalTime {
        year: u16::try_from(year)
            .ok()
            .filter(|year| (1..=9999).contains(year))?,
        month: u8::try_from(month).ok()?,
        day: u8::try_from(day).ok()?,
        hour: u8::try_from(rest / 60).ok()?,
        minute: u8::try_from(rest % 60).ok()?,
        second,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FixedZone;

    #[test]
    fn an_instant_stays_itself() {
        let check = |text: &str, minutes: i32, expected: Option<&str>| {
            let found = shifted(text, &FixedZone(minutes));
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check(
            "2026-01-02T23:30:05.25Z",
            60,
            Some("2026-01-03T00:30:05.25+01:00"),
        );
        check(
            "2024-03-01T00:10:00+01:00",
            -330,
            Some("2024-02-29T17:40:00-05:30"),
        );
        check("2026-01-01T00:00Z", -60, Some("2025-12-31T23:00-01:00"));
        check(
            "1899-12-31T23:59:59-02:00",
            0,
            Some("1900-01-01T01:59:59+00:00"),
        );
        check("2026-01-02", 60, None);
        check("2026-01-02T10:00:00", 60, None);
        check("2026-99-02T10:00:00Z", 60, None);
        check("9999-12-31T23:59:59Z", 60, None);
    }

    /// Two o'clock of 29 March 2026 is three o'clock there.
    #[derive(Debug)]
    struct Summer;

    impl Zone for Summer {
        fn offset_minutes(&self, local: LocalTime) -> Option<i32> {
            let summer = (local.month, local.day, local.hour) >= (3, 29, 3);
            Some(if summer { 120 } else { 60 })
        }
    }

    #[test]
    fn the_clock_may_change_between_there_and_utc() {
        let check = |text: &str, expected: &str| {
            assert_eq!(shifted(text, &Summer).as_deref(), Some(expected));
        };
        check("2026-03-29T00:59:00Z", "2026-03-29T01:59:00+01:00");
        check("2026-03-29T03:30:00Z", "2026-03-29T05:30:00+02:00");
    }
}
