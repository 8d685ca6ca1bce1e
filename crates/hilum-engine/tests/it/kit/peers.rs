//! Scripted sources and destinations.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::join_all;
use hilum_component::{
    Arrival, BlobReader, BoxFuture, CRITICAL, Delivered, Delivery, DeliveryError, Destination,
    Intake, NotTaken, Outcome, Partial, Peer, Reply, Source, SourceError, Stop,
};
use hilum_message::{BlobRange, Cut, Metadata, Payload};
use tokio::sync::watch;

use super::until;

/// A source whose messages the test sends.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    intake: Arc<watch::Sender<Option<Intake>>>,
    opened: Arc<AtomicUsize>,
    broken: Arc<AtomicBool>,
    failing: Arc<AtomicBool>,
}

impl Sender {
    pub(crate) fn new() -> Self {
        Self {
            intake: Arc::new(watch::channel(None).0),
            opened: Arc::default(),
            broken: Arc::default(),
            failing: Arc::default(),
        }
    }

    /// Its source takes messages.
    pub(crate) fn runs(&self) -> bool {
        self.intake.borrow().is_some()
    }

    /// Whether its source fails as soon as it runs.
    pub(crate) fn fail(&self, fails: bool) {
        self.failing.store(fails, Ordering::SeqCst);
    }

    /// How often the source was opened.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// It cannot be opened from now on.
    pub(crate) fn break_it(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    /// Sends a message and waits for its reply.
    pub(crate) async fn send(&self, text: &str) -> Reply {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let (intake, peer) = self.door().await;
        intake.take(Arrival::new(bytes, peer)).await
    }

    /// Sends a message of which only the beginning can be taken.
    /// Sends a message of which another channel has found that it is a critical result.
    pub(crate) async fn send_critical(&self, text: &str) -> Reply {
        let (intake, peer) = self.door().await;
        let mut arrival = Arrival::new(Bytes::copy_from_slice(text.as_bytes()), peer);
        arrival.metadata.set(CRITICAL, "HH");
        arrival.metadata.set("hilum.hops", "1");
        intake.take(arrival).await
    }

    pub(crate) async fn send_part(&self, text: &str, why: NotTaken) -> Reply {
        let (intake, peer) = self.door().await;
        let partial = Partial {
            first: Bytes::copy_from_slice(text.as_bytes()),
            total: 1001,
            peer,
            why,
        };
        intake.refuse(partial).await
    }

    /// Sends bytes that are no message.
    pub(crate) async fn send_junk(&self, bytes: &'static [u8], total: u64) {
        let (intake, peer) = self.door().await;
        let bytes = Bytes::from_static(bytes);
        intake.record_junk(bytes, total, peer).await;
    }

    /// Sends a message whose text goes to a blob.
    pub(crate) async fn send_large(&self, head: &str, text: &[u8]) -> Reply {
        let (intake, peer) = self.door().await;
        let mut blob = intake.blob().await.expect("a blob");
        for piece in text.chunks(64 * 1024) {
            blob.write(piece).await.expect("room");
        }
        let length = blob.written();
        let blob = blob.finish().await.expect("a finished blob");
        let range = BlobRange {
            blob,
            offset: 0,
            length,
        };
        let cut = Cut {
            at: head.len(),
            range,
        };
        let payload = Payload::with_cuts(head.as_bytes().to_vec().into(), vec![cut]);
        let metadata = Metadata::new();
        let arrival = Arrival {
            payload,
            peer,
            metadata,
            remembers: None,
        };
        intake.take(arrival).await
    }

    async fn door(&self) -> (Intake, Peer) {
        let mut watched = self.intake.subscribe();
        let intake = tokio::time::timeout(super::PATIENCE, watched.wait_for(Option::is_some))
            .await
            .expect("the source runs in time")
            .expect("the sender lives in self")
            .clone()
            .expect("waited for");
        let peer = Peer {
            label: "peer".into(),
            connection: 1,
        };
        (intake, peer)
    }

    /// Waits until the source has stopped.
    pub(crate) async fn gone(&self) {
        let mut watched = self.intake.subscribe();
        let gone = watched.wait_for(Option::is_none);
        tokio::time::timeout(super::PATIENCE, gone)
            .await
            .expect("the source stops in time")
            .expect("the sender lives in self");
    }

    /// Sends messages that must be answered positively, one after the other.
    pub(crate) async fn send_all<T: AsRef<str>>(&self, texts: impl IntoIterator<Item = T>) {
        for text in texts {
            let reply = self.send(text.as_ref()).await;
            assert!(reply.disposition.is_positive(), "{reply:?}");
        }
    }

    /// Sends messages all at once.
    pub(crate) async fn send_together(&self, texts: &[String]) -> Vec<Reply> {
        join_all(texts.iter().map(|text| self.send(text))).await
    }

    /// The source as a plan makes it.
    pub(crate) fn make(&self) -> Box<dyn Source> {
        Box::new(Scripted(self.clone()))
    }
}

struct Scripted(Sender);

impl Source for Scripted {
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        Box::pin(async {
            if self.0.broken.load(Ordering::SeqCst) {
                let message = "cannot open the scripted source".to_owned();
                return Err(SourceError {
                    retry: false,
                    message,
                    hint: None,
                });
            }
            self.0.opened.fetch_add(1, Ordering::SeqCst);
            Ok(None)
        })
    }

    fn run<'a>(
        &'a mut self,
        intake: Intake,
        mut stop: Stop,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move {
            if self.0.failing.load(Ordering::SeqCst) {
                let message = "the scripted source fails".to_owned();
                return Err(SourceError {
                    retry: true,
                    message,
                    hint: Some("stop the script".to_owned()),
                });
            }
            self.0.intake.send_replace(Some(intake));
            // Also when the engine ends the source before it has stopped by itself.
            let _closed = Closes(&self.0.intake);
            stop.requested().await;
            Ok(())
        })
    }
}

/// Takes the intake back when the source ends, however it ends: it keeps the journal open.
struct Closes<'a>(&'a watch::Sender<Option<Intake>>);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

/// What a scripted receiver does with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Take,
    Retry,
    Reject,
    Halt,
    Hang,
}

/// What a payload is read with that nobody reads.
#[derive(Debug)]
struct NoBlobs;

impl BlobReader for NoBlobs {
    fn read<'a>(
        &'a self,
        _: &'a BlobRange,
        _: u64,
        _: usize,
    ) -> BoxFuture<'a, std::io::Result<Bytes>> {
        Box::pin(async { Err(std::io::ErrorKind::NotFound.into()) })
    }
}

/// An attempt that reached a receiver.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) delivery: Delivery,
    pub(crate) text: String,
    pub(crate) act: Act,
}

type Replies = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;
type Script = Box<dyn Fn(&str) -> Act + Send + Sync>;

/// A destination that records what it gets and does as it is told.
#[derive(Clone)]
pub(crate) struct Receiver {
    name: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<Script>>,
    replies: Arc<Mutex<Replies>>,
    concurrency: usize,
    batch_max: usize,
    batches: Arc<Mutex<Vec<usize>>>,
}

impl Receiver {
    /// One that takes everything.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            seen: Arc::default(),
            script: Arc::new(Mutex::new(Box::new(|_| Act::Take))),
            replies: Arc::new(Mutex::new(Box::new(|_| None))),
            concurrency: 1,
            batch_max: 1,
            batches: Arc::default(),
        }
    }

    /// That many attempts may be out at once.
    pub(crate) fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// One attempt carries up to so many deliveries.
    pub(crate) fn batch_max(mut self, batch_max: usize) -> Self {
        self.batch_max = batch_max;
        self
    }

    /// How many deliveries each attempt carried.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }

    /// Replies from now on what `replies` makes of a text that it takes.
    pub(crate) fn replies(&self, replies: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        *self.replies.lock().unwrap() = Box::new(replies);
    }

    /// Does from now on what `script` says of a text.
    pub(crate) fn script(&self, script: impl Fn(&str) -> Act + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Does the same with everything from now on.
    pub(crate) fn always(&self, act: Act) {
        self.script(move |_| act);
    }

    /// Every attempt so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The ids (first fields) of what it took, in order.
    pub(crate) fn taken(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let taken = seen.iter().filter(|seen| seen.act == Act::Take);
        taken
            .map(|seen| seen.text.split('|').next().unwrap_or_default().to_owned())
            .collect()
    }

    /// The texts of what it took, in order.
    pub(crate) fn texts(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.act == Act::Take)
            .map(|seen| seen.text.clone())
            .collect()
    }

    /// Waits until it took these ids, in this order and no others.
    pub(crate) async fn takes(&self, ids: &[&str]) {
        until(
            &format!("{} deliveries at {}", ids.len(), self.name),
            || self.taken().len() >= ids.len(),
        )
        .await;
        assert_eq!(self.taken(), ids);
    }

    /// Notes an attempt; one that hangs does so until the script says something else.
    async fn decide(&self, delivery: &Delivery, text: &str) -> Act {
        let mut last = None;
        loop {
            let act = (self.script.lock().unwrap())(text);
            if last != Some(act) {
                let mut delivery = delivery.clone();
                if delivery.payload.cuts().is_empty() || act != Act::Take {
                    // It would keep the journal from being closed.
                    delivery.blobs = Arc::new(NoBlobs);
                }
                let seen = Seen {
                    delivery,
                    text: text.to_owned(),
                    act,
                };
                self.seen.lock().unwrap().push(seen);
                last = Some(act);
            }
            if act != Act::Hang {
                return act;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// Waits until so many attempts were made.
    pub(crate) async fn attempts(&self, count: usize) {
        until(&format!("{count} attempts at {}", self.name), || {
            self.seen.lock().unwrap().len() >= count
        })
        .await;
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver({})", self.name)
    }
}

impl Destination for Receiver {
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(async move {
            self.batches.lock().unwrap().push(deliveries.len());
            let mut outcomes = Vec::new();
            for delivery in deliveries {
                let text = String::from_utf8_lossy(delivery.payload.text()).into_owned();
                let act = self.decide(delivery, &text).await;
                outcomes.push(match act {
                    Act::Take => Ok(Delivered {
                        reply: (self.replies.lock().unwrap())(&text).map(Bytes::from),
                        summary: "AA".to_owned(),
                    }),
                    Act::Retry => Err(DeliveryError::retry("away", "the receiver is away")),
                    Act::Reject => Err(DeliveryError::reject("refused", "the receiver refused it")),
                    Act::Halt => Err(DeliveryError::halt("broken", "the receiver is broken")),
                    Act::Hang => unreachable!("decided otherwise by now"),
                });
            }
            outcomes
        })
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn batch_max(&self) -> usize {
        self.batch_max
    }

    fn address(&self) -> String {
        format!("memory:{}", self.name)
    }
}
