//! Moving changes into `control.db`, in sequence order.
//!
//! The sequence reached is written in the same commit, so doing it again changes nothing. Start
//! reads what is above it from the partitions.

use hilum_db::rusqlite::{Connection, params};
use hilum_db::{DbError, Doing};
use std::sync::PoisonError;

use super::{Change, ChangeOf, StateMemory};
use crate::model::{StateWrite, TimerWrite};

/// Changes of one commit.
const FOLD_MAX: usize = 4096;

impl StateMemory {
    /// The oldest changes that wait, and the sequence up to which all are folded with them.
    pub(crate) fn next_fold(&self) -> Option<(Vec<Change>, u64)> {
        let queue = self.lock_queue();
        let changes: Vec<Change> = queue.iter().take(FOLD_MAX).cloned().collect();
        let last = changes.last()?.sequence;
        let more = queue.get(changes.len()).map(|change| change.sequence);
        let reached = if more == Some(last) { last - 1 } else { last };
        Some((changes, reached))
    }

    /// These are in `control.db` now.
    pub(crate) fn end_fold(&self, changes: &[Change], reached: u64) {
        let mut queue = self.lock_queue();
        let count = changes.len().min(queue.len());
        queue.drain(..count);
        drop(queue);
        let mut unfolded = self
            .unfolded
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut folded = Vec::new();
        for change in changes {
            match &change.what {
                ChangeOf::Value(write) => {
                    let Some(keys) = unfolded.values.get_mut(&write.scope) else {
                        continue;
                    };
                    if keys.get(&write.key).map(|entry| entry.version) == Some(change.sequence)
                        && let Some(entry) = keys.remove(&write.key)
                    {
                        folded.push((write, entry));
                    }
                    if keys.is_empty() {
                        unfolded.values.remove(&write.scope);
                    }
                }
                ChangeOf::Timer(channel, timer) => {
                    let key = (channel.clone(), timer.scope.clone(), timer.key.clone());
                    let version = unfolded.timers.get(&key).map(|(version, _)| *version);
                    if version == Some(change.sequence) {
                        unfolded.timers.remove(&key);
                    }
                }
            }
        }
        // Still under the lock: a change that comes after it is told to `known` after this.
        let mut known = self.lock_known();
        for (write, entry) in folded {
            known.keep(&write.scope, &write.key, entry);
        }
        drop(known);
        drop(unfolded);
        self.set_folded(reached);
    }
}

/// The changes above `folded` that a partition holds, in commit order.
pub(crate) fn unfolded_of(
    conn: &Connection,
    file: &str,
    folded: u64,
) -> Result<Vec<Change>, DbError> {
    let read = || {
        let sql = "SELECT seq, scope, key, value, expires_ms FROM state_log WHERE seq > ?1 \
                   ORDER BY seq, n";
        let mut statement = conn.prepare_cached(sql)?;
        let values = statement.query_map(params![folded], |row| {
            Ok(Change {
                sequence: row.get(0)?,
                what: ChangeOf::Value(StateWrite {
                    scope: row.get::<_, String>(1)?.into(),
                    key: row.get::<_, String>(2)?.into(),
                    value: row.get::<_, Option<Vec<u8>>>(3)?.map(Into::into),
                    expires_ms: row.get(4)?,
                }),
            })
        })?;
        let mut changes = values.collect::<Result<Vec<_>, _>>()?;
        let sql = "SELECT seq, channel, scope, key, due_ms FROM timer_log WHERE seq > ?1 \
                   ORDER BY seq, n";
        let mut statement = conn.prepare_cached(sql)?;
        let timers = statement.query_map(params![folded], |row| {
            let channel = row.get::<_, String>(1)?.into();
            let timer = TimerWrite {
                scope: row.get::<_, String>(2)?.into(),
                key: row.get::<_, String>(3)?.into(),
                due_ms: row.get(4)?,
            };
            Ok(Change {
                sequence: row.get(0)?,
                what: ChangeOf::Timer(channel, timer),
            })
        })?;
        changes.extend(timers.collect::<Result<Vec<_>, _>>()?);
        // Values and timers do not touch each other, so only the sequence matters.
        changes.sort_by_key(|change| change.sequence);
        Ok(changes)
    };
    read().doing("read what is not folded of", file)
}
