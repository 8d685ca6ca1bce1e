//! What the engine reads back: queues, bodies, answers, and everything at start.

use std::sync::Arc;

use bytes::Bytes;
use hilum_component::{AfterReject, Class, DeliveryError, DestinationPlan, Identity, Outcome};
use hilum_journal::{
    Attempt, DeliveryRef, Disposition, JournalError, Outcome as Stored, PendingDelivery, Recovered,
    SetAside, Settlement,
};
use hilum_message::{DeliveryId, MessageId, Metadata, Payload};

use super::held::HeldMessage;
use super::{batch, commit, held};
use crate::alert::Alert;
use crate::lanes::{Entry, WINDOW};
use crate::queue::{Queue, Target};
use crate::resend::{ResendDigest, ResendKey};
use crate::runtime::Core;

/// A destination that the plan does not have, while deliveries wait for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Orphan {
    /// The channel.
    pub channel: Arc<str>,
    /// The destination.
    pub destination: Arc<str>,
    /// How many wait.
    pub waiting: u64,
}

impl std::fmt::Display for Orphan {
    /// Says what to write where.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            channel,
            destination,
            waiting,
        } = self;
        write!(
            f,
            "{channel}/{destination} ({waiting} wait): below `to:` of channel {channel}, name \
             {destination} with `removed: drain` or `removed: dead-letter`, or write `was: \
             {destination}` at the destination that takes its place"
        )
    }
}

/// Deliveries that are read from the journal at once.
const PAGE: usize = WINDOW / 2;

/// The next deliveries of a queue after a commit sequence, in order, and whether there may be more.
/// All deliveries of a message come together.
pub(crate) async fn pending(
    core: &Core,
    queue: &Queue,
    after: u64,
) -> Result<(Vec<Entry>, bool), JournalError> {
    let (mut all, mut complete_to) = (Vec::new(), u64::MAX);
    for name in queue.names() {
        let (found, more) = page(core, &queue.channel, name, after).await?;
        if let Some(last) = found.last().filter(|_| more) {
            complete_to = complete_to.min(last.delivery.sequence);
        }
        all.extend(found);
    }
    all.retain(|delivery| delivery.delivery.sequence <= complete_to);
    all.sort_by_key(|delivery| (delivery.delivery.sequence, delivery.delivery.id.ordinal));
    let entries = all.into_iter().map(commit::entry).collect();
    Ok((entries, complete_to < u64::MAX))
}

/// The next deliveries under one name: whole messages only, at least one of them.
async fn page(
    core: &Core,
    channel: &Arc<str>,
    destination: &Arc<str>,
    after: u64,
) -> Result<(Vec<PendingDelivery>, bool), JournalError> {
    let place = DeliveryRef {
        id: DeliveryId {
            message: MessageId::default(),
            ordinal: u32::MAX,
        },
        sequence: after,
    };
    let mut limit = PAGE;
    loop {
        let (channel, destination) = (Arc::clone(channel), Arc::clone(destination));
        let mut found = core
            .journal
            .pending(channel, destination, Some(place), limit)
            .await?;
        if found.len() < limit {
            return Ok((found, false));
        }
        // The deliveries of the last message may go on behind the page.
        let last = found.last().map(|delivery| delivery.delivery.sequence);
        found.retain(|delivery| Some(delivery.delivery.sequence) != last);
        if !found.is_empty() {
            return Ok((found, true));
        }
        limit *= 2;
    }
}

/// The bytes of a delivery and the values of its message.
pub(crate) async fn body(core: &Core, entry: &Entry) -> Result<(Payload, Metadata), JournalError> {
    let delivery = DeliveryRef {
        id: entry.id,
        sequence: entry.sequence,
    };
    let (row, payload) = core.journal.body(delivery).await?;
    Ok((payload, super::of_delivery(&row.metadata, entry.id.ordinal)))
}

/// Records how an attempt ended.
pub(crate) async fn record(
    core: &Core,
    entry: &Entry,
    outcome: &Outcome,
    took_us: u64,
) -> Result<(), JournalError> {
    let duration_ms = u32::try_from(took_us / 1_000).unwrap_or(u32::MAX);
    let started_ms = core.now_ms().saturating_sub(u64::from(duration_ms));
    let (stored, reason, reply) = match outcome {
        Ok(delivered) => (
            Stored::Delivered,
            delivered.summary.clone(),
            delivered.reply.clone(),
        ),
        Err(error) => {
            let stored = match error.class {
                Class::Retry => Stored::Retry,
                Class::Reject => Stored::DeadLetter,
                Class::Halt => Stored::Halt,
            };
            (
                stored,
                format!("{} ({})", error.message, error.code),
                error.reply.clone(),
            )
        }
    };
    let last = Attempt {
        started_ms,
        duration_ms,
        outcome: stored,
        reason: Some(Arc::from(reason)).filter(|reason: &Arc<str>| !reason.is_empty()),
        reply: reply.map(Payload::inline),
    };
    let delivery = DeliveryRef {
        id: entry.id,
        sequence: entry.sequence,
    };
    match stored {
        Stored::Delivered | Stored::DeadLetter | Stored::Withdrawn => {
            core.journal.settle(Settlement { delivery, last }).await
        }
        Stored::Retry | Stored::Halt => core.journal.attempt(delivery, last).await,
    }
}

/// Records that a delivery is not sent, and why.
pub(crate) async fn record_withdrawn(
    core: &Core,
    entry: &Entry,
    error: &DeliveryError,
) -> Result<(), JournalError> {
    let last = Attempt {
        started_ms: core.now_ms(),
        duration_ms: 0,
        outcome: Stored::Withdrawn,
        reason: Some(format!("{} ({})", error.message, error.code).into()),
        reply: None,
    };
    let delivery = DeliveryRef {
        id: entry.id,
        sequence: entry.sequence,
    };
    core.journal.settle(Settlement { delivery, last }).await
}

/// What the rejection of a delivery means for its successors: as the destination says, else by
/// the type of the message.
pub(crate) async fn after_reject(
    core: &Core,
    queue: &Queue,
    target: &Target,
    entry: &Entry,
) -> AfterReject {
    if let Some(after) = target.plan.after_reject {
        return after;
    }
    let kind = core
        .journal
        .header_at(entry.sequence)
        .await
        .ok()
        .and_then(|row| row.kind);
    by_kind(core, queue, kind.as_deref())
}

fn by_kind(core: &Core, queue: &Queue, kind: Option<&str>) -> AfterReject {
    let identity = Identity {
        message_type: kind.map(str::to_owned),
        ..Identity::default()
    };
    let depend = core
        .channel(&queue.channel)
        .is_some_and(|channel| channel.plan().format.successors_depend(&identity));
    if depend {
        AfterReject::HoldKey
    } else {
        AfterReject::Continue
    }
}

/// The answer that a message got.
pub(crate) async fn stored_answer(
    core: &Core,
    message: MessageId,
) -> Result<Option<Bytes>, JournalError> {
    let mut row = core.journal.header(message).await?;
    // The answer lies with the row that it was given for, which may have been completed since.
    while let (None, Some(completed)) = (&row.resend, row.completes) {
        row = core.journal.header_at(completed).await?;
    }
    let answer = core.journal.answer_at(row.sequence).await?;
    Ok(answer.filter(|answer| !answer.is_empty()))
}

/// When the message of a queue's first delivery arrived, as far as it is in memory.
pub(crate) fn oldest_ms(queue: &Queue) -> Option<u64> {
    queue.scope.lanes().oldest_ms(queue.id)
}

/// Puts everything back that the journal holds from before the start; gives the destinations for
/// which deliveries wait and which the plan does not have, with their number.
pub(crate) async fn recover(
    core: &Arc<Core>,
    recovered: Recovered,
) -> Result<Vec<Orphan>, JournalError> {
    if recovered.unclean {
        tracing::warn!("the last stop was not in order; the journal was recovered");
    }
    for aside in &recovered.set_aside {
        core.publish_alert(damaged(core, aside));
    }
    let mut orphans = Vec::new();
    for ((channel, destination), backlog) in &recovered.pending {
        match core.queue(channel, destination) {
            Some(queue) => {
                queue.fill.add(backlog.count, backlog.bytes);
                queue.scope.lanes().unloaded(queue.id);
            }
            None => orphans.push(Orphan {
                channel: Arc::clone(channel),
                destination: Arc::clone(destination),
                waiting: backlog.count,
            }),
        }
    }
    orphans.sort();
    for entry in &recovered.resends {
        let accepted = matches!(
            entry.disposition,
            Disposition::Accepted
                | Disposition::Filtered
                | Disposition::Held
                | Disposition::Received
                | Disposition::BatchOpen
        );
        if let Some(channel) = core.channel(&entry.channel).filter(|_| accepted) {
            let (key, digest) = (
                ResendKey(entry.resend.key),
                ResendDigest(entry.resend.digest),
            );
            channel
                .memory()
                .restore(key, digest, entry.message, entry.committed_ms);
        }
    }
    let oldest = recovered.pending.values().map(|backlog| backlog.oldest);
    held_meanwhile(core, oldest.min()).await?;
    for delivery in recovered.placed {
        if let Some(queue) = core.queue(&delivery.channel, &delivery.destination) {
            let entry = commit::entry(delivery);
            queue.scope.lanes().keep_place(queue.id, entry);
        }
    }
    for row in &recovered.holds {
        if let Some(hold) = &row.hold {
            let place = (row.sequence, row.place.unwrap_or(row.sequence));
            let held = HeldMessage::new(&row.channel, row.message, place, hold).found();
            held::hold(core, row.sequence, held, &hold.keys);
        }
    }
    for row in recovered.open_batches {
        batch::resume(core, row).await?;
    }
    for row in &recovered.received {
        match core.channel(&row.channel) {
            Some(channel) => drop(channel.received.push(row.sequence)),
            None => tracing::error!(channel = %row.channel, message_id = %row.message,
                "a message was received and not processed, and its channel is gone; it stays in \
                 the journal: name the channel again"),
        }
    }
    core.received_wake.notify_one();
    for channel in core.channels() {
        for queue in core.queues_of(&channel.name) {
            holding(core, &queue).await?;
            core.restore_pause(&queue);
            queue.try_again();
        }
    }
    Ok(orphans)
}

/// What waits still is compared with what went on from a hold after it was committed.
async fn held_meanwhile(core: &Core, oldest: Option<u64>) -> Result<(), JournalError> {
    // What went on before the oldest was committed was known to all of it.
    let Some(oldest) = oldest else {
        return Ok(());
    };
    for row in core.journal.placed_since(oldest).await? {
        if let Some(origin) = row.completes {
            let origin = core.journal.header_at(origin).await?;
            held::was_held(core, &origin, row.sequence);
        }
    }
    Ok(())
}

/// Puts back what blocks keys at a queue that takes the place of others while the engine runs.
pub(crate) async fn restore_blocks(core: &Core, queue: &Queue) -> Result<(), JournalError> {
    holding(core, queue).await?;
    for row in core.journal.holds().await? {
        if let Some(hold) = row.hold.as_ref().filter(|_| row.channel == queue.channel) {
            held::block(core, queue, row.sequence, &hold.keys);
        }
    }
    Ok(())
}

fn damaged(core: &Core, aside: &SetAside) -> Alert {
    Alert {
        kind: "journal-damaged",
        state: "event",
        site: core.site(),
        channel: None,
        owner: None,
        destination: None,
        message: None,
        text: format!(
            "{} was damaged and is kept as {}: {} messages and {} deliveries could be read of it, \
             {} rows could not; check the disk and restore what is missing from a backup",
            aside.file, aside.kept_as, aside.messages, aside.deliveries, aside.lost
        ),
        at_ms: core.now_ms(),
    }
}

/// Dead letters that hold the successors of their keys go on holding them.
async fn holding(core: &Core, queue: &Queue) -> Result<(), JournalError> {
    let plan: Arc<DestinationPlan> = queue.target().plan;
    if matches!(
        plan.after_reject,
        Some(AfterReject::Continue | AfterReject::HoldDestination)
    ) {
        return Ok(());
    }
    let mut dead = Vec::new();
    for name in queue.names() {
        let (channel, name) = (Arc::clone(&queue.channel), Arc::clone(name));
        let of_name = core.journal.dead_letters(channel, name, None, WINDOW);
        dead.extend(of_name.await?);
    }
    for stored in dead {
        let sequence = stored.delivery.delivery.sequence;
        let row = core.journal.header_at(sequence).await?;
        let holds = plan.after_reject == Some(AfterReject::HoldKey)
            || by_kind(core, queue, row.kind.as_deref()) == AfterReject::HoldKey;
        if holds {
            let entry = commit::entry(stored.delivery);
            queue.scope.lanes().hold(
                queue.id,
                Entry {
                    holds_keys: true,
                    body: None,
                    ..entry
                },
            );
        }
    }
    Ok(())
}
