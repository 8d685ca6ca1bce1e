//! How a message came to its channel, and what became of it there.

use std::sync::Arc;

use hilum_component::{Acknowledge, Arrival, ChannelPlan, Incoming, Released, Reply};
use hilum_message::{Accepted, MessageId};
use smol_str::SmolStr;

use crate::Core;
use crate::stale::{Outdated, WhenOlder};

/// What a replayed message is to the one that it comes from.
pub(crate) const REPLAY: &str = "replay";

/// How a message came to its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From its source.
    Source,
    /// From another message: a replay, a reply, a release. No resend detection.
    Linked {
        /// The message it comes from.
        from: MessageId,
        /// What it is to it: `replay`, `reply`, `release`.
        relation: &'static str,
        /// Only these destinations, if any are named.
        only: Vec<Arc<str>>,
        /// The held row that it completes.
        completes: Option<u64>,
        /// The hold that is over.
        released: Option<Released>,
        /// What is done if it brings an old state.
        older: WhenOlder,
    },
    /// It was stored and answered as received, and is processed now.
    Received {
        /// Its id.
        message: MessageId,
        /// When it arrived, Unix milliseconds.
        arrived_ms: u64,
        /// The row that it completes.
        sequence: u64,
    },
    /// A timer that is due; it is removed with the message.
    Timer {
        /// The scope of the timer.
        scope: SmolStr,
        /// Its key.
        key: SmolStr,
    },
}

impl Origin {
    /// The message is stored and answered only; it is processed afterwards.
    pub(crate) fn is_only_received(&self, plan: &ChannelPlan) -> bool {
        match self {
            Self::Source => plan.acknowledge == Acknowledge::Received,
            Self::Linked { .. } | Self::Received { .. } | Self::Timer { .. } => false,
        }
    }

    /// The arrival as this message.
    pub(super) fn incoming(&self, core: &Core, arrival: &Arrival) -> Incoming {
        let (id, arrived_ms) = match self {
            Self::Received {
                message,
                arrived_ms,
                ..
            } => (*message, *arrived_ms),
            Self::Source | Self::Linked { .. } | Self::Timer { .. } => {
                let now_ms = core.now_ms();
                (core.ids.next(now_ms), now_ms)
            }
        };
        let (payload, metadata) = (arrival.payload.clone(), arrival.metadata.clone());
        let mut incoming = Incoming::new(id, arrived_ms, payload, metadata);
        if let Self::Linked { released, .. } = self {
            incoming.released = *released;
        }
        incoming
    }
}

/// What became of an arrival.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) reply: Reply,
    pub(crate) accepted: Option<Accepted>,
    /// It was recorded before: what it completes was completed already.
    pub(crate) duplicate: bool,
    /// It is stored and answered, and processed afterwards.
    pub(crate) only_received: bool,
    /// It brings an old state: it was refused, or is held for that.
    pub(crate) outdated: Option<Outdated>,
}

impl Taken {
    pub(super) const fn new(reply: Reply, accepted: Option<Accepted>) -> Self {
        Self {
            reply,
            accepted,
            duplicate: false,
            only_received: false,
            outdated: None,
        }
    }
}
