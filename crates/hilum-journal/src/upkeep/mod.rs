//! Housekeeping: folding, rolling, opening ahead, dictionaries, pins, expiry, closing idle writers.
//!
//! One thread does it (and one indexes); nothing here is on the way of a message.

mod pin;
mod train;

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hilum_db::DbError;
use hilum_message::Failpoint;
use hilum_message::calendar::{date_of, days_of};

use crate::error::JournalError;
use crate::journal::Inner;
use crate::partition::ops::Op;
use crate::partition::{Partition, Role};
use crate::shared::Core;
use crate::state::ControlWrite;
pub(crate) use pin::{last_commit, open_rows, pin};

/// Time between two passes of the housekeeping. Messages do not wake it: a pass for each group
/// would cost more than it brings.
const PAUSE: Duration = Duration::from_millis(250);
/// Time between two passes of the indexer; searches scan what came since.
const INDEX_PAUSE: Duration = Duration::from_millis(100);
/// Time between two folds. Patients in the house change again and again: what changed since the last
/// fold is written once.
const FOLD_EVERY_MS: u64 = 30_000;
/// Values that have changed from which on they are folded before that.
pub(crate) const FOLD_FROM: usize = 65_536;
/// Time between two looks for partitions that are old enough to be pinned.
const PIN_EVERY_MS: u64 = 60_000;
/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 3_600_000;
/// Time before midnight from which on the next day's partition is opened ahead.
const AHEAD_MS: u64 = 10 * 60_000;
/// How long an expired value stays, so that a message that read it is not processed twice.
const EXPIRED_KEPT_MS: u64 = 60_000;

/// What housekeeping remembers between passes.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    pub(crate) train: train::Training,
    expired_ms: u64,
    folded_ms: u64,
    pinned_ms: u64,
    /// Passes since an old partition's writer was last used.
    idle: std::collections::HashMap<Arc<str>, u32>,
}

/// `journal-<utc-day>-<n>`; orders as partitions follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartitionName {
    /// Days since 1970.
    day: u64,
    number: u32,
}

impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(i64::try_from(self.day).unwrap_or_default());
        write!(f, "journal-{year:04}{month:02}{day:02}-{}", self.number)
    }
}

impl FromStr for PartitionName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (day, number) = text
            .strip_prefix("journal-")
            .and_then(|rest| rest.split_once('-'))
            .ok_or(())?;
        let part = |range| day.get(range).and_then(|part: &str| part.parse().ok());
        let (Some(year), Some(month), Some(of_month)) = (part(0..4), part(4..6), part(6..8)) else {
            return Err(());
        };
        let number = number.parse().map_err(|_| ())?;
        let name = Self {
            day: u64::try_from(days_of(year, month, of_month)).unwrap_or_default(),
            number,
        };
        if name.to_string() == text {
            Ok(name)
        } else {
            Err(())
        }
    }
}

/// The name of the partition after `last`.
pub(crate) fn next_name(core: &Core, last: Option<&PartitionName>) -> PartitionName {
    name_at(core.clock.now_ms() / DAY_MS, last)
}

fn name_at(today: u64, last: Option<&PartitionName>) -> PartitionName {
    match last {
        // A clock that was set back does not change the order of the files.
        Some(last) if last.day >= today => PartitionName {
            day: last.day,
            number: last.number.saturating_add(1),
        },
        _ => PartitionName {
            day: today,
            number: 0,
        },
    }
}

/// The last partition may go on as the open one.
pub(crate) fn still_fits(
    core: &Core,
    name: &PartitionName,
    partition: &Partition,
) -> Result<bool, DbError> {
    let path = partition.file().path();
    let bytes = core.files.len(path);
    let bytes = bytes.map_err(|error| DbError::io("look at", path, error))?;
    let fits = bytes.unwrap_or(0) < core.limits.partition_bytes_max;
    Ok(fits && name.day >= core.clock.now_ms() / DAY_MS)
}

/// Starts the housekeeping threads.
pub(crate) fn start_threads(inner: &Arc<Inner>) -> Result<Vec<JoinHandle<()>>, DbError> {
    type Work = fn(&Inner) -> Result<(), JournalError>;
    let spawn = |name: &str, inner: Arc<Inner>, work: Work, pause| {
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || run(&inner, work, pause))
            .map_err(|error| DbError::io("start a thread of", "journal".as_ref(), error))
    };
    Ok(vec![
        spawn("hilum-upkeep", inner.clone(), pass, PAUSE)?,
        spawn(
            "hilum-index",
            inner.clone(),
            crate::index::pass,
            INDEX_PAUSE,
        )?,
    ])
}

fn run(inner: &Inner, work: fn(&Inner) -> Result<(), JournalError>, pause: Duration) {
    let mut seen = 0;
    let mut failing = false;
    while !inner.core.wake.is_stopped() {
        match work(inner) {
            Ok(()) => failing = false,
            Err(error) => {
                if !failing {
                    tracing::error!(%error, "housekeeping failed, trying again");
                }
                failing = true;
            }
        }
        seen = inner.core.wake.wait(seen, pause);
    }
}

/// One pass.
pub(crate) fn pass(inner: &Inner) -> Result<(), JournalError> {
    let mut upkeep = inner.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
    inner.retry_kept()?;
    fold_if_due(inner, &mut upkeep)?;
    roll(inner)?;
    train::pass(inner, &mut upkeep.train)?;
    expire(inner, &mut upkeep)?;
    let now_ms = inner.core.clock.now_ms();
    if now_ms.abs_diff(upkeep.pinned_ms) >= PIN_EVERY_MS {
        pin::pass(inner)?;
        upkeep.pinned_ms = now_ms;
    }
    close_idle(inner, &mut upkeep);
    Ok(())
}

/// Folds when there is enough of it, or when it has waited.
fn fold_if_due(inner: &Inner, upkeep: &mut Upkeep) -> Result<(), JournalError> {
    let now_ms = inner.core.clock.now_ms();
    let waited = now_ms.abs_diff(upkeep.folded_ms) >= FOLD_EVERY_MS;
    if waited || inner.core.state.waiting() >= FOLD_FROM {
        fold(inner)?;
        upkeep.folded_ms = now_ms;
    }
    Ok(())
}

/// Folds everything that waits.
pub(crate) fn fold(inner: &Inner) -> Result<(), JournalError> {
    let state = &inner.core.state;
    let until = inner.core.sequence();
    while state.oldest_waiting().is_some_and(|oldest| oldest <= until) {
        let Some(fold) = state.begin_fold() else {
            break;
        };
        for (changes, reached) in fold.commits() {
            inner.control(ControlWrite::Fold { changes, reached })?;
        }
        state.end_fold(fold);
    }
    Ok(())
}

fn expire(inner: &Inner, upkeep: &mut Upkeep) -> Result<(), JournalError> {
    let now_ms = inner.core.clock.now_ms();
    if now_ms < upkeep.expired_ms.saturating_add(EXPIRED_KEPT_MS) {
        return Ok(());
    }
    upkeep.expired_ms = now_ms;
    let before_ms = now_ms.saturating_sub(EXPIRED_KEPT_MS);
    inner.control(ControlWrite::Expire { before_ms })?;
    Ok(())
}

/// Opens the next partition ahead, and makes it the open one when the day or the size is full.
fn roll(inner: &Inner) -> Result<(), JournalError> {
    let Some(open) = inner.open_partition() else {
        return Ok(());
    };
    let Ok(name) = open.name().parse::<PartitionName>() else {
        return Ok(());
    };
    let core = &inner.core;
    let limits = &core.limits;
    let now_ms = core.clock.now_ms();
    let (today, soon) = (now_ms / DAY_MS, (now_ms + AHEAD_MS) / DAY_MS);
    let bytes = open.shared.bytes();
    let ahead_bytes = limits.partition_bytes_max / 100 * limits.open_ahead_percent;
    let damaged = open.shared.damaged.load(Ordering::Relaxed);
    let full = bytes >= limits.partition_bytes_max || today > name.day || damaged;
    let is_ahead = inner.read_partitions().next.is_some();
    if !is_ahead && (full || bytes >= ahead_bytes || soon > name.day) {
        let next = name_at(if full { today } else { soon }, Some(&name));
        let next = Arc::new(Partition::new(core, &next.to_string()));
        next.start(Role::Open)?;
        for (channel, dictionary) in core.codecs.all_current() {
            next.urgent(Op::Dictionary {
                channel,
                dictionary,
            })?;
        }
        inner.write_partitions().next = Some(next);
    }
    // A partition without messages is as good as the next one, whatever its day.
    if full && open.shared.last() >= open.shared.first() {
        switch(inner, &open);
    }
    Ok(())
}

fn switch(inner: &Inner, open: &Partition) {
    let mut partitions = inner.write_partitions();
    let Some(next) = partitions.next.take() else {
        return;
    };
    if let Some(writer) = open.writer() {
        writer.close_lanes();
        next.shared.set_predecessor(writer.lanes_idle());
    }
    Failpoint::Roll.reach();
    tracing::info!(from = %open.name(), to = %next.name(), "rolled to the next partition");
    partitions.list.push(next);
}

/// Passes without work after which the writer of an old partition is closed.
const IDLE_PASSES: u32 = 20;

fn close_idle(inner: &Inner, upkeep: &mut Upkeep) {
    let old: Vec<Arc<Partition>> = {
        let partitions = inner.read_partitions();
        partitions.list.iter().rev().skip(1).cloned().collect()
    };
    for partition in old {
        if partition.writer().is_none() {
            upkeep.idle.remove(partition.name());
            continue;
        }
        let passes = upkeep.idle.entry(partition.name().clone()).or_default();
        if partition.shared.touched.swap(false, Ordering::Relaxed) {
            *passes = 0;
        } else {
            *passes += 1;
        }
        if *passes > IDLE_PASSES {
            partition.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_names_follow_the_calendar() {
        for (day, expected) in [
            (0, "journal-19700101-0"),
            (19_782, "journal-20240229-0"),
            (19_783, "journal-20240301-0"),
            (20_818, "journal-20261231-0"),
        ] {
            let name = PartitionName { day, number: 0 };
            assert_eq!(name.to_string(), expected);
            assert_eq!(expected.parse(), Ok(name));
        }
        for wrong in [
            "journal-20240230-0",
            "journal-2024-0",
            "journal-20240229",
            "pinned",
            "journal-20240229-00",
        ] {
            assert!(wrong.parse::<PartitionName>().is_err(), "{wrong}");
        }
        let last = PartitionName { day: 5, number: 2 };
        assert_eq!(name_at(5, Some(&last)).number, 3);
        assert_eq!(name_at(4, Some(&last)).day, 5, "a clock set back");
        assert_eq!(name_at(6, Some(&last)).number, 0);
    }
}
