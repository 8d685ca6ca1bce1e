//! Durable values and timers, as steps see them.
//!
//! A change is a row of the open partition, written in the commit of its message. Until it is
//! folded into `control.db` it is also kept here, and reads look here first. The version of a
//! value is the commit sequence that wrote it, so the writer can tell inside the transaction
//! whether what a message read is still so.

mod control;
mod fold;
mod known;
mod log;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use hashbrown::{Equivalent, HashMap};
use hilum_db::rusqlite::{params, params_from_iter};
use hilum_db::{Cancel, DbError, Doing, Readers};

use crate::model::{StateWrite, TimerWrite};
use crate::partition::ops::Prepared;
pub(crate) use control::{ControlHandler, ControlOp, ControlWrite};
use known::Known;
pub(crate) use log::{log_row, log_sum, unfolded_of};
use smol_str::SmolStr;

/// Keys that are looked for together in `control.db`.
const TOGETHER_MAX: usize = 8;

/// The statement for each number of keys, from one on: the place of each that is there, with its row.
static READS: LazyLock<[String; TOGETHER_MAX]> = LazyLock::new(|| {
    std::array::from_fn(|more| {
        let of_one = |n: usize| {
            let (scope, key) = (2 * n + 1, 2 * n + 2);
            format!(
                "SELECT {n}, version, value, expires_ms FROM state \
                 WHERE scope = ?{scope} AND key = ?{key}"
            )
        };
        let all: Vec<_> = (0..=more).map(of_one).collect();
        all.join(" UNION ALL ")
    })
});

/// Scope and key.
pub(crate) type StateKey = (SmolStr, SmolStr);

/// Scope and key, to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name<'a>(pub(crate) &'a str, pub(crate) &'a str);

impl Equivalent<StateKey> for Name<'_> {
    fn equivalent(&self, (scope, key): &StateKey) -> bool {
        // Scopes are few and alike.
        *self.1 == **key && *self.0 == **scope
    }
}

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
    pub scope: SmolStr,
    /// The key.
    pub key: SmolStr,
}

/// One change that is committed but not folded.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) sequence: u64,
    pub(crate) what: ChangeOf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
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

type TimerKey = (Arc<str>, SmolStr, SmolStr);

/// The last change of each value and timer, of some time.
#[derive(Default)]
struct Changed {
    values: HashMap<StateKey, Entry>,
    timers: HashMap<TimerKey, (u64, Option<u64>)>,
    /// The sequences of the first and of the last change.
    span: Option<(u64, u64)>,
}

impl Changed {
    fn len(&self) -> usize {
        self.values.len() + self.timers.len()
    }

    /// Forgets all, and keeps the room.
    fn clear(&mut self) {
        self.values.clear();
        self.timers.clear();
        self.span = None;
    }

    fn add(&mut self, change: Change) {
        let version = change.sequence;
        let (first, last) = self.span.unwrap_or((version, version));
        self.span = Some((first.min(version), last.max(version)));
        match change.what {
            ChangeOf::Value(write) => {
                let entry = Entry {
                    version,
                    value: write.value,
                    expires_ms: write.expires_ms,
                };
                self.values.insert((write.scope, write.key), entry);
            }
            ChangeOf::Timer(channel, timer) => {
                let key = (channel, timer.scope, timer.key);
                self.timers.insert(key, (version, timer.due_ms));
            }
        }
    }
}

/// What is not folded, the newer part before the older one.
#[derive(Default)]
struct Unfolded {
    /// Takes in what is committed.
    newer: Changed,
    /// Is being folded.
    older: Option<Arc<Changed>>,
    /// Empty, and as large as what was folded last: it does not grow again while messages wait.
    spare: Changed,
}

impl Unfolded {
    fn get(&self, name: Name<'_>) -> Option<&Entry> {
        let newer = self.newer.values.get(&name);
        newer.or_else(|| self.older.as_ref()?.values.get(&name))
    }

    /// Both, the older one first.
    fn all(&self) -> impl Iterator<Item = &Changed> {
        let older = self.older.as_deref().into_iter();
        older.chain(std::iter::once(&self.newer))
    }
}

/// Changes that are not folded, before what `control.db` says.
pub(crate) struct StateMemory {
    control: Readers,
    unfolded: RwLock<Unfolded>,
    known: Mutex<Known>,
    folded: AtomicU64,
}

impl StateMemory {
    pub(crate) fn new(control: Readers) -> Self {
        Self {
            control,
            unfolded: RwLock::default(),
            known: Mutex::default(),
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

    fn read_unfolded(&self) -> std::sync::RwLockReadGuard<'_, Unfolded> {
        self.unfolded.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_unfolded(&self) -> std::sync::RwLockWriteGuard<'_, Unfolded> {
        self.unfolded
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Values and timers that wait to be folded.
    pub(crate) fn waiting(&self) -> usize {
        self.read_unfolded().all().map(Changed::len).sum()
    }

    /// The sequence of the oldest change that is not folded.
    pub(crate) fn oldest_waiting(&self) -> Option<u64> {
        let unfolded = self.read_unfolded();
        let first = unfolded.all().filter_map(|changed| changed.span);
        first.map(|(first, _)| first).min()
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
        let mut unfolded = self.write_unfolded();
        for change in changes {
            unfolded.newer.add(change);
        }
        drop(unfolded);
        self.lock_known().changed();
    }

    /// The version of a value, for the writer.
    pub(crate) fn version(&self, scope: &str, key: &str) -> Result<u64, DbError> {
        let changed = self
            .read_unfolded()
            .get(Name(scope, key))
            .map(|entry| entry.version);
        let known = || {
            let mut known = self.lock_known();
            known.get(Name(scope, key)).map(|entry| entry.version)
        };
        match changed.or_else(known) {
            Some(version) => Ok(version),
            None => Ok(self.get(scope, key, u64::MAX)?.version),
        }
    }

    /// The value of a key as of now.
    pub(crate) fn get(&self, scope: &str, key: &str, now_ms: u64) -> Result<StateValue, DbError> {
        let found = self.get_all(&[Name(scope, key)], now_ms)?.pop();
        Ok(found.unwrap_or(StateValue {
            version: 0,
            value: None,
        }))
    }

    /// The values of keys as of now, in their order.
    pub(crate) fn get_all(
        &self,
        names: &[Name<'_>],
        now_ms: u64,
    ) -> Result<Vec<StateValue>, DbError> {
        let unfolded = self.read_unfolded();
        let changed = names.iter().map(|name| unfolded.get(*name).cloned());
        let mut found: Vec<Option<Entry>> = changed.collect();
        drop(unfolded);
        self.stored(names, &mut found)?;
        let found = found.into_iter().flatten();
        Ok(found.map(|entry| entry.at(now_ms)).collect())
    }

    fn lock_known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills in what `control.db` has of the keys of which nothing was found: all that they had is folded.
    fn stored(&self, names: &[Name<'_>], found: &mut [Option<Entry>]) -> Result<(), DbError> {
        if found.iter().all(Option::is_some) {
            return Ok(());
        }
        // Looked up before the file is read: a change in between makes the place void.
        let mut known = self.lock_known();
        let place = known.place();
        for (name, slot) in names.iter().zip(&mut *found) {
            if slot.is_none() {
                *slot = known.get(*name).cloned();
            }
        }
        drop(known);
        let slots = names.iter().zip(found);
        let mut missing: Vec<_> = slots.filter(|(_, slot)| slot.is_none()).collect();
        for part in missing.chunks_mut(TOGETHER_MAX) {
            let rows = self.rows(part.iter().map(|(name, _)| **name))?;
            let mut known = self.lock_known();
            for ((name, slot), row) in part.iter_mut().zip(rows) {
                let entry = row.unwrap_or(Entry {
                    version: 0,
                    value: None,
                    expires_ms: None,
                });
                known.learn(place, **name, &entry);
                **slot = Some(entry);
            }
        }
        Ok(())
    }

    /// The rows of at most [`TOGETHER_MAX`] keys, in one statement: most of a read is what is around it.
    fn rows<'n>(
        &self,
        names: impl ExactSizeIterator<Item = Name<'n>>,
    ) -> Result<Vec<Option<Entry>>, DbError> {
        let count = names.len();
        let sql = count.checked_sub(1).and_then(|at| READS.get(at));
        let Some(sql) = sql else {
            return Ok(Vec::new());
        };
        let bound = names.flat_map(|Name(scope, key)| [scope, key]);
        self.control.read_one(|conn| {
            let read = || {
                let mut found = vec![None; count];
                let mut statement = conn.prepare_cached(sql)?;
                let mut rows = statement.query(params_from_iter(bound))?;
                while let Some(row) = rows.next()? {
                    if let Some(slot) = found.get_mut(row.get::<_, usize>(0)?) {
                        *slot = Some(Entry {
                            version: row.get(1)?,
                            value: Some(row.get::<_, Vec<u8>>(2)?.into()),
                            expires_ms: row.get(3)?,
                        });
                    }
                }
                Ok(found)
            };
            read().doing("read state from", "control.db")
        })
    }

    /// The values of a scope whose keys begin with `prefix`, in the order of their keys.
    pub(crate) fn scan(
        &self,
        scope: &str,
        prefix: &str,
        limit: usize,
        now_ms: u64,
    ) -> Result<Vec<(SmolStr, Bytes)>, DbError> {
        // Memory before the file: a value folded in between is then seen in either.
        let unfolded = self.read_unfolded();
        let values = unfolded.all().flat_map(|changed| &changed.values);
        let changed: BTreeMap<SmolStr, (Option<Bytes>, Option<u64>)> = values
            .filter(|((of, key), _)| **of == *scope && key.starts_with(prefix))
            .map(|((_, key), entry)| (key.clone(), (entry.value.clone(), entry.expires_ms)))
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
                    let key: SmolStr = row.get::<_, String>(0)?.into();
                    Ok((key, Bytes::from(row.get::<_, Vec<u8>>(1)?)))
                })?;
                rows.collect::<Result<Vec<_>, _>>()
            };
            read().doing("read state from", "control.db")
        })?;
        let mut found: BTreeMap<SmolStr, Bytes> = rows.into_iter().collect();
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
        let unfolded = self.read_unfolded();
        let timers = unfolded.all().flat_map(|changed| &changed.timers);
        let changed: HashMap<TimerKey, Option<u64>> =
            timers.map(|(key, (_, due))| (key.clone(), *due)).collect();
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
