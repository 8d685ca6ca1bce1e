//! `lowBoundary`, `highBoundary` and `precision`: what a value of limited precision may stand for.

use rust_decimal::{Decimal, RoundingStrategy};

use crate::value::{Moment, Precision, Quantity, Time, Value, days_in};

/// Digits of a boundary where the expression does not say.
const DECIMAL_DIGITS: i64 = 8;
const DATE_DIGITS: i64 = 8;
const DATE_TIME_DIGITS: i64 = 17;
const TIME_DIGITS: i64 = 9;
/// Most digits behind the point that a decimal holds.
const SCALE_MAX: u32 = 28;
/// The offsets at which a local time comes first and last on earth, in minutes.
const EARLIEST_OFFSET: i16 = 14 * 60;
const LATEST_OFFSET: i16 = -12 * 60;
const MILLIS_NANOS: u32 = 1_000_000;

/// Which end of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Low,
    High,
}

/// The boundary with so many digits; `None` where the value has none or the digits make no sense.
pub(super) fn boundary<'t>(value: &Value<'t>, end: End, digits: Option<i64>) -> Option<Value<'t>> {
    match value {
        Value::Integer(n) => decimal((*n).into(), end, digits).map(Value::Decimal),
        Value::Decimal(d) => decimal(*d, end, digits).map(Value::Decimal),
        Value::Quantity(q) => {
            let value = decimal(q.value, end, digits)?;
            Some(Value::Quantity(Box::new(Quantity {
                value,
                unit: q.unit.clone(),
            })))
        }
        Value::Date(m) => moment(m, end, digits.unwrap_or(DATE_DIGITS)).map(|m| {
            if m.precision() <= Precision::Day {
                Value::Date(m)
            } else {
                Value::DateTime(m)
            }
        }),
        Value::DateTime(m) => {
            moment(m, end, digits.unwrap_or(DATE_TIME_DIGITS)).map(Value::DateTime)
        }
        Value::Time(t) => time(t, end, digits.unwrap_or(TIME_DIGITS)).map(Value::Time),
        Value::Boolean(_) | Value::String(_) | Value::Type(_) => None,
    }
}

/// Half a unit of the last digit away. Towards zero the result is cut, away from it rounded, as
/// the official suite has it.
fn decimal(value: Decimal, end: End, digits: Option<i64>) -> Option<Decimal> {
    let digits = u32::try_from(digits.unwrap_or(DECIMAL_DIGITS)).ok()?;
    if digits > SCALE_MAX || value.scale() >= SCALE_MAX {
        return None;
    }
    let half = Decimal::new(5, value.scale() + 1);
    let exact = match end {
        End::Low => value.checked_sub(half)?,
        End::High => value.checked_add(half)?,
    };
    let strategy = if exact.abs() > value.abs() {
        RoundingStrategy::MidpointAwayFromZero
    } else {
        RoundingStrategy::ToZero
    };
    let mut result = exact.round_dp_with_strategy(digits, strategy);
    result.rescale(digits);
    (result.scale() == digits).then_some(result)
}

fn date_precision(digits: i64) -> Option<Precision> {
    Some(match digits {
        4 => Precision::Year,
        6 => Precision::Month,
        8 => Precision::Day,
        10 => Precision::Hour,
        12 => Precision::Minute,
        14 | 17 => Precision::Second,
        _ => return None,
    })
}

fn moment(from: &Moment, end: End, digits: i64) -> Option<Moment> {
    let precision = date_precision(digits)?;
    let mut to = *from;
    if from.precision < Precision::Month {
        to.month = if end == End::Low { 1 } else { 12 };
    }
    if from.precision < Precision::Day {
        to.day = if end == End::Low {
            1
        } else {
            days_in(to.year, to.month)
        };
    }
    // FHIR has no hour without minutes: such a time counts as the full hour.
    let known = if from.precision == Precision::Hour {
        Precision::Minute
    } else {
        from.precision
    };
    let start = Time {
        hour: from.hour,
        minute: from.minute,
        second: from.second,
        digits: from.digits,
        nanos: from.nanos,
        precision: known,
    };
    let clock = clock(&start, end, known, millis(digits));
    to = Moment {
        hour: clock.hour,
        minute: clock.minute,
        second: clock.second,
        digits: clock.digits,
        nanos: clock.nanos,
        precision,
        ..to
    };
    if precision < Precision::Hour {
        return Some(Moment {
            precision,
            ..to.to_date()
        });
    }
    to.offset = from.offset.or(Some(match end {
        End::Low => EARLIEST_OFFSET,
        End::High => LATEST_OFFSET,
    }));
    Some(cut(to))
}

fn time(from: &Time, end: End, digits: i64) -> Option<Time> {
    let precision = match digits {
        2 => Precision::Hour,
        4 => Precision::Minute,
        6 | 9 => Precision::Second,
        _ => return None,
    };
    let mut to = clock(from, end, from.precision, millis(digits + 8));
    to.precision = precision;
    Some(to)
}

/// Whether so many digits of a date and time include the milliseconds.
fn millis(digits: i64) -> bool {
    digits == DATE_TIME_DIGITS
}

/// Fills the unknown parts of a clock with their least or greatest value.
fn clock(from: &Time, end: End, known: Precision, millis: bool) -> Time {
    let mut to = *from;
    let high = end == End::High;
    if known < Precision::Hour {
        to.hour = if high { 23 } else { 0 };
    }
    if known < Precision::Minute {
        to.minute = if high { 59 } else { 0 };
    }
    if known < Precision::Second {
        to.second = if high { 59 } else { 0 };
        to.nanos = if high { 999 * MILLIS_NANOS } else { 0 };
    } else if high && from.digits < 3 {
        // The digits that are not written may all be nines.
        let step = 10_u32.pow(9 - u32::from(from.digits));
        to.nanos = from.nanos + step - MILLIS_NANOS;
    }
    to.digits = if millis { 3 } else { 0 };
    to.nanos = if millis {
        to.nanos / MILLIS_NANOS * MILLIS_NANOS
    } else {
        0
    };
    to
}

/// Zeroes what lies below the precision.
fn cut(mut moment: Moment) -> Moment {
    if moment.precision < Precision::Second {
        (moment.second, moment.nanos, moment.digits) = (0, 0, 0);
    }
    if moment.precision < Precision::Minute {
        moment.minute = 0;
    }
    moment
}

/// Digits of the value: behind the point, or of the date or time.
pub(super) fn precision(value: &Value<'_>) -> Option<i64> {
    let clock = |precision, digits: u8| match precision {
        Precision::Year => 4,
        Precision::Month => 6,
        Precision::Day => 8,
        Precision::Hour => 10,
        Precision::Minute => 12,
        Precision::Second if digits > 0 => 14 + i64::from(digits),
        Precision::Second => 14,
    };
    match value {
        Value::Integer(_) => Some(0),
        Value::Decimal(d) => Some(i64::from(d.scale())),
        Value::Quantity(q) => Some(i64::from(q.value.scale())),
        Value::Date(m) | Value::DateTime(m) => Some(clock(m.precision, m.digits)),
        Value::Time(t) => Some(clock(t.precision, t.digits) - 8),
        Value::Boolean(_) | Value::String(_) | Value::Type(_) => None,
    }
}
