//! How far the clocks of systems that send are off.
//!
//! A message may have waited with its sender, so a clock is judged by the freshest message of the last
//! half hour, by its first receipt: what comes over a topic counts as what came then, and of a replay of
//! something old nobody learns anything new. Nothing is kept over a restart; the next message says it again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hilum_component::{ClockReading, Processed};
use serde::Serialize;

/// Minutes of which the freshest message counts.
const MINUTES: u32 = 30;
const MINUTE_MS: u64 = 60_000;

/// How far the clock of a system is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClockSkew {
    /// The system.
    pub system: Arc<str>,
    /// Seconds by which its clock is ahead of this one; negative if it is behind, or if even the
    /// freshest of its messages had waited so long.
    pub skew_s: i64,
    /// How far it may be off, in milliseconds.
    pub skew_max_ms: u64,
}

impl ClockSkew {
    /// It is off by more than it may be.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.skew_s.unsigned_abs().saturating_mul(1_000) > self.skew_max_ms
    }
}

/// The clocks of all systems that have sent something.
#[derive(Debug, Default)]
pub(crate) struct SenderClocks(RwLock<BTreeMap<Arc<str>, Freshest>>);

impl SenderClocks {
    /// Notes what a message says of the clock of its sender, and what its parts say.
    pub(crate) fn note(&self, processed: &Processed) {
        if let Some(reading) = &processed.clock {
            self.one(reading);
        }
        for part in &processed.children {
            self.note(part);
        }
    }

    fn one(&self, reading: &ClockReading) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(freshest) = known.get(&reading.system) {
            return freshest.note(reading);
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let freshest = known.entry(Arc::clone(&reading.system)).or_default();
        freshest.note(reading);
    }

    /// The clocks of the systems that have sent something in the last half hour.
    pub(crate) fn all(&self, now_ms: u64) -> Vec<ClockSkew> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let skew = |(system, freshest): (&Arc<str>, &Freshest)| {
            Some(ClockSkew {
                system: Arc::clone(system),
                skew_s: -i64::from(freshest.behind_s(now_ms)?),
                skew_max_ms: freshest.skew_max_ms.load(Ordering::Relaxed),
            })
        };
        known.iter().filter_map(skew).collect()
    }
}

/// The freshest message of each of the last minutes: the minute in the upper half, the seconds that the
/// message lay behind its receipt in the lower one.
#[derive(Debug, Default)]
struct Freshest {
    minutes: [AtomicU64; MINUTES as usize],
    skew_max_ms: AtomicU64,
}

impl Freshest {
    fn note(&self, reading: &ClockReading) {
        let skew_max_ms = reading.skew_max.0;
        if self.skew_max_ms.load(Ordering::Relaxed) != skew_max_ms {
            self.skew_max_ms.store(skew_max_ms, Ordering::Relaxed);
        }
        let seconds = reading.behind_ms / 1_000;
        let seconds = seconds.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
        let Ok(behind_s) = i32::try_from(seconds) else {
            return;
        };
        let minute = minute(reading.received_ms);
        let Some(place) = self.minutes.get((minute % MINUTES) as usize) else {
            return;
        };
        let fresher = |seen: u64| {
            let (of, seen_s) = unpack(seen);
            let is_fresher = of < minute || (of == minute && behind_s < seen_s);
            is_fresher.then(|| pack(minute, behind_s))
        };
        // Of a minute that has a fresher message already, or is over half an hour before, nothing is written.
        place
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fresher)
            .ok();
    }

    fn behind_s(&self, now_ms: u64) -> Option<i32> {
        let now = minute(now_ms);
        let seen = self.minutes.iter();
        let seen = seen.map(|place| unpack(place.load(Ordering::Relaxed)));
        let recent = seen.filter(|(of, _)| *of > 0 && now.saturating_sub(*of) < MINUTES);
        recent.map(|(_, behind_s)| behind_s).min()
    }
}

fn minute(at_ms: u64) -> u32 {
    u32::try_from(at_ms / MINUTE_MS).unwrap_or(u32::MAX)
}

fn pack(minute: u32, behind_s: i32) -> u64 {
    u64::from(minute) << 32 | u64::from(behind_s.cast_unsigned())
}

fn unpack(packed: u64) -> (u32, i32) {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
    (half(packed >> 32), half(packed).cast_signed())
}

#[cfg(test)]
mod tests {
    use hilum_component::Millis;

    use super::*;

    const BEGIN_MS: u64 = 1_800_000_000_000;

    /// What is known of a system at a minute, after messages (minute, seconds behind).
    fn check(messages: &[(u64, i64)], at: u64, expected: Option<(i64, bool)>) {
        let clocks = SenderClocks::default();
        for (minute, behind_s) in messages {
            let reading = ClockReading {
                system: "lab".into(),
                behind_ms: behind_s * 1_000,
                received_ms: BEGIN_MS + minute * MINUTE_MS,
                skew_max: Millis(300_000),
            };
            clocks.one(&reading);
        }
        let found = clocks.all(BEGIN_MS + at * MINUTE_MS);
        let found: Vec<_> = found
            .iter()
            .map(|clock| (clock.skew_s, clock.is_off()))
            .collect();
        assert_eq!(
            found,
            expected.into_iter().collect::<Vec<_>>(),
            "{messages:?}"
        );
    }

    #[test]
    fn a_clock_is_as_far_off_as_the_freshest_message_of_half_an_hour() {
        check(&[], 0, None);
        check(&[(0, 300)], 0, Some((-300, false)));
        check(&[(0, 301)], 0, Some((-301, true)));
        check(&[(0, -300)], 0, Some((300, false)));
        check(&[(0, -301)], 0, Some((301, true)));
        check(&[(0, 900), (0, 2), (0, 800)], 0, Some((-2, false)));
        check(&[(0, 2), (29, 900)], 29, Some((-2, false)));
        check(&[(0, 2), (29, 900)], 30, Some((-900, true)));
        check(&[(0, 2)], 30, None);
        check(&[(0, 2), (30, 900)], 30, Some((-900, true)));
        // What came first half an hour ago and is processed again.
        check(&[(30, 900), (0, 2)], 30, Some((-900, true)));
        check(&[(30, 900), (0, 2)], 60, None);
        check(
            &[(0, i64::MAX / 1_000)],
            0,
            Some((-i64::from(i32::MAX), true)),
        );
    }
}
