//! A few threads that search for asynchronous callers.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use hilum_db::{Cancel, DbError};
use tokio::sync::oneshot;

use crate::error::StoreError;

/// Searches that wait for a thread.
const WAITING_MAX: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// The searching threads. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Threads {
    jobs: SyncSender<Job>,
}

/// Stops the search when nobody waits for it any more.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Threads {
    pub(super) fn start(count: usize, name: &str) -> Result<Self, DbError> {
        let (jobs, receiver) = sync_channel::<Job>(WAITING_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..count.max(1) {
            let receiver = receiver.clone();
            std::thread::Builder::new()
                .name("hilum-fhir-read".into())
                .spawn(move || {
                    while let Some(job) = next(&receiver) {
                        job();
                    }
                })
                .map_err(|error| DbError::io("start a reader of", name.as_ref(), error))?;
        }
        Ok(Self { jobs })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Cancel) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let cancel = Cancel::new();
        let (done, outcome) = oneshot::channel();
        let guard = CancelOnDrop(cancel.clone());
        let job: Job = Box::new(move || drop(done.send(read(&cancel))));
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        let result = outcome.await.map_err(|_| StoreError::Closed)?;
        drop(guard);
        result
    }
}

fn next(receiver: &Mutex<Receiver<Job>>) -> Option<Job> {
    let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
    receiver.recv().ok()
}
