//! Queues: what is committed for one destination of one channel, on its way out.
//!
//! The journal's writer hands over what it committed, in commit order; [`Lanes`] says what may be
//! sent; a task per queue ([`drive`]) sends it and settles. Retry, suspension, dead letters and
//! pauses are decided here and nowhere else.

mod ask;
mod attempt;
mod behind_hold;
pub(crate) mod drive;
mod fill;
mod hop;
mod topic;

pub(crate) use ask::original;
pub(crate) use hop::came_first;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hilum_component::{Destination, DestinationKind, DestinationPlan};
use hilum_journal::PendingDelivery;
use hilum_message::DeliveryId;
use tokio::sync::{Notify, oneshot};

use crate::figures::QueueFigures;
use crate::lanes::{Compare, Entry, Gate, Lanes, QueueId};
use crate::store;
use fill::{Fill, Limits};

/// The queues that deliver to one system and share its order.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    lanes: Mutex<Lanes>,
    /// Those who may have to send when a line moves up.
    queues: Mutex<Vec<Arc<Notify>>>,
}

impl Scope {
    pub(crate) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        // A panic inside would be a bug in Lanes, which keeps its state whole between calls.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn join(&self, wake: Arc<Notify>) {
        self.queues
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(wake);
    }

    pub(crate) fn leave(&self, wake: &Arc<Notify>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|known| !Arc::ptr_eq(known, wake));
    }

    /// Wakes the other queues of the system, whose deliveries may have moved up.
    pub(crate) fn wake_others(&self, own: &Arc<Notify>) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for wake in queues.iter().filter(|known| !Arc::ptr_eq(known, own)) {
            wake.notify_one();
        }
    }
}

/// A queue: the channel, the destination, and how it is sent to at the moment.
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) channel: Arc<str>,
    pub(crate) destination: Arc<str>,
    /// The name before, under which deliveries may still lie in the journal.
    pub(crate) was: Option<Arc<str>>,
    pub(crate) scope: Arc<Scope>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) figures: QueueFigures,
    /// How much waits, and whether that is too much.
    pub(crate) fill: Fill,
    target: Mutex<Target>,
    trouble: Mutex<Option<Trouble>>,
    watchers: Mutex<HashMap<DeliveryId, Vec<oneshot::Sender<bool>>>>,
}

/// How a queue is sent to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) plan: Arc<DestinationPlan>,
    pub(crate) outlet: Outlet,
}

/// Where deliveries go.
#[derive(Clone)]
pub(crate) enum Outlet {
    /// To a component.
    Component(Arc<dyn Destination>),
    /// To the subscribers of a topic.
    Topic(Arc<str>),
    /// Nowhere: what is queued becomes dead letters.
    DeadLetter,
}

/// Why a queue does not move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
    /// When it is tried again, Unix milliseconds; `None` waits for a person.
    pub again_ms: Option<u64>,
    /// Failed attempts in a row.
    pub failures: u32,
    /// Stable code.
    pub code: String,
    /// What happened, without content.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Target {
    /// Opens what a plan says.
    pub(crate) fn open(plan: Arc<DestinationPlan>) -> Self {
        let outlet = match &plan.kind {
            DestinationKind::Component(make) | DestinationKind::Drain(make) => {
                Outlet::Component(make())
            }
            DestinationKind::Topic(name) => Outlet::Topic(Arc::clone(name)),
            DestinationKind::DeadLetter => Outlet::DeadLetter,
        };
        Self { plan, outlet }
    }
}

impl Queue {
    pub(crate) fn new(
        id: QueueId,
        channel: Arc<str>,
        scope: Arc<Scope>,
        room: Arc<Notify>,
        target: Target,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        scope.lanes().add_queue(id);
        scope.join(Arc::clone(&wake));
        Self {
            id,
            channel,
            destination: Arc::clone(&target.plan.name),
            was: target.plan.was.clone(),
            scope,
            wake,
            figures: QueueFigures::default(),
            fill: Fill::new(Limits::of(&target.plan), room),
            target: Mutex::new(target),
            trouble: Mutex::new(None),
            watchers: Mutex::new(HashMap::new()),
        }
    }

    /// It hands over to other channels.
    pub(crate) fn is_topic(&self) -> bool {
        let target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(target.outlet, Outlet::Topic(_))
    }

    /// The names under which its deliveries lie in the journal.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        std::iter::once(&self.destination).chain(&self.was)
    }

    /// How it is sent to at the moment.
    pub(crate) fn target(&self) -> Target {
        self.target
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sends elsewhere from now on; gives what it was.
    pub(crate) fn retarget(&self, target: Target) -> Target {
        self.fill.limit(Limits::of(&target.plan));
        let mut current = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, target)
    }

    /// Somewhere else may answer where the last did not: tries at once. Where nothing is sent any
    /// more, a pause has no purpose either.
    pub(crate) fn try_again(&self) {
        let gone = matches!(self.target().outlet, Outlet::DeadLetter);
        match self.gate() {
            Gate::Suspended { .. } => {}
            Gate::Paused if gone => {}
            Gate::Paused | Gate::Open => return,
        }
        self.set_trouble(None);
        self.scope.lanes().resume(self.id);
        self.wake.notify_one();
    }

    /// Changes the settings and keeps the open connections.
    pub(crate) fn replan(&self, plan: Arc<DestinationPlan>) {
        self.fill.limit(Limits::of(&plan));
        self.target
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .plan = plan;
    }

    /// Why it does not move.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_trouble(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// What it does at the moment.
    pub(crate) fn gate(&self) -> Gate {
        self.scope.lanes().gate(self.id).unwrap_or(Gate::Paused)
    }

    /// Takes what was committed.
    pub(crate) fn push(&self, entry: Entry) {
        self.fill.add(1, entry.bytes);
        if self.scope.lanes().push(self.id, entry) {
            self.wake.notify_one();
        }
    }

    /// Lets a dead letter hold its keys while it is looked at, so that nothing of them begins to be
    /// sent; `false` if it holds them anyway.
    pub(crate) fn block(&self, delivery: &PendingDelivery) -> bool {
        let entry = Entry {
            holds_keys: true,
            ..store::entry(delivery.clone())
        };
        let mut lanes = self.scope.lanes();
        let blocks = !lanes.is_holding(entry.place, entry.id.ordinal);
        lanes.hold(self.id, entry);
        blocks
    }

    /// What it held its keys for is over.
    pub(crate) fn unblock(&self, delivery: &PendingDelivery) {
        let entry = store::entry(delivery.clone());
        self.scope.lanes().release(entry.place, entry.id.ordinal);
        self.wake.notify_one();
        self.scope.wake_others(&self.wake);
    }

    /// A dead letter is to be sent again: it takes its place in the order again.
    pub(crate) fn requeued(&self, delivery: &PendingDelivery, compare: Compare) {
        let entry = Entry {
            compare,
            ..store::entry(delivery.clone())
        };
        self.fill.add(1, entry.bytes);
        self.scope.lanes().requeue(self.id, entry);
        self.wake.notify_one();
    }

    /// Tells when a delivery has ended: `true` if the peer has it.
    pub(crate) fn watch(&self, id: DeliveryId) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        self.watchers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(id)
            .or_default()
            .push(sender);
        receiver
    }

    /// Forgets watchers of a delivery that no longer wait.
    pub(crate) fn unwatch(&self, id: DeliveryId) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_delivery) = watchers.get_mut(&id) {
            of_delivery.retain(|watcher| !watcher.is_closed());
            if of_delivery.is_empty() {
                watchers.remove(&id);
            }
        }
    }

    pub(crate) fn tell(&self, id: DeliveryId, delivered: bool) {
        let watchers = self
            .watchers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        for watcher in watchers.into_iter().flatten() {
            // The waiting peer may have hung up.
            watcher.send(delivered).ok();
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({}/{})", self.channel, self.destination)
    }
}
