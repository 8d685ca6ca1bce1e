//! Times of HL7 v2 (DTM, TS, DT, TM: HL7 v2.5.1 §2A.2.22) as times of FHIR, with the precision that
//! they have.

use hilum_message::calendar::{date_of, days_of};

use crate::settings::{ClockChange, LocalTime, Zone};

/// A time that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time<'t> {
    year: u16,
    /// 0 where it ends before.
    month: u8,
    day: u8,
    /// Hour and minute, and the second where it is there.
    clock: Option<(u8, u8, u8)>,
    /// Digits behind the point of the second.
    fraction: &'t str,
    /// Minutes ahead of UTC.
    offset: Option<i32>,
}

/// What has to be known for times without an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock<'z> {
    /// That of MSH-7.
    pub(crate) offset: Option<i32>,
    pub(crate) zone: Option<&'z dyn Zone>,
}

/// A time in the form of FHIR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Whole(String),
    /// The time of day was left out, because nobody knows its offset; the zone has one, but the clock
    /// shows the time twice or never.
    DateOnly(String, Option<ClockChange>),
}

fn digits(text: &str, from: usize, count: usize) -> Option<u16> {
    let part = text.get(from..from + count)?;
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    part.parse().ok()
}

fn two(text: &str, from: usize) -> Option<u8> {
    u8::try_from(digits(text, from, 2)?).ok()
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

/// `+0100`, as minutes.
fn offset(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = (two(text, 1)?, two(text, 3)?);
    // The widest offset that FHIR writes.
    if text.len() != 5 || minutes > 59 || hours > 14 || (hours == 14 && minutes > 0) {
        return None;
    }
    Some(sign * (i32::from(hours) * 60 + i32::from(minutes)))
}

/// Hour, minute, second and fraction; 24:00 and leap seconds are refused, because no time of FHIR
/// means the same everywhere.
fn clock(text: &str) -> Option<((u8, u8, u8), &str)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) || fraction.len() > 9 {
        return None;
    }
    let (minute, second) = match whole.len() {
        2 => (0, 0),
        4 => (two(whole, 2)?, 0),
        6 => (two(whole, 2)?, two(whole, 4)?),
        _ => return None,
    };
    let hour = two(whole, 0)?;
    (hour < 24 && minute < 60 && second < 60).then_some(((hour, minute, second), fraction))
}

impl<'t> Time<'t> {
    /// Reads a DTM; `None` where it is none.
    pub(crate) fn read(text: &'t str) -> Option<Self> {
        let text = text.trim();
        let zone = text.find(['+', '-']).unwrap_or(text.len());
        let (body, zone) = text.split_at_checked(zone)?;
        let offset = if zone.is_empty() {
            None
        } else {
            Some(offset(zone)?)
        };
        let year = digits(body, 0, 4).filter(|year| *year > 0)?;
        let mut time = Self {
            year,
            month: 0,
            day: 0,
            clock: None,
            fraction: "",
            offset,
        };
        if body.len() == 4 {
            return Some(time);
        }
        time.month = two(body, 4).filter(|month| (1..=12).contains(month))?;
        if body.len() == 6 {
            return Some(time);
        }
        time.day = two(body, 6).filter(|day| (1..=days_in(year, time.month)).contains(day))?;
        if body.len() == 8 {
            return Some(time);
        }
        let (clock, fraction) = clock(body.get(8..)?)?;
        time.clock = Some(clock);
        time.fraction = fraction;
        Some(time)
    }

    /// The offset that it names itself.
    pub(crate) const fn offset(&self) -> Option<i32> {
        self.offset
    }

    /// Its date, as far as it goes.
    pub(crate) fn date(&self) -> String {
        // `2026-01-02T03:04:05.678+01:00` fits.
        let mut out = String::with_capacity(32);
        let (century, year) = (self.year / 100, self.year % 100);
        for part in [century, year] {
            push_two(u8::try_from(part).unwrap_or(0), &mut out);
        }
        for part in [self.month, self.day] {
            if part == 0 {
                break;
            }
            out.push('-');
            push_two(part, &mut out);
        }
        out
    }

    /// A dateTime of FHIR. Minutes and seconds that are not there are written as zero, because a
    /// time of FHIR has both.
    pub(crate) fn date_time(&self, clock: Clock<'_>) -> Written {
        let Some((hour, minute, second)) = self.clock else {
            return Written::Whole(self.date());
        };
        let local = LocalTime {
            year: self.year,
            month: self.month,
            day: self.day,
            hour,
            minute,
            second,
        };
        let offset = match (self.offset.or(clock.offset), clock.zone) {
            (Some(offset), _) => Some(offset),
            (None, Some(zone)) => {
                if let Some(change) = zone.change(local) {
                    return Written::DateOnly(self.date(), Some(change));
                }
                zone.offset_minutes(local)
            }
            (None, None) => None,
        };
        let Some(offset) = offset else {
            return Written::DateOnly(self.date(), None);
        };
        let mut out = self.date();
        out.push('T');
        push_clock((hour, minute, second), self.fraction, &mut out);
        push_offset(offset, &mut out);
        Written::Whole(out)
    }

    /// The moment, in milliseconds since 1970: the first of what is not told more exactly. Where nobody
    /// knows the offset it is taken as UTC, which compares right with others of the same clock.
    pub(crate) fn unix_ms(&self, clock: Clock<'_>) -> i64 {
        let (month, day) = (self.month.max(1), self.day.max(1));
        let (hour, minute, second) = self.clock.unwrap_or_default();
        let local = LocalTime {
            year: self.year,
            month,
            day,
            hour,
            minute,
            second,
        };
        let zoned = || clock.zone.and_then(|zone| zone.offset_minutes(local));
        let offset = self.offset.or(clock.offset).or_else(zoned).unwrap_or(0);
        let days = days_of(i64::from(self.year), i64::from(month), i64::from(day));
        let minutes = days * 1440 + i64::from(hour) * 60 + i64::from(minute) - i64::from(offset);
        let digits = self.fraction.get(..3).unwrap_or(self.fraction);
        let scale = 10_i64.pow(3 - u32::try_from(digits.len()).unwrap_or(3));
        let fraction = digits.parse::<i64>().unwrap_or(0) * scale;
        minutes * 60_000 + i64::from(second) * 1_000 + fraction
    }

    /// The same time so many minutes later, with the same offset.
    pub(crate) fn plus_minutes(&self, minutes: i64) -> Option<Self> {
        let (hour, minute, second) = self.clock?;
        let day = days_of(
            i64::from(self.year),
            i64::from(self.month),
            i64::from(self.day),
        );
        let total = day
            .checked_mul(1440)?
            .checked_add(i64::from(hour) * 60 + i64::from(minute))?
            .checked_add(minutes)?;
        let (year, month, day) = date_of(total.div_euclid(1440));
        let rest = total.rem_euclid(1440);
        Some(Self {
            year: u16::try_from(year)
                .ok()
                .filter(|year| (1..=9999).contains(year))?,
            month: u8::try_from(month).ok()?,
            day: u8::try_from(day).ok()?,
            clock: Some((
                u8::try_from(rest / 60).ok()?,
                u8::try_from(rest % 60).ok()?,
                second,
            )),
            ..*self
        })
    }
}

/// A number below a hundred, as two digits.
fn push_two(number: u8, out: &mut String) {
    out.push(char::from(b'0' + number / 10 % 10));
    out.push(char::from(b'0' + number % 10));
}

fn push_clock((hour, minute, second): (u8, u8, u8), fraction: &str, out: &mut String) {
    push_two(hour, out);
    for part in [minute, second] {
        out.push(':');
        push_two(part, out);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
}

fn push_offset(offset: i32, out: &mut String) {
    if offset == 0 {
        out.push('Z');
        return;
    }
    out.push(if offset < 0 { '-' } else { '+' });
    let minutes = offset.unsigned_abs();
    // Offsets are fourteen hours at most.
    push_two(u8::try_from(minutes / 60).unwrap_or(0), out);
    out.push(':');
    push_two(u8::try_from(minutes % 60).unwrap_or(0), out);
}

/// A time of day of FHIR from TM.
pub(crate) fn time_of_day(text: &str) -> Option<String> {
    let text = text.trim();
    let body = text.split(['+', '-']).next()?;
    let (whole, fraction) = clock(body).filter(|_| body.len() >= 4)?;
    let mut out = String::with_capacity(18);
    push_clock(whole, fraction, &mut out);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::FixedZone;

    #[test]
    fn precision_stays_and_offsets_come_from_the_nearest_place() {
        let zone = FixedZone(-300);
        let check = |text: &str, msh: Option<i32>, zone: Option<&dyn Zone>, expected: &str| {
            let clock = Clock { offset: msh, zone };
            let time = Time::read(text).expect(text);
            let text = match time.date_time(clock) {
                Written::Whole(text) => text,
                Written::DateOnly(text, _) => format!("{text} only"),
            };
            assert_eq!(text, expected);
        };
        check("2024", None, None, "2024");
        check("202402", None, None, "2024-02");
        check("20240229", None, None, "2024-02-29");
        check(
            "20240229101530.1250+0530",
            None,
            Some(&zone),
            "2024-02-29T10:15:30.1250+05:30",
        );
        check(
            "202402291015",
            Some(60),
            Some(&zone),
            "2024-02-29T10:15:00+01:00",
        );
        check("2024022910", None, Some(&zone), "2024-02-29T10:00:00-05:00");
        check("20240229101530+0000", None, None, "2024-02-29T10:15:30Z");
        check("20240229101530", None, None, "2024-02-29 only");
    }

    #[test]
    fn moments_follow_the_offset_that_is_known() {
        let check = |text: &str, msh: Option<i32>, expected: i64| {
            let clock = Clock {
                offset: msh,
                zone: None,
            };
            let time = Time::read(text).expect(text);
            assert_eq!(time.unix_ms(clock), expected, "{text}");
        };
        check("19700101", None, 0);
        check("197001010100+0100", None, 0);
        check("19700101000001.25", None, 1_250);
        check("1970010100", Some(-60), 3_600_000);
        check("19700101000000.1239", None, 123);
        check("1971", None, 365 * 86_400_000);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "0000",
            "00000000",
            "202413",
            "20230229",
            "2024022924",
            "20240229240000",
            "20240229235960",
            "20240229101",
            "2024-02-29",
            "20240229101530+1430",
            "abcd",
            "2024022910153030",
        ] {
            assert_eq!(Time::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn minutes_are_added_over_days_and_years() {
        let check = |text: &str, minutes: i64, expected: &str| {
            let time = Time::read(text)
                .and_then(|time| time.plus_minutes(minutes))
                .expect(text);
            let clock = Clock {
                offset: Some(0),
                zone: None,
            };
            assert_eq!(time.date_time(clock), Written::Whole(expected.to_owned()));
        };
        check("202312312350", 15, "2024-01-01T00:05:00Z");
        check("202402282300", 120, "2024-02-29T01:00:00Z");
        check("202403010000", -1, "2024-02-29T23:59:00Z");
    }

    #[test]
    fn times_of_day() {
        assert_eq!(time_of_day("0830").as_deref(), Some("08:30:00"));
        assert_eq!(time_of_day("083015.5+0100").as_deref(), Some("08:30:15.5"));
        assert_eq!(time_of_day("08"), None);
        assert_eq!(time_of_day("2400"), None);
    }
}
