//! Messages of more parts than one commit holds: opened, committed part by part, closed.
//!
//! The parent's row is stored as *open* first. From then on the parts are a promise: a commit that
//! fails is repeated from the first part that is missing, and a batch that a stop interrupted goes
//! on at the next start, before sources are opened. The sender is answered after the close.

use std::sync::Arc;
use std::time::Duration;

use hilum_component::{ChannelPlan, Incoming, Peer, Processed, Released, ReleasedBy};
use hilum_journal::{AcceptRequest, Disposition, JournalError, StoredMessage};
use hilum_message::{Accepted, MessageId, Payload};

use super::held::HeldMessage;
use super::{AcceptFailure, accept_all, first, held, request};
use crate::channel::{Channel, Origin, processed};
use crate::runtime::Core;

/// How long after a failed commit it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Commits a message of many parts; returns when it is closed.
pub(super) async fn accept(
    core: &Core,
    parent: AcceptRequest,
    parts: Vec<AcceptRequest>,
) -> Result<Accepted, AcceptFailure> {
    let open = AcceptRequest {
        disposition: Disposition::BatchOpen,
        ..parent
    };
    let (channel, place) = (Arc::clone(&open.channel), open.place);
    let opened = accept_all(core, vec![open], None).await.and_then(first)?;
    let batch = Batch {
        message: opened.message(),
        sequence: opened.sequence(),
        channel,
        place,
    };
    finish(core, &batch, parts, 0).await;
    Ok(opened)
}

/// The row of an open batch.
struct Batch {
    message: MessageId,
    sequence: u64,
    channel: Arc<str>,
    place: Option<u64>,
}

/// Commits the parts from `from` on, and the close.
async fn finish(core: &Core, batch: &Batch, parts: Vec<AcceptRequest>, from: usize) {
    let (message, sequence) = (batch.message, batch.sequence);
    let mut done = from;
    while done < parts.len() {
        let chunk: Vec<_> = parts
            .iter()
            .skip(done)
            .take(core.parts_max())
            .cloned()
            .collect();
        let count = chunk.len();
        match accept_all(core, chunk, None).await {
            Ok(_) => done += count,
            Err(failure) => {
                again(message, &failure).await;
                done = stored(core, message, sequence).await;
            }
        }
    }
    let id = message.derive("closed", 0);
    let closed = AcceptRequest {
        parent: Some((message, u32::MAX)),
        disposition: Disposition::BatchClosed,
        completes: Some(sequence),
        place: batch.place,
        ..AcceptRequest::new(id, Arc::clone(&batch.channel), Payload::default())
    };
    loop {
        match accept_all(core, vec![closed.clone()], None).await {
            // A repeated close is found to be a duplicate if the first one was on disk after all.
            Ok(_) | Err(AcceptFailure::Duplicate) => return,
            Err(failure) => again(message, &failure).await,
        }
    }
}

async fn again(message: MessageId, failure: &AcceptFailure) {
    tracing::error!(message_id = %message, error = failure.text(),
        "parts of a message could not be recorded; trying again until they are");
    tokio::time::sleep(AGAIN_AFTER).await;
}

/// How many parts the journal has. A commit that failed may be on disk after all.
async fn stored(core: &Core, message: MessageId, opened: u64) -> usize {
    loop {
        match core.journal.first_missing_part(message, opened).await {
            Ok(count) => return count as usize,
            Err(error) => {
                let failure = AcceptFailure::Failed(super::chain(&error));
                again(message, &failure).await;
            }
        }
    }
}

/// Goes on with a batch that a stop interrupted: it is processed again, which gives the same
/// parts, and those that are missing are committed.
pub(super) async fn resume(core: &Arc<Core>, row: StoredMessage) -> Result<(), JournalError> {
    let Some(channel) = core.channel(&row.channel) else {
        tracing::error!(channel = %row.channel, message_id = %row.message,
            "a message was recorded in part, and its channel is gone; it stays in the journal: \
             name the channel again");
        return Ok(());
    };
    let released = block_again(core, &row).await?;
    let plan = channel.plan();
    if plan.digest != row.plan {
        tracing::warn!(channel = %row.channel, message_id = %row.message,
            "a message that was recorded in part is completed with a newer plan");
    }
    let (_, payload) = core.journal.received_at(row.sequence).await?;
    let mut incoming = Incoming::new(row.message, row.arrived_ms, payload, row.metadata.clone());
    incoming.released = released;
    let Some(processed) = processed(core, &channel, &plan, incoming).await else {
        return Ok(());
    };
    let parts = parts(core, &channel, &plan, &row, processed);
    let batch = Batch {
        message: row.message,
        sequence: row.sequence,
        channel: Arc::clone(&row.channel),
        place: row.place,
    };
    let from = stored(core, row.message, row.sequence).await;
    tracing::info!(channel = %row.channel, message_id = %row.message, from, parts = parts.len(),
        "a message that was recorded in part is completed");
    finish(core, &batch, parts, from).await;
    Ok(())
}

fn parts(
    core: &Core,
    channel: &Channel,
    plan: &ChannelPlan,
    row: &StoredMessage,
    processed: Processed,
) -> Vec<AcceptRequest> {
    let peer = Peer::inside(row.peer.clone().unwrap_or_default());
    let mut all = request::requests(core, channel, plan, &peer, processed, None, &Origin::Source);
    let mut parts = all.split_off(1.min(all.len()));
    for part in &mut parts {
        part.place = row.place;
    }
    parts
}

/// A batch that a held message became goes on blocking its keys; gives the hold that is over.
async fn block_again(core: &Core, row: &StoredMessage) -> Result<Option<Released>, JournalError> {
    let (Some(of), Some(origin)) = (row.place, row.completes) else {
        return Ok(None);
    };
    let (origin, _) = core.journal.received_at(origin).await?;
    let Some(hold) = &origin.hold else {
        return Ok(None);
    };
    let place = (origin.sequence, of);
    let held = HeldMessage::new(&row.channel, origin.message, place, hold).opened();
    let released = Released {
        step: held.step,
        by: ReleasedBy::Decision,
    };
    held::hold(core, row.sequence, held, &hold.keys);
    Ok(Some(released))
}
