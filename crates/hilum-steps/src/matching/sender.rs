//! What a system declares of the identifiers and times that it sends.

use std::borrow::Cow;
use std::sync::Arc;

use hilum_component::{SystemInfo, UnknownPatient};
use hilum_convert::{ClockChange, LocalTime, Zone};
use hilum_hl7v2::Part;
use hilum_hl7v2::time::Stamp;
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
        let authority = declared.map(|authority| &*authority.name);
        let authority = authority.or(name.as_deref()).or(oid.as_deref());
        let kind = kind
            .or(said.as_deref())
            .or_else(|| declared?.kind.as_deref());
        let (authority, kind) = (authority.unwrap_or_default(), kind.unwrap_or_default());
        Some(Identifier::new(&*value, authority, kind))
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
        self.named([1, 2, 3].map(|n| part.said(&[n])), kind)
    }

    /// One of a pair of entity identifiers (HL7 v2.5.1 §2.A.27): the placer's is the first, the
    /// filler's the second.
    pub(super) fn entity_of_pair(
        &self,
        part: &Part<'_>,
        which: u32,
        kind: &str,
    ) -> Option<Identifier> {
        self.named([1, 2, 3].map(|n| part.said(&[which, n])), kind)
    }

    fn named(
        &self,
        [value, name, oid]: [Option<Cow<'_, str>>; 3],
        kind: &str,
    ) -> Option<Identifier> {
        let declared = self.declared(name.as_deref(), oid.as_deref(), Some(kind));
        let authority = declared.map(|authority| &*authority.name);
        let authority = authority.or(name.as_deref()).or(oid.as_deref())?;
        Some(Identifier::new(&*value?, authority, kind))
    }

    /// A time as an instant. In the hour that a change of the clock repeats, a time without an offset is
    /// one of two: of those that are not after the arrival, the only one, else neither.
    pub(super) fn time(&self, text: &str, arrived_ms: i64) -> Option<Told> {
        let stamp = Stamp::read(text)?;
        let known = |ms| Told {
            ms,
            is_doubtful: false,
        };
        if let Some(offset) = stamp.offset_minutes {
            return Some(known(stamp.unix_ms(offset)));
        }
        let Some(zone) = self.zone.as_deref() else {
            return Some(known(stamp.unix_ms(0)));
        };
        let local = local(stamp.local)?;
        let first = zone.offset_minutes(local).unwrap_or(0);
        Some(match zone.change(local) {
            None => known(stamp.unix_ms(first)),
            // The clock shows no such time.
            Some(ClockChange::Never) => Told {
                ms: stamp.unix_ms(first),
                is_doubtful: true,
            },
            Some(ClockChange::Twice) => match set_back(zone, &stamp, first) {
                Some((_, second_ms)) if second_ms > arrived_ms + AHEAD_MS => {
                    known(stamp.unix_ms(first))
                }
                // All that may be of either hour are of one time, so that the order of arrival decides.
                Some((at_ms, _)) => Told {
                    ms: at_ms,
                    is_doubtful: true,
                },
                None => Told {
                    ms: stamp.unix_ms(first),
                    is_doubtful: true,
                },
            },
        })
    }
}

/// How far the clock of a sender may be ahead.
const AHEAD_MS: i64 = 300_000;

/// The longest that a clock was ever set back, in minutes.
const BACK_MAX: i64 = 24 * 60;

/// A time that a message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Unix milliseconds.
    pub(super) ms: i64,
    /// A change of the clock makes it two instants, or none.
    pub(super) is_doubtful: bool,
}

/// When the clock was set back, and the time in the repeated hour, both in Unix milliseconds.
fn set_back(zone: &dyn Zone, stamp: &Stamp, first: i32) -> Option<(i64, i64)> {
    let start_s = stamp.local_s().div_euclid(60) * 60;
    for minutes in 1..=BACK_MAX {
        let behind_s = start_s + minutes * 60;
        let after = of_seconds(behind_s)?;
        if zone.change(after).is_none() {
            let second = zone.offset_minutes(after)?;
            let at_ms = (behind_s - i64::from(first) * 60) * 1_000;
            return Some((at_ms, stamp.unix_ms(second)));
        }
    }
    None
}

fn of_seconds(local_s: i64) -> Option<LocalTime> {
    let (year, month, day) = calendar::date_of(local_s.div_euclid(86_400));
    let second = local_s.rem_euclid(86_400);
    let parts = [
        year,
        month,
        day,
        second / 3_600,
        second / 60 % 60,
        second % 60,
    ];
    let mut small = [0; 6];
    for (to, part) in small.iter_mut().zip(parts) {
        *to = u16::try_from(part).ok()?;
    }
    local(small)
}

fn local([year, month, day, hour, minute, second]: [u16; 6]) -> Option<LocalTime> {
    Some(LocalTime {
        year,
        month: month.try_into().ok()?,
        day: day.try_into().ok()?,
        hour: hour.try_into().ok()?,
        minute: minute.try_into().ok()?,
        second: second.try_into().ok()?,
    })
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
            let told = sender("+01:00").time(text, i64::MAX - AHEAD_MS);
            assert_eq!(told.map(|told| told.ms), expected, "{text}");
        }
    }

    #[test]
    fn a_time_in_the_repeated_hour_is_known_only_while_the_second_one_is_to_come() {
        if crate::zone::named("Europe/Berlin").is_err() {
            println!("not run: zones by name (no time zone data)");
            return;
        }
        let sender = sender("Europe/Berlin");
        let minutes = |of: i64| 1_792_886_400_000 + of * 60_000;
        // 2026-10-25T00:00Z is two o'clock in summer, and an hour later it is two o'clock again.
        for (text, arrived, expected, is_doubtful) in [
            ("20261025013000", 300, -30, false),
            ("20261025023000", 30, 30, false),
            ("20261025023000", 84, 30, false),
            ("20261025023000", 85, 60, true),
            ("20261025023000", 300, 60, true),
            ("20261025020500", 300, 60, true),
            ("20261025023000+0200", 300, 30, false),
            ("20261025023000+0100", 300, 90, false),
            ("20261025030000", 300, 120, false),
            ("20260329023000", 300, -302_370, true),
        ] {
            let told = sender.time(text, minutes(arrived)).unwrap();
            assert_eq!(
                (told.ms, told.is_doubtful),
                (minutes(expected), is_doubtful),
                "{text}"
            );
        }
    }
}
