//! Reading dates and times from text: the ISO 8601 forms of FHIRPath and the packed forms of HL7 v2.
//!
//! Both readers take the whole text or nothing and check that the day exists.

use super::moment::{Moment, Precision, Time};

/// Fractions of a second are kept to nanoseconds; further digits are dropped.
const FRACTION_DIGITS_MAX: u8 = 9;

/// What an ISO text turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Iso {
    /// Without a `T`.
    Date(Moment),
    /// With a `T`, even if nothing follows it.
    DateTime(Moment),
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl Reader<'_> {
    fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn number(&mut self, digits: usize) -> Option<u16> {
        let (head, rest) = self.rest.split_at_checked(digits)?;
        let mut value = 0_u16;
        for byte in head {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value.checked_mul(10)?.checked_add(u16::from(byte - b'0'))?;
        }
        self.rest = rest;
        Some(value)
    }

    fn two(&mut self) -> Option<u8> {
        self.number(2).and_then(|n| u8::try_from(n).ok())
    }

    fn at_digit(&self) -> bool {
        self.rest.first().is_some_and(u8::is_ascii_digit)
    }

    /// The digits of a fraction, as nanoseconds and their count.
    fn fraction(&mut self) -> Option<(u32, u8)> {
        let (mut nanos, mut digits) = (0_u32, 0_u8);
        while let Some((&byte, rest)) = self.rest.split_first() {
            if !byte.is_ascii_digit() {
                break;
            }
            if digits < FRACTION_DIGITS_MAX {
                nanos = nanos * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            self.rest = rest;
        }
        if digits == 0 {
            return None;
        }
        Some((
            nanos * 10_u32.pow(u32::from(FRACTION_DIGITS_MAX - digits)),
            digits,
        ))
    }

    /// `Z`, `+hh:mm` or `+hhmm`; none where no sign follows.
    fn offset(&mut self) -> Option<Option<i16>> {
        if self.take(b'Z') {
            return Some(Some(0));
        }
        let sign = if self.take(b'+') {
            1
        } else if self.take(b'-') {
            -1
        } else {
            return Some(None);
        };
        let hours = self.number(2)?;
        self.take(b':');
        let minutes = self.number(2)?;
        if minutes > 59 {
            return None;
        }
        Some(Some(sign * i16::try_from(hours * 60 + minutes).ok()?))
    }

    /// `hh[:mm[:ss[.fff]]]`, or without colons.
    fn clock(&mut self, colons: bool) -> Option<Time> {
        let mut time = Time {
            hour: self.two()?,
            minute: 0,
            second: 0,
            digits: 0,
            nanos: 0,
            precision: Precision::Hour,
        };
        let more = |r: &mut Self| if colons { r.take(b':') } else { r.at_digit() };
        if more(self) {
            time.minute = self.two()?;
            time.precision = Precision::Minute;
            if more(self) {
                time.second = self.two()?;
                time.precision = Precision::Second;
                if self.take(b'.') {
                    (time.nanos, time.digits) = self.fraction()?;
                }
            }
        }
        time.valid().then_some(time)
    }
}

impl Moment {
    fn with_clock(self, time: Time) -> Self {
        Self {
            hour: time.hour,
            minute: time.minute,
            second: time.second,
            digits: time.digits,
            nanos: time.nanos,
            precision: time.precision,
            ..self
        }
    }
}

/// Reads `2024`, `2024-05`, `2024-05-01`, with or without `T` and what may follow it.
pub(crate) fn iso(text: &str) -> Option<Iso> {
    let mut reader = Reader {
        rest: text.as_bytes(),
    };
    let mut moment = Moment {
        year: reader.number(4)?,
        ..Moment::blank()
    };
    if reader.take(b'-') {
        moment.month = reader.two()?;
        moment.precision = Precision::Month;
        if reader.take(b'-') {
            moment.day = reader.two()?;
            moment.precision = Precision::Day;
        }
    }
    let timed = reader.take(b'T');
    if timed && !reader.rest.is_empty() {
        if moment.precision < Precision::Day {
            return None;
        }
        moment = moment.with_clock(reader.clock(true)?);
        moment.offset = reader.offset()?;
    }
    if !reader.rest.is_empty() || !moment.valid() {
        return None;
    }
    Some(if timed {
        Iso::DateTime(moment)
    } else {
        Iso::Date(moment)
    })
}

/// Reads `14`, `14:30`, `14:30:15.25`.
pub(crate) fn iso_time(text: &str) -> Option<Time> {
    let mut reader = Reader {
        rest: text.as_bytes(),
    };
    let time = reader.clock(true)?;
    reader.rest.is_empty().then_some(time)
}

/// Reads the packed form of HL7 v2: `2024`, `202401`, `20240131`, `202401311530+0100`.
pub(crate) fn packed(text: &str) -> Option<Moment> {
    let mut reader = Reader {
        rest: text.as_bytes(),
    };
    let mut moment = Moment {
        year: reader.number(4)?,
        ..Moment::blank()
    };
    if reader.at_digit() {
        moment.month = reader.two()?;
        moment.precision = Precision::Month;
    }
    if moment.precision == Precision::Month && reader.at_digit() {
        moment.day = reader.two()?;
        moment.precision = Precision::Day;
    }
    if moment.precision == Precision::Day && reader.at_digit() {
        moment = moment.with_clock(reader.clock(false)?);
    }
    // HL7 v2.5.1 §2.A.77 allows an offset behind a date; only a time can use it.
    let offset = reader.offset()?;
    if moment.precision >= Precision::Hour {
        moment.offset = offset;
    }
    (reader.rest.is_empty() && moment.valid()).then_some(moment)
}

/// Reads the packed time of HL7 v2: `14`, `1430`, `143015.25`, an offset is checked and dropped.
pub(crate) fn packed_time(text: &str) -> Option<Time> {
    let mut reader = Reader {
        rest: text.as_bytes(),
    };
    let time = reader.clock(false)?;
    reader.offset()?;
    reader.rest.is_empty().then_some(time)
}
