//! One write transaction: who holds the row of `store` numbers the changes.

use std::collections::HashSet;
use std::sync::Arc;

use tokio_postgres::Row;

use super::columns::Columns;
use super::link::{Link, Values};
use crate::error::StoreError;
use crate::shared::Shared;

/// Words remembered as stored already, so that a repeated one costs nothing.
const WORDS_KNOWN_MAX: usize = 200_000;

/// The numbers of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The last change.
    pub(super) seq: i64,
    /// Its time.
    pub(super) updated_ms: i64,
    /// The last row of the outbox.
    pub(super) outbox: i64,
    /// Counts the changes of types and parameters.
    pub(super) names: i64,
    /// Counts the changes of what makes events.
    pub(super) watched: i64,
}

/// Which transaction of which process this is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) writer: i64,
    pub(super) batch: i64,
}

/// A transaction that writes.
pub(super) struct Writing<'a> {
    pub(super) link: &'a mut Link,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) mark: Mark,
    /// As they will be when it is committed.
    pub(super) numbers: Numbers,
    /// Words (parameter and hash) that are surely stored when it is committed.
    words: &'a mut HashSet<(i64, i64)>,
    /// The numbers of the last transaction of this process.
    seen: Numbers,
    begun: bool,
    /// The commit was sent.
    pub(super) committing: bool,
    pub(super) committed: bool,
}

impl<'a> Writing<'a> {
    pub(super) fn new(
        link: &'a mut Link,
        shared: &'a Arc<Shared>,
        mark: Mark,
        words: &'a mut HashSet<(i64, i64)>,
        seen: Numbers,
    ) -> Self {
        Self {
            link,
            shared,
            mark,
            numbers: seen,
            words,
            seen,
            begun: false,
            committing: false,
            committed: false,
        }
    }

    /// Begins and runs the first statements in the same round trip. Waits until no other process
    /// writes; what it wrote is seen.
    pub(super) fn begin(
        &mut self,
        calls: &[(&'static str, Values<'_>)],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let mut all: Vec<(&'static str, Values<'_>)> = vec![
            ("BEGIN ISOLATION LEVEL READ COMMITTED", &[]),
            (
                "SELECT seq, updated_ms, outbox, names, watched FROM store FOR UPDATE",
                &[],
            ),
        ];
        all.extend_from_slice(calls);
        self.begun = true;
        let mut answers = self.link.together(&all)?.into_iter().skip(1);
        let store = answers.next().unwrap_or_default();
        let row = store.first();
        let row = row.ok_or(StoreError::Invalid("a store without its row"))?;
        self.numbers = Numbers {
            seq: row.get(0),
            updated_ms: row.get(1),
            outbox: row.get(2),
            names: row.get(3),
            watched: row.get(4),
        };
        if self.numbers.seq != self.seen.seq {
            // Another process has written, so words may be gone.
            self.words.clear();
        }
        Ok(answers.collect())
    }

    pub(super) fn query(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        if !self.begun {
            self.begin(&[])?;
        }
        self.link.query(sql, values)
    }

    /// Writes; if it is the last of the transaction, commits in the same round trip.
    pub(super) fn write(
        &mut self,
        columns: &mut Columns<'_>,
        last: bool,
    ) -> Result<(), StoreError> {
        if !self.begun {
            self.begin(&[])?;
        }
        if self.words.len() >= WORDS_KNOWN_MAX {
            self.words.clear();
        }
        let words = &mut *self.words;
        columns.known_words(|index, code| words.insert((index, code)));
        for gone in columns.words_gone() {
            self.words.remove(&gone);
        }
        let Numbers {
            seq,
            updated_ms,
            outbox,
            names,
            watched,
        } = self.numbers;
        let Mark { writer, batch } = self.mark;
        let store: Values<'_> = &[&seq, &updated_ms, &outbox, &names, &watched];
        let mark: Values<'_> = &[&writer, &batch, &updated_ms];
        let calls = columns.calls();
        let mut all: Vec<(&'static str, Values<'_>)> = calls
            .iter()
            .map(|(sql, values)| (*sql, &values[..]))
            .collect();
        if last {
            all.extend([
                (
                    "UPDATE store SET seq = $1, updated_ms = $2, outbox = $3, names = $4, \
                     watched = $5",
                    store,
                ),
                (
                    "INSERT INTO writer VALUES ($1, $2, $3) \
                     ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at_ms = excluded.at_ms",
                    mark,
                ),
                ("COMMIT", &[]),
            ]);
            self.committing = true;
        }
        self.link.together(&all)?;
        self.committed = last;
        Ok(())
    }
}
