//! One attempt to deliver.

use std::sync::Arc;

use hilum_component::{Delivery, DeliveryError, Destination};
use hilum_journal::JournalError;
use hilum_message::Failpoint;

use super::Queue;
use super::drive::Ended;
use crate::lanes::Entry;
use crate::{Core, store};

/// Who sends, and where.
pub(super) struct Attempt<'a> {
    pub(super) core: &'a Core,
    pub(super) queue: &'a Queue,
    pub(super) destination: &'a dyn Destination,
}

/// Sends a batch once. A body that cannot be read counts as the peer being away: the journal is
/// asked again later.
pub(super) async fn attempt(work: Attempt<'_>, batch: Vec<Entry>) -> Vec<Ended> {
    let started = tokio::time::Instant::now();
    let mut ended = Vec::with_capacity(batch.len());
    let mut entries = Vec::with_capacity(batch.len());
    let mut deliveries = Vec::with_capacity(batch.len());
    for entry in batch {
        match delivery(&work, &entry).await {
            Ok(delivery) => {
                entries.push(entry);
                deliveries.push(delivery);
            }
            Err(error) => ended.push(Ended::new(entry, Err(error), 0)),
        }
    }
    if deliveries.is_empty() {
        return ended;
    }
    Failpoint::BeforeSend.reach();
    let mut outcomes = work.destination.send(&deliveries).await.into_iter();
    Failpoint::AfterSend.reach();
    let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    for entry in entries {
        // A component that forgets an outcome has not proved that the peer has the message.
        let outcome = outcomes.next().unwrap_or_else(|| {
            Err(DeliveryError::retry(
                "no-outcome",
                "the destination gave no outcome for a delivery",
            ))
        });
        ended.push(Ended::new(entry, outcome, took_us));
    }
    ended
}

async fn delivery(work: &Attempt<'_>, entry: &Entry) -> Result<Delivery, DeliveryError> {
    let (payload, metadata) = match &entry.body {
        Some(body) => (body.payload.clone(), body.metadata.clone()),
        None => store::body(work.core, entry).await.map_err(|error| {
            let text = format!("cannot read the delivery from the journal: {error}");
            match error {
                // It will not get better, and a guess is never sent: a dead letter says so.
                JournalError::Damaged { .. } => DeliveryError::reject("journal-damaged", text),
                _ => DeliveryError::retry("journal-read", text),
            }
        })?,
    };
    Ok(Delivery {
        id: entry.id,
        channel: Arc::clone(&work.queue.channel),
        attempt: entry.attempts,
        payload,
        metadata,
        arrived_ms: entry.arrived_ms,
        blobs: work.core.blobs(),
    })
}
