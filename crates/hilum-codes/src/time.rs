//! Dates of rows, without a clock: days are days of UTC.

use hilum_message::calendar::{date_of, days_in, days_of};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// When a row counts; an open side has no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From this moment on, Unix milliseconds.
    pub from_ms: i64,
    /// Until before this moment, Unix milliseconds.
    pub until_ms: i64,
}

impl Default for Span {
    fn default() -> Self {
        Self {
            from_ms: i64::MIN,
            until_ms: i64::MAX,
        }
    }
}

impl Span {
    /// The moment lies within it.
    #[must_use]
    pub fn holds(&self, at_ms: u64) -> bool {
        let at = i64::try_from(at_ms).unwrap_or(i64::MAX - 1);
        self.from_ms <= at && at < self.until_ms
    }

    /// The two have a moment in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.from_ms < other.until_ms && other.from_ms < self.until_ms
    }

    /// Reads `from` and `until`; an empty text is an open side. A day stands for its whole, so
    /// that a row `until` a day still counts on it. The error says which is wrong and why.
    pub(crate) fn read(from: &str, until: &str) -> Result<Self, String> {
        let mut span = Self::default();
        if !from.is_empty() {
            span.from_ms = moment(from).ok_or_else(|| wrong("from"))?.start_ms;
        }
        if !until.is_empty() {
            span.until_ms = moment(until).ok_or_else(|| wrong("until"))?.end_ms;
        }
        if span.from_ms >= span.until_ms {
            return Err("`until` lies before `from`".to_owned());
        }
        Ok(span)
    }
}

fn wrong(column: &str) -> String {
    format!(
        "`{column}` is a day such as 2026-11-20, or a moment with its zone such as \
         2026-11-20T06:00+01:00"
    )
}

struct Moment {
    start_ms: i64,
    /// Of a day its end, of a moment itself.
    end_ms: i64,
}

fn moment(text: &str) -> Option<Moment> {
    let (day, time) = match text.split_once('T') {
        None => (text, None),
        Some((day, time)) => (day, Some(time)),
    };
    let start_ms = days(day)?.checked_mul(DAY_MS)?;
    let Some(time) = time else {
        return Some(Moment {
            start_ms,
            end_ms: start_ms + DAY_MS,
        });
    };
    let at = start_ms + clock(time)?;
    Some(Moment {
        start_ms: at,
        end_ms: at,
    })
}

/// `YYYY-MM-DD` as a day since 1970-01-01; days that no calendar has are none.
pub(crate) fn days(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    (1..=days_in(year, month))
        .contains(&day)
        .then(|| days_of(year, month, day))
}

/// The UTC day of a moment in Unix milliseconds, as `YYYY-MM-DD`.
#[must_use]
pub fn day_of(at_ms: u64) -> String {
    let (year, month, day) = date_of(i64::try_from(at_ms).unwrap_or(i64::MAX) / DAY_MS);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `HH:MM[:SS]` with `Z` or an offset, as milliseconds since the midnight of UTC.
fn clock(text: &str) -> Option<i64> {
    let (time, offset) = match text.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => {
            let at = text.rfind(['+', '-'])?;
            let (time, offset) = text.split_at_checked(at)?;
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            (
                time,
                sign * (within(hours, 14)? * 60 + within(minutes, 59)?),
            )
        }
    };
    let mut parts = time.split(':');
    let (hours, minutes) = (within(parts.next()?, 23)?, within(parts.next()?, 59)?);
    let seconds = parts.next().map_or(Some(0), |text| within(text, 59))?;
    if parts.next().is_some() {
        return None;
    }
    Some((((hours * 60 + minutes - offset) * 60) + seconds) * 1_000)
}

fn within(text: &str, max: i64) -> Option<i64> {
    (text.len() == 2)
        .then(|| number(text))?
        .filter(|number| *number <= max)
}

fn number(text: &str) -> Option<i64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_as_a_whole_and_a_moment_exactly() {
        let span = Span::read("1970-01-02", "1970-01-02").unwrap();
        assert_eq!((span.from_ms, span.until_ms), (DAY_MS, 2 * DAY_MS));
        assert!(span.holds(86_400_000) && span.holds(172_799_999));
        assert!(!span.holds(86_399_999) && !span.holds(172_800_000));
        let span = Span::read("1970-01-01T01:00+01:00", "1970-01-01T00:00:05Z").unwrap();
        assert_eq!((span.from_ms, span.until_ms), (0, 5_000));
        assert!(Span::default().holds(0) && Span::default().holds(u64::MAX));
    }

    #[test]
    fn what_no_calendar_has_is_no_day() {
        for wrong in [
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "20260101",
            "2026-01-00",
            "2026-01-01T10:00",
            "2026-01-01T24:00Z",
            "2026-01-01Tx",
            "2026-01-01T10:00+1",
            "+026-01-01",
            "2026-01-01T",
        ] {
            assert!(Span::read(wrong, "").is_err(), "{wrong}");
        }
        assert!(Span::read("2024-02-29", "2023-01-01").is_err());
    }

    #[test]
    fn days_are_written_as_they_are_read() {
        for (text, day) in [
            ("1970-01-01", 0),
            ("2000-02-29", 11_016),
            ("2026-11-22", 20_779),
        ] {
            assert_eq!(days(text), Some(day));
            assert_eq!(day_of(u64::try_from(day * DAY_MS).unwrap()), text);
        }
    }
}
