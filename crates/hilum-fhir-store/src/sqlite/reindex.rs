//! Indexing again what was stored before a parameter was registered.
//!
//! The job is a row of the file: the parameters it is for, how far it came, where it ends. Each step
//! writes its rows and its position in one commit, so a job that was interrupted goes on where it
//! was. A resource that changed in the meantime was indexed by its own commit and is passed over.

use hilum_db::rusqlite::{Connection, OptionalExtension};
use hilum_db::{DbError, Doing};

use super::apply::{difference, run, write_text};
use super::handler::{StoreHandler, Texts};
use super::open::load_catalog;
use super::read;
use crate::error::StoreError;
use crate::id::Pk;
use crate::reindex::Progress;
use crate::stored::Stored;

/// A step that is to be written.
pub(super) struct Step {
    pub(super) items: Vec<Item>,
    /// The last resource that was looked at; `None` begins a job.
    pub(super) position: Option<i64>,
}

/// A resource that is indexed again.
pub(super) struct Item {
    pub(super) pk: i64,
    /// The change that it was read at.
    pub(super) seq: i64,
    pub(super) rows: Vec<u8>,
    pub(super) text: Texts,
}

/// How far the job is; `None` if there is none.
pub(super) fn progress(conn: &Connection, name: &str) -> Result<Option<Progress>, DbError> {
    let sql = "SELECT position, until, done, total, finished FROM reindex";
    let mut statement = conn
        .prepare_cached(sql)
        .doing("look at the reindex of", name)?;
    statement
        .query_row([], |row| {
            let (done, total): (i64, i64) = (row.get(2)?, row.get(3)?);
            Ok(Progress {
                position: Pk(row.get(0)?),
                until: Pk(row.get(1)?),
                done: done.unsigned_abs(),
                total: total.unsigned_abs(),
                finished: row.get(4)?,
            })
        })
        .optional()
        .doing("look at the reindex of", name)
}

/// The next resources of the job.
pub(super) fn next(
    conn: &Connection,
    name: &str,
    progress: &Progress,
    max: usize,
) -> Result<Vec<Stored>, StoreError> {
    let sql =
        "SELECT pk FROM resource WHERE pk > ? AND pk <= ? AND deleted = 0 ORDER BY pk LIMIT ?";
    let mut statement = conn.prepare_cached(sql).doing("reindex", name)?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let rows = statement
        .query_map((progress.position.0, progress.until.0, limit), |row| {
            row.get(0)
        })
        .doing("reindex", name)?;
    let pks = rows
        .collect::<Result<Vec<i64>, _>>()
        .doing("reindex", name)?;
    read::fetch(conn, name, &pks)
}

/// Writes a step. Without a position a job begins, for all parameters that are building.
pub(super) fn apply(
    handler: &mut StoreHandler,
    conn: &Connection,
    step: &Step,
) -> Result<Option<Progress>, DbError> {
    let name = handler.shared.name.clone();
    let Some(position) = step.position else {
        let building = "UPDATE param SET building = 2 WHERE building = 1";
        if run(handler, conn, building, &[])? == 0 {
            return progress(conn, &name);
        }
        let total: i64 = handler.state.counts.iter().sum();
        let until = handler.state.seq;
        // A job that runs begins anew, because the new parameters need all resources.
        run(handler, conn, "DELETE FROM reindex", &[])?;
        let begin = "INSERT INTO reindex VALUES (0, ?, 0, ?, 0)";
        run(handler, conn, begin, &[&until, &total])?;
        return progress(conn, &name);
    };
    for item in &step.items {
        let Item {
            pk,
            seq,
            rows,
            text,
        } = item;
        let sql = "SELECT rows FROM resource WHERE pk = ? AND seq = ? AND deleted = 0";
        let old: Option<Vec<u8>> = conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row((pk, seq), |row| row.get(0)).optional())
            .doing("reindex", &name)?;
        let Some(old) = old else { continue };
        write_text(handler, conn, *pk, Some(text), true)?;
        if old != *rows {
            run(
                handler,
                conn,
                "UPDATE resource SET rows = ? WHERE pk = ?",
                &[rows, pk],
            )?;
            difference(handler, conn, *pk, &old, rows)?;
        }
    }
    let done = i64::try_from(step.items.len()).unwrap_or(0);
    let moved = "UPDATE reindex SET position = ?, done = done + ?";
    run(handler, conn, moved, &[&position, &done])?;
    let now = progress(conn, &name)?;
    let Some(mut now) = now else { return Ok(None) };
    if step.items.is_empty() {
        run(handler, conn, "UPDATE reindex SET finished = 1", &[])?;
        run(
            handler,
            conn,
            "UPDATE param SET building = 0 WHERE building = 2",
            &[],
        )?;
        handler.catalog = Some(load_catalog(conn, &name)?);
        now.finished = true;
    }
    Ok(Some(now))
}
