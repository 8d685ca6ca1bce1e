//! The limit program of the import: SQLite with the rows that the store has, and nothing else.
//!
//! The tables of the store are read back and written again into an empty file with the same tables
//! and indexes, in the same order and in transactions of the size of a bundle, synced as the store
//! syncs. What the store takes longer than that is parsing, checking, indexing and HTTP.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use tokio::time::Instant;

use super::super::report::Row;
use crate::folder;

/// Resources of one transaction: about as many as a bundle has.
const GROUP: i64 = 750;
/// Resources at the end over which the sustained rate is taken.
const LAST: i64 = 50_000;

/// A table of the store, and how its rows are written.
struct Table {
    name: String,
    insert: String,
    columns: usize,
    /// Which column says to what resource a row belongs.
    key: usize,
}

/// Writes all rows of the store anew.
pub(super) fn rows(data: &Path, work: &Path) -> Result<Vec<Row>> {
    let store = store_in(data)?;
    let target = work.join("fhir-limit");
    folder::empty(&target)?;
    let from = Connection::open_with_flags(&store, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("open {}", store.display()))?;
    let sorted = sorted_copy(&from, &target.join("sorted.db"))?;
    let to = Connection::open(target.join("limit.db"))?;
    configure(&from, &to)?;
    let tables = tables(&from)?;
    let (rate, last) = write(&sorted, &to, &tables)?;
    drop((from, sorted, to));
    std::fs::remove_dir_all(&target)?;
    Ok(vec![
        Row::new(
            "limit: SQLite with the same rows, the last of them",
            last,
            "/s",
        )
        .decimals(0)
        .note(format!("{rate:.0}/s over all")),
    ])
}

/// The one file in the data folder that has a table of resources.
fn store_in(data: &Path) -> Result<PathBuf> {
    let mut folders = vec![data.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "db") {
                let conn = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
                let sql = "SELECT 1 FROM sqlite_master WHERE name = 'resource'";
                if conn.prepare(sql)?.exists([])? {
                    return Ok(path);
                }
            }
        }
    }
    bail!("{} has no store of resources", data.display())
}

/// The tables that have rows for each resource.
fn tables(from: &Connection) -> Result<Vec<Table>> {
    let mut found = Vec::new();
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'";
    let names: Vec<String> = from
        .prepare(sql)?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for name in names {
        let columns: Vec<String> = from
            .prepare(&format!("PRAGMA table_info({name})"))?
            .query_map([], |row| row.get(1))?
            .collect::<Result<_, _>>()?;
        let Some(key) = columns.iter().position(|column| column == "pk") else {
            continue;
        };
        let marks = vec!["?"; columns.len()].join(",");
        found.push(Table {
            insert: format!("INSERT INTO {name} VALUES ({marks})"),
            columns: columns.len(),
            name,
            key,
        });
    }
    ensure!(!found.is_empty(), "no table of the store has a column pk");
    Ok(found)
}

/// All rows by resource, so that they can be read in the order in which they were written.
fn sorted_copy(from: &Connection, at: &Path) -> Result<Connection> {
    let copy = Connection::open(at)?;
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    let path = from.path().context("the path of the store")?.to_owned();
    copy.execute("ATTACH ? AS store", [path])?;
    for table in tables(from)? {
        let name = &table.name;
        copy.execute_batch(&format!(
            "CREATE TABLE {name} AS SELECT * FROM store.{name} ORDER BY pk"
        ))?;
    }
    copy.execute_batch("DETACH store")?;
    Ok(copy)
}

/// The same tables, indexes and settings.
fn configure(from: &Connection, to: &Connection) -> Result<()> {
    let page_size: i64 = from.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    to.execute_batch(&format!(
        "PRAGMA page_size = {page_size}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000"
    ))?;
    for table in tables(from)? {
        let sql = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL \
                   AND type IN ('table', 'index') ORDER BY type DESC";
        let all: Vec<String> = from
            .prepare(sql)?
            .query_map([&table.name], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for one in all {
            to.execute_batch(&one)?;
        }
    }
    Ok(())
}

/// Gives resources a second over all and over the last.
fn write(sorted: &Connection, to: &Connection, tables: &[Table]) -> Result<(f64, f64)> {
    let total: i64 = sorted.query_row("SELECT count(*) FROM resource", [], |row| row.get(0))?;
    let mut selects = Vec::new();
    for table in tables {
        selects.push(sorted.prepare(&format!("SELECT * FROM {}", table.name))?);
    }
    let mut cursors = Vec::new();
    for (select, table) in selects.iter_mut().zip(tables) {
        let mut rows = select.query([])?;
        let first = next(&mut rows, table)?;
        cursors.push((rows, first));
    }
    let (mut done, mut spent, mut last) = (0, Duration::ZERO, Duration::ZERO);
    while done < total {
        let bound = done + GROUP;
        let mut group = Vec::new();
        for ((rows, waiting), table) in cursors.iter_mut().zip(tables) {
            let mut of_table = Vec::new();
            while let Some((_, values)) = waiting.take_if(|(key, _)| *key <= bound) {
                of_table.push(values);
                *waiting = next(rows, table)?;
            }
            group.push(of_table);
        }
        let begun = Instant::now();
        to.execute_batch("BEGIN IMMEDIATE")?;
        for (of_table, table) in group.iter().zip(tables) {
            let mut insert = to.prepare_cached(&table.insert)?;
            for values in of_table {
                insert.execute(params_from_iter(values))?;
            }
        }
        to.execute_batch("COMMIT")?;
        spent += begun.elapsed();
        if done >= total - LAST {
            last += begun.elapsed();
        }
        done = bound;
    }
    let total = total as f64;
    let of_last = total.min(LAST as f64);
    Ok((total / spent.as_secs_f64(), of_last / last.as_secs_f64()))
}

/// The next row with its resource.
fn next(rows: &mut rusqlite::Rows<'_>, table: &Table) -> Result<Option<(i64, Vec<Value>)>> {
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let values: Vec<Value> = (0..table.columns)
        .map(|at| row.get(at))
        .collect::<Result<_, _>>()?;
    Ok(Some((row.get(table.key)?, values)))
}
