//! Opening a file with the settings that durability needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OpenFlags};

use crate::error::{DbClass, DbError, Doing};
use crate::files::Files;
use crate::migrate::Schema;

/// How long a writer waits for a reader that blocks a full checkpoint; above the readers' own cap.
const WRITER_BUSY: Duration = Duration::from_secs(10);
/// How long a reader waits for a file that is being opened or recovered.
const READER_BUSY: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection.
const STATEMENTS_CACHED: usize = 64;

/// When SQLite syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// At every commit: what is acknowledged survives a power cut.
    #[default]
    Full,
    /// Never: for files that can be rebuilt, and for the negative control of the power-cut test.
    Off,
}

/// One SQLite file and how to open it.
#[derive(Clone, Debug)]
pub struct DbFile {
    path: PathBuf,
    name: Arc<str>,
    /// Name of the SQLite VFS, if not the operating system's.
    pub vfs: Option<Arc<str>>,
    /// File work beside SQLite.
    pub files: Arc<dyn Files>,
    /// When to sync.
    pub synchronous: Synchronous,
    /// Page cache of a connection.
    pub cache_kib: u32,
    /// Its tables.
    pub schema: Schema,
}

impl DbFile {
    /// A durable file with a small cache on the operating system's disk.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, files: Arc<dyn Files>, schema: Schema) -> Self {
        let path = path.into();
        let name = path
            .file_name()
            .map_or_else(|| "?".into(), |name| name.to_string_lossy().into());
        Self {
            path,
            name,
            vfs: None,
            files,
            synchronous: Synchronous::Full,
            cache_kib: 2048,
            schema,
        }
    }

    /// A file that is opened the same way at another place.
    #[must_use]
    pub fn clone_at(&self, path: impl Into<PathBuf>) -> Self {
        let other = Self::new(path, self.files.clone(), self.schema);
        Self {
            path: other.path,
            name: other.name,
            ..self.clone()
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name without the folder, for messages.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where its write-ahead log is.
    #[must_use]
    pub fn wal_path(&self) -> PathBuf {
        self.beside("-wal")
    }

    /// All files that belong to it, to be removed together.
    #[must_use]
    pub fn all_paths(&self) -> [PathBuf; 3] {
        [self.path.clone(), self.wal_path(), self.beside("-shm")]
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, DbError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match &self.vfs {
            None => Connection::open_with_flags(&self.path, flags),
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, &**vfs),
        }
        .doing("open", &self.name)
    }

    /// Opens the only writing connection, recovers what an unclean stop left, migrates.
    ///
    /// After an unclean stop the log's frames may be visible without being on disk. They are
    /// written once more and synced, checkpointed, and the log is emptied, before anything is
    /// appended.
    ///
    /// # Errors
    /// If any of that fails; nothing may then be written.
    pub fn open_writer(&self) -> Result<(Connection, Recovery), DbError> {
        let wal = self.wal_path();
        let io = |doing, error| DbError::io(doing, &wal, error);
        let left = self.files.len(&wal).map_err(|e| io("look at", e))?;
        let unclean = left.is_some_and(|bytes| bytes > 0);
        if unclean {
            let rewritten = self.files.rewrite_and_sync(&wal);
            rewritten.map_err(|e| io("write again and sync", e))?;
        }
        let existed = self.files.len(&self.path).map_err(|e| io("look for", e))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let conn = self.connect(flags)?;
        self.configure(&conn)?;
        conn.busy_timeout(WRITER_BUSY)
            .doing("configure", &self.name)?;
        if existed.is_none_or(|bytes| bytes == 0) {
            conn.pragma_update(None, "page_size", 4096)
                .doing("configure", &self.name)?;
        }
        let mode: String = conn
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
            .doing("configure", &self.name)?;
        if mode != "wal" {
            let what = "use a write-ahead log on";
            return Err(DbError::new(DbClass::Unsuitable, what, self.name.clone()));
        }
        // The writer checkpoints between groups, when nobody waits for it.
        conn.pragma_update(None, "wal_autocheckpoint", 0)
            .doing("configure", &self.name)?;
        if unclean {
            self.checkpoint_all(&conn)?;
        }
        self.schema.migrate(&conn, &self.name)?;
        if existed.is_none_or(|bytes| bytes == 0) {
            self.checkpoint_all(&conn)?;
            self.sync_folder()?;
        }
        let recovery = if unclean {
            Recovery::Unclean
        } else {
            Recovery::Clean
        };
        Ok((conn, recovery))
    }

    /// Opens a connection that cannot write.
    ///
    /// # Errors
    /// If the file is not there or cannot be opened.
    pub fn open_reader(&self) -> Result<Connection, DbError> {
        // Read-write with query_only instead of read-only, because reading a write-ahead log needs
        // its shared memory, which a read-only connection cannot make.
        let conn = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        conn.busy_timeout(READER_BUSY)
            .doing("configure", &self.name)?;
        self.configure(&conn)?;
        conn.pragma_update(None, "query_only", true)
            .doing("configure", &self.name)?;
        Ok(conn)
    }

    fn configure(&self, conn: &Connection) -> Result<(), DbError> {
        // Nobody but the writer checkpoints, not even the last one to close.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .doing("configure", &self.name)?;
        // A statement that was prepared stays so: otherwise a LIMIT or range that is bound to another
        // value makes SQLite parse and plan it again, which costs more than most reads.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .doing("configure", &self.name)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        let synchronous = match self.synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Off => "OFF",
        };
        let sql = format!(
            "PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -{}; PRAGMA mmap_size = 0; \
             PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF;",
            self.cache_kib
        );
        conn.execute_batch(&sql).doing("configure", &self.name)
    }

    /// Moves the whole log into the file and empties it.
    ///
    /// # Errors
    /// If the disk fails or a reader holds the log for too long.
    pub fn checkpoint_all(&self, conn: &Connection) -> Result<(), DbError> {
        let busy: i32 = conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .doing("checkpoint", &self.name)?;
        if busy != 0 {
            let name = self.name.clone();
            return Err(DbError::new(DbClass::Busy, "checkpoint", name));
        }
        Ok(())
    }

    /// As [`DbFile::checkpoint_all`], without waiting for readers.
    ///
    /// # Errors
    /// `Busy` if a reader is in the way; otherwise if the disk fails.
    pub fn checkpoint_now(&self, conn: &Connection) -> Result<(), DbError> {
        let wait = |at_most| conn.busy_timeout(at_most).doing("configure", &self.name);
        wait(Duration::ZERO)?;
        let done = self.checkpoint_all(conn);
        wait(WRITER_BUSY)?;
        done
    }

    /// Moves what readers do not need any more into the file; returns the pages left in the log.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn checkpoint_some(&self, conn: &Connection) -> Result<u32, DbError> {
        let name = Some("main");
        let (log, done) = conn
            .wal_checkpoint_v2(name, CheckpointMode::PASSIVE)
            .doing("checkpoint", &self.name)?;
        Ok(u32::try_from(log.saturating_sub(done)).unwrap_or(0))
    }

    /// Makes the file's name durable.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync_folder(&self) -> Result<(), DbError> {
        let Some(folder) = self.path.parent() else {
            return Ok(());
        };
        self.files
            .sync_dir(folder)
            .map_err(|error| DbError::io("sync the folder", folder, error))
    }
}

/// How the file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// New, or closed in order.
    Clean,
    /// Its log was not empty: the process or the machine stopped.
    Unclean,
}
