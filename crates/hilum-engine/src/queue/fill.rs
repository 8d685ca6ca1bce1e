//! How much waits in a queue, and the limits at which the channel's source is held.
//!
//! At a limit the queue is *full* until it has shrunk by a tenth, so that a source is not held and
//! let go for every message. What is in flight when it becomes full is still taken: the limit is
//! exceeded by at most `in-flight-max`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hilum_component::{DestinationKind, DestinationPlan};
use tokio::sync::Notify;

/// What may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    messages: u64,
    bytes: u64,
}

impl Limits {
    /// The limits of a destination. One that is gone gets nothing new, so it holds nobody.
    pub(super) fn of(plan: &DestinationPlan) -> Self {
        match &plan.kind {
            DestinationKind::Component(_) | DestinationKind::Topic(_) => Self {
                messages: plan.queue_max.max(1),
                bytes: plan.queue_bytes_max.0.max(1),
            },
            DestinationKind::Drain(_) | DestinationKind::DeadLetter => Self {
                messages: u64::MAX,
                bytes: u64::MAX,
            },
        }
    }
}

/// What waits.
#[derive(Debug)]
pub(crate) struct Fill {
    messages: AtomicU64,
    bytes: AtomicU64,
    messages_max: AtomicU64,
    bytes_max: AtomicU64,
    full: AtomicBool,
    room: Arc<Notify>,
}

impl Fill {
    /// Nothing yet; `room` is told when it is full no longer.
    pub(super) fn new(limits: Limits, room: Arc<Notify>) -> Self {
        Self {
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            messages_max: AtomicU64::new(limits.messages),
            bytes_max: AtomicU64::new(limits.bytes),
            full: AtomicBool::new(false),
            room,
        }
    }

    /// Deliveries that are committed and not settled.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// It is at a limit, or was and has not shrunk enough.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// Other limits.
    pub(super) fn limit(&self, limits: Limits) {
        self.messages_max.store(limits.messages, Ordering::SeqCst);
        self.bytes_max.store(limits.bytes, Ordering::SeqCst);
        self.fill_up();
        self.let_go();
    }

    /// So many more wait.
    pub(crate) fn add(&self, messages: u64, bytes: u64) {
        self.messages.fetch_add(messages, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        self.fill_up();
    }

    /// So many have left.
    pub(crate) fn sub(&self, messages: u64, bytes: u64) {
        take(&self.messages, messages);
        take(&self.bytes, bytes);
        self.let_go();
    }

    fn fill_up(&self) {
        let messages = self.messages.load(Ordering::SeqCst);
        let bytes = self.bytes.load(Ordering::SeqCst);
        if messages >= self.messages_max.load(Ordering::SeqCst)
            || bytes >= self.bytes_max.load(Ordering::SeqCst)
        {
            self.full.store(true, Ordering::SeqCst);
            // Those that left in between did not see that it is full.
            self.let_go();
        }
    }

    fn let_go(&self) {
        let low = |now: &AtomicU64, max: &AtomicU64| {
            let max = max.load(Ordering::SeqCst);
            now.load(Ordering::SeqCst) <= max - (max / 10).max(1)
        };
        if self.is_full()
            && low(&self.messages, &self.messages_max)
            && low(&self.bytes, &self.bytes_max)
        {
            self.full.store(false, Ordering::SeqCst);
            self.room.notify_waiters();
        }
    }
}

/// Subtracts, but never below nothing: a number that is shown must not wrap.
fn take(from: &AtomicU64, some: u64) {
    let less = |now: u64| Some(now.saturating_sub(some));
    // The closure always gives a value, so this cannot fail.
    from.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_full_at_its_limit_until_it_has_shrunk_by_a_tenth() {
        let limits = Limits {
            messages: 20,
            bytes: 1_000,
        };
        let fill = Fill::new(limits, Arc::default());
        fill.add(19, 19);
        assert!(!fill.is_full());
        fill.add(1, 1);
        assert!(fill.is_full(), "at the limit of messages");
        fill.sub(1, 1);
        assert!(fill.is_full(), "one less is not yet a tenth");
        fill.sub(1, 1);
        assert!(!fill.is_full());
        fill.add(1, 982);
        assert!(fill.is_full(), "at the limit of bytes");
        fill.limit(Limits {
            messages: 40,
            bytes: 2_000,
        });
        assert!(!fill.is_full(), "a larger limit lets go");
        fill.sub(99, 99_999);
        assert_eq!((fill.messages(), fill.bytes()), (0, 0));
    }

    #[test]
    fn a_limit_of_one_lets_go_of_an_empty_queue() {
        let limits = Limits {
            messages: 1,
            bytes: 1,
        };
        let fill = Fill::new(limits, Arc::default());
        fill.add(1, 5);
        assert!(fill.is_full());
        fill.sub(1, 5);
        assert!(!fill.is_full());
    }
}
