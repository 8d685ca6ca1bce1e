//! What a system declares of the identifiers and times that it sends.

use std::sync::Arc;

use hilum_component::{SystemInfo, UnknownPatient};
use hilum_convert::{LocalTime, Zone};
use hilum_hl7v2::Part;
use hilum_identity::Identifier;
use hilum_message::calendar;

/// A sender's habits.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    /// Its file, if one is known.
    pub(super) system: Option<Arc<SystemInfo>>,
    /// The zone of times without an offset.
    pub(super) zone: Option<Arc<dyn Zone>>,
}

impl Sender {
    /// What is done about patients that nobody knows.
    pub(super) fn unknown(&self) -> UnknownPatient {
        self.system
            .as_ref()
            .map(|system| system.unknown_patient)
            .unwrap_or_default()
    }

    /// An extended composite id (HL7 v2.5.1 §2.A.14): number, authority and type. `kind` is that of
    /// accounts and visits, whatever the message calls them.
    pub(super) fn extended(&self, part: &Part<'_>, kind: Option<&str>) -> Option<Identifier> {
        let value = part.said(&[1])?;
        let (name, oid) = (part.said(&[4, 1]), part.said(&[4, 2]));
        let said = part.said(&[5]);
        let declared = self.declared(name.as_deref(), oid.as_deref(), kind.or(said.as_deref()));
        let authority = declared
            .map(|authority| authority.name.clone())
            .or(name)
            .or(oid)
            .unwrap_or_default();
        let kind = kind
            .map(str::to_owned)
            .or(said)
            .or_else(|| declared?.kind.clone())
            .unwrap_or_default();
        Some(Identifier::new(value, authority, kind))
    }

    /// The declared authority of a name or object identifier; without both the only one declared
    /// for that type.
    fn declared(
        &self,
        name: Option<&str>,
        oid: Option<&str>,
        kind: Option<&str>,
    ) -> Option<&hilum_component::Authority> {
        let all = &self.system.as_ref()?.identifiers;
        let named = |authority: &&hilum_component::Authority| {
            name.is_some_and(|name| {
                name == authority.name || Some(name) == authority.oid.as_deref()
            }) || (oid.is_some() && oid == authority.oid.as_deref())
        };
        if name.is_some() || oid.is_some() {
            let of_kind = |authority: &&hilum_component::Authority| {
                named(authority) && authority.kind.as_deref() == kind
            };
            return all.iter().find(of_kind).or_else(|| all.iter().find(named));
        }
        let mut fitting = all.iter().filter(|authority| {
            kind.is_none() || authority.kind.is_none() || authority.kind.as_deref() == kind
        });
        let only = fitting.next()?;
        fitting.next().is_none().then_some(only)
    }

    /// An entity identifier (HL7 v2.5.1 §2.A.28) of an order. `None` without an authority: a number
    /// alone is that of many orders.
    pub(super) fn entity(&self, part: &Part<'_>, kind: &str) -> Option<Identifier> {
        let value = part.said(&[1])?;
        let (name, oid) = (part.said(&[2]), part.said(&[3]));
        let declared = self.declared(name.as_deref(), oid.as_deref(), Some(kind));
        let authority = match declared {
            Some(authority) => authority.name.clone(),
            None => name.or(oid)?,
        };
        Some(Identifier::new(value, authority, kind))
    }

    /// A time of HL7 v2 (HL7 v2.5.1 §2.A.22) in Unix milliseconds; what it leaves out is its
    /// beginning.
    pub(super) fn time_ms(&self, text: &str) -> Option<i64> {
        let (local, offset) = match text.find(['+', '-']) {
            Some(at) => (text.get(..at)?, text.get(at..)),
            None => (text, None),
        };
        let (whole, fraction) = local.split_once('.').unwrap_or((local, ""));
        if whole.len() < 4 || whole.len() > 14 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = |from: usize, to: usize, default: u32| match whole.get(from..to) {
            Some(digits) => digits.parse().ok(),
            None => Some(default),
        };
        let (month, day) = (number(4, 6, 1)?, number(6, 8, 1)?);
        let (hour, minute, second) = (number(8, 10, 0)?, number(10, 12, 0)?, number(12, 14, 0)?);
        let year: u32 = whole.get(..4)?.parse().ok()?;
        let length = calendar::days_in(year.into(), month.into());
        if !(1..=12).contains(&month) || i64::from(day) > length || day == 0 || hour > 23 {
            return None;
        }
        let minutes = match offset {
            Some(offset) => offset_minutes(offset)?,
            None => self
                .zone
                .as_ref()
                .and_then(|zone| {
                    zone.offset_minutes(LocalTime {
                        year: year.try_into().ok()?,
                        month: month.try_into().ok()?,
                        day: day.try_into().ok()?,
                        hour: hour.try_into().ok()?,
                        minute: minute.try_into().ok()?,
                        second: second.try_into().ok()?,
                    })
                })
                .unwrap_or(0),
        };
        let days = calendar::days_of(year.into(), month.into(), day.into());
        let seconds = ((days * 24 + i64::from(hour)) * 60 + i64::from(minute) - i64::from(minutes))
            * 60
            + i64::from(second);
        let ms = format!("{fraction:0<3}").get(..3)?.parse::<i64>().ok()?;
        Some(seconds * 1000 + ms)
    }
}

fn offset_minutes(text: &str) -> Option<i32> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let hours: i32 = text.get(1..3)?.parse().ok()?;
    let minutes: i32 = text.get(3..5)?.parse().ok()?;
    (text.len() == 5 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(zone: &str) -> Sender {
        Sender {
            system: None,
            zone: Some(crate::zone::named(zone).unwrap()),
        }
    }

    #[test]
    fn a_time_is_an_instant_in_the_zone_of_the_field_else_of_the_system() {
        for (text, expected) in [
            ("20260101", Some(1_767_222_000_000)),
            ("20260101000000.5", Some(1_767_222_000_500)),
            ("20260101000000+0000", Some(1_767_225_600_000)),
            ("202601010000-0500", Some(1_767_243_600_000)),
            ("2026", Some(1_767_222_000_000)),
            ("20261301", None),
            ("20260230", None),
            ("2026010125", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(sender("+01:00").time_ms(text), expected, "{text}");
        }
    }
}
