//! What a system has got, held against what is to be sent to it.

use std::collections::HashSet;
use std::sync::Arc;

use hilum_component::{Format, Object, ObjectKind};
use hilum_journal::{
    AnyOf, DeliveryState, JournalError, PAGE_MAX, Query, StoredDelivery, StoredMessage, Token,
};
use hilum_message::{DeliveryId, IndexToken, Payload};

use super::{Outdated, Overtaken};
use crate::Core;
use crate::lanes::Place;
use crate::queue::Queue;

/// Messages of the same patients or orders that one message is compared with; of more nobody says
/// what was sent.
pub const COMPARED_MAX: usize = 20_000;

/// What is to be sent again.
pub(super) struct Asked {
    /// The format of its channel.
    pub(super) format: Arc<dyn Format>,
    /// As it was received.
    pub(super) received: Payload,
    /// As it is to be sent.
    pub(super) sent: Payload,
    /// When it arrived first, Unix milliseconds.
    pub(super) arrived_ms: u64,
    /// The delivery, if it is one of before.
    pub(super) itself: Option<DeliveryId>,
    /// Its place in the order; `None` is behind all that waits.
    pub(super) place: Option<u64>,
    /// Where its message lies in the journal.
    pub(super) sequence: u64,
    /// With what it is compared.
    pub(super) with: With,
}

/// With what a message is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// With all that its receiver has got or gets before it.
    All,
    /// With what was held when it came, and has gone on since: of everything else it was known.
    HeldThen,
}

/// What a message tells the state of, and what finds other messages about the same.
struct Told {
    objects: Vec<Object>,
    tokens: Vec<AnyOf>,
}

/// Whether the system behind the queue has a newer state of something, or gets it before.
pub(super) async fn outdated(
    core: &Core,
    queue: &Queue,
    asked: &Asked,
) -> Result<Option<Outdated>, JournalError> {
    let found = overtaken(core, queue, asked).await?;
    Ok(found.map(|overtaken| overtaken.why))
}

/// Whether the system behind the queue has a newer state of something, or gets it before, and how much
/// of the message that leaves.
pub(super) async fn overtaken(
    core: &Core,
    queue: &Queue,
    asked: &Asked,
) -> Result<Option<Overtaken>, JournalError> {
    let told = asked.told(core);
    if told.objects.is_empty() {
        return Ok(None);
    }
    let destination = &queue.destination;
    let in_doubt = |why| Ok(Some(Overtaken { why, whole: false }));
    if asked.sequence < core.journal.whole_since() {
        return in_doubt(Outdated::Removed {
            destination: Arc::clone(destination),
        });
    }
    // What was delivered a moment ago may not be written yet.
    core.journal.flush().await?;
    let names = core.names_of_system(queue);
    let mut comparison = Comparison {
        core,
        queue,
        asked,
        names,
        of: told.objects.len(),
        // An event of a patient or a visit says more than the state after it.
        whole: !told.objects.iter().any(is_of_event),
        left: told.objects,
        newer: None,
        seen: HashSet::new(),
    };
    for any in told.tokens {
        if !comparison.with_all(any).await? {
            return in_doubt(Outdated::TooMany {
                destination: Arc::clone(destination),
            });
        }
    }
    Ok(comparison.result())
}

const fn is_of_event(object: &Object) -> bool {
    matches!(object.kind, ObjectKind::Patient | ObjectKind::Visit)
}

impl Asked {
    /// A message that may bring something newer.
    fn concerns(&self, row: &StoredMessage) -> bool {
        match self.with {
            With::All => true,
            With::HeldThen => {
                let before = |place| self.place.is_none_or(|own| place < own);
                row.sequence > self.sequence && row.place.is_some_and(before)
            }
        }
    }

    /// No older message is of interest than this.
    const fn newer_than(&self) -> u64 {
        match self.with {
            With::All => 0,
            With::HeldThen => self.sequence,
        }
    }

    fn told(&self, core: &Core) -> Told {
        let objects = objects(&*self.format, &self.received, &self.sent, self.arrived_ms);
        let mut told = Told {
            objects,
            tokens: Vec::new(),
        };
        let is_of_order =
            |object: &Object| matches!(object.kind, ObjectKind::Order | ObjectKind::Result);
        let (mut patients, mut orders) = (Vec::new(), Vec::new());
        for payload in [&self.received, &self.sent] {
            if let Ok(document) = self.format.parse(payload) {
                let identity = self.format.identify(&*document);
                patients.extend(identity.patients);
                orders.extend(identity.orders);
            }
        }
        let mut any_of = |kind, field, numbers: Vec<(String, Option<String>)>| {
            let mut values: Vec<_> = numbers
                .iter()
                .map(|(number, _)| IndexToken::of(&core.index_key, field, number))
                .collect();
            values.sort_unstable();
            values.dedup();
            if !values.is_empty() {
                told.tokens.push(AnyOf { kind, values });
            }
        };
        if told.objects.iter().any(is_of_order) {
            any_of(Token::ORDER, "order", orders);
        }
        if !told.objects.iter().all(is_of_order) {
            any_of(Token::PATIENT, "patient", patients);
        }
        told
    }
}

/// The objects of what was sent; of what the format does not know (a conversion) those of the message.
/// Nothing that was made of a message is newer than the message.
pub(crate) fn objects(
    format: &dyn Format,
    received: &Payload,
    sent: &Payload,
    arrived_ms: u64,
) -> Vec<Object> {
    let read = |payload| {
        let document = format.parse(payload).ok()?;
        Some(format.objects(&*document, arrived_ms))
    };
    let came = read(received).unwrap_or_default();
    let cap_ms = came.iter().map(|object| object.as_of.sent_ms).max();
    let Some(mut objects) = read(sent) else {
        return came;
    };
    if let Some(cap_ms) = cap_ms {
        for object in &mut objects {
            let as_of = &mut object.as_of;
            if as_of.at_ms == as_of.sent_ms {
                as_of.at_ms = as_of.at_ms.min(cap_ms);
            }
            as_of.sent_ms = as_of.sent_ms.min(cap_ms);
        }
    }
    objects
}

struct Comparison<'a> {
    core: &'a Core,
    queue: &'a Queue,
    asked: &'a Asked,
    /// Channel and name of the destinations that are the same system.
    names: HashSet<(Arc<str>, Arc<str>)>,
    /// How many objects there are.
    of: usize,
    /// Those of which no newer state was found.
    left: Vec<Object>,
    /// Nothing is lost with those that are not left: both clocks say that they are older.
    whole: bool,
    newer: Option<(hilum_message::MessageId, bool)>,
    seen: HashSet<u64>,
}

impl Comparison<'_> {
    /// Compares with all messages that have one of these tokens; `false` if there are too many.
    async fn with_all(&mut self, any: AnyOf) -> Result<bool, JournalError> {
        let mut query = Query {
            tokens: vec![any],
            limit: PAGE_MAX,
            ..Query::default()
        };
        loop {
            let page = self.core.journal.search(query.clone()).await?;
            for row in page.messages {
                if self.left.is_empty() || row.sequence <= self.asked.newer_than() {
                    return Ok(true);
                }
                if !self.asked.concerns(&row) || !self.seen.insert(row.sequence) {
                    continue;
                }
                if self.seen.len() > COMPARED_MAX {
                    return Ok(false);
                }
                self.with(&row).await?;
            }
            match page.next {
                Some(before) if !self.left.is_empty() => query.before = Some(before),
                Some(_) | None => return Ok(true),
            }
        }
    }

    async fn with(&mut self, row: &StoredMessage) -> Result<(), JournalError> {
        let deliveries = self.core.journal.deliveries_of(row.sequence).await?;
        let counts: Vec<_> = deliveries
            .into_iter()
            .filter(|stored| self.counts(stored))
            .collect();
        let Some(channel) = counts
            .first()
            .and_then(|stored| self.core.channel(&stored.delivery.channel))
        else {
            return Ok(());
        };
        let format = &*channel.plan().format;
        let (_, received) = self.core.journal.received_at(row.sequence).await?;
        for stored in counts {
            let (_, sent) = self.core.journal.body(stored.delivery.delivery).await?;
            let others = objects(format, &received, &sent, row.arrived_ms);
            let before = self.left.len();
            let mut whole = self.whole;
            self.left.retain(|own| {
                let replaced = others.iter().find(|other| own.is_replaced_by(other));
                whole &= replaced.is_none_or(|other| !other.as_of.is_older_than(&own.as_of));
                replaced.is_none()
            });
            self.whole = whole;
            if self.left.len() < before {
                let delivered = stored.state == DeliveryState::Delivered;
                self.newer.get_or_insert((row.message, delivered));
            }
        }
        Ok(())
    }

    /// The system has it, is being given it, or gets it before what is asked about.
    fn counts(&self, stored: &StoredDelivery) -> bool {
        let of = &stored.delivery;
        let name = (Arc::clone(&of.channel), Arc::clone(&of.destination));
        if self.asked.itself == Some(of.delivery.id) || !self.names.contains(&name) {
            return false;
        }
        match stored.state {
            DeliveryState::Delivered => true,
            DeliveryState::Pending => {
                let place = Place {
                    of: of.place,
                    sequence: of.delivery.sequence,
                };
                let ordinal = of.delivery.id.ordinal;
                self.asked.place.is_none_or(|own| of.place < own)
                    || self.queue.scope.lanes().is_out(place, ordinal)
            }
            DeliveryState::DeadLetter | DeliveryState::Withdrawn | DeliveryState::Pinned => false,
        }
    }

    fn result(self) -> Option<Overtaken> {
        let (message, delivered) = self.newer?;
        let why = Outdated::Newer {
            destination: Arc::clone(&self.queue.destination),
            objects: self.of - self.left.len(),
            of: self.of,
            message,
            delivered,
        };
        let whole = self.whole && self.left.is_empty();
        Some(Overtaken { why, whole })
    }
}
