//! From an arrival to its answer: process on the pool, resend check, accept, answer.

use std::sync::Arc;

use hilum_component::{
    AnswerMode, Arrival, ChannelPlan, Disposition, Hold, Incoming, ProcessEnvironment, Processed,
    Reply, SealedAnswer, Sends, SourceKind, TimerChange, Verdict, answer, process, receive,
};
use hilum_fhirpath::NoHost;
use hilum_message::MessageId;
use smol_str::SmolStr;
use tokio::sync::oneshot;

use super::delivered::{Wait, Waited, not_delivered};
use super::intake::closed;
use super::origin::{Origin, REPLAY, Taken};
use super::{Channel, refuse};
use crate::pool::Budget;
use crate::resend::{Known, ResendDigest, ResendKey};
use crate::stale::{self, Outdated, WhenOlder};
use crate::{Core, queue, store};

/// How often a message whose reads were stale is processed again before it is processed alone.
pub(super) const STALE_MAX: usize = 8;

/// Takes a message in with the plan of its channel and waits for its fate.
pub(crate) async fn take_in(
    core: &Arc<Core>,
    channel: &Arc<Channel>,
    arrival: Arrival,
    origin: Origin,
) -> Taken {
    take_in_with(core, channel, None, arrival, origin).await
}

/// Takes a message in, with another plan than that of its channel if one is given (a replay).
pub(crate) async fn take_in_with(
    core: &Arc<Core>,
    channel: &Arc<Channel>,
    other: Option<Arc<ChannelPlan>>,
    arrival: Arrival,
    origin: Origin,
) -> Taken {
    let incoming = with_original(core, channel, &arrival, &origin).await;
    let mut stale = 0;
    loop {
        let turn = Turn::of(channel, stale).await;
        let plan = other.clone().unwrap_or_else(|| channel.plan());
        if origin.is_only_received(&plan) {
            channel.received.room().await;
        }
        let worked = work(core, channel, &plan, incoming.clone(), &origin).await;
        let Some(worked) = worked else {
            return Taken::new(closed(), None);
        };
        let taken = match worked {
            Worked::Resent(first) => {
                Ok(again(core, channel, &plan, &incoming, first, &arrival).await)
            }
            Worked::UnderWay(fate) => match fate.await {
                Ok(Some(first)) => {
                    Ok(again(core, channel, &plan, &incoming, first, &arrival).await)
                }
                // The first one failed: this one is processed in its place.
                Ok(None) | Err(_) => {
                    drop(turn);
                    continue;
                }
            },
            Worked::New(mut processed, key) => {
                narrow(&plan, &origin, &mut processed);
                let outdated = match old_state(core, &plan, &mut processed, &origin).await {
                    Ok(outdated) => outdated,
                    Err(taken) => return *taken,
                };
                processed
                    .writes
                    .extend(store::remembered(channel, &arrival));
                let accepted = accept(
                    core, channel, &plan, &arrival, &incoming, *processed, key, &origin,
                )
                .await;
                accepted.map(|(taken, wait)| (Taken { outdated, ..taken }, wait))
            }
        };
        match taken {
            Ok((taken, wait)) => {
                // Nobody's turn waits for a destination.
                drop(turn);
                return waited(&plan, &incoming, taken, wait).await;
            }
            Err(Stale) => {
                channel.figures.reprocessed.add(1);
                stale += 1;
            }
        }
    }
}

/// Waits for the destinations that the answer is to wait for.
async fn waited(plan: &ChannelPlan, incoming: &Incoming, mut taken: Taken, wait: Wait) -> Taken {
    match wait.end(plan).await {
        Waited::Delivered => {}
        late @ (Waited::Queued | Waited::DeadLetter) => {
            taken.reply.answer = not_delivered(plan, incoming, late);
        }
    }
    taken
}

/// Reads of the state were stale.
struct Stale;

/// The right to process: shared at first, alone after too many stale reads.
enum Turn<'a> {
    Shared {
        _guard: tokio::sync::RwLockReadGuard<'a, ()>,
    },
    Alone {
        _guard: tokio::sync::RwLockWriteGuard<'a, ()>,
    },
}

impl<'a> Turn<'a> {
    async fn of(channel: &'a Channel, stale: usize) -> Self {
        if stale < STALE_MAX {
            Self::Shared {
                _guard: channel.alone.read().await,
            }
        } else {
            Self::Alone {
                _guard: channel.alone.write().await,
            }
        }
    }
}

enum Worked {
    New(Box<Processed>, Option<(ResendKey, ResendDigest)>),
    Resent(MessageId),
    UnderWay(oneshot::Receiver<Option<MessageId>>),
}

/// Processes a message on the pool; `None` if the engine is closing.
async fn work(
    core: &Arc<Core>,
    channel: &Arc<Channel>,
    plan: &Arc<ChannelPlan>,
    incoming: Incoming,
    origin: &Origin,
) -> Option<Worked> {
    let (sender, receiver) = oneshot::channel();
    let from_source = match origin {
        Origin::Source => true,
        Origin::Linked { .. } | Origin::Received { .. } | Origin::Timer { .. } => false,
    };
    let stage = if origin.is_only_received(plan) {
        receive
    } else {
        process
    };
    let job = {
        let (core, channel, plan) = (Arc::clone(core), Arc::clone(channel), Arc::clone(plan));
        Box::new(move || {
            let worked = run(&core, &channel, &plan, incoming, stage, from_source);
            // The source may have given up waiting; then nothing was recorded.
            drop(sender.send(worked));
        })
    };
    core.pool.submit(channel.number, job);
    receiver.await.ok()
}

/// How far a message is taken: [`receive`] or [`process`].
type Stage = fn(&ChannelPlan, &mut ProcessEnvironment<'_>, Incoming) -> Processed;

fn run(
    core: &Core,
    channel: &Channel,
    plan: &ChannelPlan,
    incoming: Incoming,
    stage: Stage,
    from_source: bool,
) -> Worked {
    let (id, arrived_ms) = (incoming.id, incoming.arrived_ms);
    let meter = Budget::start(plan.step_budget.duration(), incoming.payload.len());
    let mut environment = ProcessEnvironment {
        index_key: &core.index_key,
        links: &*core.links,
        state: core,
        meter: &meter,
        host: &NoHost,
        trace: None,
    };
    let processed = stage(plan, &mut environment, incoming);
    core.sender_clocks.note(&processed);
    let detect = from_source && plan.resend.within.0 > 0;
    let identity = &processed.identity;
    let key = if detect && plan.format.control_id_names_message(identity) {
        ResendKey::of(&plan.name, identity)
    } else {
        None
    };
    let Some(key) = key else {
        return Worked::New(Box::new(processed), None);
    };
    let digest = ResendDigest::of(|sink| plan.format.resend_bytes(&processed.payload, sink));
    match channel
        .memory()
        .ask(&plan.resend, key, digest, id, arrived_ms)
    {
        Known::New { other_content } => {
            let mut processed = processed;
            if other_content {
                processed.findings.push(store::other_content());
            }
            Worked::New(Box::new(processed), Some((key, digest)))
        }
        Known::Again(first) => Worked::Resent(first),
        Known::UnderWay(fate) => Worked::UnderWay(fate),
    }
}

/// Answers a message that was accepted before, byte for byte as then, and records that it came.
async fn again(
    core: &Arc<Core>,
    channel: &Arc<Channel>,
    plan: &ChannelPlan,
    incoming: &Incoming,
    first: MessageId,
    arrival: &Arrival,
) -> (Taken, Wait) {
    channel.figures.resent.add(1);
    let (id, peer) = (incoming.id, &arrival.peer);
    let writes = store::remembered(channel, arrival);
    let recorded =
        store::record_resend(core, channel, id, (&arrival.payload, writes), first, peer).await;
    let accepted = match recorded {
        Ok(accepted) => accepted,
        Err(failure) => {
            return (
                failed(channel, plan, incoming, &failure.text()),
                Wait::default(),
            );
        }
    };
    let stored = store::stored_answer(core, first).await;
    let wait = Wait::join(core, channel, plan, incoming, first).await;
    match (stored, wait) {
        (Ok(answer), Ok(wait)) => {
            let reply = Reply {
                disposition: Disposition::Accepted,
                answer,
                reason: None,
                message: Some(first),
            };
            (Taken::new(reply, Some(accepted)), wait)
        }
        (Err(error), _) | (_, Err(error)) => {
            let text = store::chain(&error);
            (failed(channel, plan, incoming, &text), Wait::default())
        }
    }
}

/// Leaves the deliveries that are meant.
fn narrow(plan: &ChannelPlan, origin: &Origin, processed: &mut Processed) {
    match origin {
        Origin::Linked { only, .. } if !only.is_empty() => {
            processed
                .deliveries
                .retain(|delivery| only.contains(&delivery.destination));
            for delivery in &mut processed.deliveries {
                // A backfill passes nobody.
                delivery.priority = i16::MIN;
            }
        }
        // Who sent it once is not answered again because somebody repeats it.
        Origin::Linked { relation, .. } if *relation == REPLAY => {
            let answers = plan.destinations.iter();
            let answers = answers.filter(|to| to.sends == Sends::ApplicationAnswer);
            let answers: Vec<_> = answers.map(|to| &to.name).collect();
            processed
                .deliveries
                .retain(|delivery| !answers.contains(&&delivery.destination));
        }
        Origin::Timer { scope, key } => processed.timers.push(TimerChange {
            scope: scope.clone(),
            key: key.clone(),
            due_ms: None,
        }),
        Origin::Source | Origin::Linked { .. } | Origin::Received { .. } => {}
    }
}

/// What becomes of a message that was processed again and brings an old state: it goes, is held, or
/// ends here.
async fn old_state(
    core: &Core,
    plan: &ChannelPlan,
    processed: &mut Processed,
    origin: &Origin,
) -> Result<Option<Outdated>, Box<Taken>> {
    let Origin::Linked { older, .. } = origin else {
        return Ok(None);
    };
    if *older == WhenOlder::Goes {
        return Ok(None);
    }
    let ended = |reason: String| {
        let disposition = Disposition::Failed;
        let reply = Reply {
            disposition,
            answer: None,
            reason: Some(reason),
            message: None,
        };
        Box::new(Taken::new(reply, None))
    };
    let found = stale::of_processed(core, plan, processed, origin).await;
    let found = found.map_err(|error| ended(store::chain(&error)))?;
    let Some(outdated) = found else {
        return Ok(None);
    };
    match older {
        WhenOlder::Goes => {}
        WhenOlder::Refused => {
            return Err(Box::new(Taken {
                outdated: Some(outdated.clone()),
                ..*ended(outdated.to_string())
            }));
        }
        WhenOlder::Held => stale::hold(plan, processed, &outdated),
        WhenOlder::Forced(reason) => stale::force(processed, &outdated, reason),
    }
    Ok(Some(outdated))
}

/// Makes a processed message durable and answers it.
#[expect(
    clippy::too_many_arguments,
    reason = "all that belongs to one message at this point"
)]
async fn accept(
    core: &Arc<Core>,
    channel: &Arc<Channel>,
    plan: &ChannelPlan,
    arrival: &Arrival,
    incoming: &Incoming,
    mut processed: Processed,
    key: Option<(ResendKey, ResendDigest)>,
    origin: &Origin,
) -> Result<(Taken, Wait), Stale> {
    let wait = Wait::new(core, channel, plan, &processed);
    let sealed = for_sender(plan, incoming, &processed);
    processed.answer.clone_from(&sealed);
    let disposition = processed.disposition;
    let reason = processed.reason.as_ref().map(|reason| reason.text.clone());
    let result = store::accept(core, channel, plan, &arrival.peer, processed, key, origin).await;
    let remember = |accepted: bool| {
        if let Some((key, _)) = key {
            channel
                .memory()
                .settled(key, incoming.id, accepted && disposition.is_positive());
        }
    };
    match result {
        Ok(accepted) => {
            remember(true);
            let reply = Reply {
                disposition,
                answer: sealed.map(|answer| answer.open(&accepted)),
                reason,
                message: Some(incoming.id),
            };
            let taken = Taken {
                only_received: disposition == Disposition::Accepted
                    && origin.is_only_received(plan),
                ..Taken::new(reply, Some(accepted))
            };
            Ok((taken, wait))
        }
        Err(store::AcceptFailure::Stale) => {
            remember(false);
            Err(Stale)
        }
        Err(failure @ (store::AcceptFailure::Failed(_) | store::AcceptFailure::Duplicate)) => {
            remember(false);
            let duplicate = matches!(failure, store::AcceptFailure::Duplicate);
            let taken = failed(channel, plan, incoming, &failure.text());
            Ok((Taken { duplicate, ..taken }, Wait::default()))
        }
    }
}

/// The answer that the sender's mode asks for: in enhanced mode the commit answer, if it wants one
/// (HL7 v2.5.1 §2.9.3.1). It is what the journal keeps, so that a resend is answered alike.
fn for_sender(
    plan: &ChannelPlan,
    incoming: &Incoming,
    processed: &Processed,
) -> Option<SealedAnswer> {
    let AnswerMode::Enhanced {
        commit_on_success,
        commit_on_error,
        ..
    } = processed.answer_mode
    else {
        return processed.answer.clone();
    };
    let (code, text) = processed
        .reason
        .as_ref()
        .map_or(("207", processed.disposition.word()), |reason| {
            (reason.code.as_str(), reason.text.as_str())
        });
    let path = None;
    let (wanted, verdict) = match processed.disposition {
        Disposition::Accepted | Disposition::Filtered | Disposition::Held => {
            (commit_on_success, Verdict::Accept)
        }
        Disposition::Refused => (commit_on_error, Verdict::Refuse { code, path, text }),
        Disposition::Rejected | Disposition::Failed => {
            (commit_on_error, Verdict::Error { code, path, text })
        }
    };
    if wanted {
        answer(plan, incoming, verdict, true)
    } else {
        None
    }
}

/// The message could not be recorded: the peer must send it again.
fn failed(channel: &Channel, plan: &ChannelPlan, incoming: &Incoming, text: &str) -> Taken {
    tracing::error!(channel = %channel.name, message_id = %incoming.id, error = text,
        "a message could not be recorded; its sender was told");
    let told = "not recorded; send it again";
    let (id, at_ms, payload) = (incoming.id, incoming.arrived_ms, incoming.payload.clone());
    let negative = refuse::negative(plan, id, at_ms, payload, Disposition::Failed, told);
    let reply = Reply {
        disposition: Disposition::Failed,
        answer: negative,
        reason: Some(text.to_owned()),
        message: None,
    };
    Taken::new(reply, None)
}

/// How the step that holds a message would hold it again, if it would.
pub(crate) async fn held_again(
    core: &Arc<Core>,
    channel: &Arc<Channel>,
    arrival: &Arrival,
    origin: &Origin,
    step: usize,
) -> Option<Hold> {
    let incoming = with_original(core, channel, arrival, origin).await;
    let processed = processed(core, channel, &channel.plan(), incoming).await;
    let hold = processed.and_then(|processed| processed.hold);
    hold.filter(|hold| hold.step == step)
}

/// An arrival as a message, with the one that asked: a reply that is released or replayed is
/// worked on as the first time.
async fn with_original(
    core: &Core,
    channel: &Channel,
    arrival: &Arrival,
    origin: &Origin,
) -> Incoming {
    let mut incoming = origin.incoming(core, arrival);
    if matches!(origin, Origin::Linked { .. })
        && matches!(channel.plan().source.kind, SourceKind::Reply(_))
    {
        incoming.original = queue::original(core, &arrival.metadata).await;
    }
    incoming
}

/// Processes a message for a channel without accepting it; `None` if the engine is closing.
pub(crate) async fn processed(
    core: &Arc<Core>,
    channel: &Arc<Channel>,
    plan: &Arc<ChannelPlan>,
    incoming: Incoming,
) -> Option<Processed> {
    let origin = Origin::Timer {
        scope: SmolStr::default(),
        key: SmolStr::default(),
    };
    match work(core, channel, plan, incoming, &origin).await? {
        Worked::New(processed, _) => Some(*processed),
        // Resends are looked for only where a source brought the message.
        Worked::Resent(_) | Worked::UnderWay(_) => None,
    }
}
