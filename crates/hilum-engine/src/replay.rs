//! Processing a stored message again: for real (a replay), or to see what its steps did (a trace).
//!
//! Both start from the bytes exactly as they were received, with a plan of the caller's choice.

use std::fmt::Write as _;
use std::sync::Arc;

use hilum_component::{
    Arrival, ChannelPlan, Disposition, FIRST_RECEIVED, Finding, Incoming, Peer, ProcessEnvironment,
    Processed, REPEATS_RECEIVED, Reason, Released, ReleasedBy, StepTrace, trace,
};
use hilum_fhirpath::NoHost;
use hilum_journal::StoredMessage;
use hilum_message::{MessageId, Metadata, Payload, PlanDigest};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::channel::{Channel, Origin, REPLAY, take_in_with};
use crate::operate::{OperateError, missing};
use crate::pool::Budget;
use crate::stale::{OldState, WhenOlder};
use crate::{Core, Engine, PlanChoice, store};

/// A trace compares the document around every step, so it has more time than a message.
const TRACE_BUDGET_TIMES: u32 = 8;

/// Digits of a plan's digest that are asked for at least.
const DIGITS_MIN: usize = 6;

/// How a message is processed again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Only to these destinations, after everything else that waits there; to all if none is
    /// named.
    pub only: Vec<Arc<str>>,
    /// With which plan.
    pub plan: PlanChoice,
    /// If it brings back an old state.
    pub old: OldState,
    /// Why, for the record of what is forced.
    pub reason: String,
    /// Named values that it has beside those with which it came.
    pub values: Vec<(String, String)>,
}

/// What became of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Replayed {
    /// The new message.
    pub message: Option<String>,
    /// What was decided about it.
    pub disposition: Disposition,
    /// Why.
    pub reason: Option<String>,
    /// The digest of the plan that it was processed with.
    pub plan: String,
}

/// What the steps of a stored message do, as far as it can be known afterwards: the received bytes
/// are those of then, the state is that of now.
#[derive(Clone, Debug)]
pub struct Recomputed {
    /// The message.
    pub message: MessageId,
    /// Its channel.
    pub channel: Arc<str>,
    /// The plan that it was processed with.
    pub recorded: PlanDigest,
    /// The plan that was used now; another digest means another plan, or the same files read by
    /// another version of the program.
    pub used: PlanDigest,
    /// What is decided about it.
    pub disposition: Disposition,
    /// Why.
    pub reason: Option<Reason>,
    /// What is noticed, steps included.
    pub findings: Vec<Finding>,
    /// Where it goes.
    pub destinations: Vec<Arc<str>>,
    /// The messages that it is split into.
    pub children: usize,
    /// A step reads state, which may be another now.
    pub reads_state: bool,
    /// What each step did, in the order in which they ran.
    pub steps: Vec<StepTrace>,
}

impl Engine {
    /// Processes a message again. The new message is linked to the old one and is not taken for a
    /// resend.
    ///
    /// # Errors
    /// If the message, its channel or the plan is not there, a destination's queue is full, a
    /// receiver has a newer state of what it tells of and nobody forces it, or the new message could
    /// not be recorded.
    pub async fn replay(
        &self,
        message: MessageId,
        replay: Replay,
    ) -> Result<Replayed, OperateError> {
        let (row, payload) = self.stored(message).await?;
        let channel = self.running(&row.channel)?;
        let today = channel.plan();
        let plan = self.chosen(&row, &replay.plan).await?;
        let goes_to: Vec<&Arc<str>> = match replay.only.as_slice() {
            [] => plan.destinations.iter().map(|to| &to.name).collect(),
            only => only.iter().collect(),
        };
        for name in goes_to {
            if !today.destinations.iter().any(|to| to.name == *name) {
                return Err(OperateError::NotFound(format!(
                    "destination {name} of channel {} in the running plan",
                    row.channel
                )));
            }
        }
        if let Some(full) = self.core().full_queue(&row.channel) {
            let text = format!("the queue of {full} is full; replay when it has shrunk");
            return Err(OperateError::Conflict(text));
        }
        let plan = match replay.plan {
            // Its files are kept under the digest of then, by which the new message finds them.
            PlanChoice::Then if plan.digest != row.plan => Arc::new(ChannelPlan {
                digest: row.plan,
                ..(*plan).clone()
            }),
            PlanChoice::Then | PlanChoice::Current | PlanChoice::Digest(_) => plan,
        };
        let digest = plan.digest;
        let peer = Peer::inside(Arc::from("replay"));
        let mut metadata = anew(store::as_it_came(row.metadata), row.arrived_ms);
        for (name, value) in replay.values {
            metadata.set(name, value);
        }
        let arrival = Arrival {
            payload,
            peer,
            metadata,
            remembers: None,
        };
        let origin = Origin::Linked {
            from: message,
            relation: REPLAY,
            only: replay.only,
            completes: None,
            released: None,
            older: WhenOlder::decided(replay.old, &replay.reason),
        };
        let taken = take_in_with(self.core(), &channel, Some(plan), arrival, origin).await;
        let reply = taken.reply;
        if let Some(outdated) = taken.outdated.filter(|_| taken.accepted.is_none()) {
            return Err(OperateError::OldState(outdated));
        }
        if taken.accepted.is_none() && !taken.duplicate {
            let why = reply.reason.unwrap_or_default();
            return Err(OperateError::Record(why));
        }
        channel.figures.disposed(reply.disposition);
        Ok(Replayed {
            message: reply.message.map(|id| id.to_string()),
            disposition: reply.disposition,
            reason: reply.reason,
            plan: digest.to_string(),
        })
    }

    /// Processes a message again for the stores of this node alone, with named values that tell a step
    /// what is wanted; `None` where its channel has no such store, or one of the two is gone.
    ///
    /// # Errors
    /// As [`Engine::replay`], but for what is not there.
    pub async fn again_for_stores(
        &self,
        message: MessageId,
        values: Vec<(String, String)>,
        reason: &str,
    ) -> Result<Option<Replayed>, OperateError> {
        let found = match self.stored(message).await {
            Ok((row, _)) => self.core().channel(&row.channel),
            Err(OperateError::NotFound(_)) => None,
            Err(other) => return Err(other),
        };
        let Some(channel) = found else {
            return Ok(None);
        };
        let plan = channel.plan();
        let stores = plan.destinations.iter().filter(|to| to.store);
        let only: Vec<_> = stores.map(|to| Arc::clone(&to.name)).collect();
        if only.is_empty() {
            return Ok(None);
        }
        let replay = Replay {
            only,
            // Who takes something back knows that there is something newer.
            old: OldState::Force,
            reason: reason.to_owned(),
            values,
            ..Replay::default()
        };
        self.replay(message, replay).await.map(Some)
    }

    /// What the steps of a stored message do with a plan; nothing is stored or sent.
    ///
    /// # Errors
    /// If the message or the plan is not there.
    pub async fn recompute(
        &self,
        message: MessageId,
        choice: &PlanChoice,
    ) -> Result<Recomputed, OperateError> {
        let (row, payload) = self.stored(message).await?;
        let plan = self.chosen(&row, choice).await?;
        let metadata = store::as_it_came(row.metadata.clone());
        let mut incoming = Incoming::new(message, row.arrived_ms, payload, metadata);
        incoming.released = self.released(&row).await;
        let (sender, receiver) = oneshot::channel();
        let core = Arc::clone(self.core());
        let of_plan = Arc::clone(&plan);
        let job = move || {
            // Whoever asked may have gone.
            drop(sender.send(run(&core, &of_plan, incoming)));
        };
        // A line of its own in the pool, so that it waits for no channel and holds none up.
        self.core().pool.submit(self.core().number(), Box::new(job));
        let closed = |_| OperateError::Conflict("the engine is stopping".to_owned());
        let (processed, steps) = receiver.await.map_err(closed)?;
        Ok(Recomputed {
            message,
            channel: row.channel,
            recorded: row.plan,
            used: plan.digest,
            disposition: processed.disposition,
            reason: processed.reason,
            findings: processed.findings,
            destinations: processed
                .deliveries
                .into_iter()
                .map(|delivery| delivery.destination)
                .collect(),
            children: processed.children.len(),
            reads_state: !processed.reads.is_empty(),
            steps,
        })
    }

    async fn stored(&self, message: MessageId) -> Result<(StoredMessage, Payload), OperateError> {
        let found = self.core().journal.received(message).await;
        found.map_err(missing("message", message))
    }

    /// The hold that was over, of a message that had been held. Its row may be gone by now.
    async fn released(&self, row: &StoredMessage) -> Option<Released> {
        let held = self.core().journal.received_at(row.completes?).await;
        let step = held.ok()?.0.hold?.step.parse().ok()?;
        let by = ReleasedBy::Decision;
        Some(Released { step, by })
    }

    fn running(&self, channel: &str) -> Result<Arc<Channel>, OperateError> {
        self.core()
            .channel(channel)
            .ok_or_else(|| OperateError::NotFound(format!("channel {channel} in the running plan")))
    }

    /// The plan that is meant.
    async fn chosen(
        &self,
        row: &StoredMessage,
        choice: &PlanChoice,
    ) -> Result<Arc<ChannelPlan>, OperateError> {
        let digits = match choice {
            PlanChoice::Current => return Ok(self.running(&row.channel)?.plan()),
            PlanChoice::Then => hex(&row.plan),
            PlanChoice::Digest(digits) => digits.to_ascii_lowercase(),
        };
        if digits.len() < DIGITS_MIN || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            let text = format!("a plan is named by {DIGITS_MIN} or more hexadecimal digits");
            return Err(OperateError::Conflict(text));
        }
        if let Some(channel) = self.core().channel(&row.channel) {
            let today = channel.plan();
            if hex(&today.digest).starts_with(&digits) {
                return Ok(today);
            }
        }
        let (kept, channel) = (Arc::clone(&self.core().kept), Arc::clone(&row.channel));
        let wanted = digits.clone();
        let found = tokio::task::spawn_blocking(move || kept.channel(&channel, &wanted)).await;
        let found = found.map_err(|error| OperateError::Conflict(error.to_string()))?;
        found.map_err(OperateError::Conflict)?.ok_or_else(|| {
            OperateError::NotFound(format!("kept plan {digits} with a channel {}", row.channel))
        })
    }
}

fn run(core: &Core, plan: &ChannelPlan, incoming: Incoming) -> (Processed, Vec<StepTrace>) {
    let budget = plan.step_budget.duration() * TRACE_BUDGET_TIMES;
    let meter = Budget::start(budget, incoming.payload.len());
    let mut environment = ProcessEnvironment {
        index_key: &core.index_key,
        links: &*core.links,
        state: core,
        meter: &meter,
        host: &NoHost,
        trace: None,
    };
    trace(plan, &mut environment, incoming)
}

/// The values of a message that begins anew: how long it has taken counts from now. When it came is
/// kept, since the clock of its sender is compared with that.
fn anew(mut metadata: Metadata, arrived_ms: u64) -> Metadata {
    if metadata.get(REPEATS_RECEIVED).is_none() {
        let first = metadata.get(FIRST_RECEIVED).map(str::to_owned);
        let first = first.unwrap_or_else(|| arrived_ms.to_string());
        metadata.set(REPEATS_RECEIVED, first);
    }
    metadata.remove(FIRST_RECEIVED);
    metadata
}

fn hex(digest: &PlanDigest) -> String {
    digest.0.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
