//! Topics: a message published by one channel is accepted by every channel that subscribes.
//!
//! A hop is accepted for all subscribers in one transaction, unique on the publication's delivery
//! id: a repeat after a crash finds the id and only settles. A counter of hops ends cycles.

use std::sync::Arc;

use hilum_component::{Delivered, DeliveryError, Incoming};
use hilum_journal::{DeliveryRef, Publication};

use super::Queue;
use super::drive::Ended;
use crate::channel::processed;
use crate::lanes::{Body, Entry};
use crate::store::AcceptFailure;
use crate::{Core, store};

/// Hops after which a message is taken to be in a cycle.
const HOPS_MAX: u32 = 16;

/// The metadata that counts the hops.
pub(crate) const HOPS: &str = "hilum.hops";

/// Publishes each entry to the subscribers of a topic.
pub(super) async fn publish(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    topic: &Arc<str>,
    batch: Vec<Entry>,
) -> Vec<Ended> {
    let mut ended = Vec::with_capacity(batch.len());
    for entry in batch {
        let started = tokio::time::Instant::now();
        let published = one(core, queue, topic, &entry).await;
        let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let settled = published.as_ref().is_ok_and(|(_, settled)| *settled);
        let mut one = Ended::new(entry, published.map(|(delivered, _)| delivered), took_us);
        one.settled = settled;
        ended.push(one);
    }
    ended
}

/// Publishes one entry; says whether the commit settled it already.
async fn one(
    core: &Arc<Core>,
    queue: &Queue,
    topic: &Arc<str>,
    entry: &Entry,
) -> Result<(Delivered, bool), DeliveryError> {
    let body = read(core, entry).await?;
    let hops = body
        .metadata
        .get(HOPS)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0_u32)
        + 1;
    if hops > HOPS_MAX {
        let text = format!("the message has made {HOPS_MAX} hops; its topics form a cycle");
        return Err(DeliveryError::reject("cycle", text)
            .hint("let one of the channels filter what it has sent itself"));
    }
    let mut metadata = body.metadata;
    metadata.set(HOPS, hops.to_string());
    let subscribers = core.subscribers(topic);
    let summary = match subscribers.len() {
        0 => {
            return Ok((
                Delivered {
                    reply: None,
                    summary: "no subscriber".to_owned(),
                },
                false,
            ));
        }
        1 => "1 subscriber".to_owned(),
        several => format!("{several} subscribers"),
    };
    let delivered = Delivered {
        reply: None,
        summary,
    };
    for channel in &subscribers {
        // A full queue of a subscriber holds the publication, as it would hold a source.
        if !core.room(&channel.name).await {
            return Err(stopping());
        }
    }
    loop {
        let mut hop = Vec::with_capacity(subscribers.len());
        for (channel, ordinal) in subscribers.iter().zip(0_u64..) {
            let plan = channel.plan();
            let purpose = format!("hop {}", entry.id);
            let id = entry.id.message.derive(&purpose, ordinal);
            let (payload, metadata) = (body.payload.clone(), metadata.clone());
            let incoming = Incoming::new(id, core.now_ms(), payload, metadata);
            let processed = processed(core, channel, &plan, incoming)
                .await
                .ok_or_else(stopping)?;
            hop.push((Arc::clone(channel), plan, processed));
        }
        let delivery = DeliveryRef {
            id: entry.id,
            sequence: entry.sequence,
        };
        match store::accept_hop(core, hop, Publication { delivery }, &queue.channel).await {
            Ok(()) => return Ok((delivered, true)),
            // A repeat after a crash: it was accepted then, and is only settled now.
            Err(AcceptFailure::Duplicate) => return Ok((delivered, false)),
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

async fn read(core: &Core, entry: &Entry) -> Result<Body, DeliveryError> {
    if let Some(body) = &entry.body {
        return Ok(body.clone());
    }
    let read = store::body(core, entry).await;
    read.map(|(payload, metadata)| Body { payload, metadata })
        .map_err(|error| {
            DeliveryError::retry(
                "journal-read",
                format!("cannot read the delivery from the journal: {error}"),
            )
        })
}
