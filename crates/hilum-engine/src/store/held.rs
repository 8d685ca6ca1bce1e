//! Held messages: recorded, answered, blocking their keys, and going on when they are released,
//! when their time is up, or when a state key that they name changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hilum_component::{Arrival, Peer, Stop};
use hilum_journal::Hold;
use hilum_message::{DeliveryId, MessageId};
use tokio::sync::Notify;

use crate::channel::{Origin, take_in};
use crate::lanes::Entry;
use crate::queue::Queue;
use crate::runtime::Core;

/// How often held messages and timers are looked at when nothing wakes them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Timers that enter their channels in one look.
const TIMERS_MAX: usize = 256;

/// The ordinal under which a hold stands in the lines of its keys: after every delivery of the
/// message that completes it.
const HOLD_ORDINAL: u32 = u32::MAX;

/// A held message.
#[derive(Clone, Debug)]
pub(crate) struct HeldMessage {
    pub(crate) message: MessageId,
    pub(crate) channel: Arc<str>,
    /// Its place in the order.
    pub(crate) place: u64,
    pub(crate) step: usize,
    until_ms: Option<u64>,
    wake: Option<(Arc<str>, Arc<str>)>,
    /// It is due: a key that it names has changed.
    due: bool,
}

/// All held messages, by the commit sequence of their row.
#[derive(Debug, Default)]
pub(crate) struct HeldMessages {
    all: Mutex<BTreeMap<u64, HeldMessage>>,
    /// There may be one that is due.
    pub(crate) wake: Notify,
}

impl HeldMessages {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, HeldMessage>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place in the order of a held message.
    pub(crate) fn place_of(&self, sequence: u64) -> Option<u64> {
        self.lock().get(&sequence).map(|held| held.place)
    }

    /// A held message by its id.
    pub(crate) fn find(&self, message: MessageId) -> Option<(u64, HeldMessage)> {
        let all = self.lock();
        all.iter()
            .find(|(_, held)| held.message == message)
            .map(|(&at, held)| (at, held.clone()))
    }

    /// State keys changed: those who wait for them are due.
    pub(crate) fn changed(&self, keys: &[(Arc<str>, Arc<str>)]) {
        let mut any = false;
        for held in self.lock().values_mut() {
            if held.wake.as_ref().is_some_and(|wake| keys.contains(wake)) {
                held.due = true;
                any = true;
            }
        }
        if any {
            self.wake.notify_one();
        }
    }

    fn due(&self, now_ms: u64) -> Vec<(u64, HeldMessage)> {
        let all = self.lock();
        let due = all
            .iter()
            .filter(|(_, held)| held.due || held.until_ms.is_some_and(|at| at <= now_ms));
        due.map(|(&at, held)| (at, held.clone())).collect()
    }
}

/// Notes a held message and lets it block its keys at every destination of its channel.
pub(crate) fn hold(
    core: &Core,
    channel: &Arc<str>,
    message: MessageId,
    sequence: u64,
    place: u64,
    hold: &Hold,
) {
    let held = HeldMessage {
        message,
        channel: Arc::clone(channel),
        place,
        step: hold.step.parse().unwrap_or(0),
        until_ms: hold.until_ms,
        wake: hold.wake.clone(),
        due: false,
    };
    core.held.lock().insert(sequence, held);
    for queue in core.queues_of(channel) {
        block(core, &queue, message, sequence, hold);
    }
}

/// Lets a held message block its keys at a queue.
pub(super) fn block(core: &Core, queue: &Queue, message: MessageId, sequence: u64, hold: &Hold) {
    let id = DeliveryId {
        message,
        ordinal: HOLD_ORDINAL,
    };
    let Some(place) = core.held.place_of(sequence) else {
        return;
    };
    let entry = Entry {
        place,
        sequence,
        id,
        keys: hold.keys.to_vec(),
        priority: 0,
        bytes: 0,
        attempts: 0,
        arrived_ms: message.arrived_ms(),
        holds_keys: true,
        body: None,
    };
    // Not pushed: what is only in the journal yet waits behind it all the same.
    queue.scope.lanes().hold(queue.id, entry);
}

/// A held message has ended: what waits behind it goes on.
pub(crate) fn finish(core: &Core, sequence: u64) {
    let Some(held) = core.held.lock().remove(&sequence) else {
        return;
    };
    for queue in core.queues_of(&held.channel) {
        queue.scope.lanes().release(held.place, HOLD_ORDINAL);
        queue.wake.notify_one();
        queue.scope.wake_others(&queue.wake);
    }
}

/// Lets held messages go on when they are due, and timers enter their channels.
pub(crate) async fn wake_held(core: Arc<Core>, mut stop: Stop) {
    loop {
        tokio::select! {
            () = core.held.wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.requested() => return,
        }
        for (sequence, held) in core.held.due(core.now_ms()) {
            if let Err(text) = due(&core, sequence, &held).await {
                tracing::error!(channel = %held.channel, message_id = %held.message, error = text,
                    "a held message could not go on; it is tried again");
            }
        }
        timers(&core).await;
    }
}

/// Lets a held message go on at the step that held it.
pub(crate) async fn due(core: &Arc<Core>, sequence: u64, held: &HeldMessage) -> Result<(), String> {
    let Some(channel) = core.channel(&held.channel) else {
        return Ok(());
    };
    let (row, payload) = core
        .journal
        .received_at(sequence)
        .await
        .map_err(|error| super::chain(&error))?;
    let peer = Peer {
        label: row.peer.clone().unwrap_or_default(),
        connection: 0,
    };
    let arrival = Arrival {
        payload,
        peer,
        metadata: row.metadata,
    };
    let origin = Origin::Linked {
        from: held.message,
        relation: "release",
        only: Vec::new(),
        completes: Some(sequence),
        resume_at: held.step + 1,
    };
    let taken = take_in(core, &channel, arrival, origin).await;
    match taken.accepted {
        Some(_) => Ok(()),
        None => Err(taken.reply.reason.unwrap_or_default()),
    }
}

/// Timers that are due enter their channels as messages of type `timer`.
async fn timers(core: &Arc<Core>) {
    let due = match core.journal.timers_due(TIMERS_MAX) {
        Ok(due) => due,
        Err(error) => {
            tracing::error!(error = super::chain(&error), "timers cannot be read");
            return;
        }
    };
    for timer in due {
        let Some(channel) = core.channel(&timer.channel) else {
            continue;
        };
        let body = serde_json::json!({
            "timer": { "scope": &*timer.scope, "key": &*timer.key, "due-ms": timer.due_ms },
        });
        let peer = Peer {
            label: Arc::from("timer"),
            connection: 0,
        };
        let mut arrival = Arrival::new(body.to_string().into(), peer);
        arrival
            .metadata
            .set("hilum.timer", format!("{}/{}", timer.scope, timer.key));
        let origin = Origin::Timer {
            scope: timer.scope,
            key: timer.key,
        };
        let taken = take_in(core, &channel, arrival, origin).await;
        channel.figures.disposed(taken.reply.disposition);
    }
}
