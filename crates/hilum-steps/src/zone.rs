//! Time zones by their names, for times that have no offset of their own.
//!
//! The rules of a zone are read from the machine's table when a site is checked; afterwards nothing
//! is read.

use std::sync::Arc;

use hilum_convert::{ClockChange, FixedZone, LocalTime, Zone};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

#[derive(Debug)]
struct Named(TimeZone);

impl Zone for Named {
    fn offset_minutes(&self, local: LocalTime) -> Option<i32> {
        // Of a time that is there twice the first; of one that is not there the offset before it.
        let zoned = self.0.to_ambiguous_zoned(civil(local)?).compatible().ok()?;
        Some(zoned.offset().seconds() / 60)
    }

    fn change(&self, local: LocalTime) -> Option<ClockChange> {
        match self.0.to_ambiguous_timestamp(civil(local)?).offset() {
            AmbiguousOffset::Unambiguous { .. } => None,
            AmbiguousOffset::Fold { .. } => Some(ClockChange::Twice),
            AmbiguousOffset::Gap { .. } => Some(ClockChange::Never),
        }
    }
}

fn civil(local: LocalTime) -> Option<DateTime> {
    let small = |part: u8| i8::try_from(part).ok();
    let civil = DateTime::new(
        i16::try_from(local.year).ok()?,
        small(local.month)?,
        small(local.day)?,
        small(local.hour)?,
        small(local.minute)?,
        small(local.second)?,
        0,
    );
    civil.ok()
}

/// A zone by its name in the IANA database, or an offset such as `+01:00`.
///
/// # Errors
/// Where it is neither, in a sentence.
pub fn named(text: &str) -> Result<Arc<dyn Zone>, String> {
    if let Some(minutes) = offset(text) {
        return Ok(Arc::new(FixedZone(minutes)));
    }
    if text.starts_with(['+', '-']) {
        return Err(format!("`{text}` is not an offset such as +01:00"));
    }
    match TimeZone::get(text) {
        Ok(zone) => Ok(Arc::new(Named(zone))),
        Err(_) => Err(format!("this machine knows no time zone `{text}`")),
    }
}

fn offset(text: &str) -> Option<i32> {
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 14 && minutes < 60).then(|| sign * (i32::from(hours) * 60 + i32::from(minutes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, month: u8, hour: u8, expected: Option<i32>) {
        let local = LocalTime {
            year: 2026,
            month,
            day: 29,
            hour,
            minute: 30,
            second: 0,
        };
        let zone = named(zone).expect("a zone");
        assert_eq!(zone.offset_minutes(local), expected);
    }

    #[test]
    fn an_offset_is_that_of_the_day() {
        check("+05:30", 1, 12, Some(330));
        check("-03:00", 7, 12, Some(-180));
        assert!(named("Nowhere/Else").is_err());
        assert!(named("+1").is_err());
        if TimeZone::get("Europe/Berlin").is_err() {
            println!("not run: zones by name (no time zone data)");
            return;
        }
        check("Europe/Berlin", 1, 12, Some(60));
        check("Europe/Berlin", 7, 12, Some(120));
        // There is no half past two on the last Sunday of March.
        check("Europe/Berlin", 3, 2, Some(120));
    }

    #[test]
    fn a_change_of_the_clock_makes_a_time_come_twice_or_never() {
        let Ok(zone) = named("Europe/Berlin") else {
            println!("not run: zones by name (no time zone data)");
            return;
        };
        let at = |month, day, hour| {
            zone.change(LocalTime {
                year: 2026,
                month,
                day,
                hour,
                minute: 30,
                second: 0,
            })
        };
        assert_eq!(at(10, 25, 2), Some(ClockChange::Twice));
        assert_eq!(at(3, 29, 2), Some(ClockChange::Never));
        for (month, day, hour) in [(10, 25, 1), (10, 25, 3), (3, 29, 1), (3, 29, 3), (7, 1, 2)] {
            assert_eq!(at(month, day, hour), None);
        }
    }
}
