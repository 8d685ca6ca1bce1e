//! A few threads that read for asynchronous callers, each with what it reads by.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use hilum_db::{Cancel, DbError};
use tokio::sync::oneshot;

use crate::error::StoreError;

/// Searches that wait for a thread.
const WAITING_MAX: usize = 1024;

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// The reading threads. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Threads<T> {
    jobs: SyncSender<Job<T>>,
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
        let (jobs, receiver) = sync_channel::<Job<T>>(WAITING_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..count.max(1) {
            let (receiver, tool) = (receiver.clone(), tool.clone());
            std::thread::Builder::new()
                .name("hilum-fhir-read".into())
                .spawn(move || {
                    let mut tool = tool();
                    while let Some(job) = next(&receiver) {
                        job(&mut tool);
                    }
                })
                .map_err(|error| DbError::io("start a reader of", name.as_ref(), error))?;
        }
        Ok(Self { jobs })
    }

    /// Runs a read on one of the threads; it is cancelled when nobody waits for it any more.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        read: impl FnOnce(&mut T, &Cancel) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let cancel = Cancel::new();
        let (done, outcome) = oneshot::channel();
        let guard = CancelOnDrop(cancel.clone());
        let job: Job<T> = Box::new(move |tool| drop(done.send(read(tool, &cancel))));
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        let result = outcome.await.map_err(|_| StoreError::Closed)?;
        drop(guard);
        result
    }
}

fn next<T>(receiver: &Mutex<Receiver<Job<T>>>) -> Option<Job<T>> {
    let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
    receiver.recv().ok()
}
