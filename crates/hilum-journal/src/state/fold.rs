//! Moving changes into `control.db`, in sequence order.
//!
//! The sequence reached is written in the same commit, so doing it again changes nothing. Start
//! reads what is above it from the partitions.

use hilum_db::rusqlite::{Connection, params};
use hilum_db::{DbError, Doing};
use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::{Change, ChangeOf, StateMemory};
use crate::model::{StateWrite, TimerWrite};

/// Changes that are folded together: what changes often is written once for all of them.
const FOLD_MAX: usize = 32_768;
/// Values of one commit, so that none holds up the disk for long.
const COMMIT_MAX: usize = 4096;
/// Changes that are looked at while nobody else reads or changes the state.
const LOCKED_MAX: usize = 256;

/// Changes that are folded together, in commit order.
pub(crate) struct Fold {
    changes: Vec<Change>,
    reached: u64,
}

impl Fold {
    /// What is to be written, a commit each: the last change of each value and all of timers, with the
    /// sequence up to which all are folded then. What was replaced since need not be written. Values come
    /// in the order of their keys, so that those of one page of the file come together. Until the last
    /// commit the sequence stays: the changes are folded again after a crash, to the same values.
    pub(crate) fn commits(&self) -> impl Iterator<Item = (Vec<Change>, u64)> {
        let (mut last, mut timers) = (BTreeMap::new(), Vec::new());
        for change in &self.changes {
            match &change.what {
                ChangeOf::Value(write) => drop(last.insert((&*write.scope, &*write.key), change)),
                ChangeOf::Timer(..) => timers.push(change),
            }
        }
        let mut rest = last.into_values().chain(timers).cloned().peekable();
        std::iter::from_fn(move || {
            let commit: Vec<_> = rest.by_ref().take(COMMIT_MAX).collect();
            let ends = rest.peek().is_none();
            let reached = if ends { self.reached } else { 0 };
            (!commit.is_empty()).then_some((commit, reached))
        })
    }
}

impl StateMemory {
    /// The oldest changes that wait.
    pub(crate) fn next_fold(&self) -> Option<Fold> {
        let queue = self.lock_queue();
        let changes: Vec<Change> = queue.iter().take(FOLD_MAX).cloned().collect();
        let last = changes.last()?.sequence;
        let more = queue.get(changes.len()).map(|change| change.sequence);
        let reached = if more == Some(last) { last - 1 } else { last };
        Some(Fold { changes, reached })
    }

    /// These are in `control.db` now.
    pub(crate) fn end_fold(&self, fold: &Fold) {
        let mut queue = self.lock_queue();
        let count = fold.changes.len().min(queue.len());
        queue.drain(..count);
        drop(queue);
        for changes in fold.changes.chunks(LOCKED_MAX) {
            self.forget(changes);
        }
        self.set_folded(fold.reached);
    }

    /// What stands in `control.db` as it is here need not stay here.
    fn forget(&self, changes: &[Change]) {
        let mut unfolded = self
            .unfolded
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // A change that comes after it is told to `known` after this: `unfolded` stays locked.
        let mut known = self.lock_known();
        for change in changes {
            match &change.what {
                ChangeOf::Value(write) => {
                    let Some(keys) = unfolded.values.get_mut(&write.scope) else {
                        continue;
                    };
                    if keys.get(&write.key).map(|entry| entry.version) == Some(change.sequence)
                        && let Some(entry) = keys.remove(&write.key)
                    {
                        known.keep(&write.scope, &write.key, entry);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn change(sequence: u64, key: usize) -> Change {
        Change {
            sequence,
            what: ChangeOf::Value(StateWrite {
                scope: "s".into(),
                key: format!("{key:08}").into(),
                value: None,
                expires_ms: None,
            }),
        }
    }

    #[test]
    fn the_sequence_is_reached_with_the_last_commit() {
        // Each key changes twice; one more than a commit holds.
        let keys = COMMIT_MAX + 1;
        let changes = (0..2 * keys).map(|n| change(n as u64, n % keys)).collect();
        let fold = Fold {
            changes,
            reached: 2 * keys as u64 - 1,
        };
        let commits: Vec<_> = fold.commits().collect();
        let sizes: Vec<_> = commits
            .iter()
            .map(|(values, at)| (values.len(), *at))
            .collect();
        assert_eq!(sizes, [(COMMIT_MAX, 0), (1, fold.reached)]);
        let newest = commits.iter().flat_map(|(values, _)| values);
        assert!(
            newest
                .map(|change| change.sequence)
                .eq(keys as u64..2 * keys as u64)
        );
    }
}
