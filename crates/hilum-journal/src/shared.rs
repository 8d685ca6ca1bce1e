//! What all parts of a journal share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hilum_db::{DbClass, DbError, DbFile, Files, Schema, Synchronous};
use tokio::sync::Notify;

use crate::codec::Codecs;
use crate::model::{AcceptRequest, CommitSink, StoredBlob};
use crate::options::{Clock, JournalLimits};
use crate::state::StateMemory;

/// Shared by the journal, its writers and its housekeeping.
pub(crate) struct Core {
    pub(crate) dir: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) vfs: Option<Arc<str>>,
    pub(crate) synchronous: Synchronous,
    pub(crate) limits: JournalLimits,
    pub(crate) sink: Arc<dyn CommitSink>,
    pub(crate) state: StateMemory,
    pub(crate) codecs: Codecs,
    /// Under which index values are hashed; every partition has a copy.
    pub(crate) index_key: [u8; 16],
    /// Blobs that are written and that no committed row refers to yet, by name.
    pub(crate) unclaimed: Mutex<HashMap<Arc<str>, StoredBlob>>,
    /// Told after every group: there may be room again.
    pub(crate) room: Notify,
    pub(crate) wake: Wake,
    sequence: AtomicU64,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(
        dir: PathBuf,
        options: &crate::options::JournalOptions,
        sink: Arc<dyn CommitSink>,
        state: StateMemory,
        index_key: [u8; 16],
    ) -> Self {
        Self {
            dir,
            clock: options.clock.clone(),
            files: options.files.clone(),
            vfs: options.vfs.clone(),
            synchronous: options.synchronous,
            limits: options.limits.clone(),
            sink,
            state,
            codecs: Codecs::new(options.limits.dictionaries_loaded_max),
            index_key,
            unclaimed: Mutex::default(),
            room: Notify::new(),
            wake: Wake::default(),
            sequence: AtomicU64::new(1),
        }
    }

    /// A file in the journal's folder.
    pub(crate) fn file(&self, name: &str, schema: Schema) -> DbFile {
        let mut file = DbFile::new(self.dir.join(name), self.files.clone(), schema);
        file.vfs.clone_from(&self.vfs);
        file.synchronous = self.synchronous;
        file
    }

    /// The sequence that the next message will have.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Relaxed)
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn sequence_is_above(&self, known: u64) {
        self.sequence
            .fetch_max(known.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn unclaimed(&self) -> MutexGuard<'_, HashMap<Arc<str>, StoredBlob>> {
        self.unclaimed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a message the blobs that it refers to and that no committed message owns.
    pub(crate) fn claim(&self, request: &mut AcceptRequest) {
        let sent = request.deliveries.iter().map(|delivery| &delivery.payload);
        let cuts = sent
            .chain([&request.received])
            .flat_map(|payload| payload.cuts());
        let mut cuts = cuts.peekable();
        if cuts.peek().is_none() {
            return;
        }
        let unclaimed = self.unclaimed();
        let mut claimed: Vec<StoredBlob> = Vec::new();
        for blob in cuts.map(|cut| &cut.range.blob) {
            let known = claimed.iter().chain(&request.blobs);
            if known.into_iter().any(|known| known.blob == *blob) {
                continue;
            }
            let stored = unclaimed.get(&blob.name);
            claimed.extend(stored.filter(|stored| stored.blob == *blob).cloned());
        }
        drop(unclaimed);
        request.blobs.extend(claimed);
    }

    /// Notes that a committed message owns these blobs.
    pub(crate) fn claimed(&self, blobs: &[StoredBlob]) {
        if blobs.is_empty() {
            return;
        }
        let mut unclaimed = self.unclaimed();
        for stored in blobs {
            unclaimed.remove(&stored.blob.name);
        }
    }

    pub(crate) fn closed(&self) -> DbError {
        DbError::new(DbClass::Closed, "write to", self.dir.display().to_string())
    }
}

/// Wakes the housekeeping threads before their time.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    count: Mutex<u64>,
    changed: Condvar,
    stopped: AtomicBool,
}

impl Wake {
    pub(crate) fn notify(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        drop(count);
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.notify();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Waits until the count is not `seen` any more or time is up; returns the new count.
    pub(crate) fn wait(&self, seen: u64, at_most: Duration) -> u64 {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = |count: &mut u64| *count == seen && !self.is_stopped();
        let (count, _) = self
            .changed
            .wait_timeout_while(count, at_most, unchanged)
            .unwrap_or_else(PoisonError::into_inner);
        *count
    }
}
