//! Moving changes into `control.db`, in sequence order.
//!
//! The sequence reached is written in the same commit, so doing it again changes nothing. Start
//! reads what is above it from the partitions.

use std::sync::Arc;

use super::{Change, ChangeOf, Changed, StateMemory};
use crate::model::{StateWrite, TimerWrite};
use crate::upkeep::FOLD_FROM;

/// Values of one commit, so that none holds up the disk for long.
const COMMIT_MAX: usize = 4096;
/// Of more values than these the room is given back.
const SPARE_MAX: usize = 4 * FOLD_FROM;
/// Values that are kept in memory while nobody else looks for one.
const LOCKED_MAX: usize = 256;

/// What is folded together: the last change of each value.
pub(crate) struct Fold(Arc<Changed>);

impl Fold {
    fn reached(&self) -> u64 {
        self.0.span.map_or(0, |(_, last)| last)
    }

    /// What is to be written, a commit each, with the sequence up to which all are folded then. Values
    /// come in the order of their keys, so that those of one page of the file come together. Until the
    /// last commit the sequence stays: the changes are folded again after a crash, to the same values.
    pub(crate) fn commits(&self) -> impl Iterator<Item = (Vec<Change>, u64)> {
        let mut values: Vec<_> = self.0.values.iter().collect();
        values.sort_unstable_by_key(|(name, _)| *name);
        let values = values.into_iter().map(|((scope, key), entry)| Change {
            sequence: entry.version,
            what: ChangeOf::Value(StateWrite {
                scope: scope.clone(),
                key: key.clone(),
                value: entry.value.clone(),
                expires_ms: entry.expires_ms,
            }),
        });
        let timers = self.0.timers.iter();
        let timers = timers.map(|((channel, scope, key), (sequence, due_ms))| Change {
            sequence: *sequence,
            what: ChangeOf::Timer(
                channel.clone(),
                TimerWrite {
                    scope: scope.clone(),
                    key: key.clone(),
                    due_ms: *due_ms,
                },
            ),
        });
        let mut rest = values.chain(timers).peekable();
        std::iter::from_fn(move || {
            let commit: Vec<_> = rest.by_ref().take(COMMIT_MAX).collect();
            let ends = rest.peek().is_none();
            let reached = if ends { self.reached() } else { 0 };
            (!commit.is_empty()).then_some((commit, reached))
        })
    }
}

impl StateMemory {
    /// What was begun and has failed, else all that has changed since the last fold. One at a time.
    pub(crate) fn begin_fold(&self) -> Option<Fold> {
        let mut unfolded = self.write_unfolded();
        if unfolded.older.is_none() {
            unfolded.newer.span?;
            let spare = std::mem::take(&mut unfolded.spare);
            unfolded.older = Some(Arc::new(std::mem::replace(&mut unfolded.newer, spare)));
        }
        unfolded.older.clone().map(Fold)
    }

    /// These are in `control.db` now.
    pub(crate) fn end_fold(&self, fold: Fold) {
        // They are found here until they are found among what is known.
        let mut values = fold.0.values.iter();
        while values.len() > 0 {
            let mut known = self.lock_known();
            for ((scope, key), entry) in values.by_ref().take(LOCKED_MAX) {
                known.keep((scope.clone(), key.clone()), entry.clone());
            }
        }
        let reached = fold.reached();
        drop(fold);
        let older = self.write_unfolded().older.take();
        self.set_folded(reached);
        // Nobody else holds it; what it has is dropped while nobody waits.
        let spare = older.and_then(Arc::into_inner);
        if let Some(mut spare) = spare.filter(|spare| spare.len() <= SPARE_MAX) {
            spare.clear();
            self.write_unfolded().spare = spare;
        }
    }
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
        let mut changed = Changed::default();
        for n in 0..2 * keys {
            changed.add(change(n as u64, n % keys));
        }
        let fold = Fold(Arc::new(changed));
        let commits: Vec<_> = fold.commits().collect();
        let sizes: Vec<_> = commits
            .iter()
            .map(|(values, at)| (values.len(), *at))
            .collect();
        assert_eq!(sizes, [(COMMIT_MAX, 0), (1, 2 * keys as u64 - 1)]);
        let newest = commits.iter().flat_map(|(values, _)| values);
        assert!(
            newest
                .map(|change| change.sequence)
                .eq(keys as u64..2 * keys as u64)
        );
    }
}
