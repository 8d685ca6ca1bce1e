//! A few threads that read for asynchronous callers.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hilum_db::{Cancel, DbClass, DbError};
use tokio::sync::oneshot;

use super::Inner;
use crate::error::JournalError;

/// Reads that wait for a thread.
const WAITING_MAX: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// The reading threads; none means that the caller's thread reads.
#[derive(Debug)]
pub(super) struct ReadThreads {
    jobs: Option<SyncSender<Job>>,
}

/// Stops the read when nobody waits for it any more.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl ReadThreads {
    pub(super) fn start(count: usize) -> Result<Self, DbError> {
        if count == 0 {
            return Ok(Self { jobs: None });
        }
        let (jobs, receiver) = sync_channel::<Job>(WAITING_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..count {
            let receiver = receiver.clone();
            std::thread::Builder::new()
                .name("hilum-reader".into())
                .spawn(move || {
                    while let Some(job) = next(&receiver) {
                        job();
                    }
                })
                .map_err(|error| DbError::io("start a reader of", "journal".as_ref(), error))?;
        }
        Ok(Self { jobs: Some(jobs) })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        inner: &Arc<Inner>,
        read: impl FnOnce(&Inner, &Cancel) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let cancel = Cancel::new();
        let Some(jobs) = &self.jobs else {
            return read(inner, &cancel);
        };
        let (done, outcome) = oneshot::channel();
        let guard = CancelOnDrop(cancel.clone());
        // Not a strong reference: a read that waits must not keep a closed journal alive.
        let inner: Weak<Inner> = Arc::downgrade(inner);
        let job: Job = Box::new(move || {
            let result = match inner.upgrade() {
                Some(inner) => read(&inner, &cancel),
                None => Err(JournalError::Closed),
            };
            // Whoever asked may have stopped waiting.
            drop(done.send(result));
        });
        match jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                let error = DbError::new(DbClass::Busy, "wait for a reader of", "the journal");
                return Err(error.into());
            }
            Err(TrySendError::Disconnected(_)) => return Err(JournalError::Closed),
        }
        let result = outcome.await.map_err(|_| JournalError::Closed)?;
        drop(guard);
        result
    }
}

fn next(receiver: &Mutex<Receiver<Job>>) -> Option<Job> {
    let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
    receiver.recv().ok()
}
