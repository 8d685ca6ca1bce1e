//! Times of HL7 v2 (HL7 v2.5.1 §2.A.22) as a clock on the wall shows them, with the offset that they say.

use hilum_message::calendar;

/// A time that was read. What it leaves out is its beginning: a day alone is its midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Year, month, day, hour, minute and second.
    pub local: [u16; 6],
    /// Milliseconds of the second.
    pub milliseconds: u16,
    /// Minutes east of UTC that it says.
    pub offset_minutes: Option<i32>,
    /// It goes as far as minutes.
    pub has_minutes: bool,
}

impl Stamp {
    /// Reads a time; `None` where it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (local, offset) = match text.find(['+', '-']) {
            Some(at) => (text.get(..at)?, text.get(at..)),
            None => (text, None),
        };
        let (whole, fraction) = local.split_once('.').unwrap_or((local, ""));
        if whole.len() < 4 || whole.len() > 14 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = |from: usize, to: usize, default: u16| match whole.get(from..to) {
            Some(digits) => digits.parse().ok(),
            None => Some(default),
        };
        let [year, month, day] = [number(0, 4, 0)?, number(4, 6, 1)?, number(6, 8, 1)?];
        let [hour, minute, second] = [number(8, 10, 0)?, number(10, 12, 0)?, number(12, 14, 0)?];
        let length = calendar::days_in(year.into(), month.into());
        if !(1..=12).contains(&month) || i64::from(day) > length || day == 0 || hour > 23 {
            return None;
        }
        Some(Self {
            local: [year, month, day, hour, minute, second],
            milliseconds: milliseconds(fraction)?,
            offset_minutes: match offset {
                Some(offset) => Some(offset_minutes(offset)?),
                None => None,
            },
            has_minutes: whole.len() >= 12,
        })
    }

    /// The seconds from 1970-01-01T00:00 to what the clock on the wall shows.
    #[must_use]
    pub fn local_s(&self) -> i64 {
        let [year, month, day, hour, minute, second] = self.local.map(i64::from);
        let days = calendar::days_of(year, month, day);
        ((days * 24 + hour) * 60 + minute) * 60 + second
    }

    /// The moment in Unix milliseconds, so many minutes east of UTC.
    #[must_use]
    pub fn unix_ms(&self, offset_minutes: i32) -> i64 {
        let seconds = self.local_s() - i64::from(offset_minutes) * 60;
        seconds * 1_000 + i64::from(self.milliseconds)
    }
}

/// The first three digits behind the point; those that are not there are zeros.
fn milliseconds(fraction: &str) -> Option<u16> {
    let mut found = 0;
    for at in 0..3 {
        let digit = fraction.as_bytes().get(at).copied().unwrap_or(b'0');
        found = found * 10 + u16::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some(found)
}

/// `+0100`, in minutes.
fn offset_minutes(text: &str) -> Option<i32> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let hours: i32 = text.get(1..3)?.parse().ok()?;
    let minutes: i32 = text.get(3..5)?.parse().ok()?;
    (text.len() == 5 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::Stamp;

    #[test]
    fn a_time_is_read_as_far_as_it_goes() {
        for (text, expected) in [
            ("20260101", Some(1_767_225_600_000)),
            ("20260101000000.5", Some(1_767_225_600_500)),
            ("20260101000000.0789", Some(1_767_225_600_078)),
            ("20260101000000.1x", None),
            ("20260101000000+0000", Some(1_767_225_600_000)),
            ("202601010000-0500", Some(1_767_243_600_000)),
            ("2026", Some(1_767_225_600_000)),
            ("20261301", None),
            ("20260230", None),
            ("2026010125", None),
            ("20260101000000+01", None),
            ("yesterday", None),
            ("", None),
        ] {
            let read = Stamp::read(text);
            let moment = read.map(|read| read.unix_ms(read.offset_minutes.unwrap_or(0)));
            assert_eq!(moment, expected, "{text}");
        }
        let minutes = |text| Stamp::read(text).is_some_and(|read| read.has_minutes);
        assert!(minutes("202601010000") && !minutes("2026010100"));
    }
}
