//! Several nodes on one store: one of them delivers, by a lease that runs out when it dies, and all
//! of them know the same subscriptions.
//!
//! - What makes events is counted in the store. A commit that was prepared with an older count is
//!   refused there and prepared anew, so a subscription that was made through one node misses no
//!   event of another (`commit`).
//! - Up to which event a subscription was told is noted in the store after each delivery. Who takes
//!   the lease begins behind that; what an earlier holder has in its own journal is passed over
//!   there once another node has told it.
//! - An attempt begins only while the lease is held by this node's own, monotonic clock, which
//!   counts it shorter than the database does. What was under way when it ran out may arrive twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hilum_component::Stop;
use hilum_fhir_store::StoreError;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::slot::Slot;
use crate::tenant::Tenant;

/// The name of the lease.
const WORK: &str = "subscriptions";
/// How often it is looked at whether another node has changed a subscription, or written events.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Subscriptions whose place is noted at once.
const NOTED_MAX: usize = 1_000;

/// What a node knows of its part in delivering the events of a store.
pub(crate) struct Share {
    state: Mutex<State>,
    /// Tells this node from others, also after a restart.
    node: i64,
    /// Rings when the lease has come.
    turns: watch::Sender<u64>,
    /// What was told and is not noted yet.
    told: Mutex<BTreeMap<String, u64>>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    /// Until then the lease is surely held; none if it is not ours.
    until: Option<Instant>,
    /// Counts the turns of this node.
    number: u64,
    tenure: u64,
    since_ms: i64,
    place: i64,
}

/// A time in which this node delivers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    number: u64,
    /// The same in all turns between which no other node delivered.
    pub(super) tenure: u64,
    /// When it began.
    pub(super) since_ms: i64,
    /// Up to where the outbox is with the channel.
    pub(super) place: i64,
}

impl Share {
    pub(super) fn new(node: i64) -> Self {
        Self {
            node,
            state: Mutex::default(),
            turns: watch::Sender::new(0),
            told: Mutex::default(),
            wake: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn of this node, while it has one.
    pub(super) fn turn(&self) -> Option<Turn> {
        let state = self.state();
        let held = state.until.is_some_and(|until| Instant::now() < until);
        held.then(|| Turn {
            number: state.number,
            tenure: state.tenure,
            since_ms: state.since_ms,
            place: state.place,
        })
    }

    /// Returns when this node has its turn, or after a time.
    pub(super) async fn await_turn(&self, within: Duration) {
        let mut turns = self.turns.subscribe();
        let come = turns.wait_for(|_| self.turn().is_some());
        // Either way the caller looks.
        drop(tokio::time::timeout(within, come).await);
    }

    /// The channel has the outbox up to a row.
    pub(super) fn advance(&self, turn: Turn, place: i64) {
        let mut state = self.state();
        if turn.number == state.number {
            state.place = place;
        }
    }

    /// A subscription was told an event, so all before it.
    pub(super) fn note(&self, id: &str, event: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let known = told.entry(id.to_owned()).or_default();
        *known = event.max(*known);
        self.wake.notify_one();
    }

    fn keep(&self, until: Instant) -> bool {
        let mut state = self.state();
        // One that ran out was perhaps another's meanwhile.
        let held = state.until.is_some_and(|until| Instant::now() < until);
        if held {
            state.until = Some(until);
        }
        held
    }

    fn take(&self, until: Instant, tenure: u64, now_ms: i64, place: i64) {
        let mut state = self.state();
        *state = State {
            until: Some(until),
            number: state.number + 1,
            tenure,
            since_ms: now_ms,
            place,
        };
        // Who waits for a turn looks at the state.
        drop(state);
        self.turns.send_modify(|turns| *turns += 1);
    }

    /// True if it had it.
    fn lose(&self) -> bool {
        self.state().until.take().is_some()
    }

    fn untold(&self, most: usize) -> Vec<(String, u64)> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut some = Vec::new();
        while some.len() < most
            && let Some(one) = told.pop_first()
        {
            some.push(one);
        }
        some
    }
}

/// Takes part until `stop`; returns at once where no other node can.
pub(super) async fn follow(slot: Arc<Slot>, mut stop: Stop) {
    let mut next = Instant::now();
    loop {
        let tenant = slot.now();
        let Some(share) = tenant.subscriptions.share() else {
            return;
        };
        let time = tenant.subscriptions.options().lease;
        if Instant::now() >= next {
            next = Instant::now() + time / 4;
            tenant.renew(share, time).await;
        }
        if let Err(error) = tenant.follow_others().await {
            tracing::warn!(tenant = %tenant.name, %error,
                "it cannot be asked whether other nodes changed subscriptions; it is tried again");
        }
        tenant.note(share).await;
        tenant.look_for_events(share).await;
        tokio::select! {
            () = stop.requested() => {
                tenant.note(share).await;
                share.lose();
                if let Err(error) = tenant.store.release(WORK).await {
                    tracing::debug!(%error, "the lease of the subscriptions runs out by itself");
                }
                return;
            }
            () = tokio::time::sleep(LOOK_EVERY.min(time / 4)) => {}
            () = share.wake.notified() => {}
        }
    }
}

impl Tenant {
    /// What tells this node from others that use the store: a number in a file beside its jobs, so
    /// that it stays the same over restarts.
    pub(super) fn node(&self) -> i64 {
        let path = self.jobs.with_extension("node");
        let mut bytes = [0; 32];
        let read = self.files.read_at(&path, 0, &mut bytes).unwrap_or(0);
        let known = bytes
            .get(..read)
            .and_then(|text| std::str::from_utf8(text).ok());
        if let Some(known) = known.and_then(|text| text.parse().ok()) {
            return known;
        }
        let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), WORK);
        let node = i64::from_ne_bytes(random.to_ne_bytes());
        let written = self.files.create(&path).and_then(|mut file| {
            file.append(node.to_string().as_bytes())?;
            file.sync()
        });
        if let Err(error) = written {
            tracing::warn!(%error, "the number of this node cannot be kept; it gets another one after a restart");
        }
        node
    }

    async fn renew(&self, share: &Share, time: Duration) {
        // Shorter than the database counts, which begins later.
        let until = Instant::now() + time * 3 / 4;
        let subscriptions = &self.subscriptions;
        let taken = async {
            let Some(tenure) = self.store.lease(WORK, share.node, time).await? else {
                return Ok(false);
            };
            if !share.keep(until) {
                let place = self.store.untold().await?;
                share.take(until, tenure, subscriptions.now_ms(), place);
                tracing::info!(tenant = %self.name, "this node delivers the notifications of the store");
                subscriptions.hub().deliver();
            }
            Ok::<_, StoreError>(true)
        };
        let lost = match taken.await {
            Ok(true) => false,
            Ok(false) => share.lose(),
            Err(error) => {
                tracing::warn!(tenant = %self.name, %error, "the lease of the subscriptions cannot be renewed");
                share.turn().is_none() && share.lose()
            }
        };
        if lost {
            tracing::warn!(tenant = %self.name, "this node delivers the notifications of the store no more");
            subscriptions.hub().sockets.kick();
        }
    }

    /// Rings where another node has written events, which rings nothing here.
    async fn look_for_events(&self, share: &Share) {
        let Some(turn) = share.turn() else { return };
        // What cannot be read now is looked for again.
        let more = self.store.outbox(turn.place, 1).await;
        if more.is_ok_and(|rows| !rows.is_empty()) {
            self.subscriptions.hub().wake();
        }
    }

    /// Notes for all nodes what was told.
    async fn note(&self, share: &Share) {
        loop {
            let told = share.untold(NOTED_MAX);
            if told.is_empty() {
                return;
            }
            if let Err(error) = self.store.set_told(told.clone()).await {
                tracing::warn!(tenant = %self.name, %error,
                    "it cannot be noted what subscribers were told; it is tried again");
                for (id, event) in told {
                    share.note(&id, event);
                }
                // Not at once.
                tokio::time::sleep(LOOK_EVERY).await;
                return;
            }
        }
    }
}
