//! What the operations of a partition write, on the writer's thread.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hashbrown::HashMap;
use hilum_db::rusqlite::{Connection, params};
use hilum_db::{DbClass, DbError, Doing, Handler, Recovery};
use hilum_message::Failpoint;

use super::insert::{insert_message, insert_parts};
use super::ops::{AcceptOp, AttemptOp, Body, Op, Prepared, Reply, Verdict};
use super::shared::PartitionShared;
use crate::codec::Dictionary;
use crate::error::AcceptError;
use crate::model::{DeliveryState, StateRead, StateWrite};
use crate::schema::NameKind;
use crate::shared::Core;
use crate::state::{Name, StateKey};

/// Groups after which the size of the file is looked at.
const GROUPS_PER_LOOK: u32 = 32;
/// Offset of delivery outcomes among the kinds of tallies; below are dispositions.
pub(crate) const TALLY_OUTCOME: i64 = 100;

/// The handler of one partition.
pub(crate) struct PartitionHandler {
    pub(super) core: Arc<Core>,
    pub(super) shared: Arc<PartitionShared>,
    opened_before: bool,
    /// Last sequence known to be committed here.
    last: u64,
    pub(super) now_ms: u64,
    pub(super) names: Vec<(NameKind, Arc<[u8]>, i64)>,
    names_marked: usize,
    next_name: i64,
    /// Values that this group has changed so far, with their versions.
    changed: HashMap<StateKey, (u64, Option<Bytes>)>,
    tallies: HashMap<(i64, i64), (i64, i64)>,
    looks: u32,
    /// Dictionaries that are known to lie in the file, and those written in this group.
    carried: HashSet<i64>,
    carrying: Vec<i64>,
}

impl PartitionHandler {
    pub(crate) fn new(core: Arc<Core>, shared: Arc<PartitionShared>) -> Self {
        Self {
            core,
            shared,
            opened_before: false,
            last: 0,
            now_ms: 0,
            names: Vec::new(),
            names_marked: 0,
            next_name: 1,
            changed: HashMap::new(),
            tallies: HashMap::new(),
            looks: 0,
            carried: HashSet::new(),
            carrying: Vec::new(),
        }
    }

    pub(super) fn file(&self) -> &str {
        &self.shared.name
    }

    /// The number of a name, added to the file if it is new.
    pub(super) fn name(
        &mut self,
        conn: &Connection,
        kind: NameKind,
        value: &[u8],
    ) -> Result<i64, DbError> {
        if let Some(id) = self.shared.names.id(kind, value) {
            return Ok(id);
        }
        let new = self.names.iter();
        let mut new = new.filter(|(known, bytes, _)| *known == kind && **bytes == *value);
        if let Some((_, _, id)) = new.next() {
            return Ok(*id);
        }
        let id = self.next_name;
        conn.prepare_cached("INSERT INTO name (id, kind, value) VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| statement.execute(params![id, kind as u8, value]))
            .doing("write a name to", &self.shared.name)?;
        self.next_name += 1;
        self.names.push((kind, value.into(), id));
        Ok(id)
    }

    /// Sees to it that a dictionary lies in the file before a row that needs it.
    pub(super) fn carry(
        &mut self,
        conn: &Connection,
        channel: &str,
        dictionary: &Dictionary,
    ) -> Result<(), DbError> {
        let id = dictionary.id;
        if self.carried.contains(&id) || self.carrying.contains(&id) {
            return Ok(());
        }
        let sql = "INSERT OR IGNORE INTO dictionary (id, channel, bytes) VALUES (?1, ?2, ?3)";
        conn.prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params![id, channel, &*dictionary.bytes]))
            .doing("write a dictionary to", &self.shared.name)?;
        self.carrying.push(id);
        Ok(())
    }

    pub(super) fn tally(&mut self, name: i64, what: i64, bytes: u64) {
        let tally = self.tallies.entry((name, what)).or_default();
        tally.0 += 1;
        tally.1 = tally
            .1
            .saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn stale(&self, reads: &[StateRead]) -> Result<Option<AcceptError>, DbError> {
        let mut stale = Vec::new();
        for read in reads {
            let version = match self.changed.get(&Name(&read.scope, &read.key)) {
                Some((version, _)) => *version,
                None => self.core.state.version(&read.scope, &read.key)?,
            };
            if version != read.version {
                stale.push(crate::error::StaleRead {
                    scope: read.scope.clone(),
                    key: read.key.clone(),
                    version,
                });
            }
        }
        Ok((!stale.is_empty()).then_some(AcceptError::Stale(stale)))
    }

    fn accept(&mut self, conn: &Connection, op: &mut AcceptOp) -> Result<(), DbError> {
        // The accepts of this partition come after those of the one before.
        self.shared.wait_for_predecessor();
        self.shared.begin_at(self.core.sequence());
        op.verdict = None;
        op.sequences.clear();
        for message in &op.messages {
            if let Some(stale) = self.stale(&message.request.state_reads)? {
                op.verdict = Some(Verdict::Not(stale));
                return Ok(());
            }
            let blobs = message.request.received.cuts().iter();
            let of_deliveries = message.request.deliveries.iter();
            let mut blobs = blobs.chain(of_deliveries.flat_map(|d| d.payload.cuts()));
            let elsewhere = blobs.any(|cut| cut.range.blob.partition != self.shared.name)
                || matches!(&message.body, Body::Origin(_, partition) if *partition != self.shared.name);
            if elsewhere {
                op.verdict = Some(Verdict::Elsewhere);
                return Ok(());
            }
        }
        let file = self.shared.name.clone();
        if let Some(key) = &op.once {
            let new = conn
                .prepare_cached("INSERT OR IGNORE INTO once (key) VALUES (?1)")
                .and_then(|mut statement| statement.execute([key]))
                .doing("note a publication in", &file)?;
            if new == 0 {
                op.verdict = Some(Verdict::Not(AcceptError::Duplicate));
                return Ok(());
            }
        }
        if let Some(settled) = op.settles.filter(|d| self.shared.holds(d.sequence)) {
            self.settle_row(conn, settled, DeliveryState::Delivered, None)?;
        }
        self.merge(&mut op.messages)?;
        for at in 0..op.messages.len() {
            let sequence = self.core.next_sequence();
            op.sequences.push(sequence);
            let Some(message) = op.messages.get(at) else {
                break;
            };
            if let Some(origin) = message.request.completes {
                self.finish(conn, origin)?;
            }
            insert_message(self, conn, message, sequence, &op.sequences)?;
            insert_parts(self, conn, message, sequence)?;
        }
        for (message, &sequence) in op.messages.iter().zip(&op.sequences) {
            for write in message.writes() {
                self.changed.insert(
                    (write.scope.clone(), write.key.clone()),
                    (sequence, write.value.clone()),
                );
            }
        }
        Ok(())
    }

    /// Makes the values that depend on those that are there, in the order of the messages.
    fn merge(&self, messages: &mut [Prepared]) -> Result<(), DbError> {
        if messages
            .iter()
            .all(|message| message.request.state_merges.is_empty())
        {
            return Ok(());
        }
        let mut own: HashMap<StateKey, Option<Bytes>> = HashMap::new();
        for message in messages {
            message.merged.clear();
            for write in &message.request.state_writes {
                let key = (write.scope.clone(), write.key.clone());
                own.insert(key, write.value.clone());
            }
            for merge in &message.request.state_merges {
                let key = (merge.scope.clone(), merge.key.clone());
                let known = match own.get(&key) {
                    Some(value) => value.clone(),
                    None => match self.changed.get(&key) {
                        Some((_, value)) => value.clone(),
                        None => {
                            let state = &self.core.state;
                            state.get(&key.0, &key.1, self.now_ms)?.value
                        }
                    },
                };
                let value: Bytes = (merge.merge)(known.as_deref(), &merge.value).into();
                message.merged.push(StateWrite {
                    scope: key.0.clone(),
                    key: key.1.clone(),
                    value: Some(value.clone()),
                    expires_ms: merge.expires_ms,
                });
                own.insert(key, Some(value));
            }
        }
        Ok(())
    }

    fn finish(&self, conn: &Connection, sequence: u64) -> Result<(), DbError> {
        conn.prepare_cached("DELETE FROM work WHERE seq = ?1")
            .and_then(|mut statement| statement.execute([sequence]))
            .map(drop)
            .doing("finish work in", self.file())
    }

    fn other(&mut self, conn: &Connection, op: &mut Op) -> Result<(), DbError> {
        let file = self.shared.name.clone();
        match op {
            Op::Requeue {
                delivery,
                why,
                changed,
                ..
            } => {
                let sql = "UPDATE delivery SET state = 0, \
                           sum = (sum & 4294967295) | (attempts << 40) \
                           WHERE seq = ?1 AND ordinal = ?2 \
                           AND state IN (2, 3)";
                let row = params![delivery.sequence, delivery.id.ordinal];
                let count = conn
                    .prepare_cached(sql)
                    .and_then(|mut statement| statement.execute(row))
                    .doing("requeue in", &file)?;
                *changed = count > 0;
                match why {
                    Some(why) if *changed => self.attempt(
                        conn,
                        &AttemptOp {
                            delivery: *delivery,
                            attempt: why.clone(),
                            reply: None,
                            settles: false,
                        },
                    ),
                    Some(_) | None => Ok(()),
                }
            }
            Op::Finish { sequence } => self.finish(conn, *sequence),
            Op::Dictionary {
                channel,
                dictionary,
            } => self.carry(conn, channel, dictionary),
            Op::Pin(pin) => pin.apply(self, conn),
            Op::Unpend {
                deliveries,
                changed,
                ..
            } => {
                *changed = crate::pins::unpend(conn, deliveries)
                    .doing("mark what was pinned in", &file)?;
                Ok(())
            }
            Op::Flush(_) | Op::Accept(_) | Op::Attempt(_) => Ok(()),
        }
    }
}

impl Handler for PartitionHandler {
    type Op = Op;

    fn opened(&mut self, conn: &Connection, recovery: Recovery) -> Result<(), DbError> {
        let file = self.shared.name.clone();
        self.shared.names.load(conn, &file)?;
        let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, Option<u64>>(0));
        let next_name = number("SELECT max(id) FROM name").doing("read", &file)?;
        self.next_name = next_name.and_then(|id| i64::try_from(id).ok()).unwrap_or(0) + 1;
        let last = number("SELECT max(seq) FROM message").doing("read", &file)?;
        let first = number("SELECT min(seq) FROM message").doing("read", &file)?;
        keep_key(conn, &self.core.index_key).doing("keep the index key in", &file)?;
        let pages = number("PRAGMA page_count").doing("read", &file)?;
        self.shared.set_bytes(pages.unwrap_or(0) * 4096);
        let survivors = recovery == Recovery::Unclean && self.opened_before;
        self.opened_before = true;
        let known = self.last;
        if let (Some(first), Some(last)) = (first, last) {
            self.core.sequence_is_above(last);
            self.shared.begin_at(first);
            self.shared.reached(last);
            self.last = last;
        }
        if survivors && self.last > known {
            crate::recover::tell_survivors(&self.core, &self.shared, conn, known)?;
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.rewind_names(0);
        self.changed.clear();
        self.tallies.clear();
        self.carrying.clear();
        self.now_ms = self.now_ms.max(self.core.clock.now_ms());
    }

    fn apply(&mut self, conn: &Connection, op: &mut Op) -> Result<(), DbError> {
        match op {
            Op::Accept(op) => self.accept(conn, op),
            Op::Attempt(op) => self.attempt(conn, op),
            Op::Requeue { .. }
            | Op::Finish { .. }
            | Op::Dictionary { .. }
            | Op::Pin(_)
            | Op::Unpend { .. }
            | Op::Flush(_) => self.other(conn, op),
        }
    }

    fn mark(&mut self) {
        self.names_marked = self.names.len();
    }

    fn rewind(&mut self) {
        self.rewind_names(self.names_marked);
        self.carrying.clear();
    }

    fn closing(&mut self, conn: &Connection) -> Result<(), DbError> {
        let hour = i64::try_from(self.now_ms / 3_600_000).unwrap_or(0);
        let sql = "INSERT INTO tally (hour, name, what, count, bytes) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT DO UPDATE SET count = count + excluded.count, \
                   bytes = bytes + excluded.bytes";
        for ((name, what), (count, bytes)) in self.tallies.drain() {
            conn.prepare_cached(sql)
                .and_then(|mut statement| {
                    statement.execute(params![hour, name, what, count, bytes])
                })
                .doing("count in", &self.shared.name)?;
        }
        Ok(())
    }

    fn committed(&mut self, conn: &Connection, ops: Vec<Op>) {
        self.shared.names.add(self.names.drain(..));
        self.carried.extend(self.carrying.drain(..));
        for op in &ops {
            if let Op::Accept(op) = op
                && op.verdict.is_none()
            {
                Failpoint::AfterCommit.reach();
                self.core.state.commit(&op.messages, &op.sequences);
                self.last = op.sequences.last().copied().unwrap_or(self.last);
            }
        }
        self.shared.reached(self.last);
        self.looks += 1;
        if self.looks >= GROUPS_PER_LOOK {
            self.looks = 0;
            let pages = conn
                .prepare_cached("PRAGMA page_count")
                .and_then(|mut statement| statement.query_row([], |row| row.get::<_, u64>(0)));
            if let Ok(pages) = pages {
                self.shared.set_bytes(pages * 4096);
            }
        }
        for op in ops {
            match op {
                Op::Accept(op) => self.tell(*op),
                Op::Requeue { changed, done, .. } => answer(done, Ok(changed)),
                Op::Unpend { changed, done, .. } => answer(done, Ok(changed)),
                Op::Flush(done) => answer(done, Ok(())),
                Op::Pin(pin) => pin.done(Ok(())),
                Op::Dictionary {
                    channel,
                    dictionary,
                } => self.core.codecs.set_current(&channel, dictionary),
                Op::Attempt(_) => Failpoint::AfterSettle.reach(),
                Op::Finish { .. } => {}
            }
        }
        self.core.room.notify_waiters();
    }

    fn refused(&mut self, op: Op, error: &DbError) {
        self.shared.note(error);
        self.core.room.notify_waiters();
        match op {
            Op::Accept(op) => {
                if let Some(reply) = op.reply {
                    drop(reply.send(Reply::Not(AcceptError::refused(error))));
                }
            }
            Op::Requeue { done, .. } => answer(done, Err(error.clone())),
            Op::Unpend { done, .. } => answer(done, Err(error.clone())),
            Op::Flush(done) => answer(done, Err(error.clone())),
            Op::Pin(pin) => pin.done(Err(error.clone())),
            // An outcome that could not be written leaves the delivery pending: it is sent again,
            // which at-least-once allows. Once the disk is back it should not be, so keep it.
            Op::Attempt(op) => self.shared.keep_for_later(Op::Attempt(op)),
            Op::Finish { sequence } => self.shared.keep_for_later(Op::Finish { sequence }),
            Op::Dictionary { .. } => {}
        }
    }

    fn failed(&mut self, ops: Vec<Op>, error: &DbError) {
        self.shared.note(error);
        for op in ops {
            if let Op::Accept(op) = op {
                if let Some(reply) = op.reply {
                    let error = match error.class() {
                        DbClass::Full => AcceptError::Full(error.clone()),
                        _ => AcceptError::Failed(error.clone()),
                    };
                    drop(reply.send(Reply::Not(error)));
                }
            } else {
                // These may be applied twice without harm.
                self.refused(op, error);
            }
        }
        self.core.room.notify_waiters();
        self.shared.disk_failures.fetch_add(1, Ordering::Relaxed);
    }
}

impl PartitionHandler {
    fn rewind_names(&mut self, to: usize) {
        let gone = self.names.len().saturating_sub(to);
        self.names.truncate(to);
        self.next_name -= i64::try_from(gone).unwrap_or(0);
    }
}

/// Leaves a copy of the index key in the file: without it nothing would be found by its values any
/// more if `control.db` were lost.
fn keep_key(conn: &Connection, key: &[u8]) -> Result<(), hilum_db::rusqlite::Error> {
    let sql = "SELECT count(*) FROM secret WHERE name = 'index-key' AND value = ?1";
    let is_known = conn.query_row(sql, [key], |row| row.get::<_, bool>(0))?;
    if !is_known {
        let sql = "INSERT OR REPLACE INTO secret (name, value) VALUES ('index-key', ?1)";
        conn.execute(sql, [key])?;
    }
    Ok(())
}

fn answer<T>(done: Option<super::ops::Done<T>>, result: Result<T, DbError>) {
    if let Some(done) = done {
        drop(done.send(result));
    }
}
