//! What is counted while the engine runs: numbers only, never content.

use std::sync::atomic::{AtomicU64, Ordering};

use hilum_component::Disposition;

/// Upper bounds of the latency buckets in microseconds.
pub const LATENCY_BOUNDS_US: [u64; 14] = [
    250,
    500,
    1_000,
    2_000,
    4_000,
    8_000,
    15_000,
    30_000,
    60_000,
    125_000,
    250_000,
    1_000_000,
    5_000_000,
    u64::MAX,
];

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long something took.
#[derive(Debug, Default)]
pub struct Latency {
    /// Observations by bucket of [`LATENCY_BOUNDS_US`].
    pub buckets: [Counter; LATENCY_BOUNDS_US.len()],
    /// The sum in microseconds.
    pub sum_us: Counter,
}

impl Latency {
    pub(crate) fn observe_us(&self, us: u64) {
        let bucket = LATENCY_BOUNDS_US.partition_point(|&bound| bound < us);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.add(1);
        }
        self.sum_us.add(us);
    }
}

/// What is counted of a channel.
#[derive(Debug, Default)]
pub struct ChannelFigures {
    /// Messages that were brought in.
    pub received: Counter,
    /// Bytes that were brought in.
    pub received_bytes: Counter,
    /// Messages by disposition, in the order of [`DISPOSITIONS`].
    pub dispositions: [Counter; DISPOSITIONS.len()],
    /// Messages that a peer had sent before.
    pub resent: Counter,
    /// Messages that were processed again because what they had read of the state was stale.
    pub reprocessed: Counter,
    /// Codes that no table has, each counted once a message.
    pub unmapped: Counter,
    /// From arrival to answer.
    pub answer: Latency,
    /// When the last message came, Unix milliseconds; 0 before the first.
    pub last_ms: AtomicU64,
}

/// The dispositions in the order in which they are counted.
pub const DISPOSITIONS: [Disposition; 6] = [
    Disposition::Accepted,
    Disposition::Filtered,
    Disposition::Refused,
    Disposition::Rejected,
    Disposition::Held,
    Disposition::Failed,
];

impl ChannelFigures {
    pub(crate) fn disposed(&self, disposition: Disposition) {
        let place = DISPOSITIONS.iter().position(|&known| known == disposition);
        if let Some(counter) = place.and_then(|place| self.dispositions.get(place)) {
            counter.add(1);
        }
    }
}

/// What is counted of a queue.
#[derive(Debug, Default)]
pub struct QueueFigures {
    /// Attempts.
    pub attempts: Counter,
    /// Deliveries that the peer has.
    pub delivered: Counter,
    /// Deliveries that became dead letters.
    pub dead: Counter,
    /// Attempts that found the peer away.
    pub retried: Counter,
    /// From arrival of the message to its delivery.
    pub delivery: Latency,
    /// One attempt.
    pub attempt: Latency,
}
