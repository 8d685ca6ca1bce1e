//! Time and randomness, given from outside so that tests and simulations decide both.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use hilum_message::MessageId;

/// Makes message ids: the arrival time and bits that nobody can guess.
#[derive(Debug)]
pub(crate) struct Ids {
    first: RandomState,
    second: RandomState,
    count: AtomicU64,
}

impl Ids {
    /// Seeded by the operating system.
    pub(crate) fn new() -> Self {
        Self {
            first: RandomState::new(),
            second: RandomState::new(),
            count: AtomicU64::new(0),
        }
    }

    /// An id for a message that arrived now.
    pub(crate) fn next(&self, arrived_ms: u64) -> MessageId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let bits = |state: &RandomState| u128::from(state.hash_one((arrived_ms, count)));
        MessageId::new(arrived_ms, (bits(&self.first) << 64) | bits(&self.second))
    }
}
