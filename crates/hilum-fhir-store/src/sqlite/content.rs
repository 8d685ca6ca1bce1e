//! Content apart in the file.

use hilum_db::rusqlite::{Connection, OptionalExtension};
use hilum_db::{DbError, Doing};
use tokio::sync::oneshot;

use super::apply::run;
use super::handler::{Op, StoreHandler};
use super::open::SqliteStore;
use crate::body::{CODEC_APART, contents};
use crate::content::ContentStep;
use crate::error::StoreError;

impl SqliteStore {
    pub(crate) async fn content(&self, step: ContentStep) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        let bytes = match &step {
            ContentStep::Put { bytes, .. } => bytes.len(),
            ContentStep::Drop(_) => 0,
        };
        self.submit(bytes, Op::Content { step, done })?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    /// How a part is packed, its length, and its bytes.
    pub(crate) async fn part(
        &self,
        key: (i64, i64),
    ) -> Result<Option<(i64, i64, Vec<u8>)>, StoreError> {
        self.long(move |conn, shared| {
            let name = &shared.name;
            let sql = "SELECT codec, bytes, body FROM part WHERE content = ? AND part = ?";
            let mut statement = conn.prepare_cached(sql).doing("read from", name)?;
            let found = statement
                .query_row(key, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional();
            Ok(found.doing("read from", name)?)
        })
        .await
    }
}

/// Does a step.
pub(super) fn apply(
    handler: &StoreHandler,
    conn: &Connection,
    step: &ContentStep,
) -> Result<(), DbError> {
    match step {
        ContentStep::Put {
            content,
            part,
            codec,
            len,
            bytes,
        } => {
            let now = handler.shared.config.clock.now_ms();
            let known = "INSERT INTO content VALUES (?, 0, ?) ON CONFLICT DO NOTHING";
            run(handler, conn, known, &[content, &now])?;
            let put = "INSERT INTO part VALUES (?, ?, ?, ?, ?)";
            run(handler, conn, put, &[content, part, codec, len, bytes])?;
        }
        ContentStep::Drop(contents) => {
            for content in contents {
                drop_unused(handler, conn, *content)?;
            }
        }
    }
    Ok(())
}

fn drop_unused(handler: &StoreHandler, conn: &Connection, content: i64) -> Result<(), DbError> {
    let head = "DELETE FROM content WHERE id = ? AND uses = 0";
    if run(handler, conn, head, &[&content])? > 0 {
        run(
            handler,
            conn,
            "DELETE FROM part WHERE content = ?",
            &[&content],
        )?;
    }
    Ok(())
}

/// Drops what was on its way into the file when a program stopped.
pub(super) fn drop_forgotten(handler: &StoreHandler, conn: &Connection) -> Result<(), DbError> {
    let name = &handler.shared.name;
    let mut statement = conn
        .prepare_cached("SELECT id FROM content WHERE uses = 0")
        .doing("read from", name)?;
    let rows = statement.query_map([], |row| row.get(0));
    let rows: Result<Vec<i64>, _> = rows.doing("read from", name)?.collect();
    for content in rows.doing("read from", name)? {
        drop_unused(handler, conn, content)?;
    }
    Ok(())
}

/// A version more names each of some contents; whether all of them are there.
pub(super) fn take_into_use<'c>(
    handler: &StoreHandler,
    conn: &Connection,
    contents: impl Iterator<Item = &'c i64>,
) -> Result<bool, DbError> {
    for content in contents {
        let sql = "UPDATE content SET uses = uses + 1 WHERE id = ?";
        if run(handler, conn, sql, &[content])? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A version that is erased names its contents no more; those that none names go with it.
pub(super) fn release(handler: &StoreHandler, conn: &Connection, seq: i64) -> Result<(), DbError> {
    let name = &handler.shared.name;
    let sql = "SELECT codec, body FROM version WHERE seq = ? AND codec & ? <> 0 \
               AND body IS NOT NULL";
    let mut statement = conn.prepare_cached(sql).doing("erase from", name)?;
    let found = statement
        .query_row((seq, CODEC_APART), |row| {
            Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .optional()
        .doing("erase from", name)?;
    let Some((codec, body)) = found else {
        return Ok(());
    };
    for content in contents(codec, &body) {
        let less = "UPDATE content SET uses = uses - 1 WHERE id = ?";
        run(handler, conn, less, &[&content])?;
        drop_unused(handler, conn, content)?;
    }
    Ok(())
}
