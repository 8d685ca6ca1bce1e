//! The table of jobs.

use tokio_postgres::Row;

use super::link::Link;
use super::open::PgStore;
use super::text::clean;
use super::writing::Writing;
use crate::error::StoreError;
use crate::id::Seq;
use crate::job::{Job, JobChange, JobState};

macro_rules! columns {
    () => {
        "SELECT id, kind, state, seq, created_ms, changed_ms, request, progress FROM job "
    };
}

const ONE: &str = concat!(columns!(), "WHERE id = $1");

impl PgStore {
    pub(crate) async fn change_job(&self, change: JobChange) -> Result<Option<Job>, StoreError> {
        self.write(move |writing| apply(writing, &change)).await
    }

    pub(crate) async fn job(&self, id: &str) -> Result<Option<Job>, StoreError> {
        let id = id.to_owned();
        self.point(move |link| one(link, &id)).await
    }

    pub(crate) async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        self.point(all).await
    }
}

const fn number(state: JobState) -> i64 {
    match state {
        JobState::Open => 0,
        JobState::Done => 1,
        JobState::Failed => 2,
    }
}

fn job(row: &Row) -> Job {
    Job {
        id: row.get(0),
        kind: row.get(1),
        state: match row.get::<_, i64>(2) {
            1 => JobState::Done,
            2 => JobState::Failed,
            _ => JobState::Open,
        },
        seq: Seq(row.get(3)),
        created_ms: row.get(4),
        changed_ms: row.get(5),
        request: row.get::<_, Vec<u8>>(6).into(),
        progress: row.get::<_, Vec<u8>>(7).into(),
    }
}

/// One job.
pub(super) fn one(link: &mut Link, id: &str) -> Result<Option<Job>, StoreError> {
    Ok(link.query(ONE, &[&&*clean(id)])?.first().map(job))
}

/// All jobs in the order in which they were added.
pub(super) fn all(link: &mut Link) -> Result<Vec<Job>, StoreError> {
    let sql = concat!(columns!(), "ORDER BY created_ms, id");
    Ok(link.query(sql, &[])?.iter().map(job).collect())
}

/// Changes the table; gives the job as it is then, or as it was if it was removed.
pub(super) fn apply(
    writing: &mut Writing<'_>,
    change: &JobChange,
) -> Result<Option<Job>, StoreError> {
    writing.begin(&[])?;
    let now = writing.shared.config.clock.now_ms();
    let rows = match change {
        JobChange::Add(new) => {
            // Later changes are no older than the job.
            let numbers = &mut writing.numbers;
            numbers.updated_ms = numbers.updated_ms.max(now);
            let (seq, at) = (numbers.seq, numbers.updated_ms);
            let sql = "INSERT INTO job VALUES ($1, $2, 0, $3, $4, $4, $5, $6)";
            let (id, kind) = (clean(&new.id), clean(&new.kind));
            let (request, progress) = (&new.request[..], &new.progress[..]);
            writing.query(sql, &[&&*id, &&*kind, &seq, &at, &request, &progress])?;
            writing.query(ONE, &[&&*id])?
        }
        JobChange::Save {
            id,
            state,
            progress,
        } => {
            let sql = "UPDATE job SET state = $2, progress = $3, changed_ms = $4 WHERE id = $1";
            let id = clean(id);
            writing.query(sql, &[&&*id, &number(*state), &&progress[..], &now])?;
            writing.query(ONE, &[&&*id])?
        }
        JobChange::Remove(id) => {
            let id = clean(id);
            let was = writing.query(ONE, &[&&*id])?;
            writing.query("DELETE FROM job WHERE id = $1", &[&&*id])?;
            was
        }
    };
    Ok(rows.first().map(job))
}
