//! The ends of the channels: sources that the story speaks through, and destinations that do what
//! the story and the seed say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hilum_component::{
    Arrival, BoxFuture, Delivered, Delivery, DeliveryError, Destination, Intake, Outcome, Peer,
    Reply, SECURITY, Source, SourceError, Stop,
};
use hilum_message::Payload;
use tokio::sync::watch;

use hilum_testkit::receiver::Receiver;

/// Receivers that take a list of allergies for all there is.
const WHOLE_LISTS: [&str; 1] = ["kitchen"];

/// The source of a channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sender(Arc<watch::Sender<Option<Intake>>>);

impl Sender {
    /// Sends a message and waits for what becomes of it; `None` if the node takes none any more.
    pub(crate) async fn send(&self, bytes: Bytes) -> Option<Reply> {
        let mut watched = self.0.subscribe();
        let intake = watched.wait_for(Option::is_some).await.ok()?.clone()?;
        let peer = Peer {
            label: "peer".into(),
            connection: 1,
        };
        Some(intake.take(Arrival::new(bytes, peer)).await)
    }

    pub(crate) fn source(&self) -> Box<dyn Source> {
        Box::new(Scripted(self.clone()))
    }
}

struct Scripted(Sender);

impl Source for Scripted {
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        Box::pin(async { Ok(None) })
    }

    fn run<'a>(
        &'a mut self,
        intake: Intake,
        mut stop: Stop,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move {
            let _closes = Closes(self.0.clone());
            self.0.0.send_replace(Some(intake));
            stop.requested().await;
            Ok(())
        })
    }
}

/// The intake keeps the journal open, so it goes with the source however that ends.
struct Closes(Sender);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.0.send_replace(None);
    }
}

/// What goes wrong once on the way to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It takes the message and its answer is lost.
    AnswerLost,
    /// It cannot be reached.
    Unreachable,
}

#[derive(Debug, Default)]
struct Ways {
    away: BTreeSet<String>,
    /// Control ids that a receiver refuses, and how.
    refuses: BTreeMap<(String, String), String>,
    /// The attempt at which something goes wrong, counted over all receivers from 0.
    mishap: Option<(u64, Mishap)>,
    attempts: u64,
    receivers: BTreeMap<String, Receiver>,
    /// What whoever is on duty was told last, by kind and place.
    alerts: BTreeMap<String, String>,
    /// Which receiver took which message, in the order in which they did.
    order: Vec<(String, String)>,
}

/// All receivers of a run, and how they behave.
#[derive(Clone, Debug, Default)]
pub(crate) struct World(Arc<Mutex<Ways>>);

impl World {
    fn lock(&self) -> MutexGuard<'_, Ways> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something goes wrong at an attempt.
    pub(crate) fn mishap(&self, at: u64, what: Mishap) {
        self.lock().mishap = Some((at, what));
    }

    /// Attempts of all receivers so far.
    pub(crate) fn attempts(&self) -> u64 {
        self.lock().attempts
    }

    pub(crate) fn away(&self, receiver: &str, is: bool) {
        let mut ways = self.lock();
        if is {
            ways.away.insert(receiver.to_owned());
        } else {
            ways.away.remove(receiver);
        }
    }

    pub(crate) fn is_away(&self, receiver: &str) -> bool {
        self.lock().away.contains(receiver)
    }

    pub(crate) fn refuses(&self, receiver: &str, message: &str, with: &str) {
        let of = (receiver.to_owned(), message.to_owned());
        self.lock().refuses.insert(of, with.to_owned());
    }

    pub(crate) fn accepts(&self, receiver: &str) {
        self.lock().refuses.retain(|(of, _), _| of != receiver);
    }

    /// What a receiver has, fact by fact.
    pub(crate) fn facts(&self, receiver: &str) -> BTreeMap<String, String> {
        let ways = self.lock();
        let found = ways.receivers.get(receiver);
        found.map(Receiver::facts).unwrap_or_default()
    }

    /// What whoever is on duty was told last: `critical-result results ehr` is `raised` or `cleared`.
    pub(crate) fn alerts(&self) -> BTreeMap<String, String> {
        self.lock().alerts.clone()
    }

    /// The messages that a receiver took, each at the place where it did so first.
    pub(crate) fn order(&self, receiver: &str) -> Vec<String> {
        let ways = self.lock();
        let own = ways.order.iter().filter(|(of, _)| of == receiver);
        let mut names: Vec<String> = Vec::new();
        for (_, name) in own {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// What a receiver was sent and took, oldest first.
    pub(crate) fn taken(&self, receiver: &str) -> Vec<String> {
        let ways = self.lock();
        let found = ways.receivers.get(receiver);
        found.map(|one| one.taken().to_vec()).unwrap_or_default()
    }

    /// The names of the receivers that were ever sent something.
    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().receivers.keys().cloned().collect()
    }

    /// What goes wrong with an attempt; it is counted.
    fn before(&self, receiver: &str, control_id: &str) -> Result<Option<Mishap>, DeliveryError> {
        let mut ways = self.lock();
        let number = ways.attempts;
        ways.attempts += 1;
        if ways.away.contains(receiver) {
            return Err(DeliveryError::retry("away", "the receiver is away"));
        }
        let of = (receiver.to_owned(), control_id.to_owned());
        if let Some(code) = ways.refuses.get(&of) {
            return Err(DeliveryError::reject(
                if code == "AR" { "AR" } else { "AE" },
                "the receiver refused it",
            ));
        }
        let mishap = ways.mishap.filter(|(at, _)| *at == number);
        match mishap.map(|(_, what)| what) {
            Some(Mishap::Unreachable) => Err(DeliveryError::retry("away", "the receiver is away")),
            other => Ok(other),
        }
    }
}

fn lost() -> DeliveryError {
    DeliveryError::retry("no-answer", "the receiver's answer was lost")
}

/// A receiver of HL7 v2 in place of a connection.
#[derive(Clone, Debug)]
pub(crate) struct V2 {
    pub(crate) name: String,
    pub(crate) world: World,
}

impl Destination for V2 {
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        let one = |delivery: &Delivery| {
            let text = String::from_utf8_lossy(delivery.payload.text()).into_owned();
            let mishap = self.world.before(&self.name, control_id(&text))?;
            let mut ways = self.world.lock();
            let receiver = ways.receivers.entry(self.name.clone());
            let receiver = receiver.or_insert_with(|| {
                if WHOLE_LISTS.contains(&&*self.name) {
                    return Receiver::of_whole_lists();
                }
                Receiver::default()
            });
            let labels = delivery.metadata.get(SECURITY).unwrap_or_default();
            let labels: Vec<&str> = labels.split(' ').filter(|one| !one.is_empty()).collect();
            receiver.take_labelled(&text, &labels);
            if let Some((of, state)) = alert(&text) {
                ways.alerts.insert(of, state);
            }
            ways.order
                .push((self.name.clone(), control_id(&text).to_owned()));
            match mishap {
                Some(_) => Err(lost()),
                None => Ok(Delivered {
                    reply: None,
                    summary: "AA".to_owned(),
                }),
            }
        };
        let outcomes = deliveries.iter().map(one).collect();
        Box::pin(std::future::ready(outcomes))
    }

    fn address(&self) -> String {
        format!("memory:{}", self.name)
    }
}

/// The real destination, on the way to which something may go wrong.
pub(crate) struct Real {
    pub(crate) name: String,
    pub(crate) world: World,
    pub(crate) inner: Arc<dyn Destination>,
}

impl Destination for Real {
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(async move {
            let mut outcomes = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                let mishap = match self.world.before(&self.name, "") {
                    Ok(mishap) => mishap,
                    Err(error) => {
                        outcomes.push(Err(error));
                        continue;
                    }
                };
                let mut sent = self.inner.send(std::slice::from_ref(delivery)).await;
                outcomes.push(match (mishap, sent.pop()) {
                    (None, Some(outcome)) => outcome,
                    (Some(_), _) | (_, None) => Err(lost()),
                });
            }
            outcomes
        })
    }

    fn concurrency(&self) -> usize {
        self.inner.concurrency()
    }

    fn keeps_newest(&self, payload: &Payload) -> bool {
        self.inner.keeps_newest(payload)
    }

    fn address(&self) -> String {
        self.inner.address()
    }

    fn open(&self) {
        self.inner.open();
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

/// What an alert is about, and whether it is raised or over.
fn alert(text: &str) -> Option<(String, String)> {
    let alert: serde_json::Value = serde_json::from_str(text).ok()?;
    let word = |name: &str| alert[name].as_str().unwrap_or("?").to_owned();
    // What has no destination is held.
    let to = alert["destination"].as_str().unwrap_or("held").to_owned();
    let of = [word("kind"), word("channel"), to].join(" ");
    Some((of, word("state")))
}

/// MSH-10.
fn control_id(text: &str) -> &str {
    let header = text.split('\r').next().unwrap_or_default();
    header.split('|').nth(9).unwrap_or_default()
}
