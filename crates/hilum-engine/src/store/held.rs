//! Held messages: recorded, answered, blocking their keys, and going on when they are released,
//! when their time is up, or when a state key that they name changes.
//!
//! What the steps before the hold did was not kept, so a message that goes on is processed from
//! its received bytes again. After a change of the state the step that held it decides anew; if it
//! holds it again, nothing is recorded and the message waits on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hilum_component::{Arrival, Disposition, Peer, Released, ReleasedBy, Stop};
use hilum_journal::{Hold, StoredMessage, Timer};
use hilum_message::{DeliveryId, MessageId, OrderKey};
use smol_str::SmolStr;
use tokio::sync::Notify;

use crate::channel::{Channel, Origin, held_again, take_in};
use crate::lanes::{Compare, Entry, Place};
use crate::queue::{Queue, came_first};
use crate::runtime::Core;
use crate::stale::{self, Outdated, WhenOlder};

/// How often the clock is looked at while nothing is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Timers that enter their channels in one look.
const TIMERS_MAX: usize = 256;

/// Timers of channels that are gone which are looked past.
const GONE_MAX: usize = 1 << 20;

/// The ordinal under which a hold stands in the lines of its keys: after every delivery of the
/// message that completes it.
const HOLD_ORDINAL: u32 = u32::MAX;

/// The commit sequences that holds have in the lines of their keys begin here: after every real
/// one, so that a hold stands behind the deliveries of the message that completes it.
const HOLD_SEQUENCE: u64 = 1 << 63;

/// A held message.
#[derive(Clone, Debug)]
pub(crate) struct HeldMessage {
    pub(crate) message: MessageId,
    pub(crate) channel: Arc<str>,
    /// Where it stands in the lines of its keys.
    place: Place,
    pub(crate) step: usize,
    until_ms: Option<u64>,
    wake: Option<(SmolStr, SmolStr)>,
    /// It is due: a key that it names has changed.
    due: bool,
    /// It has gone on as a batch whose parts are being committed; it ends with the last of them.
    open: bool,
}

impl HeldMessage {
    /// From its row: the commit sequence, and the one whose place it has.
    pub(super) fn new(
        channel: &Arc<str>,
        message: MessageId,
        (sequence, of): (u64, u64),
        hold: &Hold,
    ) -> Self {
        Self {
            message,
            channel: Arc::clone(channel),
            place: Place {
                of,
                sequence: HOLD_SEQUENCE | sequence,
            },
            step: hold.step.parse().unwrap_or(0),
            until_ms: hold.until_ms,
            wake: hold.wake.clone(),
            due: false,
            open: false,
        }
    }

    fn block(&self, queue: &Queue, sequence: u64, keys: &[OrderKey]) {
        let id = DeliveryId {
            message: self.message,
            ordinal: HOLD_ORDINAL,
        };
        let entry = Entry {
            place: self.place,
            sequence,
            id,
            keys: keys.to_vec(),
            priority: 0,
            bytes: 0,
            attempts: 0,
            arrived_ms: self.message.arrived_ms(),
            holds_keys: true,
            compare: Compare::Never,
            body: None,
        };
        // Not pushed: what is only in the journal yet waits behind it all the same.
        queue.scope.lanes().hold_message(queue.id, entry);
    }

    /// As a start finds it: what it waits for may have changed just before the stop, so the step that
    /// held it is asked again.
    pub(super) fn found(mut self) -> Self {
        self.due = self.wake.is_some();
        self
    }

    /// It has gone on and only waits for the last of its parts.
    pub(super) fn opened(mut self) -> Self {
        self.open = true;
        self
    }
}

/// All held messages, by the commit sequence of their row.
#[derive(Debug, Default)]
pub(crate) struct HeldMessages {
    all: Mutex<BTreeMap<u64, HeldMessage>>,
    /// How many are being looked at to go on.
    moving: AtomicUsize,
    /// There may be one that is due.
    pub(crate) wake: Notify,
}

impl HeldMessages {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, HeldMessage>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place in the order of a held message.
    pub(crate) fn place_of(&self, sequence: u64) -> Option<u64> {
        self.lock().get(&sequence).map(|held| held.place.of)
    }

    /// A held message by its id.
    pub(crate) fn find(&self, message: MessageId) -> Option<(u64, HeldMessage)> {
        let all = self.lock();
        all.iter()
            .find(|(_, held)| held.message == message && !held.open)
            .map(|(&at, held)| (at, held.clone()))
    }

    /// How many are held, and when the first of them arrived, Unix milliseconds.
    pub(crate) fn waiting(&self) -> (u64, Option<u64>) {
        let all = self.lock();
        let waiting = || all.values().filter(|held| !held.open);
        let since_ms = waiting().map(|held| held.message.arrived_ms()).min();
        (waiting().count() as u64, since_ms)
    }

    /// State keys changed: those who wait for them are due.
    pub(crate) fn changed(&self, keys: &[(SmolStr, SmolStr)]) {
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

    /// How many are due or are being looked at to go on.
    pub(crate) fn under_way(&self, now_ms: u64) -> usize {
        self.due(now_ms).len() + self.moving.load(Ordering::SeqCst)
    }

    /// When the first that waits for a time is due.
    fn next_due(&self) -> Option<u64> {
        let all = self.lock();
        let waiting = all.values().filter(|held| !held.open);
        waiting
            .filter_map(|held| if held.due { Some(0) } else { held.until_ms })
            .min()
    }

    fn due(&self, now_ms: u64) -> Vec<(u64, HeldMessage, ReleasedBy)> {
        let all = self.lock();
        let why = |held: &HeldMessage| {
            if held.until_ms.is_some_and(|at| at <= now_ms) {
                Some(ReleasedBy::Decision)
            } else {
                held.due.then_some(ReleasedBy::Change)
            }
        };
        all.iter()
            .filter(|(_, held)| !held.open)
            .filter_map(|(&at, held)| Some((at, held.clone(), why(held)?)))
            .collect()
    }

    /// The next change of the state is a new one; `false` if the message has gone on.
    fn look_again(&self, sequence: u64) -> bool {
        let mut all = self.lock();
        let held = all.get_mut(&sequence);
        held.is_some_and(|held| {
            held.due = false;
            true
        })
    }

    /// No time lets it go on any more.
    fn without_time(&self, sequence: u64) {
        if let Some(held) = self.lock().get_mut(&sequence) {
            held.until_ms = None;
        }
    }

    /// What made it look again could not be settled: it is due still.
    fn still_due(&self, sequence: u64) {
        if let Some(held) = self.lock().get_mut(&sequence) {
            held.due = true;
        }
    }
}

/// Notes a held message and lets it block its keys at every destination of its channel.
pub(super) fn hold(core: &Core, sequence: u64, held: HeldMessage, keys: &[OrderKey]) {
    for queue in core.queues_of(&held.channel) {
        held.block(&queue, sequence, keys);
    }
    core.held.lock().insert(sequence, held);
    core.held.wake.notify_one();
}

/// A held message has gone on as an open batch: that one blocks the keys until it is closed.
pub(super) fn hand_over(core: &Core, held: u64, batch: u64) {
    let mut all = core.held.lock();
    if let Some(held) = all.remove(&held) {
        all.insert(batch, held.opened());
    }
}

/// A message that was held before the start went on by this commit: what came meanwhile and is not
/// sent yet is compared when it is its turn.
pub(super) fn was_held(core: &Core, origin: &StoredMessage, went_on: u64) {
    let Some(hold) = &origin.hold else { return };
    let place = Place {
        of: origin.place.unwrap_or(origin.sequence),
        sequence: HOLD_SEQUENCE | origin.sequence,
    };
    for queue in core.queues_of(&origin.channel) {
        queue.scope.lanes().was_held(place, went_on, &hold.keys);
    }
}

/// Lets a held message block its keys at a queue that was added since.
pub(super) fn block(core: &Core, queue: &Queue, sequence: u64, keys: &[OrderKey]) {
    let held = core.held.lock().get(&sequence).cloned();
    if let Some(held) = held {
        held.block(queue, sequence, keys);
    }
}

/// A held message has gone on by this commit, or has ended: what waits behind it goes on.
pub(crate) fn finish(core: &Core, sequence: u64, went_on: Option<u64>) {
    let Some(held) = core.held.lock().remove(&sequence) else {
        return;
    };
    for queue in core.queues_of(&held.channel) {
        let mut lanes = queue.scope.lanes();
        lanes.hold_is_over(held.place, HOLD_ORDINAL, went_on);
        drop(lanes);
        queue.wake.notify_one();
        queue.scope.wake_others(&queue.wake);
    }
}

/// Lets held messages go on when they are due, and timers enter their channels.
///
/// It sleeps until the first of them is due or something changes; the clock alone is looked at
/// more often, because it may be set.
pub(crate) async fn wake_held(core: Arc<Core>, mut stop: Stop) {
    loop {
        let next_ms = next_due(&core);
        loop {
            let wait = next_ms.map(|next_ms| next_ms.saturating_sub(core.now_ms()));
            let wait = match wait {
                // What is still due could not go on: not at once again.
                None | Some(0) => LOOK_EVERY,
                Some(wait) => LOOK_EVERY.min(Duration::from_millis(wait)),
            };
            tokio::select! {
                () = core.held.wake.notified() => break,
                () = tokio::time::sleep(wait) => {}
                () = stop.requested() => return,
            }
            if next_ms.is_some_and(|next_ms| next_ms <= core.now_ms()) {
                break;
            }
        }
        for (sequence, held, by) in core.held.due(core.now_ms()) {
            if let Err(text) = due(&core, sequence, &held, by, &[], WhenOlder::Held).await {
                core.held.still_due(sequence);
                tracing::error!(channel = %held.channel, message_id = %held.message, error = text,
                    "a held message could not go on; it is tried again");
            }
        }
        if timers(&core).await >= TIMERS_MAX {
            core.held.wake.notify_one();
        }
    }
}

/// When the first held message or timer is due.
fn next_due(core: &Core) -> Option<u64> {
    let timer = match core.journal.timers_until(u64::MAX >> 1, 1) {
        Ok(timers) => timers.first().map(|timer| timer.due_ms),
        Err(error) => {
            tracing::error!(error = super::chain(&error), "timers cannot be read");
            Some(core.now_ms())
        }
    };
    timer.into_iter().chain(core.held.next_due()).min()
}

/// A held message is being looked at to go on.
struct Moving<'a>(&'a AtomicUsize);

impl<'a> Moving<'a> {
    fn of(held: &'a HeldMessages) -> Self {
        held.moving.fetch_add(1, Ordering::SeqCst);
        Self(&held.moving)
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a held message did when it was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It went on.
    WentOn,
    /// The step that held it wants it to wait on.
    Waits,
    /// It would bring back an old state; nothing is changed.
    Refused(Outdated),
}

/// Lets a held message go on, with more named values, or wait on if the step that held it wants so.
pub(crate) async fn due(
    core: &Arc<Core>,
    sequence: u64,
    held: &HeldMessage,
    by: ReleasedBy,
    values: &[(String, String)],
    older: WhenOlder,
) -> Result<Due, String> {
    let Some(channel) = core.channel(&held.channel) else {
        return Ok(Due::Waits);
    };
    let (row, payload) = core
        .journal
        .received_at(sequence)
        .await
        .map_err(|error| super::chain(&error))?;
    let peer = Peer::inside(row.peer.clone().unwrap_or_default());
    let mut metadata = row.metadata;
    for (name, value) in values {
        metadata.set(name.as_str(), value.as_str());
    }
    came_first(&mut metadata, held.message.arrived_ms());
    let arrival = Arrival {
        payload,
        peer,
        metadata,
        remembers: None,
    };
    let is_time_up = by == ReleasedBy::Decision && matches!(older, WhenOlder::Held);
    let origin = |by| Origin::Linked {
        from: held.message,
        relation: "release",
        only: Vec::new(),
        completes: Some(sequence),
        released: Some(Released {
            step: held.step,
            by,
        }),
        older: older.clone(),
    };
    let _moving = Moving::of(&core.held);
    // Before the look, so that what changes meanwhile makes it look again.
    if !core.held.look_again(sequence) {
        return Ok(Due::WentOn);
    }
    let mut by = by;
    if by == ReleasedBy::Change || is_time_up {
        let asked = origin(ReleasedBy::Change);
        match held_again(core, &channel, &arrival, &asked, held.step).await {
            None => by = ReleasedBy::Change,
            // Meanwhile there is a reason that no time lifts: that is for a person.
            Some(hold) if is_time_up && hold.until_ms.is_none() => {
                core.held.without_time(sequence);
                return Ok(Due::Waits);
            }
            Some(_) if is_time_up => {}
            Some(_) => return Ok(Due::Waits),
        }
    }
    let taken = take_in(core, &channel, arrival, origin(by)).await;
    match (&taken.accepted, &taken.outdated) {
        (Some(accepted), Some(outdated)) if taken.reply.disposition == Disposition::Held => {
            channel.figures.disposed(taken.reply.disposition);
            stale::tell(core, &held.channel, accepted.message(), outdated);
            Ok(Due::WentOn)
        }
        (Some(_), _) => {
            channel.figures.disposed(taken.reply.disposition);
            crate::channel::tell_if_rejected(core, &channel, &taken);
            Ok(Due::WentOn)
        }
        (None, Some(outdated)) => Ok(Due::Refused(outdated.clone())),
        (None, None) => Err(taken.reply.reason.unwrap_or_default()),
    }
}

/// The first timers that are due, with their channels. Those of channels that are gone stay, in
/// case they come back, and hold up no others.
fn due_timers(core: &Core) -> Vec<(Timer, Arc<Channel>)> {
    let mut limit = TIMERS_MAX;
    loop {
        let all = match core.journal.timers_due(limit) {
            Ok(all) => all,
            Err(error) => {
                tracing::error!(error = super::chain(&error), "timers cannot be read");
                return Vec::new();
            }
        };
        let complete = all.len() < limit;
        let live = all.into_iter().filter_map(|timer| {
            let channel = core.channel(&timer.channel)?;
            Some((timer, channel))
        });
        let live: Vec<_> = live.take(TIMERS_MAX).collect();
        if complete || !live.is_empty() || limit >= GONE_MAX {
            return live;
        }
        limit *= 8;
    }
}

/// Timers that are due enter their channels as messages of type `timer`; gives how many did.
async fn timers(core: &Arc<Core>) -> usize {
    let mut count = 0;
    for (timer, channel) in due_timers(core) {
        let body = serde_json::json!({
            "timer": { "scope": &*timer.scope, "key": &*timer.key, "due-ms": timer.due_ms },
        });
        let peer = Peer::inside(Arc::from("timer"));
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
        count += usize::from(taken.accepted.is_some());
    }
    count
}
