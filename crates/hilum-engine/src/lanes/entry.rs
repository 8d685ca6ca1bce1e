//! What the lanes hold of a delivery, and where it stands.

use hilum_message::{DeliveryId, Metadata, OrderKey, Payload};

/// The place of a queue among those of its system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u32);

/// Where a delivery stands in the order of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The commit sequence whose place it has: its own, or that of the held message which its
    /// message goes on from.
    pub of: u64,
    /// Its own commit sequence.
    pub sequence: u64,
}

impl Place {
    /// It does not stand where its own commit would put it. Such deliveries are always in memory.
    pub(super) const fn is_kept(self) -> bool {
        self.of != self.sequence
    }
}

impl From<u64> for Place {
    /// The place that a commit gives.
    fn from(sequence: u64) -> Self {
        Self {
            of: sequence,
            sequence,
        }
    }
}

/// A place and the ordinal of the delivery in its message.
pub(super) type At = (Place, u32);

/// A delivery as the journal committed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the order of the node.
    pub place: Place,
    /// The commit sequence by which the journal finds it.
    pub sequence: u64,
    /// The delivery.
    pub id: DeliveryId,
    /// What it is kept in order by.
    pub keys: Vec<OrderKey>,
    /// Higher ones pass those of other keys.
    pub priority: i16,
    /// The number of bytes to send.
    pub bytes: u64,
    /// Attempts made so far.
    pub attempts: u32,
    /// When its message arrived, Unix milliseconds.
    pub arrived_ms: u64,
    /// It is a dead letter that holds its keys; it is never sent.
    pub holds_keys: bool,
    /// Whether it is compared with what its receiver has got before it is sent.
    pub compare: Compare,
    /// What is sent, while memory allows to keep it.
    pub body: Option<Body>,
}

/// Whether a delivery is compared with what its receiver has got before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compare {
    /// If it came while a message of one of its keys was held.
    #[default]
    IfBehindHold,
    /// It did.
    Due,
    /// A person wants it sent as it is.
    Never,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The bytes.
    pub payload: Payload,
    /// Named values of the message.
    pub metadata: Metadata,
}
