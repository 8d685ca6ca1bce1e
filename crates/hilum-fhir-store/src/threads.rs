//! A few threads that read for asynchronous callers, each with what it reads by.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use hilum_db::{Cancel, DbError};
use tokio::sync::oneshot;

use crate::error::StoreError;

/// Searches that wait for a thread.
const WAITING_MAX: usize = 1024;

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// The reading threads. They end when this is dropped and nothing waits.
#[derive(Debug)]
pub(crate) struct Threads<T>(Arc<Queue<T>>);

/// What waits. A queue of the standard library would have to be shared behind a lock that a waiting
/// thread holds, so that each job would wake two threads.
struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
}

struct Waiting<T> {
    jobs: VecDeque<Job<T>>,
    /// Threads that take jobs.
    alive: usize,
    closed: bool,
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job<T>) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        if waiting.alive == 0 {
            return Err(StoreError::Closed);
        }
        if waiting.jobs.len() >= WAITING_MAX {
            return Err(StoreError::Busy);
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    fn next(&self) -> Option<Job<T>> {
        let mut waiting = self.lock();
        loop {
            match waiting.jobs.pop_front() {
                Some(job) => return Some(job),
                None if waiting.closed => return None,
                None => {
                    let woken = self.changed.wait(waiting);
                    waiting = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

/// A thread that takes jobs. With the last one go the jobs, so that nobody waits in vain.
struct Taker<T>(Arc<Queue<T>>);

impl<T> Taker<T> {
    fn new(queue: &Arc<Queue<T>>) -> Self {
        queue.lock().alive += 1;
        Self(queue.clone())
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.alive -= 1;
        let left = match waiting.alive {
            0 => std::mem::take(&mut waiting.jobs),
            _ => VecDeque::new(),
        };
        drop(waiting);
        drop(left);
    }
}

impl<T> Drop for Threads<T> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

/// Stops the search when nobody waits for it any more.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<T: 'static> Threads<T> {
    /// Starts `count` threads; each makes its own tool.
    pub(crate) fn start(
        count: usize,
        name: &str,
        tool: impl Fn() -> T + Clone + Send + 'static,
    ) -> Result<Self, DbError> {
        let waiting = Waiting {
            jobs: VecDeque::new(),
            alive: 0,
            closed: false,
        };
        let threads = Self(Arc::new(Queue {
            waiting: Mutex::new(waiting),
            changed: Condvar::new(),
        }));
        for _ in 0..count.max(1) {
            let (taker, tool) = (Taker::new(&threads.0), tool.clone());
            std::thread::Builder::new()
                .name("hilum-fhir-read".into())
                .spawn(move || {
                    let mut tool = tool();
                    while let Some(job) = taker.0.next() {
                        job(&mut tool);
                    }
                })
                .map_err(|error| DbError::io("start a reader of", name.as_ref(), error))?;
        }
        Ok(threads)
    }

    /// Runs a read on one of the threads; it is cancelled when nobody waits for it any more.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        read: impl FnOnce(&mut T, &Cancel) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let cancel = Cancel::new();
        let (done, outcome) = oneshot::channel();
        let guard = CancelOnDrop(cancel.clone());
        self.0
            .push(Box::new(move |tool| drop(done.send(read(tool, &cancel)))))?;
        let result = outcome.await.map_err(|_| StoreError::Closed)?;
        drop(guard);
        result
    }
}
