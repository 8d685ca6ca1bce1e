//! What a start finds, and what survived of a commit that failed.

use std::collections::HashMap;
use std::sync::Arc;

use hilum_db::rusqlite::{Connection, params};
use hilum_db::{DbError, Doing};
use hilum_message::{Accepted, MessageId};

use crate::model::{CommittedMessage, DeliveryState, Disposition, PendingDelivery, Resend};
use crate::partition::PartitionShared;
use crate::read::{HEADER_COLUMNS, StoredMessage, deliveries_of, header_from};
use crate::shared::Core;
use crate::state::{ChangeOf, Timer, unfolded_of};

/// What was found at start.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The last stop was not in order: a file's log had to be recovered.
    pub unclean: bool,
    /// Pending deliveries per channel and destination, with their bytes.
    pub pending: HashMap<(Arc<str>, Arc<str>), Backlog>,
    /// Those of them that keep an earlier place in the order than their commit sequence gives.
    pub placed: Vec<PendingDelivery>,
    /// Messages that are held, oldest first.
    pub holds: Vec<StoredMessage>,
    /// Messages stored as received and not processed, in commit order.
    pub received: Vec<StoredMessage>,
    /// Batches of which the end is not stored, oldest first.
    pub open_batches: Vec<StoredMessage>,
    /// Timers that are due.
    pub timers: Vec<Timer>,
    /// Messages of the last minutes by which repetitions are recognised, oldest first.
    pub resends: Vec<ResendEntry>,
    /// Files that were too damaged to be used; what could be read of them is in use.
    pub set_aside: Vec<crate::salvage::SetAside>,
    /// How fast the disk syncs.
    pub sync: Option<hilum_db::SyncProbe>,
}

/// Pending deliveries of one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub count: u64,
    /// Their bytes to send.
    pub bytes: u64,
    /// The commit sequence of the oldest.
    pub oldest: u64,
}

impl Backlog {
    pub(crate) fn add(&mut self, other: &Self) {
        self.oldest = match self.count {
            0 => other.oldest,
            _ => self.oldest.min(other.oldest),
        };
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

/// What a repetition is compared with.
#[derive(Clone, Debug)]
pub struct ResendEntry {
    /// Key and digest.
    pub resend: Resend,
    /// The message.
    pub message: MessageId,
    /// Its commit sequence.
    pub sequence: u64,
    /// Its channel.
    pub channel: Arc<str>,
    /// What became of it.
    pub disposition: Disposition,
    /// When it was committed, Unix milliseconds.
    pub committed_ms: u64,
}

/// Adds the pending deliveries of one file.
pub(crate) fn count_pending(
    conn: &Connection,
    shared: &PartitionShared,
    into: &mut HashMap<(Arc<str>, Arc<str>), Backlog>,
) -> Result<(), DbError> {
    let read = || {
        let sql = "SELECT destination, count(*), sum(bytes), min(seq) FROM delivery \
                   WHERE state = 0 GROUP BY destination";
        let mut statement = conn.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, u64>(1)?,
                row.get::<_, u64>(2)?,
                row.get::<_, u64>(3)?,
            ))
        })?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    for (destination, count, bytes, oldest) in read().doing("count deliveries of", &shared.name)? {
        let Some(key) = shared.names.destination(destination) else {
            continue;
        };
        into.entry(key).or_default().add(&Backlog {
            count,
            bytes,
            oldest,
        });
    }
    Ok(())
}

/// The rows of one file with open work.
pub(crate) fn open_work(
    conn: &Connection,
    shared: &PartitionShared,
) -> Result<Vec<StoredMessage>, DbError> {
    let read = || {
        let sql = format!(
            "SELECT {HEADER_COLUMNS} FROM message WHERE seq IN (SELECT seq FROM work) ORDER BY seq"
        );
        let mut statement = conn.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| header_from(row, shared))?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().doing("read open work of", &shared.name)
}

/// The sequences that later commits of one file completed.
pub(crate) fn completed_in(conn: &Connection, file: &str) -> Result<Vec<u64>, DbError> {
    let read = || {
        let sql = "SELECT key FROM once WHERE key >= x'63' AND key < x'64'";
        let mut statement = conn.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    let keys = read().doing("read what was completed in", file)?;
    let sequence = |key: &Vec<u8>| Some(u64::from_be_bytes(key.get(1..)?.try_into().ok()?));
    Ok(keys.iter().filter_map(sequence).collect())
}

/// The first row committed at or after a time: commit times ascend with the sequence.
pub(crate) fn first_since(
    conn: &Connection,
    shared: &PartitionShared,
    since_ms: u64,
) -> Result<u64, DbError> {
    let (mut low, mut high) = (shared.first(), shared.last().saturating_add(1));
    if low == u64::MAX {
        return Ok(u64::MAX);
    }
    let sql = "SELECT seq, committed_ms FROM message WHERE seq >= ?1 ORDER BY seq LIMIT 1";
    let at = |sequence: u64| -> Result<Option<(u64, u64)>, hilum_db::rusqlite::Error> {
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query([sequence])?;
        rows.next()?
            .map(|row| Ok((row.get(0)?, row.get(1)?)))
            .transpose()
    };
    while low < high {
        let middle = low + (high - low) / 2;
        match at(middle).doing("look for a time in", &shared.name)? {
            Some((found, committed_ms)) if committed_ms < since_ms => low = found + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// Resend entries of one file since a time, newest first, at most `limit`.
pub(crate) fn resends_since(
    conn: &Connection,
    shared: &PartitionShared,
    since_ms: u64,
    limit: usize,
) -> Result<Vec<ResendEntry>, DbError> {
    let from = first_since(conn, shared, since_ms)?;
    if from == u64::MAX {
        return Ok(Vec::new());
    }
    let read = || {
        let sql = format!(
            "SELECT {HEADER_COLUMNS} FROM message WHERE seq >= ?1 AND resend IS NOT NULL \
             ORDER BY seq DESC LIMIT ?2"
        );
        let mut statement = conn.prepare_cached(&sql)?;
        let rows = statement.query_map(params![from, limit], |row| header_from(row, shared))?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    let rows = read().doing("read resend entries of", &shared.name)?;
    let entry = |message: StoredMessage| {
        Some(ResendEntry {
            resend: message.resend?,
            message: message.message,
            sequence: message.sequence,
            channel: message.channel,
            disposition: message.disposition,
            committed_ms: message.committed_ms,
        })
    };
    Ok(rows.into_iter().filter_map(entry).collect())
}

/// After a file was opened again: what was found above the last commit that was told counts as
/// accepted, although its senders heard a negative answer.
pub(crate) fn tell_survivors(
    core: &Core,
    shared: &PartitionShared,
    conn: &Connection,
    told: u64,
) -> Result<(), DbError> {
    core.state.add(unfolded_of(conn, &shared.name, told)?);
    let read = || {
        let sql = format!("SELECT {HEADER_COLUMNS} FROM message WHERE seq > ?1 ORDER BY seq");
        let mut statement = conn.prepare(&sql)?;
        let rows = statement.query_map([told], |row| header_from(row, shared))?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    let changes = unfolded_of(conn, &shared.name, told)?;
    for message in read().doing("read what survived in", &shared.name)? {
        let deliveries = deliveries_of(conn, shared, message.sequence)?;
        let of_message = changes
            .iter()
            .filter(|change| change.sequence == message.sequence);
        let mut timers = Vec::new();
        let mut changed = Vec::new();
        for change in of_message {
            match &change.what {
                ChangeOf::Timer(_, timer) => timers.push(timer.clone()),
                ChangeOf::Value(write) => changed.push((write.scope.clone(), write.key.clone())),
            }
        }
        let accepted = Accepted::after_synced_append(message.message, message.sequence);
        let pending = deliveries
            .into_iter()
            .filter(|delivery| delivery.state == DeliveryState::Pending);
        let told = CommittedMessage {
            accepted,
            channel: message.channel,
            disposition: message.disposition,
            hold: message.hold,
            completes: message.completes,
            place: message.place.unwrap_or(message.sequence),
            metadata: message.metadata,
            deliveries: pending.map(|delivery| delivery.delivery).collect(),
            timers,
            changed,
        };
        core.sink.recovered(told, message.resend);
    }
    Ok(())
}
