//! Durable values and timers, as steps see them.
//!
//! A change is a row of the open partition, written in the commit of its message. Until it is
//! folded into `control.db` it is also kept here, and reads look here first. The version of a
//! value is the commit sequence that wrote it, so the writer can tell inside the transaction
//! whether what a message read is still so.

mod control;
mod fold;
mod known;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use hilum_db::rusqlite::{OptionalExtension, params};
use hilum_db::{Cancel, DbError, Doing, Readers};

use crate::model::{StateWrite, TimerWrite};
use crate::partition::ops::Prepared;
pub(crate) use control::{ControlHandler, ControlOp, ControlWrite};
pub(crate) use fold::unfolded_of;
use known::{Known, Place};

/// Scope and key.
pub(crate) type StateKey = (Arc<str>, Arc<str>);

/// A value as it is now.
#[derive(Clone, PartialEq, Eq)]
pub struct StateValue {
    /// The commit sequence that wrote it; 0 if there is none.
    pub version: u64,
    /// The value, unless it was removed or has expired.
    pub value: Option<Bytes>,
}

impl std::fmt::Debug for StateValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.value.as_ref().map(Bytes::len);
        write!(f, "StateValue(version {}, {bytes:?} bytes)", self.version)
    }
}

/// A timer that is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it is due, Unix milliseconds.
    pub due_ms: u64,
    /// The channel that set it.
    pub channel: Arc<str>,
    /// The scope.
    pub scope: Arc<str>,
    /// The key.
    pub key: Arc<str>,
}

/// One change that is committed but not folded.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) sequence: u64,
    pub(crate) what: ChangeOf,
}

#[derive(Clone, Debug)]
pub(crate) enum ChangeOf {
    Value(StateWrite),
    Timer(Arc<str>, TimerWrite),
}

#[derive(Clone)]
struct Entry {
    version: u64,
    value: Option<Bytes>,
    expires_ms: Option<u64>,
}

impl Entry {
    /// As it is at a time.
    fn at(self, now_ms: u64) -> StateValue {
        let expired = self.expires_ms.is_some_and(|at| at <= now_ms);
        StateValue {
            version: self.version,
            value: self.value.filter(|_| !expired),
        }
    }
}

type TimerKey = (Arc<str>, Arc<str>, Arc<str>);

#[derive(Default)]
struct Unfolded {
    values: HashMap<Arc<str>, HashMap<Arc<str>, Entry>>,
    timers: HashMap<TimerKey, (u64, Option<u64>)>,
}

/// Changes that are not folded, before what `control.db` says.
pub(crate) struct StateMemory {
    control: Readers,
    unfolded: RwLock<Unfolded>,
    known: Mutex<Known>,
    queue: Mutex<VecDeque<Change>>,
    folded: AtomicU64,
}

impl StateMemory {
    pub(crate) fn new(control: Readers) -> Self {
        Self {
            control,
            unfolded: RwLock::default(),
            known: Mutex::default(),
            queue: Mutex::default(),
            folded: AtomicU64::new(0),
        }
    }

    pub(crate) const fn control(&self) -> &Readers {
        &self.control
    }

    pub(crate) fn folded(&self) -> u64 {
        self.folded.load(Ordering::Acquire)
    }

    pub(crate) fn set_folded(&self, sequence: u64) {
        self.folded.fetch_max(sequence, Ordering::AcqRel);
    }

    /// Changes that wait to be folded.
    pub(crate) fn waiting(&self) -> usize {
        self.lock_queue().len()
    }

    /// The sequence of the oldest change that is not folded.
    pub(crate) fn oldest_waiting(&self) -> Option<u64> {
        self.lock_queue().front().map(|change| change.sequence)
    }

    fn lock_queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Change>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the changes of committed messages, before anybody is told of the commit.
    pub(crate) fn commit(&self, messages: &[Prepared], sequences: &[u64]) {
        let mut changes = Vec::new();
        for (message, &sequence) in messages.iter().zip(sequences) {
            let request = &message.request;
            let values = message.writes().cloned().map(ChangeOf::Value);
            let timers = request.timers.iter().cloned();
            let timers = timers.map(|timer| ChangeOf::Timer(request.channel.clone(), timer));
            let all = values.chain(timers);
            changes.extend(all.map(|what| Change { sequence, what }));
        }
        self.add(changes);
    }

    /// Takes over changes in commit order.
    pub(crate) fn add(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut unfolded = self
            .unfolded
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for change in &changes {
            let version = change.sequence;
            match &change.what {
                ChangeOf::Value(write) => {
                    let entry = Entry {
                        version,
                        value: write.value.clone(),
                        expires_ms: write.expires_ms,
                    };
                    let of_scope = unfolded.values.entry(write.scope.clone()).or_default();
                    of_scope.insert(write.key.clone(), entry);
                }
                ChangeOf::Timer(channel, timer) => {
                    let key = (channel.clone(), timer.scope.clone(), timer.key.clone());
                    unfolded.timers.insert(key, (version, timer.due_ms));
                }
            }
        }
        drop(unfolded);
        self.lock_known().changed();
        self.lock_queue().extend(changes);
    }

    /// The version of a value, for the writer.
    pub(crate) fn version(&self, scope: &str, key: &str) -> Result<u64, DbError> {
        let unfolded = self.unfolded.read().unwrap_or_else(PoisonError::into_inner);
        let known = unfolded.values.get(scope).and_then(|keys| keys.get(key));
        if let Some(entry) = known {
            return Ok(entry.version);
        }
        drop(unfolded);
        Ok(self.stored(scope, key)?.version)
    }

    /// The value of a key as of now.
    pub(crate) fn get(&self, scope: &str, key: &str, now_ms: u64) -> Result<StateValue, DbError> {
        let unfolded = self.unfolded.read().unwrap_or_else(PoisonError::into_inner);
        let changed = unfolded.values.get(scope).and_then(|keys| keys.get(key));
        if let Some(entry) = changed {
            return Ok(entry.clone().at(now_ms));
        }
        drop(unfolded);
        Ok(self.stored(scope, key)?.at(now_ms))
    }

    fn lock_known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `control.db` has of a key whose changes are all folded.
    fn stored(&self, scope: &str, key: &str) -> Result<Entry, DbError> {
        // Looked up before the file is read: a change in between makes the place void.
        let place: Place = match self.lock_known().get(scope, key) {
            Ok(entry) => return Ok(entry),
            Err(place) => place,
        };
        let row = self.control.read_one(|conn| {
            let sql = "SELECT version, value, expires_ms FROM state WHERE scope = ?1 AND key = ?2";
            conn.prepare_cached(sql)
                .and_then(|mut statement| {
                    let row = statement.query_row([scope, key], |row| {
                        Ok(Entry {
                            version: row.get(0)?,
                            value: Some(row.get::<_, Vec<u8>>(1)?.into()),
                            expires_ms: row.get(2)?,
                        })
                    });
                    row.optional()
                })
                .doing("read state from", "control.db")
        })?;
        let entry = row.unwrap_or(Entry {
            version: 0,
            value: None,
            expires_ms: None,
        });
        self.lock_known().learn(place, scope, key, &entry);
        Ok(entry)
    }

    /// The values of a scope whose keys begin with `prefix`, in the order of their keys.
    pub(crate) fn scan(
        &self,
        scope: &str,
        prefix: &str,
        limit: usize,
        now_ms: u64,
    ) -> Result<Vec<(Arc<str>, Bytes)>, DbError> {
        // Memory before the file: a value folded in between is then seen in either.
        let unfolded = self.unfolded.read().unwrap_or_else(PoisonError::into_inner);
        let changed: BTreeMap<Arc<str>, (Option<Bytes>, Option<u64>)> = unfolded
            .values
            .get(scope)
            .into_iter()
            .flatten()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, entry)| (key.clone(), (entry.value.clone(), entry.expires_ms)))
            .collect();
        drop(unfolded);
        let bound = limit.saturating_add(changed.len());
        let rows = self.control.read(&Cancel::new(), |conn| {
            let sql = "SELECT key, value FROM state WHERE scope = ?1 AND key >= ?2 \
                       AND substr(key, 1, length(?2)) = ?2 \
                       AND (expires_ms IS NULL OR expires_ms > ?3) ORDER BY key LIMIT ?4";
            let read = || {
                let mut statement = conn.prepare_cached(sql)?;
                let rows = statement.query_map(params![scope, prefix, now_ms, bound], |row| {
                    let key: Arc<str> = row.get::<_, String>(0)?.into();
                    Ok((key, Bytes::from(row.get::<_, Vec<u8>>(1)?)))
                })?;
                rows.collect::<Result<Vec<_>, _>>()
            };
            read().doing("read state from", "control.db")
        })?;
        let mut found: BTreeMap<Arc<str>, Bytes> = rows.into_iter().collect();
        for (key, (value, expires_ms)) in changed {
            let value = value.filter(|_| expires_ms.is_none_or(|at| at > now_ms));
            match value {
                Some(value) => found.insert(key, value),
                None => found.remove(&key),
            };
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// Timers due until `until_ms`, the earliest first.
    pub(crate) fn due(&self, until_ms: u64, limit: usize) -> Result<Vec<Timer>, DbError> {
        // Memory before the file: a timer folded in between is then seen twice, not missed.
        let unfolded = self.unfolded.read().unwrap_or_else(PoisonError::into_inner);
        let changed: HashMap<TimerKey, Option<u64>> = unfolded
            .timers
            .iter()
            .map(|(key, (_, due))| (key.clone(), *due))
            .collect();
        drop(unfolded);
        let rows = self.control.read(&Cancel::new(), |conn| {
            let sql = "SELECT due_ms, channel, scope, key FROM timer WHERE due_ms <= ?1 \
                       ORDER BY due_ms LIMIT ?2";
            let read = || {
                let mut statement = conn.prepare_cached(sql)?;
                let bound = limit.saturating_add(changed.len());
                let rows = statement.query_map(params![until_ms, bound], |row| {
                    Ok(Timer {
                        due_ms: row.get(0)?,
                        channel: row.get::<_, String>(1)?.into(),
                        scope: row.get::<_, String>(2)?.into(),
                        key: row.get::<_, String>(3)?.into(),
                    })
                })?;
                rows.collect::<Result<Vec<_>, _>>()
            };
            read().doing("read timers from", "control.db")
        })?;
        let key_of = |timer: &Timer| {
            (
                timer.channel.clone(),
                timer.scope.clone(),
                timer.key.clone(),
            )
        };
        let mut due: Vec<Timer> = rows
            .into_iter()
            .filter(|timer| !changed.contains_key(&key_of(timer)))
            .collect();
        due.extend(
            changed
                .into_iter()
                .filter_map(|((channel, scope, key), at)| {
                    let due_ms = at.filter(|at| *at <= until_ms)?;
                    Some(Timer {
                        due_ms,
                        channel,
                        scope,
                        key,
                    })
                }),
        );
        due.sort();
        due.truncate(limit);
        Ok(due)
    }
}
