//! What the writer's operations mean.
//!
//! **Invariant**: a commit is checked before it writes, so that a refused one leaves its group
//! alone; only what fails in the midst of writing is undone by the writer's savepoint.

use std::collections::HashSet;
use std::sync::Arc;

use hilum_db::rusqlite::Connection;
use hilum_db::{DbClass, DbError, Doing, Handler, Recovery};
use tokio::sync::oneshot;

use super::apply;
use super::content;
use super::erase::{self, Scrub};
use super::job;
use super::names::{load_catalog, register, retire};
use super::outbox;
use super::reindex::{self, Step};
use crate::catalog::Catalog;
use crate::commit::{Committed, Delivery, Expect, JobStep, OutboxEvent};
use crate::config::ParamSpec;
use crate::content::ContentStep;
use crate::erase::{EraseStep, Erased};
use crate::error::StoreError;
use crate::id::{ParamKey, ResourceType};
use crate::job::{Job, JobChange};
use crate::prepare::PreparedChange;
use crate::reindex::Progress;
use crate::shared::Shared;

/// Words remembered as stored already, so that a repeated one costs no look.
const WORDS_KNOWN_MAX: usize = 200_000;

/// An operation of the writer.
pub(super) enum Op {
    Commit(Box<CommitOp>),
    Define {
        params: Vec<ParamSpec>,
        retired: Vec<ParamKey>,
        keys: Result<Vec<ParamKey>, StoreError>,
        done: oneshot::Sender<Result<Vec<ParamKey>, StoreError>>,
    },
    /// Removes rows of the outbox up to a number.
    Trim {
        to: i64,
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    Reindex {
        step: Step,
        progress: Result<Option<Progress>, StoreError>,
        done: oneshot::Sender<Result<Option<Progress>, StoreError>>,
    },
    Job {
        change: JobChange,
        job: Result<Option<Job>, StoreError>,
        done: oneshot::Sender<Result<Option<Job>, StoreError>>,
    },
    Erase {
        resources: Vec<(ResourceType, String)>,
        step: Option<EraseStep>,
        erased: Result<Erased, StoreError>,
        done: oneshot::Sender<Result<Erased, StoreError>>,
    },
    Content {
        step: ContentStep,
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    Scrub {
        step: Scrub,
        /// There is more to do.
        more: Result<bool, StoreError>,
        done: oneshot::Sender<Result<bool, StoreError>>,
    },
}

impl Op {
    fn fail(self, error: StoreError) {
        // Whoever asked may have stopped waiting.
        match self {
            Self::Commit(commit) => drop(commit.done.send(Err(error))),
            Self::Define { done, .. } => drop(done.send(Err(error))),
            Self::Trim { done, .. } => drop(done.send(Err(error))),
            Self::Reindex { done, .. } => drop(done.send(Err(error))),
            Self::Job { done, .. } => drop(done.send(Err(error))),
            Self::Erase { done, .. } => drop(done.send(Err(error))),
            Self::Content { done, .. } => drop(done.send(Err(error))),
            Self::Scrub { done, .. } => drop(done.send(Err(error))),
        }
    }
}

/// A commit, prepared as far as possible outside the writer.
pub(super) struct CommitOp {
    pub(super) expectations: Vec<Expect>,
    pub(super) changes: Vec<PreparedChange>,
    pub(super) events: Vec<OutboxEvent>,
    pub(super) delivery: Option<Delivery>,
    pub(super) job: Option<JobStep>,
    pub(super) outcome: Result<Committed, StoreError>,
    pub(super) done: oneshot::Sender<Result<Committed, StoreError>>,
}

/// What is counted while a group is written.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// The last change.
    pub(super) seq: i64,
    /// Its time.
    pub(super) updated_ms: i64,
    /// Resources of each type that are not deleted.
    pub(super) counts: Vec<i64>,
}

/// The writer's side of a store.
pub(super) struct StoreHandler {
    pub(super) shared: Arc<Shared>,
    pub(super) state: State,
    /// As of the last commit.
    committed: State,
    marked: State,
    /// Words (parameter and hash) that are surely stored.
    pub(super) words: HashSet<(i64, i64)>,
    /// Something was applied since the last commit, so `words` may name what was undone.
    unsure: bool,
    /// The catalogue that the running group makes.
    pub(super) catalog: Option<Catalog>,
}

impl StoreHandler {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            state: State::default(),
            committed: State::default(),
            marked: State::default(),
            words: HashSet::new(),
            unsure: false,
            catalog: None,
        }
    }

    /// Forgets what is known of words when there are too many of them.
    pub(super) fn know_word(&mut self, index: i64, code: i64) {
        if self.words.len() >= WORDS_KNOWN_MAX {
            self.words.clear();
        }
        self.words.insert((index, code));
    }

    fn load(&mut self, conn: &Connection) -> Result<(), DbError> {
        let name = &self.shared.name;
        let meta = |key: &str| {
            conn.query_row("SELECT value FROM meta WHERE name = ?", [key], |row| {
                row.get::<_, i64>(0)
            })
            .doing("read the numbers of", name)
        };
        let mut state = State {
            seq: meta("seq")?,
            updated_ms: meta("updated-ms")?,
            counts: Vec::new(),
        };
        let mut statement = conn
            .prepare("SELECT type, count FROM counter ORDER BY type")
            .doing("count", name)?;
        let rows = statement
            .query_map([], |row| {
                Ok((row.get::<_, usize>(0)?, row.get::<_, i64>(1)?))
            })
            .doing("count", name)?;
        for row in rows {
            let (at, count) = row.doing("count", name)?;
            if state.counts.len() <= at {
                state.counts.resize(at + 1, 0);
            }
            if let Some(slot) = state.counts.get_mut(at) {
                *slot = count;
            }
        }
        self.state = state;
        self.committed = self.state.clone();
        Ok(())
    }

    fn define(
        &mut self,
        conn: &Connection,
        params: &[ParamSpec],
        retired: &[ParamKey],
    ) -> Result<Vec<ParamKey>, DbError> {
        retire(conn, &self.shared.name, retired)?;
        let keys = register(conn, &self.shared.name, &[], params, &self.state.counts)?;
        self.catalog = Some(load_catalog(conn, &self.shared.name)?);
        Ok(keys)
    }
}

impl Handler for StoreHandler {
    type Op = Op;

    fn opened(&mut self, conn: &Connection, _recovery: Recovery) -> Result<(), DbError> {
        self.words.clear();
        self.load(conn)?;
        let name = self.shared.name.clone();
        let config = &self.shared.config;
        let run = |sql: &str| conn.execute_batch(sql).doing("register names in", &name);
        // What is removed is overwritten where it lay, or erasing would not erase.
        run("PRAGMA secure_delete = ON")?;
        run("BEGIN IMMEDIATE")?;
        register(
            conn,
            &name,
            &config.types,
            &config.params,
            &self.state.counts,
        )?;
        content::drop_forgotten(self, conn)?;
        run("COMMIT")?;
        self.shared.set_catalog(load_catalog(conn, &name)?);
        Ok(())
    }

    fn begin(&mut self) {
        self.state.clone_from(&self.committed);
        self.catalog = None;
        if std::mem::replace(&mut self.unsure, true) {
            self.words.clear();
        }
    }

    fn apply(&mut self, conn: &Connection, op: &mut Op) -> Result<(), DbError> {
        match op {
            Op::Commit(commit) => apply::commit(self, conn, commit),
            Op::Define {
                params,
                retired,
                keys,
                ..
            } => {
                *keys = Ok(self.define(conn, params, retired)?);
                Ok(())
            }
            Op::Trim { to, .. } => outbox::trim(self, conn, *to),
            Op::Reindex { step, progress, .. } => {
                *progress = Ok(reindex::apply(self, conn, step)?);
                Ok(())
            }
            Op::Job { change, job, .. } => {
                *job = Ok(job::apply(self, conn, change)?);
                Ok(())
            }
            Op::Erase {
                resources,
                step,
                erased,
                ..
            } => {
                *erased = Ok(erase::erase(self, conn, resources, step.as_ref())?);
                Ok(())
            }
            Op::Content { step, .. } => content::apply(self, conn, step),
            Op::Scrub { step, more, .. } => {
                *more = Ok(erase::scrub(self, conn, *step)?);
                Ok(())
            }
        }
    }

    fn mark(&mut self) {
        self.marked.clone_from(&self.state);
    }

    fn rewind(&mut self) {
        self.state.clone_from(&self.marked);
        self.words.clear();
    }

    fn closing(&mut self, conn: &Connection) -> Result<(), DbError> {
        let name = &self.shared.name;
        let set = |sql: &str, values: (i64, i64)| {
            let mut statement = conn.prepare_cached(sql)?;
            statement.execute(values).map(drop)
        };
        let numbers = |state: &State| (state.seq, state.updated_ms);
        if numbers(&self.state) != numbers(&self.committed) {
            let numbers = "UPDATE meta SET value = CASE name WHEN 'seq' THEN ?1 ELSE ?2 END \
                           WHERE name IN ('seq', 'updated-ms')";
            set(numbers, (self.state.seq, self.state.updated_ms)).doing("number", name)?;
        }
        for (at, count) in (0_i64..).zip(&self.state.counts) {
            let before = usize::try_from(at)
                .ok()
                .and_then(|at| self.committed.counts.get(at));
            if before != Some(count) {
                set("INSERT OR REPLACE INTO counter VALUES (?, ?)", (at, *count))
                    .doing("count in", name)?;
            }
        }
        Ok(())
    }

    fn committed(&mut self, conn: &Connection, ops: Vec<Op>) {
        self.committed.clone_from(&self.state);
        self.unsure = false;
        if let Some(catalog) = self.catalog.take() {
            self.shared.set_catalog(catalog);
        }
        for op in ops {
            // Whoever asked may have stopped waiting.
            match op {
                Op::Commit(commit) => drop(commit.done.send(commit.outcome)),
                Op::Define { keys, done, .. } => drop(done.send(keys)),
                Op::Trim { done, .. } => drop(done.send(Ok(()))),
                Op::Reindex { progress, done, .. } => drop(done.send(progress)),
                Op::Job { job, done, .. } => drop(done.send(job)),
                Op::Erase { erased, done, .. } => drop(done.send(erased)),
                Op::Content { done, .. } => drop(done.send(Ok(()))),
                Op::Scrub { step, more, done } => {
                    let more = match step {
                        Scrub::Begin | Scrub::Merge => more,
                        Scrub::Log => Ok(erase::empty_log(conn, &self.shared.name)
                            .inspect_err(|error| tracing::warn!(%error, "the log stays"))
                            .unwrap_or(true)),
                    };
                    drop(done.send(more));
                }
            }
        }
    }

    fn refused(&mut self, op: Op, error: &DbError) {
        // A commit that found its own reason in the midst of writing says it; anything else is the
        // file's reason.
        let own = error.class() == DbClass::Constraint;
        match op {
            Op::Commit(commit) if own && commit.outcome.is_err() => {
                drop(commit.done.send(commit.outcome));
            }
            op => op.fail(StoreError::Db(error.clone())),
        }
    }

    fn failed(&mut self, ops: Vec<Op>, error: &DbError) {
        for op in ops {
            op.fail(StoreError::Db(error.clone()));
        }
    }
}
