//! Asking: the reply to a delivery becomes a message of the channel that `then` names.
//!
//! The reply is accepted in the commit that settles the delivery, so it enters its channel once
//! however often the peer was asked: where the engine ends between the reply and that commit, the
//! peer is asked again. The message that asked travels along by its id, and whoever processes the
//! reply gets its received bytes.

use std::sync::Arc;

use bytes::Bytes;
use hilum_component::{DeliveryError, Outcome};
use hilum_message::{Metadata, Payload};

use super::Queue;
use super::drive::Ended;
use super::hop::{self, Hop};
use crate::lanes::Entry;
use crate::{Core, store};

/// The metadata that names the message that asked.
const ORIGINAL: &str = "hilum.original";

/// Bytes of a reply; a longer one makes the delivery a dead letter.
const REPLY_BYTES_MAX: usize = 512 * 1024;

/// Hands the reply of an attempt that the peer took to the channel `then`.
pub(super) async fn hand_over(core: &Arc<Core>, queue: &Queue, then: &str, ended: &mut Ended) {
    let Ok(delivered) = &ended.outcome else {
        return;
    };
    let reply = delivered.reply.clone();
    match reply_of(core, queue, then, &ended.entry, reply).await {
        Ok(true) => ended.settled = true,
        Ok(false) => {}
        Err(error) => ended.outcome = Outcome::Err(error),
    }
}

async fn reply_of(
    core: &Arc<Core>,
    queue: &Queue,
    then: &str,
    entry: &Entry,
    reply: Option<Bytes>,
) -> Result<bool, DeliveryError> {
    let Some(reply) = reply else {
        let text = format!("the peer gave no reply that {then} could work on");
        return Err(DeliveryError::reject("no-reply", text));
    };
    if reply.len() > REPLY_BYTES_MAX {
        let text = format!("the reply is longer than {REPLY_BYTES_MAX} bytes");
        return Err(DeliveryError::reject("reply-too-long", text));
    }
    let Some(channel) = core.channel(then) else {
        let text = format!("there is no channel {then} for the reply");
        return Err(DeliveryError::halt("no-channel", text));
    };
    let mut metadata = hop::read(core, entry).await?.metadata;
    hop::count(&mut metadata, entry.arrived_ms)?;
    metadata.set(ORIGINAL, entry.id.message.to_string());
    let (_, original) = core
        .journal
        .received_at(entry.sequence)
        .await
        .map_err(|error| hop::unreadable(&error))?;
    let hop = Hop {
        relation: "reply",
        payload: Payload::inline(reply),
        metadata,
        original: Some(original),
        to: &[channel],
    };
    hop::make(core, queue, entry, &hop).await
}

/// The message to which one with this metadata is the reply, as it was received.
pub(crate) async fn original(core: &Core, metadata: &Metadata) -> Option<Payload> {
    let id = metadata.get(ORIGINAL)?.parse().ok()?;
    match core.journal.received(id).await {
        Ok((_, payload)) => Some(payload),
        Err(error) => {
            tracing::warn!(message_id = %id, error = store::chain(&error),
                "the message that asked cannot be read; its reply is processed without it");
            None
        }
    }
}
