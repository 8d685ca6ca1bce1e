//! Telling what a commit made durable: the sink first, then whoever waits.

use hilum_message::Accepted;

use super::handler::PartitionHandler;
use super::ops::{AcceptOp, Reply, Verdict};
use crate::model::{CommittedMessage, DeliveryRef, NewState, PendingDelivery};

impl PartitionHandler {
    pub(super) fn tell(&self, op: AcceptOp) {
        let AcceptOp {
            messages,
            reply,
            verdict,
            sequences,
            ..
        } = op;
        let result = match verdict {
            Some(Verdict::Not(error)) => Reply::Not(error),
            Some(Verdict::Elsewhere) => Reply::Elsewhere(messages),
            None => {
                let mut proofs = Vec::with_capacity(messages.len());
                let mut completes = None;
                let last = messages.len();
                for (message, sequence) in messages.into_iter().zip(sequences) {
                    let mut request = message.request;
                    request.state_writes.extend(message.merged);
                    self.core.claimed(&request.blobs);
                    let proof = Accepted::after_synced_append(request.message, sequence);
                    proofs.push(proof);
                    // What was completed is over when all that came of it is told.
                    completes = request.completes.take().or(completes);
                    if proofs.len() == last {
                        request.completes = completes;
                    }
                    self.core.sink.committed(committed(request, proof));
                }
                Reply::Accepted(proofs)
            }
        };
        if let Some(reply) = reply {
            // Whoever asked may have gone away; the message is stored all the same.
            drop(reply.send(result));
        }
    }
}

/// What the sink is told about a message.
fn committed(request: crate::model::AcceptRequest, accepted: Accepted) -> CommittedMessage {
    let channel = request.channel;
    let place = request.place.unwrap_or(accepted.sequence());
    let of = |delivery: crate::model::NewDelivery| PendingDelivery {
        delivery: DeliveryRef {
            id: hilum_message::DeliveryId {
                message: accepted.message(),
                ordinal: delivery.ordinal,
            },
            sequence: accepted.sequence(),
        },
        place,
        channel: channel.clone(),
        destination: delivery.destination,
        keys: delivery.keys,
        priority: delivery.priority,
        bytes: delivery.payload.len(),
        attempts: 0,
        payload: Some(delivery.payload),
    };
    let pending = request.deliveries.into_iter();
    let deliveries = pending
        .filter(|delivery| delivery.state == NewState::Pending)
        .map(of)
        .collect();
    let changed = request.state_writes.into_iter();
    CommittedMessage {
        accepted,
        disposition: request.disposition,
        hold: request.hold,
        completes: request.completes,
        place,
        metadata: request.metadata,
        deliveries,
        timers: request.timers,
        changed: changed.map(|write| (write.scope, write.key)).collect(),
        channel,
    }
}
