//! The proof that a message survives power loss.

use crate::MessageId;

/// Proof that the journal's synced append returned for this message.
///
/// Building a positive answer takes one, so a source that has none cannot say yes
/// (`cargo xtask tidy` checks that only `hilum-journal` calls [`Accepted::after_synced_append`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    message: MessageId,
    sequence: u64,
}

impl Accepted {
    /// To be called by the journal alone, after the commit that holds `message` was synced.
    #[must_use]
    pub const fn after_synced_append(message: MessageId, sequence: u64) -> Self {
        Self { message, sequence }
    }

    /// The accepted message.
    #[must_use]
    pub const fn message(&self) -> MessageId {
        self.message
    }

    /// The commit sequence, which is the order of acceptance on this node.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }
}
