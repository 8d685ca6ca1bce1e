//! The writer of a store: one thread, one connection, commits in groups.
//!
//! A group costs two round trips: one that locks the numbers and reads what the commits are about,
//! one that writes and commits. Nobody waits for a timer: what came while a group was written is
//! the next group.
//!
//! **Invariant**: an outcome is told after the server has answered the COMMIT. If the connection is
//! lost on the way, the next one asks whether the row of this writer has the group's number: only if
//! no connection is to be had for a while is the fate unknown.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::sync::oneshot;

use super::columns::Columns;
use super::group::{self, CommitOp, Outcome};
use super::link::{Link, is_passing};
use super::names;
use super::writing::{Mark, Numbers, Writing};
use crate::error::StoreError;
use crate::shared::Shared;

/// Commits of one transaction.
const GROUP_OPS_MAX: usize = 256;
/// Bytes of bodies and index rows from which on a group takes no further commit.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// How often a transaction is done anew because the server says that it may succeed then.
const TRIES_MAX: usize = 5;
/// Pauses between attempts to get a connection back; three seconds altogether.
const PAUSES_MS: [u64; 7] = [20, 60, 120, 300, 500, 1000, 1000];

/// A commit on its way.
pub(super) struct Waiting {
    pub(super) op: CommitOp,
    pub(super) bytes: usize,
    pub(super) done: oneshot::Sender<Outcome>,
}

/// Work in a transaction of its own.
pub(super) trait Task: Send {
    fn run(&mut self, writing: &mut Writing<'_>) -> Result<(), StoreError>;

    fn end(self: Box<Self>, fate: Result<(), StoreError>);
}

/// An operation of the writer.
pub(super) enum Op {
    Commit(Box<Waiting>),
    Task(Box<dyn Task>),
}

/// The writer's side of a store.
pub(super) struct PgWriter {
    link: Link,
    shared: Arc<Shared>,
    mark: Mark,
    seen: Numbers,
    words: HashSet<(i64, i64)>,
    /// The last attempt to connect failed, so the next one is the only one.
    down: bool,
}

/// What is known of a transaction that failed.
enum Fate {
    /// Surely not written.
    Nothing,
    /// The connection was lost after the COMMIT was sent.
    Unknown,
}

impl PgWriter {
    pub(super) fn new(link: Link, shared: Arc<Shared>, writer: i64) -> Self {
        Self {
            link,
            shared,
            mark: Mark { writer, batch: 0 },
            seen: Numbers::default(),
            words: HashSet::new(),
            down: false,
        }
    }

    /// Tells this writer from those of other programs.
    pub(super) const fn id(&self) -> i64 {
        self.mark.writer
    }

    /// Registers the names of the configuration and loads all.
    pub(super) fn open(&mut self) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let (types, params) = (&shared.config.types, &shared.config.params);
        self.transact(&mut |writing| {
            names::forget_writers(writing)?;
            names::register(writing, types, params).map(drop)
        })?;
        self.catalog()
    }

    /// Runs until nobody can submit any more.
    pub(super) fn run(mut self, ops: &Receiver<Op>) {
        while let Ok(first) = ops.recv() {
            let mut next = Some(first);
            while let Some(op) = next.take() {
                match op {
                    Op::Task(task) => self.alone(task),
                    Op::Commit(first) => {
                        let mut bytes = first.bytes;
                        let mut group = vec![*first];
                        while group.len() < GROUP_OPS_MAX && bytes < GROUP_BYTES_MAX {
                            match ops.try_recv() {
                                Ok(Op::Commit(more)) => {
                                    bytes += more.bytes;
                                    group.push(*more);
                                }
                                Ok(task @ Op::Task(_)) => {
                                    next = Some(task);
                                    break;
                                }
                                Err(_) => break,
                            }
                        }
                        self.group(group);
                    }
                }
            }
        }
    }

    fn group(&mut self, group: Vec<Waiting>) {
        match self.commit(&group) {
            Ok(outcomes) => {
                for (waiting, outcome) in group.into_iter().zip(outcomes) {
                    // Whoever asked may have stopped waiting.
                    drop(waiting.done.send(outcome));
                }
            }
            // One of them is at fault: the others are not to suffer.
            Err(StoreError::Refused { .. }) if group.len() > 1 => {
                for waiting in group {
                    self.group(vec![waiting]);
                }
            }
            Err(error) => {
                for waiting in group {
                    drop(waiting.done.send(Err(error.clone())));
                }
            }
        }
    }

    fn commit(&mut self, group: &[Waiting]) -> Result<Vec<Outcome>, StoreError> {
        let ops: Vec<&CommitOp> = group.iter().map(|waiting| &waiting.op).collect();
        let mut outcomes = Vec::new();
        self.transact(&mut |writing| {
            outcomes = group::apply(writing, &ops)?;
            Ok(())
        })?;
        Ok(outcomes)
    }

    fn alone(&mut self, mut task: Box<dyn Task>) {
        let fate = self.transact(&mut |writing| task.run(writing));
        task.end(fate);
    }

    /// Runs a transaction until its fate is known.
    fn transact(
        &mut self,
        work: &mut dyn FnMut(&mut Writing<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            self.connect()?;
            self.mark.batch += 1;
            let (error, fate) = match self.attempt(work) {
                Ok(numbers) => {
                    let renamed = numbers.names != self.seen.names;
                    self.seen = numbers;
                    return if renamed { self.catalog() } else { Ok(()) };
                }
                Err(failed) => failed,
            };
            self.words.clear();
            match fate {
                Fate::Unknown => match self.ask_fate() {
                    Some(true) => return self.catalog(),
                    Some(false) if tries < TRIES_MAX => {}
                    Some(false) => return Err(error),
                    None => {
                        let place = self.shared.name.clone();
                        return Err(StoreError::Lost { place });
                    }
                },
                Fate::Nothing => {
                    self.link.roll_back();
                    let away = matches!(error, StoreError::Away { .. });
                    if tries >= TRIES_MAX || !(away || is_passing(&error)) {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn attempt(
        &mut self,
        work: &mut dyn FnMut(&mut Writing<'_>) -> Result<(), StoreError>,
    ) -> Result<Numbers, (StoreError, Fate)> {
        let mut writing = Writing::new(
            &mut self.link,
            &self.shared,
            self.mark,
            &mut self.words,
            self.seen,
        );
        let mut outcome = work(&mut writing);
        if outcome.is_ok() && !writing.committed {
            outcome = writing.write(&mut Columns::default(), true);
        }
        match outcome {
            Ok(()) => Ok(writing.numbers),
            Err(error) => {
                let lost = writing.committing && matches!(error, StoreError::Away { .. });
                let fate = if lost { Fate::Unknown } else { Fate::Nothing };
                Err((error, fate))
            }
        }
    }

    /// Connects, patiently if the server was there a moment ago.
    fn connect(&mut self) -> Result<(), StoreError> {
        let mut pauses = PAUSES_MS.iter();
        loop {
            let error = match self.link.connect() {
                Ok(()) => {
                    self.down = false;
                    return Ok(());
                }
                Err(error) => error,
            };
            match pauses.next() {
                Some(pause) if !self.down => self.link.pause(Duration::from_millis(*pause)),
                _ => {
                    self.down = true;
                    return Err(error);
                }
            }
        }
    }

    /// Whether the last transaction was committed; `None` if nobody says. The lock waits for a
    /// session of ours that may still be at it.
    fn ask_fate(&mut self) -> Option<bool> {
        for _ in 0..TRIES_MAX {
            self.connect().ok()?;
            let asked = self.link.together(&[
                ("BEGIN ISOLATION LEVEL READ COMMITTED", &[]),
                (
                    "SELECT seq, updated_ms, outbox, names FROM store FOR UPDATE",
                    &[],
                ),
                (
                    "SELECT batch FROM writer WHERE id = $1",
                    &[&self.mark.writer],
                ),
                ("ROLLBACK", &[]),
            ]);
            if let Ok(rows) = asked {
                let batch = rows.get(2).and_then(|rows| rows.first());
                let batch: Option<i64> = batch.map(|row| row.get(0));
                return Some(batch == Some(self.mark.batch));
            }
            self.link.roll_back();
        }
        None
    }

    fn catalog(&mut self) -> Result<(), StoreError> {
        let (names, catalog) = names::load(&mut self.link)?;
        self.seen.names = names;
        self.shared.set_catalog(catalog);
        Ok(())
    }
}
