//! The handle: what is open, and the way to the right file.

mod accept;
mod blob;
mod control;
mod open;
mod pool;
mod query;
mod settle;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use bytes::Bytes;
use hilum_db::{Cancel, DbError, Writer, WriterFigures};
use hilum_message::IndexKey;
use tokio::sync::watch;

use crate::error::JournalError;
use crate::partition::ops::Op;
use crate::partition::{Partition, Role};
use crate::shared::Core;
use crate::state::{ControlOp, ControlWrite, Name, StateValue, Timer};

pub use accept::Publication;
pub use blob::BlobWriter;
use pool::ReadThreads;
pub use query::{MessageTrace, Tally, TallyRow};
use smol_str::SmolStr;

/// The files that are in use.
#[derive(Debug)]
pub(crate) struct Partitions {
    /// By first sequence; the last one is open.
    pub(crate) list: Vec<Arc<Partition>>,
    /// Opened ahead.
    pub(crate) next: Option<Arc<Partition>>,
    pub(crate) pinned: Arc<Partition>,
}

/// What one channel's messages wait in, and how many it may write per round.
#[derive(Clone, Copy, Debug)]
struct Lane {
    number: u32,
    weight: usize,
}

pub(crate) struct Inner {
    pub(crate) core: Arc<Core>,
    pub(crate) partitions: RwLock<Partitions>,
    control: Writer<ControlOp>,
    lanes: RwLock<HashMap<Arc<str>, Lane>>,
    index_key: IndexKey,
    pool: ReadThreads,
    /// One pass of housekeeping at a time.
    pub(crate) upkeep: Mutex<crate::upkeep::Upkeep>,
}

/// The journal. Clones are the same journal; when the last one goes, what waits is written and the
/// files are closed in order.
#[derive(Clone)]
pub struct Journal {
    pub(crate) inner: Arc<Inner>,
    /// Stops the housekeeping threads when the last handle goes.
    threads: Arc<Threads>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("dir", &self.inner.core.dir)
            .finish_non_exhaustive()
    }
}

struct Threads {
    inner: Arc<Inner>,
    handles: Mutex<Vec<JoinHandle<()>>>,
    /// Goes last of all, when the files are closed.
    open: watch::Sender<()>,
}

impl Journal {
    /// Waits, without being a handle itself, until the last handle has gone and the files are
    /// closed: then the folder may be opened anew.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut open = self.threads.open.subscribe();
        async move { while open.changed().await.is_ok() {} }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.inner.core.wake.stop();
        let handles =
            std::mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in handles {
            if handle.thread().id() != std::thread::current().id() {
                // A panic was reported where it happened.
                drop(handle.join());
            }
        }
        self.inner.close();
    }
}

impl Inner {
    pub(crate) fn read_partitions(&self) -> std::sync::RwLockReadGuard<'_, Partitions> {
        self.partitions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_partitions(&self) -> std::sync::RwLockWriteGuard<'_, Partitions> {
        self.partitions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All partitions, oldest first; the pinned one first of all if asked for.
    pub(crate) fn all(&self, with_pinned: Pinned) -> Vec<Arc<Partition>> {
        let partitions = self.read_partitions();
        let pinned = match with_pinned {
            Pinned::Included => Some(partitions.pinned.clone()),
            Pinned::Left => None,
        };
        pinned
            .into_iter()
            .chain(partitions.list.iter().cloned())
            .collect()
    }

    /// The partition in which the row of a sequence lies, or would lie.
    pub(crate) fn holder(&self, sequence: u64) -> Option<Arc<Partition>> {
        let partitions = self.read_partitions();
        let mut newest_first = partitions.list.iter().rev();
        newest_first
            .find(|partition| partition.shared.holds(sequence))
            .cloned()
    }

    /// The partition in which a delivery is kept: the holder, or `pinned.db` once it was copied
    /// or the holder was dropped.
    pub(crate) fn keeper(&self, sequence: u64) -> Arc<Partition> {
        let holder = self.holder(sequence);
        holder
            .filter(|partition| !partition.pinned.load(Ordering::Acquire))
            .unwrap_or_else(|| self.read_partitions().pinned.clone())
    }

    pub(crate) fn open_partition(&self) -> Option<Arc<Partition>> {
        self.read_partitions().list.last().cloned()
    }

    /// Writes to `control.db` and waits until it is on disk.
    pub(crate) fn control(&self, what: ControlWrite) -> Result<(), DbError> {
        let (done, outcome) = std::sync::mpsc::sync_channel(1);
        let op = ControlOp { what, done };
        let closed = || self.core.closed();
        self.control.submit_urgent(op).map_err(|_| closed())?;
        outcome.recv().map_err(|_| closed())?
    }

    /// Hands an operation to the partition that keeps the delivery.
    pub(crate) fn route(&self, op: Op) -> Result<(), (Box<Op>, Option<DbError>)> {
        let sequence = match &op {
            Op::Attempt(attempt) => attempt.delivery.sequence,
            Op::Finish { sequence } => *sequence,
            Op::Requeue { delivery, .. } => delivery.sequence,
            Op::Accept(_)
            | Op::Dictionary { .. }
            | Op::Pin(_)
            | Op::Unpend { .. }
            | Op::Flush(_) => u64::MAX,
        };
        self.keeper(sequence).background(op)
    }

    fn close(&self) {
        let (list, next, pinned) = {
            let partitions = self.read_partitions();
            (
                partitions.list.clone(),
                partitions.next.clone(),
                partitions.pinned.clone(),
            )
        };
        for partition in list.iter().chain(&next).chain([&pinned]) {
            for op in partition.shared.take_kept() {
                // The last chance; a full disk now only means that it is sent again.
                drop(self.route(op));
            }
        }
        for partition in list.iter().chain(&next).chain([&pinned]) {
            partition.stop();
        }
        crate::index::close(self);
    }
}

/// Whether `pinned.db` is meant as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pinned {
    Included,
    Left,
}

/// Figures of the journal at one moment, for metrics.
#[derive(Clone, Debug, Default)]
pub struct JournalFigures {
    /// The writer of the open partition.
    pub writer: WriterFigures,
    /// Messages and bytes in acceptance.
    pub in_flight: (usize, usize),
    /// Bytes of the open partition.
    pub open_bytes: u64,
    /// Partitions, the open one included.
    pub partitions: usize,
    /// Rows of the open partition that are not indexed yet.
    pub index_tail: u64,
    /// That tail is longer than it should be.
    pub index_tail_alarm: bool,
    /// State changes that are not folded yet.
    pub unfolded: usize,
    /// Partitions whose files turned out to be damaged since the start.
    pub damaged: usize,
    /// The log of the open partition is longer than it should be: a reader holds it.
    pub log_is_long: bool,
}

impl Journal {
    /// The folder that it lies in.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.inner.core.dir
    }

    /// The key under which index values are hashed.
    #[must_use]
    pub fn index_key(&self) -> IndexKey {
        self.inner.index_key
    }

    /// Sets the share of a channel in a contended group; 1 by default.
    pub fn set_weight(&self, channel: &Arc<str>, weight: usize) {
        let lane = self.inner.lane(channel);
        let mut lanes = self
            .inner
            .lanes
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        lanes.insert(channel.clone(), Lane { weight, ..lane });
    }

    /// The value of a state key now.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn state(&self, scope: &str, key: &str) -> Result<StateValue, JournalError> {
        let core = &self.inner.core;
        Ok(core.state.get(scope, key, core.clock.now_ms())?)
    }

    /// The values of scopes and keys now, in their order.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn states<'n>(
        &self,
        names: impl IntoIterator<Item = (&'n str, &'n str)>,
    ) -> Result<Vec<StateValue>, JournalError> {
        let core = &self.inner.core;
        let names = names.into_iter().map(|(scope, key)| Name(scope, key));
        let names: Vec<_> = names.collect();
        Ok(core.state.get_all(&names, core.clock.now_ms())?)
    }

    /// The values of a scope whose keys begin with `prefix`, in the order of their keys, at most
    /// `limit`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn state_of(
        &self,
        scope: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(SmolStr, Bytes)>, JournalError> {
        let core = &self.inner.core;
        let now_ms = core.clock.now_ms();
        Ok(core.state.scan(scope, prefix, limit, now_ms)?)
    }

    /// Timers that are due now, the earliest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn timers_due(&self, limit: usize) -> Result<Vec<Timer>, JournalError> {
        let core = &self.inner.core;
        Ok(core.state.due(core.clock.now_ms(), limit)?)
    }

    /// Timers due until a time, to know when to look again.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn timers_until(&self, until_ms: u64, limit: usize) -> Result<Vec<Timer>, JournalError> {
        Ok(self.inner.core.state.due(until_ms, limit)?)
    }

    /// Returns when a group was written since the call: after `QueueFull` there may be room again.
    pub fn room(&self) -> impl Future<Output = ()> + '_ {
        // Told from its creation on, also of what is written before it is first polled.
        self.inner.core.room.notified()
    }

    /// One pass of housekeeping on this thread: fold, index, roll, train, pin.
    ///
    /// # Errors
    /// The first failure; the next pass tries again.
    pub fn maintain(&self) -> Result<(), JournalError> {
        crate::upkeep::pass(&self.inner).and(crate::index::pass(&self.inner))
    }

    /// Figures now.
    #[must_use]
    pub fn figures(&self) -> JournalFigures {
        let inner = &self.inner;
        let open = inner.open_partition();
        let writer = open.as_ref().and_then(|partition| partition.writer());
        let is_damaged = |p: &&Arc<Partition>| p.shared.damaged.load(Ordering::Relaxed);
        let damaged = inner
            .all(Pinned::Included)
            .iter()
            .filter(is_damaged)
            .count();
        let tail = open.as_ref().map_or(0, |open| crate::index::tail_of(open));
        JournalFigures {
            writer: writer.as_ref().map(|w| w.figures()).unwrap_or_default(),
            in_flight: writer.as_ref().map(|w| w.depth()).unwrap_or_default(),
            open_bytes: open.as_ref().map_or(0, |open| open.shared.bytes()),
            partitions: inner.read_partitions().list.len(),
            index_tail: tail,
            index_tail_alarm: tail > inner.core.limits.index_tail_alarm,
            unfolded: inner.core.state.waiting(),
            damaged,
            log_is_long: writer.is_some_and(|writer| writer.log_is_long()),
        }
    }

    /// Runs a read on the reading threads; dropping the future stops it.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Inner, &Cancel) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.inner.pool.run(&self.inner, read).await
    }
}

impl Inner {
    fn lane(&self, channel: &Arc<str>) -> Lane {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(channel) {
            return *lane;
        }
        drop(lanes);
        let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        let number = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
        let lane = Lane { number, weight: 1 };
        *lanes.entry(channel.clone()).or_insert(lane)
    }

    /// Starts the writer of the open partition.
    pub(crate) fn start_open(partition: &Partition) -> Result<(), DbError> {
        partition.start(Role::Open).map(drop)
    }
}
