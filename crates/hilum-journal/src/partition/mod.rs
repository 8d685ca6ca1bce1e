//! One partition: its file, its writer while it needs one, its readers and its blobs.

mod handler;
mod insert;
pub(crate) mod names;
pub(crate) mod ops;
mod settle;
mod shared;
mod tell;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hilum_db::{DbError, DbFile, QueueLimits, Readers, Refusal, Synchronous, Writer, WriterLimits};

use crate::schema;
use crate::shared::Core;
pub(crate) use handler::{PartitionHandler, TALLY_OUTCOME};
pub(crate) use insert::{AttemptRow, insert_copy};
use ops::Op;
pub(crate) use shared::PartitionShared;

/// Page cache of the writer of the open partition; others have the default of [`DbFile`].
const OPEN_CACHE_KIB: u32 = 16 * 1024;
/// Page cache of each reader.
const READER_CACHE_KIB: u32 = 512;

/// What a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Takes new messages.
    Open,
    /// Was rolled: only settlements.
    Old,
    /// `pinned.db`.
    Pinned,
}

/// One partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) shared: Arc<PartitionShared>,
    core: Arc<Core>,
    file: DbFile,
    pub(crate) readers: Readers,
    pub(crate) index: RwLock<Option<Arc<Readers>>>,
    writer: Mutex<Option<Arc<Writer<Op>>>>,
    /// Everything pending here was copied to `pinned.db`.
    pub(crate) pinned: std::sync::atomic::AtomicBool,
}

impl Partition {
    /// Names the partition; nothing is opened yet.
    pub(crate) fn new(core: &Arc<Core>, name: &str) -> Self {
        let mut file = core.file(&format!("{name}.db"), schema::PARTITION);
        file.cache_kib = OPEN_CACHE_KIB;
        let mut reading = file.clone();
        reading.cache_kib = READER_CACHE_KIB;
        Self {
            shared: Arc::new(PartitionShared::new(name.into())),
            core: core.clone(),
            readers: Readers::new(reading, core.limits.readers_per_file),
            index: RwLock::new(None),
            file,
            writer: Mutex::new(None),
            pinned: std::sync::atomic::AtomicBool::new(false),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.shared.name
    }

    pub(crate) const fn file(&self) -> &DbFile {
        &self.file
    }

    /// The folder of its blobs.
    pub(crate) fn blob_folder(&self) -> PathBuf {
        blob_folder(&self.core.dir, self.name())
    }

    /// Its index file.
    pub(crate) fn index_file(&self) -> DbFile {
        let mut file = self
            .core
            .file(&format!("{}.idx", self.name()), schema::INDEX);
        file.synchronous = Synchronous::Off;
        file
    }

    /// Opens the file with a writer, which recovers and migrates it.
    pub(crate) fn start(&self, role: Role) -> Result<Arc<Writer<Op>>, DbError> {
        let mut slot = self.lock();
        if let Some(writer) = &*slot {
            return Ok(writer.clone());
        }
        let mut file = self.file.clone();
        let limits = &self.core.limits;
        let mut queue = QueueLimits {
            ops_max: limits.in_flight_max,
            bytes_max: limits.in_flight_bytes_max,
            lane_ops_max: (limits.in_flight_max / 2).max(1),
            lane_bytes_max: (limits.in_flight_bytes_max / 2).max(1),
            background_max: limits.settlements_max,
            linger: limits.settle_linger,
            ..QueueLimits::default()
        };
        if role != Role::Open {
            file.cache_kib = 2048;
            queue.linger = limits.settle_linger_old;
        }
        let limits = WriterLimits {
            queue,
            checkpoint_pages: limits.checkpoint_pages,
            ..WriterLimits::default()
        };
        let handler = PartitionHandler::new(self.core.clone(), self.shared.clone());
        let writer = Arc::new(Writer::start(file, limits, handler)?);
        *slot = Some(writer.clone());
        Ok(writer)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Writer<Op>>>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer, if one is running.
    pub(crate) fn writer(&self) -> Option<Arc<Writer<Op>>> {
        self.lock().clone()
    }

    /// Ends the writer: what waits is written, the log emptied, the file closed.
    pub(crate) fn stop(&self) {
        let writer = self.lock().take();
        drop(writer);
    }

    /// Hands in work without urgency, starting a writer if the partition has none.
    pub(crate) fn background(&self, op: Op) -> Result<(), (Box<Op>, Option<DbError>)> {
        self.shared.touched.store(true, Ordering::Relaxed);
        let writer = match self.start(Role::Old) {
            Ok(writer) => writer,
            Err(error) => return Err((Box::new(op), Some(error))),
        };
        writer.submit_background(op).map_err(|(op, refusal)| {
            let error = match refusal {
                Refusal::QueueFull => None,
                _ => Some(self.core.closed()),
            };
            (Box::new(op), error)
        })
    }

    /// Hands in work that somebody waits for.
    pub(crate) fn urgent(&self, op: Op) -> Result<(), DbError> {
        self.shared.touched.store(true, Ordering::Relaxed);
        let writer = self.start(Role::Old)?;
        writer.submit_urgent(op).map_err(|_| self.core.closed())
    }

    /// Removes every file of it, the blobs first, so that no row refers to a missing one for long.
    pub(crate) fn remove(&self) -> Result<(), DbError> {
        self.stop();
        self.readers.close_idle();
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = None;
        let files = &self.core.files;
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |error| DbError::io("remove", &path, error)
        };
        // The database goes first: without it the others are orphans that a start clears away.
        for file in [&self.file, &self.index_file()] {
            for path in file.all_paths() {
                files.remove(&path).map_err(io(&path))?;
            }
        }
        let folder = self.blob_folder();
        for entry in files.list(&folder).map_err(io(&folder))? {
            files.remove(&entry.path).map_err(io(&entry.path))?;
        }
        files.remove_dir(&folder).map_err(io(&folder))?;
        files.sync_dir(&self.core.dir).map_err(io(&self.core.dir))
    }
}

/// The folder of a partition's blobs.
pub(crate) fn blob_folder(dir: &Path, partition: &str) -> PathBuf {
    dir.join(format!("{partition}.blobs"))
}
