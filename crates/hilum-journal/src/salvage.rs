//! What becomes of a file that is too damaged to be used: it is set aside, never deleted, and what
//! can be read of it moves to a new file of the same name.
//!
//! The damaged file keeps its bytes under `<name>.damaged-<n>`, the reason lies beside it. Rows are
//! copied by ranges that are halved where reading fails, so that one bad page costs the rows on it
//! and no others; a row that is not what was written stays behind. A damaged first page is replaced
//! in a copy by that of the new file, because two files of one schema differ there only in counts.
//! Rows are reached through the root page of their table: without it they stay in the file that is
//! kept, for a backup or SQLite's own `.recover` to bring back.
//! As long as the damaged file lies in the folder, every start and `verify` says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hilum_db::rusqlite::{Connection, Error, params_from_iter, types::Value};
use hilum_db::{DbClass, DbError, DbFile, Doing, Files};

use crate::care::Finding;
use crate::partition::{Partition, PartitionShared};
use crate::row::damaged_rows;
use crate::shared::Core;

/// What marks a file that was set aside.
const MARK: &str = ".damaged-";
/// What marks the text that says why.
const REASON: &str = ".reason";
/// Tables that lie in order of the sequence.
const BY_SEQUENCE: [&str; 5] = ["message", "delivery", "attempt", "work", "state_log"];
/// Tables of few rows, and the order in which they lie.
const SMALL: [(&str, &str); 6] = [
    ("secret", "name"),
    ("name", "id"),
    ("dictionary", "id"),
    ("once", "key"),
    ("blob", "name"),
    ("tally", "hour, name, what"),
];
/// Above every sequence that is given out.
const SEQUENCES: u64 = 1 << 48;
/// Ranges of one table that may be unreadable before the rest of it is given up.
const UNREADABLE_MAX: u64 = 200_000;
/// Damaged rows dropped at most: more than a file has.
const DAMAGED_MAX: usize = usize::MAX;
const PAGE_BYTES: usize = 4096;
/// Bytes that the row of a message takes at least: its id, its sum, its header.
const ROW_BYTES_MIN: u64 = 32;

/// A file that was set aside at this start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The file.
    pub file: Arc<str>,
    /// Its name now.
    pub kept_as: Arc<str>,
    /// Its length with its log.
    pub bytes: u64,
    /// What was found.
    pub reason: String,
    /// Messages that could be read.
    pub messages: u64,
    /// Deliveries that could be read.
    pub deliveries: u64,
    /// Rows, or places where there may have been rows, that could not.
    pub lost: u64,
}

/// The error is the file's fault, not the disk's or the caller's.
pub(crate) fn is_damage(error: &DbError) -> bool {
    matches!(error.class(), DbClass::Corrupt | DbClass::Internal)
}

/// Sets a partition's file aside and puts what can be read of it in its place.
pub(crate) fn replace(
    core: &Core,
    partition: &Partition,
    reason: &DbError,
) -> Result<SetAside, DbError> {
    partition.stop();
    partition.readers.close_idle();
    let file = partition.file();
    let files = &file.files;
    for path in partition.index_file().all_paths() {
        files
            .remove(&path)
            .map_err(|error| DbError::io("remove", &path, error))?;
    }
    let (kept_as, bytes) = set_aside(file, reason)?;
    let (conn, _) = file.open_writer()?;
    let source = file.clone_at(file.path().with_file_name(&*kept_as));
    // No sequence is given out twice, however little of the file can be read.
    core.sequence_is_above(core.sequence() + bytes / ROW_BYTES_MIN);
    let mut lost = 0;
    let patched = match readable(&source) {
        Some(from) => {
            lost += copy_all(&from, &conn, file.name())?;
            None
        }
        None => {
            let patched = with_first_page(&source, file)?;
            if let Some(from) = readable(&patched) {
                lost += copy_all(&from, &conn, file.name())?;
            }
            Some(patched)
        }
    };
    lost += sift(&conn, &partition.shared.name)?;
    let count = |table: &str| {
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get(0)
        })
        .doing("count what was read of", file.name())
    };
    let (messages, deliveries) = (count("message")?, count("delivery")?);
    file.checkpoint_all(&conn)?;
    drop(conn);
    for path in patched.iter().flat_map(DbFile::all_paths) {
        files
            .remove(&path)
            .map_err(|error| DbError::io("remove", &path, error))?;
    }
    file.sync_folder()?;
    let aside = SetAside {
        file: file.name().clone(),
        kept_as,
        bytes,
        reason: reason.to_string(),
        messages,
        deliveries,
        lost,
    };
    tracing::error!(file = %aside.file, kept_as = %aside.kept_as, %reason, messages, deliveries, lost,
        "a damaged file of the journal was set aside; what could be read of it is in use");
    Ok(aside)
}

/// Renames a file with its log, and notes why. Returns its new name and its length with its log.
pub(crate) fn set_aside(file: &DbFile, reason: &DbError) -> Result<(Arc<str>, u64), DbError> {
    let files = &file.files;
    let io = |error| DbError::io("set aside", file.path(), error);
    let mut number = 1;
    let (name, path) = loop {
        let name = format!("{}{MARK}{number}", file.name());
        let path = file.path().with_file_name(&name);
        if files.len(&path).map_err(io)?.is_none() {
            break (name, path);
        }
        number += 1;
    };
    let kept = file.clone_at(path.clone());
    // The reason first: a file under its new name without one would be a riddle.
    let text = beside(&path, REASON);
    files.remove(&text).map_err(io)?;
    let mut note = files.create(&text).map_err(io)?;
    note.append(reason.to_string().as_bytes()).map_err(io)?;
    note.sync().map_err(io)?;
    let mut bytes = files.len(file.path()).map_err(io)?.unwrap_or(0);
    if let Some(log) = files.len(&file.wal_path()).map_err(io)? {
        bytes += log;
        files
            .rename(&file.wal_path(), &kept.wal_path())
            .map_err(io)?;
    }
    files.rename(file.path(), &path).map_err(io)?;
    for path in file.all_paths() {
        files.remove(&path).map_err(io)?;
    }
    file.sync_folder()?;
    Ok((name.into(), bytes))
}

/// What lies set aside in the journal's folder, for `verify`.
pub(crate) fn findings(core: &Core) -> Result<Vec<Finding>, DbError> {
    let io = |error| DbError::io("list", &core.dir, error);
    let entries = core.files.list(&core.dir).map_err(io)?;
    let names = entries
        .iter()
        .filter_map(|entry| entry.path.file_name()?.to_str());
    let aside = names.filter(|name| {
        let number = name.rsplit_once(MARK).map(|(_, number)| number);
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let finding = |name: &str| {
        let mut text = vec![0; 512];
        let path = core.dir.join(format!("{name}{REASON}"));
        let read = core.files.read_at(&path, 0, &mut text).unwrap_or(0);
        text.truncate(read);
        let reason = String::from_utf8_lossy(&text);
        Finding {
            file: name.into(),
            sequence: None,
            text: format!(
                "was set aside as damaged ({reason}); what could be read of it is in use"
            ),
        }
    };
    Ok(aside.map(finding).collect())
}

fn readable(file: &DbFile) -> Option<Connection> {
    let conn = file.open_reader().ok()?;
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name IN ('message', 'delivery', 'name')";
    let tables: u32 = conn.query_row(sql, [], |row| row.get(0)).ok()?;
    (tables == 3).then_some(conn)
}

/// A copy of a damaged file with the first page of a new one of the same schema.
fn with_first_page(damaged: &DbFile, new: &DbFile) -> Result<DbFile, DbError> {
    let files = &new.files;
    let patched = damaged.clone_at(beside(damaged.path(), ".patched"));
    let io = |error| DbError::io("copy", damaged.path(), error);
    for path in patched.all_paths() {
        files.remove(&path).map_err(io)?;
    }
    let mut page = vec![0; PAGE_BYTES];
    files.read_at(new.path(), 0, &mut page).map_err(io)?;
    let length = files.len(damaged.path()).map_err(io)?.unwrap_or(0);
    let pages = u32::try_from(length / PAGE_BYTES as u64).unwrap_or(u32::MAX);
    // SQLite's file format, 1.3: length in pages at 28, free pages at 32 and 36.
    let counts = [pages.to_be_bytes(), [0; 4], [0; 4]].concat();
    for (to, byte) in page.iter_mut().skip(28).zip(counts) {
        *to = byte;
    }
    let mut copy = files.create(patched.path()).map_err(io)?;
    copy.append(&page).map_err(io)?;
    append_from(&**files, damaged.path(), PAGE_BYTES as u64, &mut *copy).map_err(io)?;
    copy.sync().map_err(io)?;
    if files.len(&damaged.wal_path()).map_err(io)?.is_some() {
        let mut log = files.create(&patched.wal_path()).map_err(io)?;
        append_from(&**files, &damaged.wal_path(), 0, &mut *log).map_err(io)?;
        log.sync().map_err(io)?;
    }
    Ok(patched)
}

fn append_from(
    files: &dyn Files,
    path: &Path,
    mut offset: u64,
    to: &mut dyn hilum_db::AppendFile,
) -> std::io::Result<()> {
    let mut chunk = vec![0; 64 * PAGE_BYTES];
    loop {
        let got = files.read_at(path, offset, &mut chunk)?;
        if got == 0 {
            return Ok(());
        }
        to.append(chunk.get(..got).unwrap_or_default())?;
        offset += got as u64;
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.to_path_buf().into_os_string();
    path.push(suffix);
    path.into()
}

/// Copies every table as far as it can be read; returns the places where it could not.
fn copy_all(from: &Connection, to: &Connection, file: &str) -> Result<u64, DbError> {
    let mut lost = 0;
    let begin = |sql: &str| {
        to.execute_batch(sql)
            .doing("copy what can be read into", file)
    };
    for (table, order) in SMALL {
        begin("BEGIN")?;
        let back: Vec<String> = order
            .split(", ")
            .map(|column| format!("{column} DESC"))
            .collect();
        let mut copy = Copy::new(from, to, table).doing("prepare to copy into", file)?;
        let forward = copy
            .rows(&format!("ORDER BY {order}"), &[])
            .doing("copy into", file)?;
        // What lies behind the damage is reached from the other end.
        if forward == Read::Failed {
            lost += 1;
            copy.rows(&format!("ORDER BY {}", back.join(", ")), &[])
                .doing("copy into", file)?;
        }
        begin("COMMIT")?;
    }
    for table in BY_SEQUENCE {
        begin("BEGIN")?;
        let mut copy = Copy::new(from, to, table).doing("prepare to copy into", file)?;
        lost += copy.range(0, SEQUENCES).doing("copy into", file)?;
        begin("COMMIT")?;
    }
    Ok(lost)
}

/// How far reading came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    All,
    Failed,
}

/// Copies one table.
struct Copy<'c> {
    from: &'c Connection,
    to: &'c Connection,
    table: &'static str,
    insert: String,
    columns: usize,
}

impl<'c> Copy<'c> {
    fn new(from: &'c Connection, to: &'c Connection, table: &'static str) -> Result<Self, Error> {
        let columns = to
            .prepare(&format!("SELECT * FROM {table}"))?
            .column_count();
        let values = vec!["?"; columns].join(", ");
        Ok(Self {
            from,
            to,
            table,
            insert: format!("INSERT OR IGNORE INTO {table} VALUES ({values})"),
            columns,
        })
    }

    /// Copies until the end or the first failure to read; a failure to write is an error.
    fn rows(&mut self, which: &str, bounds: &[u64]) -> Result<Read, Error> {
        let sql = format!("SELECT * FROM {} {which}", self.table);
        let Ok(mut statement) = self.from.prepare_cached(&sql) else {
            return Ok(Read::Failed);
        };
        if statement.column_count() != self.columns {
            return Ok(Read::Failed);
        }
        let Ok(mut rows) = statement.query(params_from_iter(bounds)) else {
            return Ok(Read::Failed);
        };
        loop {
            let row = match rows.next() {
                Ok(None) => return Ok(Read::All),
                Ok(Some(row)) => row,
                Err(_) => return Ok(Read::Failed),
            };
            let values = (0..self.columns).map(|at| row.get::<_, Value>(at));
            let Ok(values) = values.collect::<Result<Vec<_>, _>>() else {
                continue;
            };
            let mut insert = self.to.prepare_cached(&self.insert)?;
            match insert.execute(params_from_iter(values)) {
                Ok(_) => {}
                // A column that must not be null is: the row is not what was written.
                Err(Error::SqliteFailure(failure, _))
                    if failure.code == hilum_db::rusqlite::ErrorCode::ConstraintViolation => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The first row in an order can be read, or there is none.
    fn has_end(&self, order: &str) -> bool {
        let sql = format!("SELECT seq FROM {} ORDER BY {order} LIMIT 1", self.table);
        let read = self.from.query_row(&sql, [], |row| row.get::<_, i64>(0));
        matches!(read, Ok(_) | Err(Error::QueryReturnedNoRows))
    }

    /// Copies the rows of `low..high`, in halves where reading fails; returns how many places
    /// could not be read.
    fn range(&mut self, low: u64, high: u64) -> Result<u64, Error> {
        if !self.has_end("seq") && !self.has_end("seq DESC") {
            // Neither end can be reached: it is the root that is damaged.
            return Ok(1);
        }
        let mut open = vec![(low, high)];
        let mut lost = 0;
        while let Some((low, high)) = open.pop() {
            if self.rows("WHERE seq >= ?1 AND seq < ?2 ORDER BY seq", &[low, high])? == Read::All {
                continue;
            }
            if high - low <= 1 {
                lost += 1;
                if lost > UNREADABLE_MAX {
                    return Ok(lost);
                }
                continue;
            }
            let middle = low + (high - low) / 2;
            open.push((middle, high));
            open.push((low, middle));
        }
        Ok(lost)
    }
}

/// Drops what was copied and is not what was written; returns how many rows.
fn sift(conn: &Connection, name: &Arc<str>) -> Result<u64, DbError> {
    let shared = PartitionShared::new(name.clone());
    shared.names.load(conn, name)?;
    let damaged = damaged_rows(conn, &shared, DAMAGED_MAX)?;
    let mut dropped = 0;
    let mut drop_rows = || -> Result<(), Error> {
        conn.execute_batch("BEGIN")?;
        for row in &damaged {
            let sql = format!("DELETE FROM {} WHERE {}", row.table, row.condition());
            dropped += conn.prepare_cached(&sql)?.execute([])? as u64;
        }
        for table in ["delivery", "attempt", "work"] {
            let sql = format!("DELETE FROM {table} WHERE seq NOT IN (SELECT seq FROM message)");
            dropped += conn.prepare_cached(&sql)?.execute([])? as u64;
        }
        conn.execute_batch("COMMIT")
    };
    drop_rows().doing("sift what was read of", name)?;
    Ok(dropped)
}
