//! The proleptic Gregorian calendar of the years 1 to 9999, and its units.

pub(super) const NANOS_PER_SECOND: i128 = 1_000_000_000;
pub(super) const NANOS_PER_MINUTE: i128 = 60 * NANOS_PER_SECOND;
pub(super) const NANOS_PER_HOUR: i128 = 60 * NANOS_PER_MINUTE;
pub(super) const NANOS_PER_DAY: i128 = 24 * NANOS_PER_HOUR;

/// A duration of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CalendarUnit {
    /// `year`.
    Year,
    /// `month`.
    Month,
    /// `week`.
    Week,
    /// `day`.
    Day,
    /// `hour`.
    Hour,
    /// `minute`.
    Minute,
    /// `second`.
    Second,
    /// `millisecond`.
    Millisecond,
}

impl CalendarUnit {
    /// The unit written as a word, singular or plural.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "year" | "years" => Self::Year,
            "month" | "months" => Self::Month,
            "week" | "weeks" => Self::Week,
            "day" | "days" => Self::Day,
            "hour" | "hours" => Self::Hour,
            "minute" | "minutes" => Self::Minute,
            "second" | "seconds" => Self::Second,
            "millisecond" | "milliseconds" => Self::Millisecond,
            _ => return None,
        })
    }

    /// The word in the singular.
    pub fn word(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
            Self::Millisecond => "millisecond",
        }
    }

    /// The UCUM code of the same length; years and months are only roughly the same.
    pub fn ucum(self) -> &'static str {
        match self {
            Self::Year => "a",
            Self::Month => "mo",
            Self::Week => "wk",
            Self::Day => "d",
            Self::Hour => "h",
            Self::Minute => "min",
            Self::Second => "s",
            Self::Millisecond => "ms",
        }
    }

    /// Nanoseconds where the length is fixed, else none.
    pub(super) fn nanos(self) -> Option<i128> {
        Some(match self {
            Self::Year | Self::Month => return None,
            Self::Week => 7 * NANOS_PER_DAY,
            Self::Day => NANOS_PER_DAY,
            Self::Hour => NANOS_PER_HOUR,
            Self::Minute => NANOS_PER_MINUTE,
            Self::Second => NANOS_PER_SECOND,
            Self::Millisecond => 1_000_000,
        })
    }
}

fn leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days of a month; zero for a month that does not exist.
pub(crate) fn days_in(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap(year) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Days since 0001-01-01.
pub(super) fn days_before(year: u16, month: u8, day: u8) -> i64 {
    let past = i64::from(year) - 1;
    let months: i64 = (1..month).map(|m| i64::from(days_in(year, m))).sum();
    past * 365 + past / 4 - past / 100 + past / 400 + months + i64::from(day) - 1
}

/// The day that lies so many days after 0001-01-01.
pub(super) fn civil(days: i64) -> Option<(u16, u8, u8)> {
    if !(0..=days_before(9999, 12, 31)).contains(&days) {
        return None;
    }
    // At most one too early or too late; the loops settle it.
    let mut year = u16::try_from(days * 400 / 146_097 + 1).ok()?.min(9999);
    while year > 1 && days_before(year, 1, 1) > days {
        year -= 1;
    }
    while year < 9999 && days_before(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before(year, 1, 1);
    let mut month = 1;
    while rest >= i64::from(days_in(year, month)) {
        rest -= i64::from(days_in(year, month));
        month += 1;
    }
    Some((year, month, u8::try_from(rest + 1).ok()?))
}
