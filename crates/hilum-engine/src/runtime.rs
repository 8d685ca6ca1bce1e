//! What every part of a running engine shares.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use hilum_component::{BlobReader, BoxFuture, LinkedKeys, Plan, SourceKind, StateView, Stored};
use hilum_journal::{Clock, FreeSpace, Journal};
use hilum_message::{BlobRange, IndexKey};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::alert::Alert;
use crate::channel::Channel;
use crate::clock::Ids;
use crate::codes::Codes;
use crate::critical::CriticalFigures;
use crate::in_flight::InFlight;
use crate::kept::KeptPlans;
use crate::lanes::{Entry, QueueId};
use crate::pool::Pool;
use crate::queue::{Queue, Scope, Target};
use crate::sender_clocks::SenderClocks;
use crate::store::HeldMessages;

/// Alerts that may wait to be published; beyond, the log has them.
const ALERTS_WAITING_MAX: usize = 1_024;

/// What the journal has for a queue that is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backlog {
    /// Nothing, or it is said later.
    None,
    /// Deliveries that are to be read.
    InJournal,
}

/// The queues of a channel by destination.
type QueuesByName = HashMap<Arc<str>, Arc<Queue>>;

/// The space that is left where the journal lies.
#[derive(Debug)]
pub(crate) struct Space {
    folder: PathBuf,
    free: FreeSpace,
}

impl Space {
    pub(crate) const fn new(folder: PathBuf, free: FreeSpace) -> Self {
        Self { folder, free }
    }

    /// Bytes; `None` where the file system does not say.
    pub(crate) fn free(&self) -> Option<u64> {
        self.free.bytes(&self.folder).ok()
    }
}

/// The running engine.
pub(crate) struct Core {
    pub(crate) journal: Journal,
    pub(crate) pool: Pool,
    pub(crate) ids: Ids,
    pub(crate) in_flight: InFlight,
    pub(crate) index_key: IndexKey,
    pub(crate) disk_full: AtomicBool,
    pub(crate) space: Space,
    pub(crate) held: HeldMessages,
    pub(crate) codes: Codes,
    pub(crate) critical: CriticalFigures,
    pub(crate) sender_clocks: SenderClocks,
    pub(crate) kept: Arc<dyn KeptPlans>,
    pub(crate) links: Arc<dyn LinkedKeys>,
    /// Work whose source has given up waiting.
    left: Mutex<JoinSet<()>>,
    /// A channel has begun to receive what is to be processed afterwards.
    pub(crate) received_wake: Notify,
    clock: Clock,
    parts_max: usize,
    plan: RwLock<Arc<Plan>>,
    channels: RwLock<BTreeMap<Arc<str>, Arc<Channel>>>,
    queues: RwLock<HashMap<Arc<str>, QueuesByName>>,
    scopes: Mutex<HashMap<String, Arc<Scope>>>,
    next_number: AtomicU32,
    /// Told when a queue is full no longer, and when the engine stops taking messages.
    room: Arc<Notify>,
    alerts: mpsc::Sender<Alert>,
}

impl Core {
    /// An engine over an open journal, with no channel yet; the receiver gives the alerts that
    /// are to be published.
    pub(crate) fn new(
        journal: Journal,
        clock: Clock,
        parts_max: usize,
        pool: Pool,
        plan: Arc<Plan>,
        (kept, links): (Arc<dyn KeptPlans>, Arc<dyn LinkedKeys>),
        space: Space,
    ) -> (Self, mpsc::Receiver<Alert>) {
        let (alerts, receiver) = mpsc::channel(ALERTS_WAITING_MAX);
        let index_key = journal.index_key();
        let codes = Codes::load(&journal);
        let core = Self {
            journal,
            pool,
            ids: Ids::new(),
            in_flight: InFlight::new(plan.in_flight_max.0),
            index_key,
            disk_full: AtomicBool::new(false),
            space,
            held: HeldMessages::default(),
            codes,
            critical: CriticalFigures::default(),
            sender_clocks: SenderClocks::default(),
            kept,
            links,
            received_wake: Notify::new(),
            left: Mutex::new(JoinSet::new()),
            clock,
            parts_max,
            plan: RwLock::new(plan),
            channels: RwLock::default(),
            queues: RwLock::default(),
            scopes: Mutex::default(),
            next_number: AtomicU32::new(1),
            room: Arc::default(),
            alerts,
        };
        (core, receiver)
    }

    /// The time, Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Messages that the journal commits together with their parent.
    pub(crate) const fn parts_max(&self) -> usize {
        self.parts_max
    }

    /// Reads blobs.
    pub(crate) fn blobs(&self) -> Arc<dyn BlobReader> {
        Arc::new(Blobs(self.journal.clone()))
    }

    /// The plan that new messages have.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_plan(&self, plan: Arc<Plan>) {
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// The site's name.
    pub(crate) fn site(&self) -> String {
        self.plan().site.clone()
    }

    /// Who owns a channel.
    pub(crate) fn owner(&self, channel: &str) -> Option<String> {
        self.plan()
            .channels
            .get(channel)
            .and_then(|plan| plan.owner.clone())
    }

    /// Goes on with work whose source has given up waiting. After the stop it is lost, like the
    /// answer that nobody waits for.
    pub(crate) fn go_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        while left.try_join_next().is_some() {}
        if !self.in_flight.is_closed() {
            left.spawn_on(work, &runtime);
        }
    }

    /// Lets nothing in any more and waits for what is on its way, at most until `deadline`.
    pub(crate) async fn close_intake(&self, deadline: tokio::time::Instant) {
        self.room.notify_waiters();
        self.in_flight.close(deadline).await;
        self.room.notify_waiters();
        let mut left =
            std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
        left.shutdown().await;
    }

    /// A number that nothing else has.
    pub(crate) fn number(&self) -> u32 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// A channel by name.
    pub(crate) fn channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// All channels by name.
    pub(crate) fn channels(&self) -> Vec<Arc<Channel>> {
        self.channels
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    pub(crate) fn add_channel(&self, channel: Arc<Channel>) {
        let mut channels = self
            .channels
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        channels.insert(Arc::clone(&channel.name), channel);
    }

    pub(crate) fn remove_channel(&self, name: &str) {
        self.channels
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    /// The channels that subscribe to a topic.
    pub(crate) fn subscribers(&self, topic: &str) -> Vec<Arc<Channel>> {
        let channels = self.channels();
        let subscribes = |channel: &Arc<Channel>| match &channel.plan().source.kind {
            SourceKind::Topic(name) => &**name == topic,
            SourceKind::Component(_) | SourceKind::Reply(_) => false,
        };
        channels.into_iter().filter(subscribes).collect()
    }

    /// The queue of a channel's destination.
    pub(crate) fn queue(&self, channel: &str, destination: &str) -> Option<Arc<Queue>> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.get(channel)?.get(destination).cloned()
    }

    /// Channel and name of all destinations that share their order with this one because they are the
    /// same system, with the names before.
    pub(crate) fn names_of_system(&self, queue: &Queue) -> HashSet<(Arc<str>, Arc<str>)> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        let all = queues.values().flat_map(HashMap::values);
        let same = all.filter(|other| Arc::ptr_eq(&other.scope, &queue.scope));
        let named = |other: &Arc<Queue>| {
            let channel = Arc::clone(&other.channel);
            let names: Vec<_> = other.names().cloned().collect();
            names
                .into_iter()
                .map(move |name| (Arc::clone(&channel), name))
        };
        same.flat_map(named).collect()
    }

    /// The queues of a channel.
    pub(crate) fn queues_of(&self, channel: &str) -> Vec<Arc<Queue>> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        let of_channel = queues.get(channel).into_iter().flatten();
        // A queue stands under its name before as well.
        let own = of_channel.filter(|(name, queue)| **name == queue.destination);
        own.map(|(_, queue)| Arc::clone(queue)).collect()
    }

    /// Hands a delivery to its queue; `false` if there is none. A queue that is replaced at the
    /// same time gets it before, or its successor gets it.
    pub(crate) fn push(&self, channel: &str, destination: &str, entry: Entry) -> bool {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.get(channel).and_then(|own| own.get(destination));
        queue.is_some_and(|queue| {
            queue.push(entry);
            true
        })
    }

    /// A queue of the channel that is at its limit.
    pub(crate) fn full_queue(&self, channel: &str) -> Option<Arc<str>> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        let full = queues
            .get(channel)?
            .values()
            .find(|queue| queue.fill.is_full())?;
        Some(Arc::clone(&full.destination))
    }

    /// Waits until no queue of the channel is full, which is how its source is held; `false` if
    /// the engine stops taking messages before.
    pub(crate) async fn room(&self, channel: &str) -> bool {
        loop {
            let told = self.room.notified();
            if self.in_flight.is_closed() {
                return false;
            }
            if self.full_queue(channel).is_none() {
                return true;
            }
            told.await;
        }
    }

    /// Adds a queue. Destinations of one system share its order; one without a system has an
    /// order of its own. It stands under its name before as well (`was`).
    pub(crate) fn add_queue(
        &self,
        channel: &Arc<str>,
        target: Target,
        backlog: Backlog,
    ) -> Arc<Queue> {
        let name = match &target.plan.system {
            Some(system) => format!("system {system} {}", target.plan.component),
            None => format!("queue {channel}/{}", target.plan.name),
        };
        let scope = Arc::clone(self.scopes().entry(name).or_default());
        let id = QueueId(self.number());
        let queue = Arc::new(Queue::new(
            id,
            Arc::clone(channel),
            scope,
            Arc::clone(&self.room),
            target,
        ));
        if backlog == Backlog::InJournal {
            queue.scope.lanes().unloaded(queue.id);
        }
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        let of_channel = queues.entry(Arc::clone(channel)).or_default();
        for name in queue.names() {
            of_channel.insert(Arc::clone(name), Arc::clone(&queue));
        }
        drop(queues);
        queue
    }

    /// Forgets a queue; what it has in the journal stays there.
    pub(crate) fn remove_queue(&self, queue: &Queue) {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_channel) = queues.get_mut(&queue.channel) {
            of_channel.retain(|_, known| known.id != queue.id);
        }
        drop(queues);
        queue.scope.leave(&queue.wake);
        queue.scope.lanes().remove_queue(queue.id);
        queue.scope.wake_others(&queue.wake);
    }

    fn scopes(&self) -> MutexGuard<'_, HashMap<String, Arc<Scope>>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an alert over to be published. Never waits: an alert that finds no place is in the
    /// log, which an operator sees in any case.
    pub(crate) fn publish_alert(&self, alert: Alert) {
        if let Err(error) = self.alerts.try_send(alert) {
            let alert = match error {
                mpsc::error::TrySendError::Full(alert)
                | mpsc::error::TrySendError::Closed(alert) => alert,
            };
            tracing::warn!(kind = alert.kind, text = %alert.text, "an alert could not be published");
        }
    }
}

/// A value that cannot be read counts as one that nobody has: its version will not fit when the
/// message is written, and the message is processed again or fails.
const UNREADABLE: Stored = Stored {
    version: u64::MAX,
    value: None,
};

/// The state as of now.
impl StateView for Core {
    fn get(&self, scope: &str, key: &str) -> Stored {
        self.get_all(&[(scope, key)]).pop().unwrap_or(UNREADABLE)
    }

    fn get_all(&self, names: &[(&str, &str)]) -> Vec<Stored> {
        match self.journal.states(names.iter().copied()) {
            Ok(found) => {
                let stored = found.into_iter().map(|found| Stored {
                    version: found.version,
                    value: found.value,
                });
                stored.collect()
            }
            Err(error) => {
                tracing::error!(error = crate::store::chain(&error), "state cannot be read");
                vec![UNREADABLE; names.len()]
            }
        }
    }

    fn read_cut(&self, range: &BlobRange, offset: u64, into: &mut [u8]) -> Option<usize> {
        let read = self.journal.read_blob(range, offset, into);
        read.inspect_err(|error| {
            tracing::error!(
                error = crate::store::chain(error),
                "what was cut out of a message cannot be read"
            );
        })
        .ok()
    }
}

/// Reads blobs on the blocking threads.
struct Blobs(Journal);

impl BlobReader for Blobs {
    fn read<'a>(
        &'a self,
        range: &'a BlobRange,
        offset: u64,
        length: usize,
    ) -> BoxFuture<'a, std::io::Result<Bytes>> {
        let (journal, range) = (self.0.clone(), range.clone());
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || {
                let mut buffer = vec![0; length];
                journal.read_blob(&range, offset, &mut buffer).map(|read| {
                    buffer.truncate(read);
                    Bytes::from(buffer)
                })
            });
            let read = read.await.map_err(std::io::Error::other)?;
            read.map_err(|error| std::io::Error::other(crate::store::chain(&error)))
        })
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Core")
    }
}
