//! What the writer, the readers and the journal share about one partition.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hilum_db::{DbClass, DbError, LanesIdle};

use super::names::Names;
use super::ops::Op;

/// Outcomes kept while the disk is full; beyond it deliveries are simply sent again.
const KEPT_MAX: usize = 8192;

/// Shared facts of a partition.
pub(crate) struct PartitionShared {
    pub(crate) name: Arc<str>,
    pub(crate) names: Names,
    /// First sequence; `u64::MAX` while there is none.
    first: AtomicU64,
    /// Last committed sequence.
    last: AtomicU64,
    bytes: AtomicU64,
    pub(crate) disk_failures: AtomicU64,
    /// SQLite found the file damaged: the next partition takes over, the next start mends it.
    pub(crate) damaged: AtomicBool,
    /// Settlements and the like were handed in since the last look.
    pub(crate) touched: AtomicBool,
    predecessor: Mutex<Option<LanesIdle<Op>>>,
    kept: Mutex<Vec<Op>>,
    /// Last sequence that is in the index file.
    pub(crate) indexed: AtomicU64,
    pub(crate) indexer: Mutex<Option<crate::index::Indexer>>,
}

impl std::fmt::Debug for PartitionShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartitionShared")
            .field("name", &self.name)
            .field("first", &self.first)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl PartitionShared {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            names: Names::default(),
            first: AtomicU64::new(u64::MAX),
            last: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            disk_failures: AtomicU64::new(0),
            damaged: AtomicBool::new(false),
            touched: AtomicBool::new(false),
            predecessor: Mutex::new(None),
            kept: Mutex::new(Vec::new()),
            indexed: AtomicU64::new(0),
            indexer: Mutex::new(None),
        }
    }

    pub(crate) fn first(&self) -> u64 {
        self.first.load(Ordering::Acquire)
    }

    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Notes that the file turned out to be damaged, if that is what the error says.
    pub(crate) fn note(&self, error: &DbError) {
        if error.class() == DbClass::Corrupt && !self.damaged.swap(true, Ordering::Relaxed) {
            tracing::error!(partition = %self.name, %error, "the file is damaged");
        }
    }

    /// Sets the first sequence unless it is known.
    pub(crate) fn begin_at(&self, sequence: u64) {
        let known = |first: u64| (first == u64::MAX).then_some(sequence);
        let order = Ordering::AcqRel;
        match self.first.try_update(order, Ordering::Acquire, known) {
            // Set now, or set before, which is the usual case.
            Ok(_) | Err(_) => {}
        }
    }

    pub(crate) fn reached(&self, sequence: u64) {
        self.last.fetch_max(sequence, Ordering::AcqRel);
    }

    /// The row of `sequence` lies here, or would.
    pub(crate) fn holds(&self, sequence: u64) -> bool {
        sequence >= self.first()
    }

    pub(crate) fn set_predecessor(&self, idle: LanesIdle<Op>) {
        *self
            .predecessor
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(idle);
    }

    pub(crate) fn wait_for_predecessor(&self) {
        if self.first() != u64::MAX {
            return;
        }
        let predecessor = self
            .predecessor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(idle) = predecessor {
            idle.wait();
        }
    }

    pub(crate) fn keep_for_later(&self, op: Op) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(op);
        }
    }

    pub(crate) fn take_kept(&self) -> Vec<Op> {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
