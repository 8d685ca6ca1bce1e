//! What the subscriptions of all tenants share: bells between those who write, those who deliver
//! and those who are connected.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use super::socket::Sockets;

/// The bells of a server.
pub(crate) struct Hub {
    /// The outbox of a tenant has something.
    outbox: Notify,
    /// Counts changes of the set of destinations.
    changes: watch::Sender<u64>,
    /// The last of them that the engine has.
    applied: watch::Sender<u64>,
    /// A subscription needs something beside its events.
    chores: Notify,
    pub(super) sockets: Sockets,
    /// When a subscriber was last sent something, by destination.
    sent: Mutex<HashMap<String, i64>>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            outbox: Notify::new(),
            changes: watch::Sender::new(1),
            applied: watch::Sender::new(0),
            chores: Notify::new(),
            sockets: Sockets::new(),
            sent: Mutex::default(),
        }
    }

    /// The outbox may have something new.
    pub(crate) fn wake(&self) {
        self.outbox.notify_one();
    }

    /// Returns when the outbox may have something new.
    pub(super) async fn woken(&self) {
        self.outbox.notified().await;
    }

    /// This node delivers from now on.
    pub(super) fn deliver(&self) {
        self.chores.notify_one();
        self.outbox.notify_one();
    }

    /// Subscriptions have changed.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
        self.chores.notify_one();
        self.outbox.notify_one();
    }

    /// Returns when there is something beside events to do.
    pub(super) async fn chore(&self) {
        self.chores.notified().await;
    }

    /// The changes so far, to be waited on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The engine has the destinations as of a change.
    pub(crate) fn apply(&self, change: u64) {
        self.applied
            .send_if_modified(|applied| change > std::mem::replace(applied, change.max(*applied)));
    }

    /// Returns when the engine has every destination that there is now.
    pub(super) async fn up_to_date(&self) {
        let wanted = *self.changes.borrow();
        let mut applied = self.applied.subscribe();
        // The sender lives as long as the hub.
        drop(applied.wait_for(|applied| *applied >= wanted).await);
    }

    /// A subscriber was sent something.
    pub(super) fn sent(&self, destination: &str, now_ms: i64) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.insert(destination.to_owned(), now_ms);
    }

    /// When a subscriber was last sent something.
    pub(super) fn last_sent(&self, destination: &str) -> Option<i64> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.get(destination).copied()
    }
}
