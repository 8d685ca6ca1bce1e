//! Reading beside the writer: a few connections per file, each read bounded in time and cancellable.
//!
//! A read runs on the caller's thread. A long one would keep the write-ahead log from being
//! emptied, so each has a time limit.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::error::{DbClass, DbError, Doing};
use crate::open::DbFile;

/// Longest single read.
pub const READ_MAX: Duration = Duration::from_secs(5);
/// Virtual machine steps between two looks at the clock.
const STEPS_PER_LOOK: i32 = 2000;

/// Stops a read from outside. Clones stop together.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops every read that was given this.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// It was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the progress handler of a connection looks at.
#[derive(Debug)]
struct Watch {
    base: Instant,
    /// Milliseconds after `base`; 0 is no limit.
    until_ms: AtomicU64,
    cancel: Mutex<Cancel>,
}

impl Watch {
    fn stops(&self) -> bool {
        let until = self.until_ms.load(Ordering::Relaxed);
        if until != 0 && self.elapsed_ms() >= until {
            return true;
        }
        let cancel = self.cancel.lock().unwrap_or_else(PoisonError::into_inner);
        cancel.is_cancelled()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

struct Reader {
    conn: Connection,
    watch: Arc<Watch>,
}

struct Pool {
    idle: Vec<Reader>,
    busy: usize,
}

/// The readers of one file.
pub struct Readers {
    file: DbFile,
    max: usize,
    pool: Mutex<Pool>,
    free: Condvar,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers")
            .field("file", self.file.name())
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

impl Readers {
    /// At most `max` connections at a time, opened when first needed.
    #[must_use]
    pub fn new(file: DbFile, max: usize) -> Self {
        Self {
            file,
            max: max.max(1),
            pool: Mutex::new(Pool {
                idle: Vec::new(),
                busy: 0,
            }),
            free: Condvar::new(),
        }
    }

    /// The file that is read.
    #[must_use]
    pub const fn file(&self) -> &DbFile {
        &self.file
    }

    /// Closes connections that nobody uses; returns how many.
    pub fn close_idle(&self) -> usize {
        let idle = std::mem::take(&mut self.lock().idle);
        idle.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one read in a transaction, so that all its statements see the same state.
    ///
    /// # Errors
    /// What `read` returns; `Cancelled` if it took longer than [`READ_MAX`] or was cancelled.
    pub fn read<T>(
        &self,
        cancel: &Cancel,
        read: impl FnOnce(&Connection) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        self.read_within(READ_MAX, cancel, read)
    }

    /// As [`Readers::read`] with a time limit of its own; a backup may take long.
    ///
    /// # Errors
    /// As [`Readers::read`].
    pub fn read_within<T>(
        &self,
        limit: Duration,
        cancel: &Cancel,
        read: impl FnOnce(&Connection) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        self.bounded(limit, Some(cancel), |conn| {
            in_snapshot(conn, self.file.name(), read)
        })
    }

    /// Runs a read of one statement, which needs no transaction around it to see one state.
    ///
    /// # Errors
    /// As [`Readers::read`].
    pub fn read_one<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        self.bounded(READ_MAX, None, read)
    }

    fn bounded<T>(
        &self,
        limit: Duration,
        cancel: Option<&Cancel>,
        run: impl FnOnce(&Connection) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        if cancel.is_some_and(Cancel::is_cancelled) {
            let name = self.file.name().clone();
            return Err(DbError::new(DbClass::Cancelled, "read", name));
        }
        let reader = self.check_out()?;
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX / 2);
        let until = reader.watch.elapsed_ms().saturating_add(limit_ms).max(1);
        reader.watch.until_ms.store(until, Ordering::Relaxed);
        if let Some(cancel) = cancel {
            self.set_cancel(&reader, cancel.clone());
        }
        let result = run(&reader.conn);
        reader.watch.until_ms.store(0, Ordering::Relaxed);
        if cancel.is_some() {
            self.set_cancel(&reader, Cancel::new());
        }
        self.check_in(reader);
        result
    }

    fn set_cancel(&self, reader: &Reader, cancel: Cancel) {
        let mut slot = reader
            .watch
            .cancel
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *slot = cancel;
    }

    fn check_out(&self) -> Result<Reader, DbError> {
        let mut pool = self.lock();
        while pool.busy >= self.max {
            pool = self.free.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.busy += 1;
        let idle = pool.idle.pop();
        drop(pool);
        match idle.map_or_else(|| self.open(), Ok) {
            Ok(reader) => Ok(reader),
            Err(error) => {
                self.lock().busy -= 1;
                self.free.notify_one();
                Err(error)
            }
        }
    }

    fn check_in(&self, reader: Reader) {
        let mut pool = self.lock();
        pool.busy -= 1;
        pool.idle.push(reader);
        drop(pool);
        self.free.notify_one();
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a limit on real time spent in SQLite, not on the engine's clock"
    )]
    fn open(&self) -> Result<Reader, DbError> {
        let mut conn = self.file.open_reader()?;
        let watch = Arc::new(Watch {
            base: Instant::now(),
            until_ms: AtomicU64::new(0),
            cancel: Mutex::new(Cancel::new()),
        });
        let looked_at = watch.clone();
        conn.progress_handler(STEPS_PER_LOOK, Some(move || looked_at.stops()))
            .doing("configure", self.file.name())?;
        Ok(Reader { conn, watch })
    }
}

fn in_snapshot<T>(
    conn: &Connection,
    name: &str,
    read: impl FnOnce(&Connection) -> Result<T, DbError>,
) -> Result<T, DbError> {
    let run = |sql: &str| {
        let mut statement = conn.prepare_cached(sql)?;
        statement.execute([]).map(drop)
    };
    run("BEGIN").doing("begin to read", name)?;
    let result = read(conn);
    if !conn.is_autocommit() {
        let ended = run("ROLLBACK").doing("end reading", name);
        if result.is_ok() {
            ended?;
        }
    }
    result
}
