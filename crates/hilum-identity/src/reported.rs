//! What was reported of the observations of an order, and what a new report makes of them.

use std::rc::Rc;

use hilum_message::SourceTime;

use crate::aside::Aside;
use crate::identifier::Identifier;
use crate::record::{Memory, Order, Unreadable, read, write};
use crate::results::{Next, ObservationKey, Ruling, Status, next};
use crate::time::Time;

/// The observations of an order, each by a digest of its key, with how it was last reported: status,
/// time, and a digest of its value; sorted, in the row of the order.
type Reported = Vec<(u64, Status, Time, u64)>;

/// Observations of one order that are remembered; of further ones nobody says what may follow.
pub const OBSERVATIONS_MAX: usize = 2_000;

/// An observation as a message reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Which one of its order.
    pub key: ObservationKey,
    /// How it stands.
    pub status: Status,
    /// A digest of what it says ([`digest`]).
    pub value: u64,
}

/// Whether somebody has decided that the report is to be carried out as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// Nobody has.
    No,
    /// A person released the message.
    Yes,
}

/// Takes in what a message reports of an order: for each observation what it becomes.
pub fn report(
    memory: &mut dyn Memory,
    order: &Identifier,
    observations: &[Observation],
    as_of: SourceTime,
    vouched: Vouched,
) -> Result<Vec<Next>, Unreadable> {
    let key = order.key();
    let row: Rc<Order> = read(memory, &key)?.unwrap_or_default();
    let mut reported: Reported = row.results.read::<_, Order>()?;
    let (mut all, mut changed) = (Vec::with_capacity(observations.len()), false);
    for observation in observations {
        let name = name(&observation.key);
        let place = reported.binary_search_by_key(&name, |known| known.0);
        let last = place.ok().and_then(|place| reported.get(place));
        let last = last.map(|&(_, status, at, value)| (status, SourceTime::from(at), value));
        let same = last.is_some_and(|(_, _, value)| value == observation.value);
        // Sent before, and not reported after: a correction may keep the time of the report that it
        // corrects, and one of two reports may lack that time.
        let late =
            last.is_some_and(|(_, at, _)| as_of.at_ms <= at.at_ms && as_of.sent_ms < at.sent_ms);
        let mut becomes = next(last.map(|last| last.0), observation.status, same, late);
        if vouched == Vouched::Yes && !matches!(becomes.ruling, Ruling::Legal) {
            becomes = Next {
                status: observation.status,
                ruling: Ruling::Legal,
            };
        }
        if matches!(becomes.ruling, Ruling::Legal | Ruling::Flagged(_)) {
            let newest = last.map_or(as_of, |(_, at, _)| SourceTime {
                at_ms: at.at_ms.max(as_of.at_ms),
                sent_ms: at.sent_ms.max(as_of.sent_ms),
                sequence: as_of.sequence,
            });
            let now = (name, becomes.status, newest.into(), observation.value);
            match place {
                Ok(place) => reported.get_mut(place).into_iter().for_each(|known| {
                    changed |= *known != now;
                    *known = now;
                }),
                Err(place) if reported.len() < OBSERVATIONS_MAX => {
                    changed = true;
                    reported.insert(place, now);
                }
                Err(_) => {}
            }
        }
        all.push(becomes);
    }
    if changed {
        let row = Order {
            results: Aside::of(&reported),
            ..Order::clone(&row)
        };
        write(memory, &key, row);
    }
    Ok(all)
}

fn name(key: &ObservationKey) -> u64 {
    let time = key.time.as_deref().unwrap_or_default();
    let parts = [&*key.code, &*key.sub, time];
    digest(parts.iter().map(|part| part.as_bytes()))
}

/// A digest that is the same on every machine and release (FNV-1a, 64 bits); each part counts with its
/// end.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |byte: u8| {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    };
    for part in parts {
        part.iter().copied().for_each(&mut take);
        take(0xff);
    }
    hash
}
