//! Topics: a message published by one channel is accepted by every channel that subscribes.

use std::sync::Arc;

use hilum_component::{Delivered, DeliveryError};

use super::Queue;
use super::drive::Ended;
use super::hop::{self, Hop};
use crate::Core;
use crate::lanes::Entry;

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
    let body = hop::read(core, entry).await?;
    let mut metadata = body.metadata;
    hop::count(&mut metadata, entry.arrived_ms)?;
    let subscribers = core.subscribers(topic);
    let delivered = |summary: String| Delivered {
        reply: None,
        summary,
    };
    let summary = match subscribers.len() {
        0 => return Ok((delivered("no subscriber".to_owned()), false)),
        1 => "1 subscriber".to_owned(),
        several => format!("{several} subscribers"),
    };
    let hop = Hop {
        relation: "topic",
        payload: body.payload,
        metadata,
        original: None,
        to: &subscribers,
    };
    let settled = hop::make(core, queue, entry, &hop).await?;
    Ok((delivered(summary), settled))
}
