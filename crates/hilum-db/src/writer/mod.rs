//! One thread per file that owns its only writing connection and every checkpoint.
//!
//! Groups form by themselves: while one is synced the next one gathers. There is no timer between
//! an operation of a lane and its commit. Outcomes are told in commit order, from this thread.
//!
//! **Invariant**: `Handler::committed` runs only after a COMMIT that was synced. After a COMMIT or
//! sync failed the group's fate is unknown: all of it fails, the file is closed, and nothing is
//! written until it was opened again with its log rewritten, synced, checkpointed and emptied.

mod group;
mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::error::{DbClass, DbError};
use crate::open::{DbFile, Recovery};

use group::Engine;
use queue::{Next, Queue};
pub use queue::{QueueLimits, Refusal};

/// What a file's operations mean. All of it runs on the writer's thread.
///
/// `apply` may be called more than once for the same operation: a group in which one fails is
/// rolled back and done again with a savepoint for each.
pub trait Handler: Send + 'static {
    /// One operation.
    type Op: Send + 'static;

    /// The file was opened (or opened again after a failure); nothing was applied yet.
    ///
    /// # Errors
    /// The file is then not used.
    fn opened(&mut self, conn: &Connection, recovery: Recovery) -> Result<(), DbError>;

    /// A group begins: forget whatever `apply` noted since the last commit.
    fn begin(&mut self);

    /// Writes one operation.
    ///
    /// # Errors
    /// The operation is undone and reported by [`Handler::refused`]; its neighbours are not touched.
    fn apply(&mut self, conn: &Connection, op: &mut Self::Op) -> Result<(), DbError>;

    /// A savepoint begins: [`Handler::rewind`] returns to what was noted until here.
    fn mark(&mut self);

    /// The operation since [`Handler::mark`] was undone.
    fn rewind(&mut self);

    /// All operations of a group were applied; the last chance to write.
    ///
    /// # Errors
    /// Fails the whole group.
    fn closing(&mut self, conn: &Connection) -> Result<(), DbError>;

    /// The group is on disk; `ops` are its operations in order.
    fn committed(&mut self, conn: &Connection, ops: Vec<Self::Op>);

    /// The operation was surely not stored.
    fn refused(&mut self, op: Self::Op, error: &DbError);

    /// It is unknown whether these were stored.
    fn failed(&mut self, ops: Vec<Self::Op>, error: &DbError);
}

/// Limits of a writer.
#[derive(Clone, Copy, Debug)]
pub struct WriterLimits {
    /// What waits and what makes a group.
    pub queue: QueueLimits,
    /// Pages in the log from which on the writer checkpoints after a group.
    pub checkpoint_pages: u32,
    /// Bytes of the log from which on [`Writer::log_is_long`] says so.
    pub log_bytes_alarm: u64,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self {
            queue: QueueLimits::default(),
            checkpoint_pages: 4000,
            log_bytes_alarm: 256 << 20,
        }
    }
}

/// Figures of a writer, for metrics.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) groups: AtomicU64,
    pub(crate) ops: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) log_pages: AtomicU64,
    pub(crate) broken: AtomicBool,
}

/// Figures of a writer at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterFigures {
    /// Groups committed.
    pub groups: u64,
    /// Operations committed.
    pub ops: u64,
    /// Groups that failed.
    pub failures: u64,
    /// Checkpoints done.
    pub checkpoints: u64,
    /// Pages in the log after the last group.
    pub log_pages: u64,
    /// The file is closed after a failure and not open again yet.
    pub broken: bool,
}

/// The handle of one file's writer. Dropping it writes what waits, checkpoints and closes.
pub struct Writer<Op: Send + 'static> {
    queue: Arc<Queue<Op>>,
    figures: Arc<Figures>,
    thread: Option<JoinHandle<()>>,
    log_bytes_alarm: u64,
}

impl<Op: Send + 'static> std::fmt::Debug for Writer<Op> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("figures", &self.figures)
            .finish_non_exhaustive()
    }
}

impl<Op: Send + 'static> Writer<Op> {
    /// Opens `file` on a thread of its own and returns when it is ready.
    ///
    /// # Errors
    /// If the file cannot be opened, recovered or migrated, or the thread not started.
    pub fn start<H: Handler<Op = Op>>(
        file: DbFile,
        limits: WriterLimits,
        handler: H,
    ) -> Result<Self, DbError> {
        let queue = Queue::new(limits.queue);
        let figures = Arc::new(Figures::default());
        let (ready, opened) = std::sync::mpsc::sync_channel(1);
        let name = file.name().clone();
        let mut engine = Engine::new(file, limits, handler, figures.clone());
        let (of_thread, for_guard) = (queue.clone(), queue.clone());
        let thread = std::thread::Builder::new()
            .name("hilum-writer".into())
            .spawn(move || {
                let guard = AbandonOnExit(for_guard);
                let result = engine.open();
                let usable = result.is_ok();
                if ready.send(result).is_ok() && usable {
                    loop {
                        match of_thread.take() {
                            Next::Group(ops) => engine.write(ops),
                            Next::Idle => engine.idle(),
                            Next::End => break,
                        }
                    }
                    engine.close();
                }
                drop(guard);
            })
            .map_err(|error| DbError::io("start the writer of", name.as_ref().as_ref(), error))?;
        let gone = || DbError::new(DbClass::Closed, "start the writer of", name.clone());
        opened.recv().map_err(|_| gone())??;
        Ok(Self {
            queue,
            figures,
            thread: Some(thread),
            log_bytes_alarm: limits.log_bytes_alarm,
        })
    }

    /// Hands in an operation of `lane`; its outcome comes through the handler.
    ///
    /// # Errors
    /// The operation itself and why it was not taken.
    pub fn submit(
        &self,
        lane: u32,
        weight: usize,
        bytes: usize,
        op: Op,
    ) -> Result<(), (Op, Refusal)> {
        self.queue.push(lane, weight, bytes, op)
    }

    /// Hands in an operation without urgency: it rides with the next group or lingers a little.
    ///
    /// # Errors
    /// The operation itself and why it was not taken.
    pub fn submit_background(&self, op: Op) -> Result<(), (Op, Refusal)> {
        self.queue.push_background(op)
    }

    /// Hands in an operation behind the background ones, to be written at once.
    ///
    /// # Errors
    /// The operation itself if the writer is closed.
    pub fn submit_urgent(&self, op: Op) -> Result<(), (Op, Refusal)> {
        self.queue.push_urgent(op)
    }

    /// Writes background operations now.
    pub fn hurry(&self) {
        self.queue.hurry();
    }

    /// Takes no more operations of lanes. Background work goes on.
    pub fn close_lanes(&self) {
        self.queue.close_lanes();
    }

    /// Something that waits until every operation of a lane has its outcome.
    #[must_use]
    pub fn lanes_idle(&self) -> LanesIdle<Op> {
        LanesIdle(self.queue.clone())
    }

    /// Operations and bytes that wait in lanes.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        self.queue.depth()
    }

    /// Figures so far.
    #[must_use]
    pub fn figures(&self) -> WriterFigures {
        let get = |value: &AtomicU64| value.load(Ordering::Relaxed);
        WriterFigures {
            groups: get(&self.figures.groups),
            ops: get(&self.figures.ops),
            failures: get(&self.figures.failures),
            checkpoints: get(&self.figures.checkpoints),
            log_pages: get(&self.figures.log_pages),
            broken: self.figures.broken.load(Ordering::Relaxed),
        }
    }

    /// A reader has kept the log from being emptied for so long that someone should look.
    #[must_use]
    pub fn log_is_long(&self) -> bool {
        self.figures().log_pages * 4096 > self.log_bytes_alarm
    }
}

impl<Op: Send + 'static> Drop for Writer<Op> {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A writer dropped by its own thread (inside a callback) cannot wait for itself, and a
            // panic of the thread was reported where it happened.
            if thread.thread().id() != std::thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

/// See [`Writer::lanes_idle`].
pub struct LanesIdle<Op>(Arc<Queue<Op>>);

impl<Op> std::fmt::Debug for LanesIdle<Op> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LanesIdle")
    }
}

impl<Op> LanesIdle<Op> {
    /// Blocks until it is so.
    pub fn wait(&self) {
        self.0.wait_lanes_idle();
    }
}

/// Lets nobody wait for a writer that is gone, whatever ended it.
struct AbandonOnExit<Op>(Arc<Queue<Op>>);

impl<Op> Drop for AbandonOnExit<Op> {
    fn drop(&mut self) {
        drop(self.0.abandon());
    }
}
