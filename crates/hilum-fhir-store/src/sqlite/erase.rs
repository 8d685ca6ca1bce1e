//! Erasing in the file.

use hilum_db::rusqlite::Connection;
use hilum_db::rusqlite::types::ToSql;
use hilum_db::{DbError, Doing};
use tokio::sync::oneshot;

use super::apply::{before, count, run};
use super::content;
use super::handler::{Op, StoreHandler};
use super::index::{difference, write_text};
use super::job;
use super::open::SqliteStore;
use crate::commit::{JobStep, method};
use crate::erase::{EraseStep, Erased};
use crate::error::StoreError;
use crate::id::ResourceType;

/// Pages of full text that one step merges, so that others wait for milliseconds.
const MERGE_PAGES: i64 = 500;
/// A delivery's changes have numbers that are no further apart.
const CHANGES_MAX: i64 = 10_000;

/// A step of the work that follows an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scrub {
    /// Merges of the full text begin.
    Begin,
    /// They go on.
    Merge,
    /// The log is emptied.
    Log,
}

impl SqliteStore {
    pub(crate) async fn erase(
        &self,
        resources: Vec<(ResourceType, String)>,
        step: Option<EraseStep>,
    ) -> Result<Erased, StoreError> {
        let changes_max = self.shared.config.limits.changes_max;
        if resources.len() > changes_max {
            return Err(StoreError::Limit {
                limit: "changes_max",
                max: changes_max as u64,
            });
        }
        let (done, outcome) = oneshot::channel();
        let erased = Err(StoreError::Closed);
        self.submit(
            0,
            Op::Erase {
                resources,
                step,
                erased,
                done,
            },
        )?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) async fn scrub(&self) -> Result<bool, StoreError> {
        let mut step = Scrub::Begin;
        loop {
            let (done, outcome) = oneshot::channel();
            let more = Err(StoreError::Closed);
            self.submit(0, Op::Scrub { step, more, done })?;
            let more = outcome.await.map_err(|_| StoreError::Closed)??;
            step = match step {
                Scrub::Begin | Scrub::Merge if more => Scrub::Merge,
                Scrub::Begin | Scrub::Merge => Scrub::Log,
                Scrub::Log => return Ok(!more),
            };
        }
    }
}

/// Erases resources; those that are not there are passed over.
pub(super) fn erase(
    handler: &mut StoreHandler,
    conn: &Connection,
    resources: &[(ResourceType, String)],
    step: Option<&EraseStep>,
) -> Result<Erased, DbError> {
    let mut erased = Erased::default();
    for (of, id) in resources {
        let catalog = handler.shared.catalog();
        let token = handler.shared.tokens.resource(catalog.type_name(*of), id);
        let Some(found) = before(handler, conn, of.0, token, id)? else {
            continue;
        };
        let pk = found.pk;
        if let Some(rows) = &found.rows {
            difference(handler, conn, pk, rows, &[])?;
        }
        write_text(handler, conn, pk, None, true)?;
        count(handler, of.0, !found.deleted, false);
        let resource = "UPDATE resource SET deleted = 1, rows = NULL, fhir_id = '' WHERE pk = ?";
        run(handler, conn, resource, &[&pk])?;
        let versions = versions(handler, conn, pk)?;
        let content = clear(handler, conn, &versions)?;
        erased.resources += u64::from(content > 0);
        erased.versions += content;
    }
    if let Some(EraseStep { id, progress }) = step {
        let step = JobStep {
            id: id.clone(),
            progress: progress(erased),
        };
        job::step(handler, conn, &step)?;
    }
    Ok(erased)
}

/// The numbers of the changes of a resource.
fn versions(handler: &StoreHandler, conn: &Connection, pk: i64) -> Result<Vec<i64>, DbError> {
    let name = &handler.shared.name;
    let mut statement = conn
        .prepare_cached("SELECT seq FROM version WHERE pk = ? AND seq <> pk")
        .doing("erase from", name)?;
    let rows = statement
        .query_map([pk], |row| row.get(0))
        .doing("erase from", name)?;
    let mut seqs = rows
        .collect::<Result<Vec<i64>, _>>()
        .doing("erase from", name)?;
    seqs.push(pk);
    Ok(seqs)
}

/// Clears versions and what was kept about them; how many had content.
fn clear(handler: &StoreHandler, conn: &Connection, seqs: &[i64]) -> Result<u64, DbError> {
    let mut content = 0;
    for seq in seqs {
        content::release(handler, conn, *seq)?;
        let held = "UPDATE version SET body = NULL WHERE seq = ? AND body IS NOT NULL";
        content += run(handler, conn, held, &[seq])? as u64;
        let version = "UPDATE version SET method = ?, codec = 0, dictionary = NULL, key = NULL, \
                       splice = 0, bytes = 0 WHERE seq = ?";
        run(handler, conn, version, &[&method::ERASED, seq])?;
        // Numbers of a delivery lie between its first and its last one.
        let reply = "UPDATE delivery SET reply = x'' \
                     WHERE last >= ? AND last < ? AND first <= ? AND reply <> x''";
        let values: [&dyn ToSql; 3] = [seq, &(seq + CHANGES_MAX), seq];
        run(handler, conn, reply, &values)?;
    }
    let list = seqs
        .iter()
        .map(i64::to_string)
        .collect::<Vec<_>>()
        .join(",");
    let payload = "UPDATE outbox SET payload = x'' \
                   WHERE payload <> x'' AND seq IN (SELECT value FROM json_each('[' || ? || ']'))";
    run(handler, conn, payload, &[&list])?;
    Ok(content)
}

/// One step; whether there is more of its kind. The log is emptied after the commit
/// ([`empty_log`]).
pub(super) fn scrub(
    handler: &StoreHandler,
    conn: &Connection,
    step: Scrub,
) -> Result<bool, DbError> {
    let pages = match step {
        Scrub::Begin => -MERGE_PAGES,
        Scrub::Merge => MERGE_PAGES,
        Scrub::Log => return Ok(false),
    };
    let before = conn.total_changes();
    let merge = "INSERT INTO fulltext (fulltext, rank) VALUES ('merge', ?)";
    run(handler, conn, merge, &[&pages])?;
    // SQLite counts the command itself; less than two changes are no work.
    Ok(conn.total_changes() - before >= 2)
}

/// Moves the log into the file and empties it; whether a reader was in the way.
pub(super) fn empty_log(conn: &Connection, name: &str) -> Result<bool, DbError> {
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        row.get::<_, bool>(0)
    })
    .doing("empty the log of", name)
}
