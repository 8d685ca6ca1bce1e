//! Dates, times and their precision.
//!
//! A [`Moment`] is a date or a date with time, known down to its [`Precision`]; what is finer is
//! unknown, not zero. A comparison that would need an unknown part has no result. Seconds and
//! their fraction are one precision. The calendar is the proleptic Gregorian, years 1 to 9999.
//!
//! This module reads no clock and knows no time zone but the offset that a value carries.

use std::cmp::Ordering;
use std::fmt;

use super::calendar::{
    CalendarUnit, NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_MINUTE, NANOS_PER_SECOND, civil,
    days_before, days_in,
};

const YEAR_MAX: i64 = 9999;
/// The offsets in use on earth, in minutes: a moment without offset lies between them.
const OFFSET_MIN: i32 = -12 * 60;
const OFFSET_MAX: i32 = 14 * 60;

/// Down to which part a date or time is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// The year only.
    Year,
    /// Year and month.
    Month,
    /// A calendar day.
    Day,
    /// The hour.
    Hour,
    /// Hour and minute.
    Minute,
    /// Seconds, with or without a fraction.
    Second,
}

/// A date or a date and time, with precision and offset.
///
/// Equality of the Rust type is equality of all parts; comparison as expressions see it is
/// [`Moment::compare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moment {
    pub(crate) year: u16,
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    /// Digits of the fraction as written.
    pub(crate) digits: u8,
    pub(crate) nanos: u32,
    pub(crate) precision: Precision,
    /// Minutes east of UTC.
    pub(crate) offset: Option<i16>,
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Time {
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) digits: u8,
    pub(crate) nanos: u32,
    pub(crate) precision: Precision,
}

impl Moment {
    /// A calendar day; `None` where the calendar has no such day.
    pub fn from_day(year: u16, month: u8, day: u8) -> Option<Self> {
        let moment = Self {
            year,
            month,
            day,
            precision: Precision::Day,
            ..Self::EPOCH
        };
        moment.valid().then_some(moment)
    }

    /// A point in time, in milliseconds since 1970 UTC, shown at `offset_minutes`.
    ///
    /// Years outside 1 to 9999 are clamped to them.
    pub fn from_unix_millis(millis: i64, offset_minutes: i16) -> Self {
        let local = i128::from(millis) * 1_000_000 + i128::from(offset_minutes) * NANOS_PER_MINUTE;
        let base = Self {
            precision: Precision::Second,
            digits: 3,
            offset: Some(offset_minutes),
            ..Self::EPOCH
        };
        let nanos = local + i128::from(days_before(1970, 1, 1)) * NANOS_PER_DAY;
        let last = (i128::from(days_before(9999, 12, 31)) + 1) * NANOS_PER_DAY - 1;
        base.at(nanos.clamp(0, last)).unwrap_or(base)
    }

    const EPOCH: Self = Self {
        year: 1970,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        digits: 0,
        nanos: 0,
        precision: Precision::Year,
        offset: None,
    };

    /// A blank to fill while parsing.
    pub(crate) fn blank() -> Self {
        Self::EPOCH
    }

    /// Down to which part the moment is known.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Minutes east of UTC, where the value says.
    pub fn offset_minutes(&self) -> Option<i16> {
        self.offset
    }

    /// Whether every part lies in its range.
    pub(crate) fn valid(&self) -> bool {
        (1..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= days_in(self.year, self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
            && self
                .offset
                .is_none_or(|o| (-14 * 60..=14 * 60).contains(&i32::from(o)))
    }

    /// The day part alone.
    pub fn to_date(&self) -> Self {
        Self {
            hour: 0,
            minute: 0,
            second: 0,
            digits: 0,
            nanos: 0,
            precision: self.precision.min(Precision::Day),
            offset: None,
            ..*self
        }
    }

    /// The time part, where the moment has one.
    pub fn to_time(&self) -> Option<Time> {
        (self.precision >= Precision::Hour).then_some(Time {
            hour: self.hour,
            minute: self.minute,
            second: self.second,
            digits: self.digits,
            nanos: self.nanos,
            precision: self.precision,
        })
    }

    /// Compares as far as both are known; `None` where the answer needs an unknown part.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        let timed = self.precision >= Precision::Hour && other.precision >= Precision::Hour;
        match (self.offset, other.offset) {
            (Some(a), Some(b)) if timed && a != b => self.utc()?.compare_parts(&other.utc()?),
            (Some(a), None) if timed => {
                let this = self.local_nanos() - i128::from(a) * NANOS_PER_MINUTE;
                compare_open(this, other.local_nanos())
            }
            (None, Some(b)) if timed => {
                let that = other.local_nanos() - i128::from(b) * NANOS_PER_MINUTE;
                compare_open(that, self.local_nanos()).map(Ordering::reverse)
            }
            _ => self.compare_parts(other),
        }
    }

    fn compare_parts(&self, other: &Self) -> Option<Ordering> {
        let mine = [
            self.year,
            self.month.into(),
            self.day.into(),
            self.hour.into(),
        ];
        let theirs = [
            other.year,
            other.month.into(),
            other.day.into(),
            other.hour.into(),
        ];
        let common = self.precision.min(other.precision);
        let parts = [
            Precision::Year,
            Precision::Month,
            Precision::Day,
            Precision::Hour,
        ];
        for ((a, b), part) in mine.iter().zip(&theirs).zip(parts) {
            if part > common {
                break;
            }
            match a.cmp(b) {
                Ordering::Equal => {}
                unequal => return Some(unequal),
            }
        }
        if common < Precision::Hour {
            return (self.precision == other.precision).then_some(Ordering::Equal);
        }
        compare_clock(
            (self.minute, self.second, self.nanos, self.precision),
            (other.minute, other.second, other.nanos, other.precision),
        )
    }

    fn utc(&self) -> Option<Self> {
        let shift = i128::from(self.offset.unwrap_or(0)) * NANOS_PER_MINUTE;
        Self {
            offset: Some(0),
            ..*self
        }
        .at(self.local_nanos() - shift)
    }

    /// Nanoseconds since the first day of year 1, on the value's own clock.
    fn local_nanos(&self) -> i128 {
        i128::from(days_before(self.year, self.month, self.day)) * NANOS_PER_DAY
            + i128::from(self.hour) * NANOS_PER_HOUR
            + i128::from(self.minute) * NANOS_PER_MINUTE
            + i128::from(self.second) * NANOS_PER_SECOND
            + i128::from(self.nanos)
    }

    /// The same precision and offset at another time of its own clock.
    fn at(&self, local_nanos: i128) -> Option<Self> {
        let days = i64::try_from(local_nanos.div_euclid(NANOS_PER_DAY)).ok()?;
        let within = local_nanos.rem_euclid(NANOS_PER_DAY);
        let (year, month, day) = civil(days)?;
        let seconds = within / NANOS_PER_SECOND;
        Some(Self {
            year,
            month,
            day,
            hour: u8::try_from(seconds / 3600).ok()?,
            minute: u8::try_from(seconds / 60 % 60).ok()?,
            second: u8::try_from(seconds % 60).ok()?,
            nanos: u32::try_from(within % NANOS_PER_SECOND).ok()?,
            ..*self
        })
    }

    /// Adds a whole amount of a calendar unit; `None` outside years 1 to 9999.
    ///
    /// A unit finer than the precision counts as the whole units of the precision that it makes
    /// up (a year has 12 months or 365 days, a month 30 days), as the specification has it.
    pub fn add(&self, amount: i64, unit: CalendarUnit) -> Option<Self> {
        let Some(unit_nanos) = unit.nanos() else {
            let months = if unit == CalendarUnit::Year {
                amount.checked_mul(12)?
            } else {
                amount
            };
            let months = if self.precision == Precision::Year {
                months / 12 * 12
            } else {
                months
            };
            return self.add_months(months);
        };
        let nanos = i128::from(amount).checked_mul(unit_nanos)?;
        let whole = |part: i128| nanos / part * part;
        match self.precision {
            Precision::Year => {
                let years = i64::try_from(nanos / (365 * NANOS_PER_DAY)).ok()?;
                self.add_months(years.checked_mul(12)?)
            }
            Precision::Month => self.add_months(i64::try_from(nanos / (30 * NANOS_PER_DAY)).ok()?),
            Precision::Day => self.at(self.local_nanos() + whole(NANOS_PER_DAY)),
            Precision::Hour => self.at(self.local_nanos() + whole(NANOS_PER_HOUR)),
            Precision::Minute => self.at(self.local_nanos() + whole(NANOS_PER_MINUTE)),
            Precision::Second => {
                let mut moved = self.at(self.local_nanos() + nanos)?;
                if unit == CalendarUnit::Millisecond {
                    moved.digits = moved.digits.max(3);
                }
                Some(moved)
            }
        }
    }

    fn add_months(&self, months: i64) -> Option<Self> {
        let total = i64::from(self.year) * 12 + i64::from(self.month) - 1;
        let total = total.checked_add(months)?;
        let year = total.div_euclid(12);
        if !(1..=YEAR_MAX).contains(&year) {
            return None;
        }
        let year = u16::try_from(year).ok()?;
        let month = u8::try_from(total.rem_euclid(12) + 1).ok()?;
        Some(Self {
            year,
            month,
            day: self.day.min(days_in(year, month)),
            ..*self
        })
    }
}

impl Time {
    /// Compares as far as both are known.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match self.hour.cmp(&other.hour) {
            Ordering::Equal => compare_clock(
                (self.minute, self.second, self.nanos, self.precision),
                (other.minute, other.second, other.nanos, other.precision),
            ),
            unequal => Some(unequal),
        }
    }

    /// Adds a whole amount of a unit, round the clock; `None` for units longer than an hour.
    pub fn add(&self, amount: i64, unit: CalendarUnit) -> Option<Self> {
        if unit < CalendarUnit::Hour {
            return None;
        }
        let moment = Moment {
            year: 2000,
            hour: self.hour,
            minute: self.minute,
            second: self.second,
            digits: self.digits,
            nanos: self.nanos,
            precision: self.precision,
            ..Moment::EPOCH
        };
        let day_ms = 24 * 3600 * 1000;
        let per_day = match unit {
            CalendarUnit::Hour => 24,
            CalendarUnit::Minute => 24 * 60,
            CalendarUnit::Second => 24 * 3600,
            _ => day_ms,
        };
        moment.add(amount % per_day, unit)?.to_time()
    }

    pub(crate) fn valid(&self) -> bool {
        self.hour < 24 && self.minute < 60 && self.second < 60
    }
}

type Clock = (u8, u8, u32, Precision);

/// Compares minutes and seconds where the hours are equal.
fn compare_clock(a: Clock, b: Clock) -> Option<Ordering> {
    let common = a.3.min(b.3);
    if common >= Precision::Minute && a.0 != b.0 {
        return Some(a.0.cmp(&b.0));
    }
    if common >= Precision::Second {
        return Some((a.1, a.2).cmp(&(b.1, b.2)));
    }
    (a.3 == b.3).then_some(Ordering::Equal)
}

/// Compares an instant with a local time whose offset is unknown.
fn compare_open(instant: i128, local: i128) -> Option<Ordering> {
    let earliest = local - i128::from(OFFSET_MAX) * NANOS_PER_MINUTE;
    let latest = local - i128::from(OFFSET_MIN) * NANOS_PER_MINUTE;
    if instant < earliest {
        Some(Ordering::Less)
    } else if instant > latest {
        Some(Ordering::Greater)
    } else {
        None
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if self.precision >= Precision::Month {
            write!(f, "-{:02}", self.month)?;
        }
        if self.precision >= Precision::Day {
            write!(f, "-{:02}", self.day)?;
        }
        if let Some(time) = self.to_time() {
            write!(f, "T{time}")?;
        }
        match self.offset {
            None => Ok(()),
            Some(0) => f.write_str("Z"),
            Some(offset) => {
                let sign = if offset < 0 { '-' } else { '+' };
                let minutes = offset.unsigned_abs();
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.hour)?;
        if self.precision >= Precision::Minute {
            write!(f, ":{:02}", self.minute)?;
        }
        if self.precision >= Precision::Second {
            write!(f, ":{:02}", self.second)?;
            if self.digits > 0 {
                let digits = usize::from(self.digits.min(9));
                let scaled = self.nanos / 10_u32.pow(9 - u32::from(self.digits.min(9)));
                write!(f, ".{scaled:0digits$}")?;
            }
        }
        Ok(())
    }
}
