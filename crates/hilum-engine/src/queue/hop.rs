//! Hops: a message that one channel hands to others inside the engine.
//!
//! A hop is accepted for all channels in one transaction, unique on the delivery that causes it: a
//! repeat after a crash finds the id and only settles. A counter of hops ends cycles.

use std::sync::Arc;

use hilum_component::{DeliveryError, FIRST_RECEIVED, Incoming};
use hilum_journal::{DeliveryRef, Publication};
use hilum_message::{Metadata, Payload};

use super::Queue;
use crate::channel::{Channel, processed};
use crate::lanes::{Body, Entry};
use crate::store::AcceptFailure;
use crate::{Core, store};

/// Hops after which a message is taken to be in a cycle.
const HOPS_MAX: u32 = 16;

/// The metadata that counts the hops.
const HOPS: &str = "hilum.hops";

/// What is handed over, and how.
pub(super) struct Hop<'a> {
    /// What it is to the message that it comes from: `topic`, `reply`.
    pub(super) relation: &'static str,
    pub(super) payload: Payload,
    pub(super) metadata: Metadata,
    /// Of a reply: the message that asked, as it was received.
    pub(super) original: Option<Payload>,
    pub(super) to: &'a [Arc<Channel>],
}

/// Notes when a message came first, unless that is known.
pub(crate) fn came_first(metadata: &mut Metadata, arrived_ms: u64) {
    if metadata.get(FIRST_RECEIVED).is_none() {
        metadata.set(FIRST_RECEIVED, arrived_ms.to_string());
    }
}

/// Counts a hop in the values that travel with a message, and notes when it came first.
pub(super) fn count(metadata: &mut Metadata, arrived_ms: u64) -> Result<(), DeliveryError> {
    let hops = metadata.get(HOPS).and_then(|text| text.parse().ok());
    let hops = hops.unwrap_or(0_u32).saturating_add(1);
    if hops > HOPS_MAX {
        let text = format!("the message has made {HOPS_MAX} hops; its channels form a cycle");
        return Err(DeliveryError::reject("cycle", text)
            .hint("let one of the channels filter what it has sent itself"));
    }
    metadata.set(HOPS, hops.to_string());
    came_first(metadata, arrived_ms);
    Ok(())
}

/// Makes a hop; says whether its commit settled the delivery already.
pub(super) async fn make(
    core: &Arc<Core>,
    queue: &Queue,
    entry: &Entry,
    hop: &Hop<'_>,
) -> Result<bool, DeliveryError> {
    let delivery = DeliveryRef {
        id: entry.id,
        sequence: entry.sequence,
    };
    for channel in hop.to {
        // A full queue of the channel holds the hop, as it would hold a source.
        if !core.room(&channel.name).await {
            return Err(stopping());
        }
    }
    loop {
        let mut messages = Vec::with_capacity(hop.to.len());
        for (channel, ordinal) in hop.to.iter().zip(0_u64..) {
            let plan = channel.plan();
            let purpose = format!("hop {}", entry.id);
            let id = entry.id.message.derive(&purpose, ordinal);
            let (payload, metadata) = (hop.payload.clone(), hop.metadata.clone());
            let incoming = Incoming {
                original: hop.original.clone(),
                ..Incoming::new(id, core.now_ms(), payload, metadata)
            };
            let processed = processed(core, channel, &plan, incoming)
                .await
                .ok_or_else(stopping)?;
            messages.push((Arc::clone(channel), plan, processed));
        }
        let publication = Publication { delivery };
        let accepted =
            store::accept_hop(core, messages, publication, &queue.channel, hop.relation).await;
        match accepted {
            Ok(()) => return Ok(true),
            // A repeat after a crash: it was accepted then, and is only settled now.
            Err(AcceptFailure::Duplicate) => return Ok(false),
            Err(AcceptFailure::Stale) => {}
            Err(AcceptFailure::Failed(text)) => {
                return Err(DeliveryError::retry(
                    "journal-write",
                    format!("cannot record the hop: {text}"),
                ));
            }
        }
    }
}

fn stopping() -> DeliveryError {
    DeliveryError::retry(
        "stopping",
        "the engine is stopping; the hop is made at the next start",
    )
}

/// What a delivery carries.
pub(super) async fn read(core: &Core, entry: &Entry) -> Result<Body, DeliveryError> {
    if let Some(body) = &entry.body {
        return Ok(body.clone());
    }
    let read = store::body(core, entry).await;
    read.map(|(payload, metadata)| Body { payload, metadata })
        .map_err(|error| unreadable(&error))
}

/// The journal cannot be read; it is asked again later.
pub(super) fn unreadable(error: &hilum_journal::JournalError) -> DeliveryError {
    DeliveryError::retry(
        "journal-read",
        format!(
            "cannot read the delivery from the journal: {}",
            store::chain(error)
        ),
    )
}
