//! `acknowledge: received`: a message is stored and answered first and processed afterwards.
//!
//! What was received stands in line by commit sequence, and one task per channel processes the
//! line in that order, so that messages of one key stay in order. The second commit completes the
//! first; what a stop leaves in line is found in the journal at the next start.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hilum_component::{Arrival, Disposition, Peer, Stop};
use hilum_journal::JournalError;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Channel;
use super::origin::{Origin, Taken};
use super::work::take_in;
use crate::alert::Alert;
use crate::runtime::Core;
use crate::store;

/// Messages of one channel that may wait to be processed before its source is held.
const RECEIVED_WAITING_MAX: usize = 4_096;

/// How long after a failed commit it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The commit sequences of what a channel has received and not processed.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: Mutex<VecDeque<u64>>,
    room: Notify,
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a message; `true` if it is the first, so that someone has to begin.
    pub(crate) fn push(&self, sequence: u64) -> bool {
        let mut waiting = self.lock();
        waiting.push_back(sequence);
        waiting.len() == 1
    }

    fn first(&self) -> Option<u64> {
        self.lock().front().copied()
    }

    fn done(&self) {
        self.lock().pop_front();
        self.room.notify_waiters();
    }

    /// Returns when fewer than [`RECEIVED_WAITING_MAX`] messages wait.
    pub(super) async fn room(&self) {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            // Registered before the look, so that room made in between is not missed.
            room.as_mut().enable();
            if self.lock().len() < RECEIVED_WAITING_MAX {
                return;
            }
            room.await;
        }
    }
}

/// Processes what channels have received, each in its own order.
pub(crate) async fn process_received(core: Arc<Core>, mut stop: Stop) {
    let mut tasks = JoinSet::new();
    let mut busy = HashMap::new();
    loop {
        for channel in core.channels() {
            let runs = busy.values().any(|name| *name == channel.name);
            if !runs && channel.received.first().is_some() {
                let name = Arc::clone(&channel.name);
                let task = tasks.spawn(work_off(Arc::clone(&core), channel, stop.clone()));
                busy.insert(task.id(), name);
            }
        }
        tokio::select! {
            () = core.received_wake.notified() => {}
            Some(ended) = tasks.join_next_with_id() => {
                busy.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            () = stop.requested() => break,
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Processes the line of one channel until it is empty or the engine stops.
async fn work_off(core: Arc<Core>, channel: Arc<Channel>, mut stop: Stop) {
    while let Some(sequence) = channel.received.first() {
        if stop.is_requested() {
            return;
        }
        let Err(text) = one(&core, &channel, sequence).await else {
            channel.received.done();
            continue;
        };
        tracing::error!(channel = %channel.name, sequence, error = text,
            "a received message could not be processed; trying again");
        tokio::select! {
            () = tokio::time::sleep(AGAIN_AFTER) => {}
            () = stop.requested() => return,
        }
    }
}

/// Processes one message; the error is one that a later attempt may not have.
async fn one(core: &Arc<Core>, channel: &Arc<Channel>, sequence: u64) -> Result<(), String> {
    let (row, payload) = match core.journal.received_at(sequence).await {
        Ok(found) => found,
        Err(error @ (JournalError::NotFound { .. } | JournalError::Damaged { .. })) => {
            tracing::error!(channel = %channel.name, sequence, error = store::chain(&error),
                "a received message is not readable any more; those behind it go on");
            return Ok(());
        }
        Err(error) => return Err(store::chain(&error)),
    };
    let peer = Peer::inside(row.peer.unwrap_or_default());
    let arrival = Arrival {
        payload,
        peer,
        metadata: row.metadata,
        remembers: None,
    };
    let origin = Origin::Received {
        message: row.message,
        arrived_ms: row.arrived_ms,
        sequence,
    };
    let taken = take_in(core, channel, arrival, origin).await;
    if taken.accepted.is_none() && !taken.duplicate {
        return Err(taken.reply.reason.unwrap_or_default());
    }
    channel.figures.disposed(taken.reply.disposition);
    tell_if_rejected(core, channel, &taken);
    Ok(())
}

/// Tells someone that a message whose sender had a positive answer could not be processed.
pub(crate) fn tell_if_rejected(core: &Core, channel: &Channel, taken: &Taken) {
    let rejected = match taken.reply.disposition {
        Disposition::Refused | Disposition::Rejected => true,
        Disposition::Accepted | Disposition::Filtered | Disposition::Held | Disposition::Failed => {
            false
        }
    };
    if !rejected {
        return;
    }
    let why = taken.reply.reason.as_deref().unwrap_or("no reason");
    core.publish_alert(Alert {
        kind: "rejected-later",
        state: "event",
        site: core.site(),
        channel: Some(Arc::clone(&channel.name)),
        owner: core.owner(&channel.name),
        destination: None,
        message: taken.reply.message.map(|id| id.to_string()),
        text: format!(
            "a message whose sender was told yes was rejected: {why}; correct the cause and replay it"
        ),
        at_ms: core.now_ms(),
    });
}
