//! An old state is never sent over a newer one by somebody who sends a message again.
//!
//! A retry, a release and a replay take a message out of the order in which it came. Before it is sent
//! again, what it tells the state of ([`Object`]) is held against everything that the same system has
//! got, or gets before it. Both sides are read from the bytes that were sent, so that it does not
//! matter what the steps make of a message.
//!
//! Nothing of this is on the way of a message: a commit keeps index tokens of patients and orders, and
//! the journal is searched when somebody asks. A delivery that came while a message of one of its keys was
//! held was made without knowing what that one says; it is compared when it is its turn, with what went
//! on from such holds alone.

mod history;

use std::fmt;
use std::sync::Arc;

use hilum_component::{
    ChannelPlan, Destination, DestinationKind, DestinationPlan, Disposition, Finding, Hold,
    Processed, Reason, Sends, Severity,
};
use hilum_journal::{DeliveryRef, JournalError, StoredDelivery};
use hilum_message::{MessageId, Payload};

use crate::Core;
use crate::alert::Alert;
use crate::channel::Origin;
use crate::lanes::Entry;
use crate::queue::Queue;
use history::{Asked, With};

pub use history::COMPARED_MAX;
pub(crate) use history::objects;

/// The code of a message or delivery that brings an old state.
pub(crate) const OLD_STATE: &str = "old-state";

/// What is done with a message that brings an old state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldState {
    /// It is refused, and nothing is changed.
    #[default]
    Refuse,
    /// It is sent all the same, which is recorded with its reason.
    Force,
}

/// Why a message is not sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outdated {
    /// Its receiver has a newer state, or gets it before.
    Newer {
        /// The destination.
        destination: Arc<str>,
        /// How many of its objects have a newer state.
        objects: usize,
        /// How many objects it tells of.
        of: usize,
        /// The message that brought the newer state of the first of them.
        message: MessageId,
        /// That one is delivered; else it waits and goes first.
        delivered: bool,
    },
    /// What was sent since is no longer in the journal.
    Removed {
        /// The destination.
        destination: Arc<str>,
    },
    /// More messages than are compared name its patients or orders.
    TooMany {
        /// The destination.
        destination: Arc<str>,
    },
}

impl fmt::Display for Outdated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer {
                destination,
                objects,
                of,
                message,
                delivered,
            } => {
                let has = match delivered {
                    true => "has a newer state",
                    false => "gets a newer state before it",
                };
                write!(
                    f,
                    "it would bring back an old state: of {objects} of {of} objects of this message \
                     {destination} {has} (message {message})"
                )
            }
            Self::Removed { destination } => write!(
                f,
                "nobody can say whether {destination} has a newer state: what was sent since is no \
                 longer kept (`keep:`)"
            ),
            Self::TooMany { destination } => write!(
                f,
                "nobody can say whether {destination} has a newer state: more than {COMPARED_MAX} \
                 messages name its patients or orders"
            ),
        }
    }
}

/// What a delivery that waited behind a hold has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Overtaken {
    /// What its receiver has.
    pub(crate) why: Outdated,
    /// Its receiver has a newer state of everything that it tells, by both clocks, and none of it is an
    /// event: nothing is lost without it.
    pub(crate) whole: bool,
}

/// What is done where a message that was stored before is processed again and brings an old state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WhenOlder {
    /// Nobody sends it again: it is on its way for the first time.
    Goes,
    /// A person asked: it is refused.
    Refused,
    /// Nobody asked (its time is up, or what it waits for came): it waits for a person.
    Held,
    /// A person wants it so, for this reason.
    Forced(Arc<str>),
}

impl WhenOlder {
    /// As a person decided.
    pub(crate) fn decided(old: OldState, reason: &str) -> Self {
        match old {
            OldState::Refuse => Self::Refused,
            OldState::Force => Self::Forced(Arc::from(reason)),
        }
    }
}

/// Whether a dead letter would bring back an old state.
pub(crate) async fn of_delivery(
    core: &Core,
    queue: &Queue,
    stored: &StoredDelivery,
) -> Result<Option<Outdated>, JournalError> {
    let of = &stored.delivery;
    let Some(channel) = core.channel(&of.channel) else {
        return Ok(None);
    };
    let sequence = of.delivery.sequence;
    let (row, received) = core.journal.received_at(sequence).await?;
    let (_, sent) = core.journal.body(of.delivery).await?;
    let asked = Asked {
        format: Arc::clone(&channel.plan().format),
        received,
        sent,
        arrived_ms: row.arrived_ms,
        itself: Some(of.delivery.id),
        place: Some(of.place),
        sequence,
        with: With::All,
    };
    let found = history::outdated(core, queue, &asked).await?;
    let (plan, sent) = (channel.plan(), &asked.sent);
    Ok(found.filter(|outdated| !sorts_out(&plan, &queue.destination, sent, outdated)))
}

/// Whether its receiver, which keeps the newest state itself, takes the part of it that is not old.
fn sorts_out(plan: &ChannelPlan, to: &str, sent: &Payload, outdated: &Outdated) -> bool {
    let Outdated::Newer { objects, of, .. } = outdated else {
        return false;
    };
    let keeps_newest = |to: &DestinationPlan| match &to.kind {
        DestinationKind::Component(make) | DestinationKind::Drain(make) => {
            make().keeps_newest(sent)
        }
        DestinationKind::Topic(_) | DestinationKind::DeadLetter => false,
    };
    let mut stores = plan.destinations.iter().filter(|one| one.store);
    objects < of && stores.any(|one| *one.name == *to && keeps_newest(one))
}

/// Whether a delivery that waited behind a hold would bring an old state over what was held.
pub(crate) async fn behind_hold(
    core: &Core,
    queue: &Queue,
    destination: Option<&dyn Destination>,
    entry: &Entry,
) -> Result<Option<Overtaken>, JournalError> {
    let Some(channel) = core.channel(&queue.channel) else {
        return Ok(None);
    };
    let plan = channel.plan();
    if answers(&plan, &queue.destination) {
        return Ok(None);
    }
    let sequence = entry.sequence;
    let (row, received) = core.journal.received_at(sequence).await?;
    if row.findings.iter().any(|found| *found.code == *OLD_STATE) {
        // A person who was told of it wants it so.
        return Ok(None);
    }
    let delivery = DeliveryRef {
        id: entry.id,
        sequence,
    };
    let (_, sent) = core.journal.body(delivery).await?;
    if destination.is_some_and(|destination| destination.keeps_newest(&sent)) {
        return Ok(None);
    }
    let asked = Asked {
        format: Arc::clone(&plan.format),
        received,
        sent,
        arrived_ms: row.arrived_ms,
        itself: Some(entry.id),
        place: Some(entry.place.of),
        sequence,
        with: With::HeldThen,
    };
    history::overtaken(core, queue, &asked).await
}

/// Whether a message that was processed again would bring back an old state at one of its
/// destinations.
pub(crate) async fn of_processed(
    core: &Core,
    plan: &ChannelPlan,
    processed: &Processed,
    origin: &Origin,
) -> Result<Option<Outdated>, JournalError> {
    let Origin::Linked {
        from, completes, ..
    } = origin
    else {
        return Ok(None);
    };
    let sequence = match completes {
        Some(held) => *held,
        None => core.journal.header(*from).await?.sequence,
    };
    // What goes on from a hold has its place; a replay is behind all that waits.
    let place = completes.and_then(|held| core.held.place_of(held));
    for part in std::iter::once(processed).chain(&processed.children) {
        for delivery in &part.deliveries {
            if delivery.dead_letter.is_some() || answers(plan, &delivery.destination) {
                continue;
            }
            let Some(queue) = core.queue(&plan.name, &delivery.destination) else {
                continue;
            };
            let asked = Asked {
                format: Arc::clone(&plan.format),
                received: part.payload.clone(),
                sent: delivery.payload.clone(),
                arrived_ms: from.arrived_ms(),
                itself: None,
                place,
                sequence,
                with: With::All,
            };
            let found = history::outdated(core, &queue, &asked).await?;
            let to = &delivery.destination;
            if let Some(outdated) = found
                && !sorts_out(plan, to, &asked.sent, &outdated)
            {
                return Ok(Some(outdated));
            }
        }
    }
    Ok(None)
}

fn answers(plan: &ChannelPlan, destination: &str) -> bool {
    let is_it = |to: &hilum_component::DestinationPlan| {
        *to.name == *destination && to.sends == Sends::ApplicationAnswer
    };
    plan.destinations.iter().any(is_it)
}

/// Notes that a message goes all the same.
pub(crate) fn force(processed: &mut Processed, outdated: &Outdated, reason: &str) {
    let text = format!("sent by force, though {outdated}: {reason}");
    processed.findings.push(Finding {
        step: "engine".to_owned(),
        code: OLD_STATE.to_owned(),
        path: None,
        severity: Severity::Warning,
        text: text.clone(),
    });
    processed.reason.get_or_insert(why(text));
}

/// Holds a message that would have gone on by itself until a person decides. Nothing waits behind it:
/// what it might be behind has gone already.
pub(crate) fn hold(plan: &ChannelPlan, processed: &mut Processed, outdated: &Outdated) {
    processed.disposition = Disposition::Held;
    processed.hold = Some(Hold {
        step: plan.steps.len(),
        until_ms: None,
        wake: None,
    });
    processed.reason = Some(why(outdated.to_string()));
    processed.keys.clear();
    processed.deliveries.clear();
    processed.children.clear();
    processed.writes.clear();
    processed.timers.clear();
    processed.unmapped.clear();
}

fn why(text: String) -> Reason {
    Reason {
        step: "engine".to_owned(),
        code: OLD_STATE.to_owned(),
        path: None,
        text,
    }
}

/// Tells somebody that a message waits for a person now.
pub(crate) fn tell(core: &Core, channel: &Arc<str>, message: MessageId, outdated: &Outdated) {
    core.publish_alert(Alert {
        kind: "old-state-held",
        state: "event",
        site: core.site(),
        channel: Some(Arc::clone(channel)),
        owner: core
            .channel(channel)
            .and_then(|channel| channel.plan().owner.clone()),
        destination: None,
        message: Some(message.to_string()),
        text: format!(
            "a held message was due and is not sent: {outdated}. Nothing waits behind it: look at it \
             with `hilum trace {message}` in daylight, then `hilum reject {message}`, or `hilum \
             release {message} --force`"
        ),
        at_ms: core.now_ms(),
    });
}
