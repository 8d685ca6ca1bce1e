//! Indexing again what was stored before a parameter was registered: as in SQLite, each step writes
//! its rows and its position in one transaction.

use std::collections::{BTreeMap, HashMap};

use super::columns::Columns;
use super::link::Link;
use super::open::PgStore;
use super::read;
use super::reading::{Ask, Reading};
use super::writing::Writing;
use crate::entry::{IndexId, Rows, pack};
use crate::error::StoreError;
use crate::id::{ParamKey, Pk, ResourceType};
use crate::prepare::Texts;
use crate::reindex::{Counted, Progress};
use crate::row::IndexRow;
use crate::shared::Shared;
use crate::stored::Stored;

/// Resources that one step looks at, at most.
const STEP_MAX: usize = 1000;
/// Resources that are counted at a time.
const COUNTED_BATCH: i64 = 2_000;

const PROGRESS: &str =
    "SELECT position, until, done, total, finished, began_ms, whole FROM reindex";

/// A resource that is indexed again.
pub(super) struct Item {
    pub(super) pk: i64,
    /// The change that it was read at.
    pub(super) seq: i64,
    pub(super) rows: Vec<u8>,
    pub(super) text: Texts,
}

impl PgStore {
    pub(crate) async fn reindex(
        &self,
        max: usize,
        rows_of: &(dyn Fn(&Stored) -> Vec<IndexRow> + Sync),
    ) -> Result<Option<Progress>, StoreError> {
        let progress = self.begin(false).await?;
        let Some(progress) = progress.filter(|progress| !progress.finished) else {
            return Ok(progress);
        };
        let max = max.clamp(1, STEP_MAX);
        let next = self
            .long(move |reading, shared| next(reading, &shared.name, &progress, max))
            .await?;
        let mut items = Vec::with_capacity(next.len());
        for stored in &next {
            let rows = rows_of(stored);
            items.push(Item {
                pk: stored.pk.0,
                seq: stored.seq.0,
                rows: pack(&rows, &self.shared.tokens, &self.shared.config.limits)?,
                text: Texts::of(&rows, &self.shared.catalog()),
            });
        }
        let last = next.last().map_or(progress.until, |last| last.pk);
        self.write(move |writing| step(writing, &items, last.0))
            .await
    }

    async fn begin(&self, anyway: bool) -> Result<Option<Progress>, StoreError> {
        self.write(move |writing| begin(writing, anyway)).await
    }

    pub(crate) async fn begin_reindex(&self) -> Result<Option<Progress>, StoreError> {
        self.begin(true).await
    }

    pub(crate) async fn reindexing(&self) -> Result<Option<Progress>, StoreError> {
        self.point(progress).await
    }
}

fn progress_of(row: &tokio_postgres::Row) -> Progress {
    Progress {
        position: Pk(row.get(0)),
        until: Pk(row.get(1)),
        done: row.get::<_, i64>(2).unsigned_abs(),
        total: row.get::<_, i64>(3).unsigned_abs(),
        finished: row.get(4),
        began_ms: row.get(5),
        whole: row.get(6),
    }
}

/// How far the job is; `None` if there is none.
pub(super) fn progress(link: &mut Link) -> Result<Option<Progress>, StoreError> {
    Ok(link.query(PROGRESS, &[])?.first().map(progress_of))
}

/// The next resources of the job.
pub(super) fn next(
    reading: &mut Reading<'_>,
    name: &str,
    progress: &Progress,
    max: usize,
) -> Result<Vec<Stored>, StoreError> {
    let sql = "SELECT pk FROM resource WHERE pk > $1 AND pk <= $2 AND NOT deleted \
               ORDER BY pk LIMIT $3";
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let rows = reading.query(sql, &[&progress.position.0, &progress.until.0, &limit])?;
    let pks: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    read::fetch(reading, &pks, name)
}

/// Begins a job for all parameters that are building; without one only if that is wanted.
pub(super) fn begin(
    writing: &mut Writing<'_>,
    anyway: bool,
) -> Result<Option<Progress>, StoreError> {
    writing.begin(&[])?;
    let sql = "UPDATE param SET building = 2 WHERE building = 1 RETURNING id";
    let building = !writing.query(sql, &[])?.is_empty();
    if building || anyway {
        let runs = writing.query(PROGRESS, &[])?;
        let runs = runs.first().map(progress_of).filter(|job| !job.finished);
        let whole = anyway || runs.is_some_and(|job| job.whole);
        let now_ms = writing.shared.config.clock.now_ms();
        // A job that runs begins anew, because the new parameters need all resources.
        writing.query("DELETE FROM reindex", &[])?;
        let sql = "INSERT INTO reindex (position, until, done, total, finished, began_ms, whole) \
                   SELECT 0, $1, 0, coalesce(sum(count), 0)::bigint, false, $2, $3 FROM counter";
        let until = writing.numbers.seq;
        writing.query(sql, &[&until, &now_ms, &whole])?;
    }
    Ok(writing.query(PROGRESS, &[])?.first().map(progress_of))
}

/// Writes a step.
pub(super) fn step(
    writing: &mut Writing<'_>,
    items: &[Item],
    position: i64,
) -> Result<Option<Progress>, StoreError> {
    let pks: Vec<i64> = items.iter().map(|item| item.pk).collect();
    let sql = "SELECT pk, seq, rows FROM resource WHERE pk = ANY($1) AND NOT deleted";
    let found = writing.query(sql, &[&pks])?;
    let mut old: HashMap<i64, (i64, Vec<u8>)> = found
        .iter()
        .map(|row| {
            let rows = row.get::<_, Option<Vec<u8>>>(2).unwrap_or_default();
            (row.get(0), (row.get(1), rows))
        })
        .collect();
    let mut columns = Columns::default();
    for item in items {
        let Some((seq, old)) = old.remove(&item.pk) else {
            continue;
        };
        // What changed meanwhile was indexed by its own commit.
        if seq != item.seq {
            continue;
        }
        columns.text(item.pk, Some(&item.text), true);
        if old != item.rows {
            columns.indexed(item.pk, &item.rows);
            columns.difference(item.pk, &old, &item.rows, &writing.shared.tokens);
        }
    }
    writing.write(&mut columns, false)?;
    let done = i64::try_from(items.len()).unwrap_or(0);
    let sql = "UPDATE reindex SET position = $1, done = done + $2";
    writing.query(sql, &[&position, &done])?;
    if items.is_empty() {
        writing.query("UPDATE reindex SET finished = true", &[])?;
        let sql = "UPDATE param SET building = 0 WHERE building = 2 RETURNING id";
        if !writing.query(sql, &[])?.is_empty() {
            writing.numbers.names += 1;
        }
    }
    Ok(writing.query(PROGRESS, &[])?.first().map(progress_of))
}

/// How many resources a parameter says something about, by their packed rows and by the index.
pub(super) fn counted(
    reading: &mut Reading<'_>,
    shared: &Shared,
    params: &[ParamKey],
) -> Result<Vec<Counted>, StoreError> {
    let catalog = shared.catalog();
    let mut types: BTreeMap<ResourceType, Vec<Counted>> = BTreeMap::new();
    for param in params {
        let Some(known) = catalog.definition(*param) else {
            return Err(StoreError::Invalid("a parameter that is not registered"));
        };
        let sql = "SELECT count(DISTINCT pk) FROM (SELECT pk FROM token WHERE param BETWEEN $1 \
                   AND $2 UNION ALL SELECT pk FROM span WHERE param BETWEEN $1 AND $2) d";
        let index = |id: IndexId| id.0;
        let (first, last) = (
            index(IndexId::value(param.0)),
            index(IndexId::of_type(param.0)),
        );
        let found = reading.number(sql, &[&first, &last])?;
        types.entry(known.resource_type).or_default().push(Counted {
            param: *param,
            resources: 0,
            found: found.unsigned_abs(),
        });
    }
    for (of, counted) in &mut types {
        let sql = "SELECT pk, rows FROM resource WHERE type = $1 AND NOT deleted AND pk > $2 \
                   ORDER BY pk LIMIT $3";
        let mut after = 0_i64;
        loop {
            reading.goes_on()?;
            let rows = reading.query(sql, &[&i64::from(of.0), &after, &COUNTED_BATCH])?;
            let Some(last) = rows.last() else { break };
            after = last.get(0);
            for row in &rows {
                let packed: &[u8] = row.get(1);
                for one in counted.iter_mut() {
                    let says = Rows(packed).of(one.param.0).next().is_some();
                    one.resources += u64::from(says);
                }
            }
        }
    }
    Ok(types.into_values().flatten().collect())
}
