//! What the journal's writer tells of a commit, handed to the queues in commit order.

use hilum_journal::{CommittedMessage, Disposition, PendingDelivery, Resend};

use super::held;
use crate::lanes::{Body, Compare, Entry, Place};
use crate::resend::{ResendDigest, ResendKey};
use crate::runtime::Core;

/// Hands the deliveries of a commit to their queues.
pub(crate) fn dispatch(core: &Core, message: CommittedMessage) {
    let sequence = message.accepted.sequence();
    for delivery in message.deliveries {
        let destination = std::sync::Arc::clone(&delivery.destination);
        let mut entry = entry(delivery);
        entry.body = entry.body.map(|body| Body {
            metadata: super::of_delivery(&message.metadata, entry.id.ordinal),
            ..body
        });
        if !core.push(&message.channel, &destination, entry) {
            tracing::error!(channel = %message.channel, %destination,
                message_id = %message.accepted.message(),
                "a delivery has no queue; it stays in the journal");
        }
    }
    match message.disposition {
        Disposition::Held => {
            if let Some(hold) = &message.hold {
                let held = held::HeldMessage::new(
                    &message.channel,
                    message.accepted.message(),
                    (sequence, message.place),
                    hold,
                );
                held::hold(core, sequence, held, &hold.keys);
            }
        }
        Disposition::Received => {
            let channel = core.channel(&message.channel);
            if channel.is_some_and(|channel| channel.received.push(sequence)) {
                core.received_wake.notify_one();
            }
        }
        Disposition::Accepted
        | Disposition::Filtered
        | Disposition::Refused
        | Disposition::Rejected
        | Disposition::Suppressed
        | Disposition::BatchOpen
        | Disposition::BatchClosed => {}
    }
    match message.completes {
        // Its keys are free when the last part is committed.
        Some(completed) if message.disposition == Disposition::BatchOpen => {
            held::hand_over(core, completed, sequence);
        }
        Some(completed) => held::finish(core, completed, Some(sequence)),
        None => {}
    }
    if !message.changed.is_empty() {
        core.held.changed(&message.changed);
    }
    if message.timers.iter().any(|timer| timer.due_ms.is_some()) {
        core.held.wake.notify_one();
    }
}

/// A delivery as the lanes hold it.
pub(crate) fn entry(delivery: PendingDelivery) -> Entry {
    let id = delivery.delivery.id;
    let sequence = delivery.delivery.sequence;
    Entry {
        place: Place {
            of: delivery.place,
            sequence,
        },
        sequence,
        id,
        keys: delivery.keys.to_vec(),
        priority: delivery.priority,
        bytes: delivery.bytes,
        attempts: delivery.attempts,
        arrived_ms: id.message.arrived_ms(),
        holds_keys: false,
        compare: Compare::default(),
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
