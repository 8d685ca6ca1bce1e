//! Looking after a file: backup while it is written, verification, and what its disk can do.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::error::{DbClass, DbError, Doing};
use crate::files::Files;
use crate::open::DbFile;
use crate::readers::Cancel;

/// Pages copied between two looks at the cancellation.
const BACKUP_PAGES_PER_STEP: i32 = 1024;
/// Findings after which verification stops: a damaged file has many.
const FINDINGS_MAX: usize = 100;
/// Syncs of one probe.
const PROBE_SYNCS: u32 = 32;
/// Bytes written before each sync of a probe.
const PROBE_BYTES: usize = 4096;

/// Copies what `from` sees to `to`, consistent, while the writer goes on; `to` is synced.
///
/// # Errors
/// If reading or writing fails or it was cancelled; `to` is then no backup.
pub fn backup(
    from: &Connection,
    from_name: &str,
    to: &DbFile,
    cancel: &Cancel,
) -> Result<(), DbError> {
    let (mut target, _) = to.open_writer()?;
    {
        let copy = Backup::new(from, &mut target).doing("begin a backup to", to.name())?;
        loop {
            if cancel.is_cancelled() {
                let name = from_name.to_owned();
                return Err(DbError::new(DbClass::Cancelled, "back up", name));
            }
            let step = copy.step(BACKUP_PAGES_PER_STEP);
            match step.doing("back up to", to.name())? {
                StepResult::Done => break,
                StepResult::More => {}
                // Another connection holds the target or source for a moment.
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
    to.checkpoint_all(&target)?;
    drop(target);
    to.files
        .rewrite_and_sync(to.path())
        .map_err(|error| DbError::io("sync the backup", to.path(), error))?;
    to.sync_folder()
}

/// What SQLite itself finds wrong with a file; empty is good.
///
/// # Errors
/// If the file cannot be read at all; damage that SQLite can name is a finding.
pub fn integrity(conn: &Connection, name: &str) -> Result<Vec<String>, DbError> {
    let sql = format!("PRAGMA integrity_check({FINDINGS_MAX})");
    let read = || -> Result<Vec<String>, rusqlite::Error> {
        let mut statement = conn.prepare(&sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect()
    };
    match read().doing("verify", name) {
        Ok(lines) => Ok(lines.into_iter().filter(|line| line != "ok").collect()),
        Err(error) if error.class() == DbClass::Corrupt => {
            Ok(vec!["the file is damaged beyond listing".to_owned()])
        }
        Err(error) => Err(error),
    }
}

/// How long a disk takes to sync 4 kB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncProbe {
    /// Half of the syncs were faster.
    pub p50: Duration,
    /// The slowest but one in a hundred.
    pub p99: Duration,
}

/// Measures the syncs of the disk that holds `folder`, so that a slow one explains itself.
///
/// # Errors
/// As the disk says.
#[expect(
    clippy::disallowed_methods,
    reason = "measures the disk, which a paused clock cannot"
)]
pub fn probe_sync(files: &dyn Files, folder: &Path) -> io::Result<SyncProbe> {
    let path = folder.join(".sync-probe");
    files.remove(&path)?;
    let mut file = files.create(&path)?;
    let bytes = [0; PROBE_BYTES];
    let mut times = Vec::new();
    for _ in 0..PROBE_SYNCS {
        let from = Instant::now();
        file.append(&bytes)?;
        file.sync()?;
        times.push(from.elapsed());
    }
    drop(file);
    files.remove(&path)?;
    times.sort_unstable();
    let at = |share: usize| {
        let last = times.len().saturating_sub(1);
        times.get(last * share / 100).copied().unwrap_or_default()
    };
    Ok(SyncProbe {
        p50: at(50),
        p99: at(99),
    })
}

/// Refuses places where a write-ahead log cannot be trusted.
///
/// # Errors
/// `Unsuitable` on a network file system; otherwise as the disk says.
pub fn refuse_unsuitable(files: &dyn Files, folder: &Path) -> Result<(), DbError> {
    let found = files
        .unsuitable(folder)
        .map_err(|error| DbError::io("look at the file system of", folder, error))?;
    match found {
        None => Ok(()),
        Some(kind) => {
            let place = format!("{} ({kind})", folder.display());
            let doing = "keep a journal in";
            Err(DbError::new(DbClass::Unsuitable, doing, place))
        }
    }
}
