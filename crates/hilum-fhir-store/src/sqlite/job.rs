//! The table of jobs.

use hilum_db::rusqlite::{Connection, Error, OptionalExtension, Row};
use hilum_db::{DbError, Doing};
use tokio::sync::oneshot;

use super::apply::run;
use super::handler::{Op, StoreHandler};
use super::open::SqliteStore;
use crate::commit::JobStep;
use crate::error::StoreError;
use crate::id::Seq;
use crate::job::{Job, JobChange, JobState};

const fn number(state: JobState) -> i64 {
    match state {
        JobState::Open => 0,
        JobState::Done => 1,
        JobState::Failed => 2,
    }
}

fn job(row: &Row<'_>) -> Result<Job, Error> {
    Ok(Job {
        id: row.get(0)?,
        kind: row.get(1)?,
        state: match row.get::<_, i64>(2)? {
            1 => JobState::Done,
            2 => JobState::Failed,
            _ => JobState::Open,
        },
        seq: Seq(row.get(3)?),
        created_ms: row.get(4)?,
        changed_ms: row.get(5)?,
        request: row.get::<_, Vec<u8>>(6)?.into(),
        progress: row.get::<_, Vec<u8>>(7)?.into(),
    })
}

impl SqliteStore {
    pub(crate) async fn change_job(&self, change: JobChange) -> Result<Option<Job>, StoreError> {
        let (done, outcome) = oneshot::channel();
        let job = Err(StoreError::Closed);
        self.submit(0, Op::Job { change, job, done })?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) async fn job(&self, id: &str) -> Result<Option<Job>, StoreError> {
        self.point(|conn, name| Ok(one(conn, name, id)?))
    }

    pub(crate) async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        self.point(|conn, name| Ok(all(conn, name)?))
    }
}

/// One job.
pub(super) fn one(conn: &Connection, name: &str, id: &str) -> Result<Option<Job>, DbError> {
    let mut statement = conn
        .prepare_cached("SELECT * FROM job WHERE id = ?")
        .doing("look for a job in", name)?;
    statement
        .query_row([id], job)
        .optional()
        .doing("look for a job in", name)
}

/// All jobs in the order in which they were added.
pub(super) fn all(conn: &Connection, name: &str) -> Result<Vec<Job>, DbError> {
    let mut statement = conn
        .prepare_cached("SELECT * FROM job ORDER BY created_ms, id")
        .doing("list the jobs of", name)?;
    let rows = statement
        .query_map([], job)
        .doing("list the jobs of", name)?;
    rows.collect::<Result<_, _>>()
        .doing("list the jobs of", name)
}

/// Saves the progress of a job with a commit; nothing changes if it is gone.
pub(super) fn step(
    handler: &StoreHandler,
    conn: &Connection,
    step: &JobStep,
) -> Result<usize, DbError> {
    let now = handler.shared.config.clock.now_ms();
    let sql = "UPDATE job SET progress = ?, changed_ms = ? WHERE id = ?";
    run(handler, conn, sql, &[&&step.progress[..], &now, &step.id])
}

/// Changes the table; gives the job as it is then, or as it was if it was removed.
pub(super) fn apply(
    handler: &mut StoreHandler,
    conn: &Connection,
    change: &JobChange,
) -> Result<Option<Job>, DbError> {
    let name = handler.shared.name.clone();
    let now = handler.shared.config.clock.now_ms();
    match change {
        JobChange::Add(new) => {
            // Later changes are no older than the job.
            handler.state.updated_ms = handler.state.updated_ms.max(now);
            let (seq, at) = (handler.state.seq, handler.state.updated_ms);
            let sql = "INSERT INTO job VALUES (?, ?, 0, ?, ?, ?, ?, ?)";
            let (request, progress) = (&new.request[..], &new.progress[..]);
            let values: [&dyn hilum_db::rusqlite::ToSql; 7] =
                [&new.id, &new.kind, &seq, &at, &at, &request, &progress];
            run(handler, conn, sql, &values)?;
            one(conn, &name, &new.id)
        }
        JobChange::Save {
            id,
            state,
            progress,
        } => {
            let sql = "UPDATE job SET state = ?, progress = ?, changed_ms = ? WHERE id = ?";
            let values: [&dyn hilum_db::rusqlite::ToSql; 4] =
                [&number(*state), &&progress[..], &now, id];
            run(handler, conn, sql, &values)?;
            one(conn, &name, id)
        }
        JobChange::Remove(id) => {
            let was = one(conn, &name, id)?;
            run(handler, conn, "DELETE FROM job WHERE id = ?", &[id])?;
            Ok(was)
        }
    }
}
