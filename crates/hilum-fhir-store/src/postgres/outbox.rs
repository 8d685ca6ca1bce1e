//! The outbox: reading and trimming; `group.rs` writes it.

use tokio_postgres::Row;

use super::link::Link;
use super::open::PgStore;
use super::text::clean;
use crate::commit::OutboxRow;
use crate::error::StoreError;
use crate::id::Seq;

/// Rows in one answer.
const ROWS_MAX: usize = 1000;

macro_rules! columns {
    () => {
        "SELECT o.id, o.event, o.seq, coalesce(v.updated_ms, 0), o.topic, o.payload \
         FROM outbox o LEFT JOIN version v ON v.seq = o.seq "
    };
}

impl PgStore {
    pub(crate) async fn outbox(
        &self,
        after: i64,
        max: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.point(move |link| rows(link, after, max)).await
    }

    pub(crate) async fn events(
        &self,
        topic: String,
        numbers: (u64, u64),
        max: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.point(move |link| events(link, &topic, numbers, max))
            .await
    }

    pub(crate) async fn last_event(&self, topic: &str) -> Result<u64, StoreError> {
        let topic = topic.to_owned();
        self.point(move |link| last(link, &topic)).await
    }

    pub(crate) async fn trim_outbox(&self, to: i64) -> Result<(), StoreError> {
        self.write(move |writing| {
            let sql = "DELETE FROM outbox WHERE id <= $1";
            writing.query(sql, &[&to]).map(drop)
        })
        .await
    }
}

/// Rows behind a number, in their order.
pub(super) fn rows(link: &mut Link, after: i64, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
    let sql = concat!(columns!(), "WHERE o.id > $1 ORDER BY o.id LIMIT $2");
    Ok(link
        .query(sql, &[&after, &limit(max)])?
        .iter()
        .map(row)
        .collect())
}

/// The events of a topic from one number to another, both included.
pub(super) fn events(
    link: &mut Link,
    topic: &str,
    (from, to): (u64, u64),
    max: usize,
) -> Result<Vec<OutboxRow>, StoreError> {
    let sql = concat!(
        columns!(),
        "WHERE o.topic = $1 AND o.event BETWEEN $2 AND $3 ORDER BY o.event LIMIT $4"
    );
    let narrow = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (from, to, topic) = (narrow(from), narrow(to), clean(topic));
    let rows = link.query(sql, &[&&*topic, &from, &to, &limit(max)])?;
    Ok(rows.iter().map(row).collect())
}

/// The number of the last event of a topic; 0 if it never had one.
pub(super) fn last(link: &mut Link, topic: &str) -> Result<u64, StoreError> {
    let rows = link.query(
        "SELECT events FROM topic WHERE name = $1",
        &[&&*clean(topic)],
    )?;
    Ok(rows
        .first()
        .map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
}

fn limit(max: usize) -> i64 {
    i64::try_from(max.min(ROWS_MAX)).unwrap_or(0)
}

fn row(row: &Row) -> OutboxRow {
    OutboxRow {
        number: row.get(0),
        event: row.get::<_, i64>(1).unsigned_abs(),
        seq: Seq(row.get(2)),
        at_ms: row.get(3),
        topic: row.get(4),
        payload: row.get::<_, Vec<u8>>(5).into(),
    }
}
