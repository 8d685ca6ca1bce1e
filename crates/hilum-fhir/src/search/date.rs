//! Dates as ranges of time.

const DAY_MS: i64 = 86_400_000;

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is their last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let era = year.div_euclid(400);
    let year = year.rem_euclid(400);
    let day = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
}

struct Reader<'t>(&'t [u8]);

impl Reader<'_> {
    fn take(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        let mut value = 0;
        for byte in head {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i64::from(byte - b'0');
        }
        self.0 = rest;
        Some(value)
    }

    /// The digits of a fraction of a second: the milliseconds, and how long the last digit is.
    fn fraction(&mut self) -> (i64, i64) {
        let (mut ms, mut unit) = (0, 1000);
        while let Some((byte @ b'0'..=b'9', rest)) = self.0.split_first() {
            if unit > 1 {
                unit /= 10;
                ms += i64::from(byte - b'0') * unit;
            }
            self.0 = rest;
        }
        (ms, unit)
    }

    /// The offset from UTC; 0 where none is written.
    fn offset_ms(&mut self) -> Option<i64> {
        let sign = match self.0.split_first() {
            None => return Some(0),
            Some((b'Z', [])) => {
                self.0 = &[];
                return Some(0);
            }
            Some((b'+', rest)) => {
                self.0 = rest;
                1
            }
            Some((b'-', rest)) => {
                self.0 = rest;
                -1
            }
            Some(_) => return None,
        };
        let hours = self.number(2)?;
        self.take(b':');
        Some(sign * (hours * 60 + self.number(2)?) * 60_000)
    }
}

/// The time that a date, dateTime or instant of any precision stands for, half open, in
/// milliseconds since 1970 UTC (`2024-05` is the month). Also reads what searches write: a time
/// without seconds or zone. `None` for what is no date.
#[must_use]
pub fn date_range_ms(text: &str) -> Option<(i64, i64)> {
    let mut reader = Reader(text.as_bytes());
    let year = reader.number(4)?;
    if !reader.take(b'-') {
        let whole = reader.0.is_empty();
        return whole.then(|| (days(year, 1, 1) * DAY_MS, days(year + 1, 1, 1) * DAY_MS));
    }
    let month = reader.number(2).filter(|month| (1..=12).contains(month))?;
    let (next_year, next_month) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    let end_of_month = days(next_year, next_month, 1);
    if !reader.take(b'-') {
        let whole = reader.0.is_empty();
        return whole.then(|| (days(year, month, 1) * DAY_MS, end_of_month * DAY_MS));
    }
    let day = days(year, month, reader.number(2).filter(|day| *day > 0)?);
    if day >= end_of_month {
        return None;
    }
    if !reader.take(b'T') {
        let whole = reader.0.is_empty();
        return whole.then_some((day * DAY_MS, (day + 1) * DAY_MS));
    }
    let hour = reader.number(2).filter(|hour| *hour < 24)?;
    if !reader.take(b':') {
        return None;
    }
    let minute = reader.number(2).filter(|minute| *minute < 60)?;
    let mut start = day * DAY_MS + (hour * 60 + minute) * 60_000;
    let mut length = 60_000;
    if reader.take(b':') {
        start += reader.number(2).filter(|second| *second <= 60)? * 1000;
        length = 1000;
        if reader.take(b'.') {
            let (ms, unit) = reader.fraction();
            start += ms;
            length = unit;
        }
    }
    start -= reader.offset_ms()?;
    reader.0.is_empty().then_some((start, start + length))
}

/// The first millisecond of an instant (`meta.lastUpdated`).
#[must_use]
pub fn instant_ms(text: &str) -> Option<i64> {
    date_range_ms(text).map(|(start, _)| start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_precision_is_the_time_it_leaves_open() {
        let check = |text: &str, expected: Option<(i64, i64)>| {
            assert_eq!(date_range_ms(text), expected, "{text}");
        };
        check("1970", Some((0, 365 * DAY_MS)));
        check("1970-02", Some((31 * DAY_MS, 59 * DAY_MS)));
        check(
            "2000-12",
            Some((978_220_800_000 - 30 * DAY_MS, 978_307_200_000)),
        );
        check("2024-02-29", Some((1_709_164_800_000, 1_709_251_200_000)));
        check("1969-12-31", Some((-DAY_MS, 0)));
        check("1970-01-01T01:00Z", Some((3_600_000, 3_660_000)));
        check("1970-01-01T01:00:02Z", Some((3_602_000, 3_603_000)));
        check("1970-01-01T01:00:00+01:00", Some((0, 1000)));
        check("1970-01-01T00:00:00.5-00:30", Some((1_800_500, 1_800_600)));
        check("1970-01-01T00:00:00.1239Z", Some((123, 124)));
        for wrong in [
            "",
            "197",
            "1970-13",
            "1970-02-29",
            "1970-01-01T",
            "1970-01-01T25:00Z",
            "x",
        ] {
            check(wrong, None);
        }
        assert_eq!(instant_ms("1970-01-01T00:00:01.234Z"), Some(1234));
    }
}
