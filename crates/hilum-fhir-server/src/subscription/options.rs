//! What a site says about subscriptions.

use std::time::Duration;

use super::topic::TopicOptions;

/// Limits and permissions of subscriptions, each with its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// Scheme and host that notifications name the server by, where its own URL is not set: the
    /// address that it listens at.
    pub here: Option<String>,
    /// Beginnings of URLs that may be called, such as `https://app.example/hooks/`; loopback always
    /// may.
    pub allow: Vec<String>,
    /// Subscriptions of one tenant that may be active.
    pub active_max: usize,
    /// Failed attempts in a row after which a subscription is in `error`; it is tried on.
    pub failures_max: u32,
    /// First delay before a failed notification is sent again; it doubles.
    pub retry_first: Duration,
    /// Longest delay before a failed notification is sent again.
    pub retry_longest: Duration,
    /// A notification that is older becomes a dead letter.
    pub give_up_after: Duration,
    /// How long an endpoint may take to answer, where the subscription does not say less.
    pub answer_within: Duration,
    /// How long events are kept for `$events` after they went to the channel.
    pub keep: Duration,
    /// Events of one tenant that are kept.
    pub keep_max: u64,
    /// How long a node of several on one store that delivers may be silent before another one does.
    pub lease: Duration,
    /// What the site offers to subscribe to.
    pub topics: Vec<TopicOptions>,
}

impl Default for SubscriptionOptions {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            here: None,
            allow: Vec::new(),
            active_max: 1_000,
            failures_max: 5,
            retry_first: Duration::from_secs(1),
            retry_longest: Duration::from_secs(60),
            give_up_after: DAY.saturating_mul(7),
            answer_within: Duration::from_secs(30),
            keep: DAY.saturating_mul(7),
            keep_max: 1_000_000,
            lease: Duration::from_secs(10),
            topics: Vec::new(),
        }
    }
}
