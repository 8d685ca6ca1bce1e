//! A look at the files of a data folder from outside, for people who have to judge it.
//!
//! It reads beside a node that runs on the folder as well as without one, and writes nothing: a
//! log that an unclean stop left is read and stays as it is.

use std::path::Path;
use std::sync::Arc;

use hilum_db::rusqlite::Connection;
use hilum_db::{DbError, DbFile, Doing, Files, RealFiles, Schema};

use crate::error::JournalError;
use crate::partition::{TALLY_OUTCOME, blob_folder};
use crate::schema;
use crate::upkeep::PartitionName;

/// A file of a journal and what belongs to it.
#[derive(Clone, Debug, Default)]
pub struct FileSurvey {
    /// Its name without `.db`.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// Bytes of its write-ahead log.
    pub log_bytes: u64,
    /// Bytes of its index file; `None` where it has none.
    pub index_bytes: Option<u64>,
    /// Blobs beside it, and their bytes.
    pub blobs: (u64, u64),
    /// What lies in it; `None` for `control.db`.
    pub rows: Option<RowSurvey>,
    /// Why it could not be read.
    pub trouble: Option<String>,
}

/// What lies in a partition.
#[derive(Clone, Debug, Default)]
pub struct RowSurvey {
    /// Rows of messages.
    pub messages: u64,
    /// When the first of them was committed, Unix milliseconds.
    pub first_ms: Option<u64>,
    /// When the last of them was.
    pub last_ms: Option<u64>,
    /// Deliveries that are not settled.
    pub pending: u64,
    /// Dead letters.
    pub dead: u64,
    /// Rows that the index file does not have yet.
    pub unindexed: u64,
    /// The destinations for which something waits.
    pub queues: Vec<QueueSurvey>,
}

/// What waits for a destination.
#[derive(Clone, Debug, Default)]
pub struct QueueSurvey {
    /// Channel and destination, with a space between them.
    pub name: String,
    /// Deliveries.
    pub pending: u64,
    /// When the message of the first was committed, Unix milliseconds.
    pub oldest_ms: Option<u64>,
}

/// Looks at the files of a folder, `control.db` first, then the partitions, oldest first.
///
/// # Errors
/// If the folder cannot be listed; a file that cannot be read says so itself.
pub fn survey(dir: &Path) -> Result<Vec<FileSurvey>, JournalError> {
    let files: Arc<dyn Files> = Arc::new(RealFiles);
    let mut found = Vec::new();
    for (name, schema) in database_names(dir, &*files)? {
        let file = DbFile::new(dir.join(format!("{name}.db")), files.clone(), schema);
        found.push(survey_file(dir, name, &file));
    }
    Ok(found)
}

/// Moves the log of every file into the file and empties it, so that the files can be copied one
/// by one; gives the bytes that each log had. No node may run on the folder.
///
/// # Errors
/// If a file cannot be opened or written.
pub fn checkpoint(dir: &Path) -> Result<Vec<(String, u64)>, JournalError> {
    let files: Arc<dyn Files> = Arc::new(RealFiles);
    let mut done = Vec::new();
    for (name, schema) in database_names(dir, &*files)? {
        let file = DbFile::new(dir.join(format!("{name}.db")), files.clone(), schema);
        let log = file.files.len(&file.wal_path()).ok().flatten();
        let (conn, _) = file.open_writer()?;
        file.checkpoint_all(&conn)?;
        done.push((name, log.unwrap_or_default()));
    }
    Ok(done)
}

/// The names of the databases of a folder without `.db`, `control` first.
pub(crate) fn database_names(
    dir: &Path,
    files: &dyn Files,
) -> Result<Vec<(String, Schema)>, JournalError> {
    let list = files
        .list(dir)
        .map_err(|error| DbError::io("list", dir, error))?;
    let names: Vec<&str> = list
        .iter()
        .filter_map(|entry| entry.path.file_name()?.to_str()?.strip_suffix(".db"))
        .collect();
    let mut partitions: Vec<PartitionName> =
        names.iter().filter_map(|name| name.parse().ok()).collect();
    partitions.sort();
    let has = |name: &str| names.contains(&name).then(|| name.to_owned());
    let control = has("control").map(|name| (name, schema::CONTROL));
    let pinned = has("pinned").map(|name| (name, schema::PARTITION));
    let partitions = partitions
        .into_iter()
        .map(|name| (name.to_string(), schema::PARTITION));
    Ok(control
        .into_iter()
        .chain(pinned)
        .chain(partitions)
        .collect())
}

fn survey_file(dir: &Path, name: String, file: &DbFile) -> FileSurvey {
    let length = |path: &Path| file.files.len(path).ok().flatten();
    let index = dir.join(format!("{name}.idx"));
    let blobs = file.files.list(&blob_folder(dir, &name));
    let blobs = blobs.unwrap_or_default();
    let bytes_of = |path: &Path| length(path).unwrap_or_default();
    let mut found = FileSurvey {
        bytes: bytes_of(file.path()),
        log_bytes: bytes_of(&file.wal_path()),
        index_bytes: length(&index),
        blobs: (
            blobs.len() as u64,
            blobs.iter().map(|entry| bytes_of(&entry.path)).sum(),
        ),
        name,
        ..FileSurvey::default()
    };
    if found.name == "control" {
        return found;
    }
    let index = DbFile::new(index, file.files.clone(), schema::INDEX);
    let indexed = found.name != "pinned";
    match rows(file, indexed.then_some(&index)) {
        Ok(rows) => found.rows = Some(rows),
        Err(error) => found.trouble = Some(with_source(&error)),
    }
    found
}

fn with_source(error: &DbError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn rows(file: &DbFile, index: Option<&DbFile>) -> Result<RowSurvey, DbError> {
    let conn = file.open_reader()?;
    let number = |sql: &str| -> Result<Option<u64>, DbError> {
        conn.query_row(sql, [], |row| row.get(0))
            .doing("look into", file.name())
    };
    // The counts by hour are exact and small; counting the rows would read the whole file.
    let messages = format!("SELECT sum(count) FROM tally WHERE what < {TALLY_OUTCOME}");
    let (first, last) = (
        number("SELECT min(seq) FROM message")?,
        number("SELECT max(seq) FROM message")?,
    );
    let at = |order: &str| format!("SELECT committed_ms FROM message ORDER BY seq {order} LIMIT 1");
    let is_empty = last.is_none();
    let time = |order| {
        if is_empty {
            Ok(None)
        } else {
            number(&at(order))
        }
    };
    Ok(RowSurvey {
        messages: number(&messages)?.unwrap_or_default(),
        first_ms: time("ASC")?,
        last_ms: time("DESC")?,
        pending: number("SELECT count(*) FROM delivery WHERE state = 0")?.unwrap_or_default(),
        dead: number("SELECT count(*) FROM delivery WHERE state = 2")?.unwrap_or_default(),
        unindexed: index.map_or(0, |index| unindexed(index, first.zip(last))),
        queues: queues(&conn).doing("look into", file.name())?,
    })
}

fn queues(conn: &Connection) -> Result<Vec<QueueSurvey>, hilum_db::rusqlite::Error> {
    let sql = "SELECT (SELECT value FROM name WHERE id = destination), waiting,
               (SELECT committed_ms FROM message WHERE seq = first)
               FROM (SELECT destination, count(*) AS waiting, min(seq) AS first
                     FROM delivery WHERE state = 0 GROUP BY destination)";
    let mut statement = conn.prepare(sql)?;
    let found = statement.query_map([], |row| {
        let name: Vec<u8> = row.get::<_, Option<_>>(0)?.unwrap_or_default();
        Ok(QueueSurvey {
            name: String::from_utf8_lossy(&name).replace('\0', " "),
            pending: row.get(1)?,
            oldest_ms: row.get(2)?,
        })
    })?;
    found.collect()
}

/// Rows after the last that the index has; all of them where there is no index that can be read.
fn unindexed(index: &DbFile, range: Option<(u64, u64)>) -> u64 {
    let Some((first, last)) = range else { return 0 };
    let read = |conn: Connection| {
        conn.query_row("SELECT seq FROM reached", [], |row| row.get::<_, u64>(0))
            .doing("look into", index.name())
    };
    let reached = index.open_reader().and_then(read).unwrap_or_default();
    last.saturating_sub(reached.max(first.saturating_sub(1)))
}
