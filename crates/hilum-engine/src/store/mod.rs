//! Between the engine's words and the journal's: what is written for a message, and what is read.

mod batch;
mod commit;
mod held;
mod read;
mod request;
mod values;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hilum_component::{
    Arrival, BlobWriter, ChannelPlan, Finding, Peer, Processed, SOURCE_SCOPE, Severity,
    StateChange, StateRead,
};
use hilum_journal::{AcceptError, AcceptRequest, Disposition, Publication, StateWrite};
use hilum_message::{Accepted, BlobRef, MessageId, Payload};

use crate::channel::{Channel, Origin};
use crate::resend::{ResendDigest, ResendKey};
use crate::runtime::Core;
use crate::stale::WhenOlder;

pub(crate) use commit::{dispatch, entry, remember_recovered};
pub(crate) use held::{Due, HeldMessages, due, finish, wake_held};
pub use read::Orphan;
pub(crate) use read::{
    after_reject, body, oldest_ms, pending, record, record_withdrawn, recover, restore_blocks,
    stored_answer,
};
use request::requests;
use smol_str::{SmolStr, format_smolstr};
pub(crate) use values::{as_it_came, of_delivery};

/// The channel under which the engine records what is not a message of a channel: what operators
/// do, and what sources remember.
pub(crate) const OWN: &str = "hilum";

/// Why a message was not recorded.
#[derive(Debug)]
pub(crate) enum AcceptFailure {
    /// What it read of the state has changed: process it again.
    Stale,
    /// It was recorded before.
    Duplicate,
    /// It could not be recorded.
    Failed(String),
}

/// Makes a processed message durable, with its deliveries, its parts and its state.
pub(crate) async fn accept(
    core: &Core,
    channel: &Channel,
    plan: &ChannelPlan,
    peer: &Peer,
    processed: Processed,
    key: Option<(ResendKey, ResendDigest)>,
    origin: &Origin,
) -> Result<Accepted, AcceptFailure> {
    let parts_max = core.parts_max();
    let mut all = requests(core, channel, plan, peer, processed, key, origin);
    if all.len() <= parts_max + 1 {
        return accept_all(core, all, None).await.and_then(first);
    }
    let parts = all.split_off(1);
    let parent = all
        .pop()
        .ok_or_else(|| AcceptFailure::Failed("nothing to record".to_owned()))?;
    batch::accept(core, parent, parts).await
}

fn first(accepted: Vec<Accepted>) -> Result<Accepted, AcceptFailure> {
    let none = || AcceptFailure::Failed("the journal gave no proof".to_owned());
    accepted.into_iter().next().ok_or_else(none)
}

/// Hands requests to the journal; waits while it is full, notes when the disk is.
pub(crate) async fn accept_all(
    core: &Core,
    requests: Vec<AcceptRequest>,
    publication: Option<Publication>,
) -> Result<Vec<Accepted>, AcceptFailure> {
    loop {
        let room = core.journal.room();
        match core.journal.accept_all(requests.clone(), publication).await {
            Ok(accepted) => {
                core.disk_full.store(false, Ordering::Relaxed);
                count_unmapped(core, &requests);
                return Ok(accepted);
            }
            Err(AcceptError::QueueFull) => room.await,
            Err(AcceptError::Stale(_)) => return Err(AcceptFailure::Stale),
            Err(AcceptError::Duplicate) => return Err(AcceptFailure::Duplicate),
            Err(error) => {
                if matches!(error, AcceptError::Full(_)) {
                    core.disk_full.store(true, Ordering::Relaxed);
                }
                return Err(AcceptFailure::Failed(chain(&error)));
            }
        }
    }
}

/// Counts codes that no table has, when their messages are recorded.
fn count_unmapped(core: &Core, requests: &[AcceptRequest]) {
    for request in requests {
        let codes = request.state_merges.len();
        if codes > 0
            && let Some(channel) = core.channel(&request.channel)
        {
            channel.figures.unmapped.add(codes as u64);
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Records a message for all channels of a hop, in one commit that also settles the delivery
/// that causes it.
pub(crate) async fn accept_hop(
    core: &Core,
    subscribers: Vec<(Arc<Channel>, Arc<ChannelPlan>, Processed)>,
    publication: Publication,
    from: &str,
    relation: &'static str,
) -> Result<(), AcceptFailure> {
    let peer = Peer::inside(Arc::from(from));
    let origin = Origin::Linked {
        from: publication.delivery.id.message,
        relation,
        only: Vec::new(),
        completes: None,
        released: None,
        older: WhenOlder::Goes,
    };
    let all = subscribers
        .into_iter()
        .flat_map(|(channel, plan, processed)| {
            channel.figures.received.add(1);
            channel.figures.disposed(processed.disposition);
            requests(core, &channel, &plan, &peer, processed, None, &origin)
        });
    accept_all(core, all.collect(), Some(publication))
        .await
        .map(drop)
}

/// Records that a message came again, and which one it repeats.
pub(crate) async fn record_resend(
    core: &Core,
    channel: &Channel,
    again: MessageId,
    (received, writes): (&Payload, Option<StateChange>),
    first_one: MessageId,
    peer: &Peer,
) -> Result<Accepted, AcceptFailure> {
    let request = AcceptRequest {
        disposition: Disposition::Suppressed,
        reason: Some(Arc::from("sent again; answered as before")),
        replay_of: Some(first_one),
        peer: Some(Arc::clone(&peer.label)),
        plan: channel.plan().digest,
        state_writes: writes.into_iter().map(request::write).collect(),
        ..AcceptRequest::new(again, Arc::clone(&channel.name), received.clone())
    };
    accept_all(core, vec![request], None).await.and_then(first)
}

/// Records bytes that are no message, or only the beginning of one.
pub(crate) async fn record_part(
    core: &Core,
    channel: &Channel,
    bytes: Bytes,
    reason: String,
    peer: Peer,
) -> Result<MessageId, AcceptFailure> {
    let id = core.ids.next(core.now_ms());
    let request = AcceptRequest {
        disposition: Disposition::Rejected,
        reason: Some(Arc::from(reason)),
        peer: Some(peer.label),
        plan: channel.plan().digest,
        ..AcceptRequest::new(id, Arc::clone(&channel.name), Payload::inline(bytes))
    };
    accept_all(core, vec![request], None).await.map(|_| id)
}

/// Writes state that belongs to no message, as a record of its own.
pub(crate) async fn write_state(
    core: &Core,
    reason: String,
    writes: Vec<StateWrite>,
) -> Result<(), AcceptFailure> {
    let id = core.ids.next(core.now_ms());
    let request = AcceptRequest {
        reason: Some(Arc::from(reason)),
        state_writes: writes,
        ..AcceptRequest::new(id, Arc::from(OWN), Payload::default())
    };
    accept_all(core, vec![request], None).await.map(drop)
}

/// Writes what a person changed, if what it was made of is still so.
pub(crate) async fn record_edit(
    core: &Core,
    id: MessageId,
    reason: &str,
    reads: Vec<StateRead>,
    writes: Vec<StateChange>,
) -> Result<(), AcceptFailure> {
    let request = AcceptRequest {
        reason: Some(Arc::from(reason)),
        state_reads: reads.into_iter().map(request::read).collect(),
        state_writes: writes.into_iter().map(request::write).collect(),
        ..AcceptRequest::new(id, Arc::from(OWN), Payload::default())
    };
    accept_all(core, vec![request], None).await.map(drop)
}

/// What a source wants to find again after a restart.
pub(crate) async fn remember(
    core: &Core,
    channel: &Channel,
    key: &str,
    value: Bytes,
) -> std::io::Result<()> {
    let write = StateWrite {
        scope: SmolStr::new_static(SOURCE_SCOPE),
        key: format_smolstr!("{}/{key}", channel.name),
        value: Some(value),
        expires_ms: None,
    };
    write_state(
        core,
        format!("the source of {} remembers its place", channel.name),
        vec![write],
    )
    .await
    .map_err(|failure| std::io::Error::other(failure.text()))
}

/// The same as a change of the commit of a message.
pub(crate) fn remembered(channel: &Channel, arrival: &Arrival) -> Option<StateChange> {
    let (key, value) = arrival.remembers.as_ref()?;
    Some(StateChange {
        scope: SOURCE_SCOPE.into(),
        key: format_smolstr!("{}/{key}", channel.name),
        value: Some(value.clone()),
        expires_ms: None,
    })
}

/// What [`remember`] keeps.
pub(crate) fn recall(core: &Core, channel: &Channel, key: &str) -> Option<Bytes> {
    let found = core
        .journal
        .state(SOURCE_SCOPE, &format!("{}/{key}", channel.name));
    found.ok().and_then(|found| found.value)
}

/// The finding on a message that came under an id that another content had.
pub(crate) fn other_content() -> Finding {
    Finding {
        step: "resend".to_owned(),
        code: "control-id-reused".to_owned(),
        path: None,
        severity: Severity::Warning,
        text: "another message came lately under the same id with other content".to_owned(),
    }
}

impl AcceptFailure {
    /// What happened, for people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Stale => "the state has changed".to_owned(),
            Self::Duplicate => "this was recorded before".to_owned(),
            Self::Failed(text) => text.clone(),
        }
    }
}

/// A blob that is written on the blocking threads.
struct Blob(Option<hilum_journal::BlobWriter>, u64);

/// A blob in the open partition.
pub(crate) fn blob(core: &Core) -> std::io::Result<Box<dyn BlobWriter>> {
    let id = core.ids.next(core.now_ms());
    let writer = core
        .journal
        .blob(id, 0)
        .map_err(|error| std::io::Error::other(chain(&error)))?;
    Ok(Box::new(Blob(Some(writer), 0)))
}

impl BlobWriter for Blob {
    fn write<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> hilum_component::BoxFuture<'a, std::io::Result<()>> {
        Box::pin(async move {
            let writer = self
                .0
                .as_mut()
                .ok_or_else(|| std::io::Error::other("the blob is finished"))?;
            self.1 += bytes.len() as u64;
            writer
                .append(bytes)
                .map_err(|error| std::io::Error::other(chain(&error)))
        })
    }

    fn written(&self) -> u64 {
        self.1
    }

    fn finish(
        mut self: Box<Self>,
    ) -> hilum_component::BoxFuture<'static, std::io::Result<BlobRef>> {
        Box::pin(async move {
            let writer = self
                .0
                .take()
                .ok_or_else(|| std::io::Error::other("the blob is finished"))?;
            let finished = tokio::task::spawn_blocking(move || writer.finish()).await;
            let stored = finished
                .map_err(std::io::Error::other)?
                .map_err(|error| std::io::Error::other(chain(&error)))?;
            Ok(stored.blob)
        })
    }
}
