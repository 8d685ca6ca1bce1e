//! The outbox: events that are written with the changes they follow from, and stay until trimmed.

use hilum_db::rusqlite::{Connection, OptionalExtension, Params, Row};
use hilum_db::{DbError, Doing};
use tokio::sync::oneshot;

use super::apply::run;
use super::handler::{Op, StoreHandler};
use super::open::SqliteStore;
use crate::commit::{OutboxEvent, OutboxRow, Written};
use crate::error::StoreError;
use crate::id::Seq;

/// Rows in one answer.
const ROWS_MAX: usize = 1000;

/// The columns of a row, in the order in which [`row`] takes them.
macro_rules! columns {
    () => {
        "SELECT o.id, o.event, o.seq, coalesce(v.updated_ms, 0), o.topic, o.payload \
         FROM outbox o LEFT JOIN version v ON v.seq = o.seq"
    };
}

impl SqliteStore {
    pub(crate) async fn outbox(
        &self,
        after: i64,
        max: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.long(move |conn, shared| rows(conn, &shared.name, after, max))
            .await
    }

    pub(crate) async fn events(
        &self,
        topic: String,
        numbers: (u64, u64),
        max: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.long(move |conn, shared| events(conn, &shared.name, &topic, numbers, max))
            .await
    }

    pub(crate) async fn last_event(&self, topic: &str) -> Result<u64, StoreError> {
        self.point(|conn, name| last(conn, name, topic))
    }

    pub(crate) async fn trim_outbox(&self, to: i64) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        self.submit(0, Op::Trim { to, done })?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }
}

/// Numbers the events of a commit and writes them. A delete that found nothing has no event.
pub(super) fn write(
    handler: &StoreHandler,
    conn: &Connection,
    events: &[OutboxEvent],
    written: &[Written],
) -> Result<(), DbError> {
    let name = &handler.shared.name;
    for event in events {
        let Some(change) = written.get(event.change).filter(|one| one.version > 0) else {
            continue;
        };
        let mut count = conn
            .prepare_cached(
                "INSERT INTO topic VALUES (?, 1) \
                 ON CONFLICT (name) DO UPDATE SET events = events + 1 RETURNING events",
            )
            .doing("number an event in", name)?;
        let number: i64 = count
            .query_row([&event.topic], |row| row.get(0))
            .doing("number an event in", name)?;
        run(
            handler,
            conn,
            "INSERT INTO outbox (seq, topic, event, payload) VALUES (?, ?, ?, ?)",
            &[&change.seq.0, &event.topic, &number, &&event.payload[..]],
        )?;
    }
    Ok(())
}

/// Forgets rows up to a number.
pub(super) fn trim(handler: &StoreHandler, conn: &Connection, to: i64) -> Result<(), DbError> {
    run(handler, conn, "DELETE FROM outbox WHERE id <= ?", &[&to]).map(drop)
}

/// Rows behind a number, in their order.
pub(super) fn rows(
    conn: &Connection,
    name: &str,
    after: i64,
    max: usize,
) -> Result<Vec<OutboxRow>, StoreError> {
    let sql = concat!(columns!(), " WHERE o.id > ? ORDER BY o.id LIMIT ?");
    read(conn, name, sql, (after, limit(max)))
}

/// The events of a topic from one number to another, both included.
pub(super) fn events(
    conn: &Connection,
    name: &str,
    topic: &str,
    (from, to): (u64, u64),
    max: usize,
) -> Result<Vec<OutboxRow>, StoreError> {
    let sql = concat!(
        columns!(),
        " WHERE o.topic = ? AND o.event BETWEEN ? AND ? ORDER BY o.event LIMIT ?"
    );
    let narrow = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let params = (topic, narrow(from), narrow(to), limit(max));
    read(conn, name, sql, params)
}

/// The number of the last event of a topic; 0 if it never had one.
pub(super) fn last(conn: &Connection, name: &str, topic: &str) -> Result<u64, StoreError> {
    let mut statement = conn
        .prepare_cached("SELECT events FROM topic WHERE name = ?")
        .doing("read the outbox of", name)?;
    let found: Option<u64> = statement
        .query_row([topic], |row| row.get(0))
        .optional()
        .doing("read the outbox of", name)?;
    Ok(found.unwrap_or(0))
}

fn limit(max: usize) -> i64 {
    i64::try_from(max.min(ROWS_MAX)).unwrap_or(0)
}

fn read(
    conn: &Connection,
    name: &str,
    sql: &str,
    params: impl Params,
) -> Result<Vec<OutboxRow>, StoreError> {
    let mut statement = conn.prepare_cached(sql).doing("read the outbox of", name)?;
    let rows = statement
        .query_map(params, row)
        .doing("read the outbox of", name)?;
    let rows: Result<_, _> = rows.collect();
    Ok(rows.doing("read the outbox of", name)?)
}

fn row(row: &Row<'_>) -> Result<OutboxRow, hilum_db::rusqlite::Error> {
    Ok(OutboxRow {
        number: row.get(0)?,
        event: row.get(1)?,
        seq: Seq(row.get(2)?),
        at_ms: row.get(3)?,
        topic: row.get(4)?,
        payload: row.get::<_, Vec<u8>>(5)?.into(),
    })
}
