//! What the journal's writer tells of a commit, handed to the queues in commit order.

use hilum_journal::{CommittedMessage, Disposition, PendingDelivery, Resend};

use super::held;
use crate::lanes::{Body, Entry};
use crate::resend::{ResendDigest, ResendKey};
use crate::runtime::Core;

/// Hands the deliveries of a commit to their queues.
pub(crate) fn dispatch(core: &Core, message: CommittedMessage) {
    let sequence = message.accepted.sequence();
    // A held message that goes on keeps the place that it had.
    let place = message
        .completes
        .and_then(|held| core.held.place_of(held))
        .unwrap_or(sequence);
    for delivery in message.deliveries {
        let destination = std::sync::Arc::clone(&delivery.destination);
        let mut entry = entry(delivery, place);
        entry.body = entry.body.map(|body| Body {
            metadata: message.metadata.clone(),
            ..body
        });
        if !core.push(&message.channel, &destination, entry) {
            tracing::error!(channel = %message.channel, %destination,
                message_id = %message.accepted.message(),
                "a delivery has no queue; it stays in the journal");
        }
    }
    if let Some(hold) = &message.hold
        && message.disposition == Disposition::Held
    {
        held::hold(
            core,
            &message.channel,
            message.accepted.message(),
            sequence,
            place,
            hold,
        );
    }
    if let Some(completed) = message.completes {
        held::finish(core, completed);
    }
    if !message.changed.is_empty() {
        core.held.changed(&message.changed);
    }
    if message.timers.iter().any(|timer| timer.due_ms.is_some()) {
        core.held.wake.notify_one();
    }
}

/// A delivery as the lanes hold it.
pub(super) fn entry(delivery: PendingDelivery, place: u64) -> Entry {
    let id = delivery.delivery.id;
    Entry {
        place,
        sequence: delivery.delivery.sequence,
        id,
        keys: delivery.keys.to_vec(),
        priority: delivery.priority,
        bytes: delivery.bytes,
        attempts: delivery.attempts,
        arrived_ms: id.message.arrived_ms(),
        holds_keys: false,
        body: delivery.payload.map(|payload| Body {
            payload,
            metadata: hilum_message::Metadata::new(),
        }),
    }
}

/// A commit that failed was found on disk after all: what its sender sends again is known.
pub(crate) fn remember_recovered(core: &Core, message: &CommittedMessage, resend: Option<&Resend>) {
    let (Some(resend), Some(channel)) = (resend, core.channel(&message.channel)) else {
        return;
    };
    channel.memory().restore(
        ResendKey(resend.key),
        ResendDigest(resend.digest),
        message.accepted.message(),
        core.now_ms(),
    );
    tracing::info!(channel = %message.channel, message_id = %message.accepted.message(),
        "a message of a failed commit was found on disk and counts as accepted");
}
