//! Calls of a server's subscriptions: each is followed by a look.
//!
//! A call says that something changed, and what changed is looked for: so a call that is lost,
//! comes twice or comes early loses and doubles nothing. The listener is that of the source
//! `http`; its messages end here.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use hilum_component::{
    Arrival, BlobWriter, BoxFuture, BuildContext, Disposition, Intake, IntakePort, Partial, Peer,
    Problem, Reply, Source, SourceError, SourceFactory, Stop,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::config::Notifications;
use crate::http::source;

/// The listener before it runs.
pub(super) struct Notified(Box<dyn Source>);

/// The listener while it runs.
pub(super) struct Calls {
    called: Arc<Notify>,
    task: JoinHandle<Result<(), SourceError>>,
}

impl Notified {
    /// Builds the listener; what is wrong with it is noted below its key.
    pub(super) fn built(
        config: Option<&Notifications>,
        context: &BuildContext<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<SourceFactory> {
        let built = source::build(&config?.0, context);
        let below = |mut problem: Problem| {
            if problem.elsewhere.is_none() {
                problem.key.insert(0, "notifications".to_owned());
            }
            problem
        };
        built
            .map_err(|found| problems.extend(found.into_iter().map(below)))
            .ok()
    }

    pub(super) fn new(factory: &SourceFactory) -> Self {
        Self(factory())
    }

    /// Listens; gives the address that the subscription calls.
    pub(super) async fn open(&mut self) -> Result<Option<String>, SourceError> {
        self.0.open().await
    }

    /// Takes calls until `stop`; when this returns, it does.
    pub(super) async fn run(mut self, intake: &Intake, stop: &Stop) -> Calls {
        let called = Arc::new(Notify::new());
        let door = Intake::new(Arc::new(Bell {
            called: Arc::clone(&called),
            intake: intake.clone(),
        }));
        let stop = stop.clone();
        let mut running = Box::pin(async move { self.0.run(door, stop).await });
        let first = poll_fn(|context| Poll::Ready(running.as_mut().poll(context))).await;
        let task = match first {
            Poll::Ready(ended) => tokio::spawn(async { ended }),
            Poll::Pending => tokio::spawn(running),
        };
        Calls { called, task }
    }
}

impl Calls {
    /// Returns when there was a call since the last time.
    pub(super) async fn called(&self) {
        self.called.notified().await;
    }

    /// Returns when the listener has closed after the stop.
    pub(super) async fn ended(self) -> Result<(), SourceError> {
        self.task.await.unwrap_or_else(|_| {
            let message = "the listener for notifications broke down".to_owned();
            Err(SourceError {
                retry: true,
                message,
                hint: Some("this is a bug in hilum".to_owned()),
            })
        })
    }
}

/// Takes calls for messages that are not kept, because they are none.
struct Bell {
    called: Arc<Notify>,
    intake: Intake,
}

impl Bell {
    fn reply(disposition: Disposition, reason: Option<String>) -> Reply {
        Reply {
            disposition,
            answer: None,
            reason,
            message: None,
        }
    }
}

impl IntakePort for Bell {
    fn take(&self, _: Arrival) -> BoxFuture<'_, Reply> {
        self.called.notify_one();
        Box::pin(async { Self::reply(Disposition::Accepted, None) })
    }

    fn record_junk(&self, _: Bytes, _: u64, _: Peer) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn refuse(&self, partial: Partial) -> BoxFuture<'_, Reply> {
        // Whatever it was too large for: it was a call.
        self.called.notify_one();
        Box::pin(async move { Self::reply(Disposition::Rejected, Some(partial.why.to_string())) })
    }

    fn blob(&self) -> BoxFuture<'_, std::io::Result<Box<dyn BlobWriter>>> {
        let none = std::io::Error::other("a notification is not kept");
        Box::pin(async { Err(none) })
    }

    fn ends_attachment(&self, byte: u8) -> bool {
        self.intake.ends_attachment(byte)
    }

    fn remember<'a>(&'a self, _: &'a str, _: Bytes) -> BoxFuture<'a, std::io::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn recall<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Option<Bytes>> {
        Box::pin(async { None })
    }

    fn now_ms(&self) -> u64 {
        self.intake.now_ms()
    }
}
