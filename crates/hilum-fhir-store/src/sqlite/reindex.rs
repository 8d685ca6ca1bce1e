//! Indexing again what was stored before a parameter was registered.
//!
//! The job is a row of the file: the parameters it is for, how far it came, where it ends. Each step
//! writes its rows and its position in one commit, so a job that was interrupted goes on where it
//! was. A resource that changed in the meantime was indexed by its own commit and is passed over.

use std::collections::BTreeMap;

use hilum_db::rusqlite::{Connection, OptionalExtension};
use hilum_db::{DbError, Doing};

use super::apply::run;
use super::handler::StoreHandler;
use super::index::{difference, write_text};
use super::names::load_catalog;
use super::read;
use crate::entry::{IndexId, Rows};
use crate::error::StoreError;
use crate::id::{ParamKey, Pk, ResourceType};
use crate::prepare::Texts;
use crate::reindex::{Counted, Progress};
use crate::shared::Shared;
use crate::stored::Stored;

/// A step that is to be written.
pub(super) enum Step {
    /// Begins a job if a parameter is building, or in any case.
    Begin { anyway: bool },
    /// Goes on to the last resource that was looked at.
    On { items: Vec<Item>, position: i64 },
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
    let sql = "SELECT position, until, done, total, finished, began_ms, whole FROM reindex";
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
                began_ms: row.get(5)?,
                whole: row.get(6)?,
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

/// Writes a step.
pub(super) fn apply(
    handler: &mut StoreHandler,
    conn: &Connection,
    step: &Step,
) -> Result<Option<Progress>, DbError> {
    let name = handler.shared.name.clone();
    let (items, position) = match step {
        Step::Begin { anyway } => return begin(handler, conn, *anyway),
        Step::On { items, position } => (items, position),
    };
    for item in items {
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
    let done = i64::try_from(items.len()).unwrap_or(0);
    let moved = "UPDATE reindex SET position = ?, done = done + ?";
    run(handler, conn, moved, &[position, &done])?;
    let now = progress(conn, &name)?;
    let Some(mut now) = now else { return Ok(None) };
    if items.is_empty() {
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

/// Begins a job for all parameters that are building; without one only if that is wanted.
fn begin(
    handler: &mut StoreHandler,
    conn: &Connection,
    anyway: bool,
) -> Result<Option<Progress>, DbError> {
    let name = handler.shared.name.clone();
    let building = "UPDATE param SET building = 2 WHERE building = 1";
    if run(handler, conn, building, &[])? == 0 && !anyway {
        return progress(conn, &name);
    }
    let total: i64 = handler.state.counts.iter().sum();
    let until = handler.state.seq;
    let runs = progress(conn, &name)?.filter(|job| !job.finished);
    let whole = anyway || runs.is_some_and(|job| job.whole);
    let now_ms = handler.shared.config.clock.now_ms();
    // A job that runs begins anew, because the new parameters need all resources.
    run(handler, conn, "DELETE FROM reindex", &[])?;
    let begin = "INSERT INTO reindex (position, until, done, total, finished, began_ms, whole) \
                 VALUES (0, ?, 0, ?, 0, ?, ?)";
    run(handler, conn, begin, &[&until, &total, &now_ms, &whole])?;
    progress(conn, &name)
}

/// How many resources a parameter says something about, by their packed rows and by the index.
pub(super) fn counted(
    conn: &Connection,
    shared: &Shared,
    params: &[ParamKey],
) -> Result<Vec<Counted>, StoreError> {
    let (name, catalog) = (&*shared.name, shared.catalog());
    let mut types: BTreeMap<ResourceType, Vec<Counted>> = BTreeMap::new();
    for param in params {
        let Some(known) = catalog.definition(*param) else {
            return Err(StoreError::Invalid("a parameter that is not registered"));
        };
        let index = |id: IndexId| id.0;
        let sql = "SELECT count(DISTINCT pk) FROM (SELECT pk FROM token WHERE param BETWEEN ?1 AND ?2 \
                   UNION ALL SELECT pk FROM span WHERE param BETWEEN ?1 AND ?2)";
        let (first, last) = (
            index(IndexId::value(param.0)),
            index(IndexId::of_type(param.0)),
        );
        let found: i64 = conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row((first, last), |row| row.get(0)))
            .doing("count the index of", name)?;
        types.entry(known.resource_type).or_default().push(Counted {
            param: *param,
            resources: 0,
            found: found.unsigned_abs(),
        });
    }
    for (of, counted) in &mut types {
        let sql = "SELECT rows FROM resource WHERE type = ? AND deleted = 0";
        let mut statement = conn.prepare_cached(sql).doing("count", name)?;
        let mut resources = statement.query([of.0]).doing("count", name)?;
        while let Some(row) = resources.next().doing("count", name)? {
            let packed: Vec<u8> = row.get(0).doing("count", name)?;
            for one in counted.iter_mut() {
                let says = Rows(&packed).of(one.param.0).next().is_some();
                one.resources += u64::from(says);
            }
        }
    }
    Ok(types.into_values().flatten().collect())
}
