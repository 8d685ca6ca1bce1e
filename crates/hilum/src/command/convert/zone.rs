//! Time zones for a conversion, from the system's tables.

use std::sync::Arc;

use anyhow::{Context, bail};
use hilum_convert::{FixedZone, LocalTime, Zone};
use jiff::tz::TimeZone;

#[derive(Debug)]
struct Named(TimeZone);

impl Zone for Named {
    fn offset_minutes(&self, local: LocalTime) -> Option<i32> {
        let LocalTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = local;
        let year = i16::try_from(year).ok()?;
        let small = |part: u8| i8::try_from(part).ok();
        let civil = jiff::civil::DateTime::new(
            year,
            small(month)?,
            small(day)?,
            small(hour)?,
            small(minute)?,
            small(second)?,
            0,
        );
        // Of a time that is there twice, the first; of one that is not there, the offset before.
        let zoned = self.0.to_ambiguous_zoned(civil.ok()?).compatible().ok()?;
        Some(zoned.offset().seconds() / 60)
    }
}

/// A zone by its name, or an offset.
pub(super) fn named(text: &str) -> anyhow::Result<Arc<dyn Zone>> {
    if let Some(minutes) = offset(text) {
        return Ok(Arc::new(FixedZone(minutes)));
    }
    if text.starts_with(['+', '-']) {
        bail!("`{text}` is not an offset such as +01:00");
    }
    let zone =
        TimeZone::get(text).with_context(|| format!("this machine knows no time zone `{text}`"))?;
    Ok(Arc::new(Named(zone)))
}

fn offset(text: &str) -> Option<i32> {
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}
