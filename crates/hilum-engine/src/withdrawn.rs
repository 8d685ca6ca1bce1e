//! Results that their sender takes back: where each of them went, and who does not learn that it is wrong.
//!
//! A message that withdraws results has a row in the state, written in its commit, so that it survives a
//! restart. When what it caused has come to rest, the journal is searched for every delivery of what is
//! withdrawn; a destination that was sent a result and not its withdrawal is told of on `hilum.alerts`.
//! The same search answers whoever asks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hilum_component::{ChannelPlan, Disposition, Object, Processed, SourceKind, Stop, WITHDRAWS};
use hilum_journal::{
    AnyOf, DeliveryState, JournalError, Outcome, PAGE_MAX, Query, StateWrite, StoredDelivery,
    StoredMessage, Token,
};
use hilum_message::{IndexToken, MessageId};
use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::operate::OperateError;
use crate::rows;
use crate::run::alerts::{Told, hand_over_all};
use crate::runtime::Core;
use crate::stale::{COMPARED_MAX, objects};

/// Where withdrawals that were not looked at yet are kept in the state, by message.
const OPEN: &str = "hilum.withdrawals";
/// Where those are kept that were.
const LOOKED: &str = "hilum.withdrawals-looked";
/// How long those are kept for the report.
const KEPT_MS: u64 = 90 * 86_400_000;
/// How often it is looked whether there are new ones.
const EVERY: Duration = Duration::from_secs(1);
/// How long the withdrawal has at least to reach its channels.
const SOON_MS: u64 = 2_000;
/// How long the withdrawal itself may take on its way through topics before it is looked at.
const PATIENCE_MS: u64 = 600_000;
/// Withdrawals that are looked at in one go.
const LOOK_MAX: usize = 100;
/// Withdrawals that are read for the report.
const REPORT_MAX: usize = 100_000;

/// A message that withdraws results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Withdrawal {
    /// The message.
    pub message: String,
    /// Its channel.
    pub channel: Arc<str>,
    /// When it arrived, Unix milliseconds.
    pub arrived_ms: u64,
    /// How many results it withdraws.
    pub results: usize,
    /// When it was looked where they went, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_ms: Option<u64>,
    /// Channel and destination of those that were sent a result and not its withdrawal.
    #[serde(default)]
    pub untold: BTreeSet<(Arc<str>, Arc<str>)>,
}

/// Where withdrawn results went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Withdrawn {
    /// The message that withdraws them.
    pub message: String,
    /// How many results it withdraws.
    pub results: usize,
    /// All that the journal has was looked at; else there were more than 20,000 messages of their orders.
    pub complete: bool,
    /// A withdrawal still waits in a topic for another channel, so that who gets it is not known yet.
    pub under_way: bool,
    /// Each delivery of one of them, the newest first.
    pub deliveries: Vec<WithdrawnDelivery>,
}

/// A delivery of a result that was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WithdrawnDelivery {
    /// The delivery.
    pub delivery: String,
    /// Its message.
    pub message: String,
    /// The channel.
    pub channel: Arc<str>,
    /// The destination.
    pub destination: Arc<str>,
    /// The system at the other end, if the file names one.
    pub system: Option<String>,
    /// When the message arrived, Unix milliseconds.
    pub arrived_ms: u64,
    /// How many of the withdrawn results it carries.
    pub results: usize,
    /// `delivered`, `waiting`, `dead-letter` or `withdrawn`.
    pub state: &'static str,
    /// When the receiver took it, Unix milliseconds.
    pub delivered_ms: Option<u64>,
    /// The code of the receiver's answer (`AA`), if it gave one.
    pub acknowledged: Option<String>,
    /// Whether the same system gets the withdrawal: `delivered`, `waiting`, `dead-letter`, `withdrawn`, or
    /// `none`.
    pub withdrawal: &'static str,
}

/// The row of a message that withdraws results, for its commit. What came over a topic is the same
/// withdrawal once more, and one that is held has withdrawn nothing yet.
pub(crate) fn row(plan: &ChannelPlan, processed: &Processed) -> Option<StateWrite> {
    let results = processed.metadata.get(WITHDRAWS)?.parse().ok()?;
    let from_topic = matches!(
        plan.source.kind,
        SourceKind::Topic(_) | SourceKind::Reply(_)
    );
    if from_topic || processed.disposition == Disposition::Held {
        return None;
    }
    let row = Withdrawal {
        message: processed.id.to_string(),
        channel: Arc::clone(&plan.name),
        arrived_ms: processed.arrived_ms,
        results,
        looked_ms: None,
        untold: BTreeSet::new(),
    };
    rows::write(OPEN, &row.message, &row, None)
}

/// Looks at new withdrawals until `stop`.
pub(crate) async fn watch(core: Arc<Core>, stop: Stop) {
    rows::watch(core, stop, ("withdrawals of results", EVERY), look).await;
}

async fn look(core: &Arc<Core>) -> Result<Vec<StateWrite>, JournalError> {
    let open: Vec<Withdrawal> = rows::read(core, OPEN, LOOK_MAX)?;
    let mut writes = Vec::new();
    for mut row in open {
        let Ok(message) = row.message.parse::<MessageId>() else {
            continue;
        };
        let age_ms = core.now_ms().saturating_sub(row.arrived_ms);
        if age_ms < SOON_MS {
            continue;
        }
        match find(core, message).await {
            Ok(found) if found.under_way && age_ms <= PATIENCE_MS => continue,
            Ok(found) => row.untold = untold(&found),
            Err(JournalError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let to_tell = row.untold.iter();
        let to_tell: Vec<_> = to_tell
            .map(|(channel, destination)| alert(core, &row, channel, destination))
            .collect();
        if hand_over_all(core, &to_tell).await == Told::No {
            // It is tried again the next time.
            continue;
        }
        row.looked_ms = Some(core.now_ms());
        writes.push(rows::remove(OPEN, &row.message));
        let expires_ms = Some(core.now_ms().saturating_add(KEPT_MS));
        writes.extend(rows::write(LOOKED, &row.message, &row, expires_ms));
    }
    Ok(writes)
}

fn untold(found: &Withdrawn) -> BTreeSet<(Arc<str>, Arc<str>)> {
    let has_it = |one: &&WithdrawnDelivery| matches!(one.state, "delivered" | "waiting");
    found
        .deliveries
        .iter()
        .filter(has_it)
        .filter(|one| one.withdrawal == "none")
        .map(|one| (Arc::clone(&one.channel), Arc::clone(&one.destination)))
        .collect()
}

fn alert(core: &Core, row: &Withdrawal, channel: &Arc<str>, destination: &Arc<str>) -> Alert {
    Alert {
        kind: "withdrawal-untold",
        state: "event",
        site: core.site(),
        channel: Some(Arc::clone(channel)),
        owner: core.owner(channel),
        destination: Some(Arc::clone(destination)),
        message: Some(row.message.clone()),
        text: format!(
            "a result that its sender has withdrawn (as of the wrong patient) was sent to {destination}, \
             and its withdrawal is not: a filter or route of {channel} withholds it. Tell whoever uses \
             that system, and see the deliveries with `hilum withdrawals {}`",
            row.message
        ),
        at_ms: core.now_ms(),
    }
}

/// Where what a message withdraws went.
async fn find(core: &Core, message: MessageId) -> Result<Withdrawn, JournalError> {
    // What ended a moment ago may not be written yet.
    core.journal.flush().await?;
    let (row, payload) = core.journal.received(message).await?;
    let mut found = Withdrawn {
        message: message.to_string(),
        results: 0,
        complete: true,
        under_way: false,
        deliveries: Vec::new(),
    };
    let Some(channel) = core.channel(&row.channel) else {
        return Ok(found);
    };
    let format = Arc::clone(&channel.plan().format);
    let mut withdrawn = objects(&*format, &payload, &payload, row.arrived_ms);
    withdrawn.retain(|object| object.withdrawn);
    found.results = withdrawn.len();
    let document = match format.parse(&payload) {
        Ok(document) if !withdrawn.is_empty() => document,
        Ok(_) | Err(_) => return Ok(found),
    };
    let mut values: Vec<_> = format
        .identify(&*document)
        .orders
        .iter()
        .map(|(number, _)| IndexToken::of(&core.index_key, "order", number))
        .collect();
    values.sort_unstable();
    values.dedup();
    let mut search = Search {
        core,
        withdrawn: &withdrawn,
        sent: Vec::new(),
        told: HashMap::new(),
        under_way: false,
    };
    if !values.is_empty() {
        let kind = Token::ORDER;
        found.complete = search.all(AnyOf { kind, values }).await?;
    }
    found.under_way = search.under_way;
    found.deliveries = search.result().await?;
    Ok(found)
}

/// A delivery that carries some of what is withdrawn, by their places in the list.
struct Sent {
    stored: StoredDelivery,
    arrived_ms: u64,
    of: Vec<usize>,
}

struct Search<'a> {
    core: &'a Core,
    withdrawn: &'a [Object],
    sent: Vec<Sent>,
    /// How far the withdrawal of each has come, by channel and destination.
    told: HashMap<(Arc<str>, Arc<str>), BTreeMap<usize, DeliveryState>>,
    /// The withdrawal of one waits in a topic.
    under_way: bool,
}

impl Search<'_> {
    /// Looks at all messages that have one of these tokens; `false` if there are too many.
    async fn all(&mut self, any: AnyOf) -> Result<bool, JournalError> {
        let mut query = Query {
            tokens: vec![any],
            limit: PAGE_MAX,
            ..Query::default()
        };
        let mut seen = 0;
        loop {
            let page = self.core.journal.search(query.clone()).await?;
            for row in page.messages {
                seen += 1;
                if seen > COMPARED_MAX {
                    return Ok(false);
                }
                self.one(&row).await?;
            }
            match page.next {
                Some(before) => query.before = Some(before),
                None => return Ok(true),
            }
        }
    }

    async fn one(&mut self, row: &StoredMessage) -> Result<(), JournalError> {
        let deliveries = self.core.journal.deliveries_of(row.sequence).await?;
        let Some(channel) = deliveries
            .first()
            .and_then(|stored| self.core.channel(&stored.delivery.channel))
        else {
            return Ok(());
        };
        let format = Arc::clone(&channel.plan().format);
        let (_, received) = self.core.journal.received_at(row.sequence).await?;
        for stored in deliveries {
            let (_, sent) = self.core.journal.body(stored.delivery.delivery).await?;
            let told = objects(&*format, &received, &sent, row.arrived_ms);
            self.of_delivery(stored, row.arrived_ms, &told);
        }
        Ok(())
    }

    fn of_delivery(&mut self, stored: StoredDelivery, arrived_ms: u64, told: &[Object]) {
        let mut of = Vec::new();
        for (withdrawal, at) in self.withdrawn.iter().zip(0..) {
            let same = told
                .iter()
                .filter(|object| object.is_withdrawn_by(withdrawal));
            for object in same {
                if object.withdrawn {
                    self.tells(&stored, at);
                } else if !of.contains(&at) {
                    of.push(at);
                }
            }
        }
        if !of.is_empty() {
            self.sent.push(Sent {
                stored,
                arrived_ms,
                of,
            });
        }
    }

    /// A delivery carries the withdrawal of one.
    fn tells(&mut self, stored: &StoredDelivery, at: usize) {
        let of = &stored.delivery;
        let queue = self.core.queue(&of.channel, &of.destination);
        let hops = queue.is_some_and(|queue| queue.is_topic());
        self.under_way |= hops && stored.state == DeliveryState::Pending;
        let name = (Arc::clone(&of.channel), Arc::clone(&of.destination));
        let known = self.told.entry(name).or_default();
        let best = known.entry(at).or_insert(stored.state);
        if far(stored.state) > far(*best) {
            *best = stored.state;
        }
    }

    async fn result(self) -> Result<Vec<WithdrawnDelivery>, JournalError> {
        let mut all = Vec::with_capacity(self.sent.len());
        for sent in &self.sent {
            let of = &sent.stored.delivery;
            let id = of.delivery.id;
            let (delivered_ms, acknowledged) = taken(self.core, &sent.stored).await?;
            all.push(WithdrawnDelivery {
                delivery: id.to_string(),
                message: id.message.to_string(),
                channel: Arc::clone(&of.channel),
                destination: Arc::clone(&of.destination),
                system: self.system(sent),
                arrived_ms: sent.arrived_ms,
                results: sent.of.len(),
                state: word(sent.stored.state),
                delivered_ms,
                acknowledged,
                withdrawal: self.withdrawal(sent),
            });
        }
        Ok(all)
    }

    fn system(&self, sent: &Sent) -> Option<String> {
        let of = &sent.stored.delivery;
        let queue = self.core.queue(&of.channel, &of.destination)?;
        queue.target().plan.system.clone()
    }

    /// How far the withdrawal of all that a delivery carries has come at the same system.
    fn withdrawal(&self, sent: &Sent) -> &'static str {
        let of = &sent.stored.delivery;
        let own = (Arc::clone(&of.channel), Arc::clone(&of.destination));
        let names = match self.core.queue(&of.channel, &of.destination) {
            Some(queue) => self.core.names_of_system(&queue),
            None => std::iter::once(own).collect(),
        };
        let told = |at: &usize| {
            let of_names = names.iter().filter_map(|name| self.told.get(name)?.get(at));
            of_names.copied().max_by_key(|state| far(*state))
        };
        // Of several the one that has come least far.
        let states = sent.of.iter().map(told);
        let least = states.min_by_key(|state| state.map_or(0, far)).flatten();
        least.map_or("none", word)
    }
}

/// When the receiver took a delivery, and what it answered.
async fn taken(
    core: &Core,
    stored: &StoredDelivery,
) -> Result<(Option<u64>, Option<String>), JournalError> {
    if stored.state != DeliveryState::Delivered {
        return Ok((None, None));
    }
    let id = stored.delivery.delivery.id;
    let trace = core.journal.trace(id.message).await?;
    let of_delivery = trace
        .deliveries
        .into_iter()
        .rfind(|(stored, _)| stored.delivery.delivery.id == id);
    let last = of_delivery.and_then(|(_, attempts)| {
        attempts
            .into_iter()
            .rfind(|one| one.outcome == Outcome::Delivered)
    });
    let Some(last) = last else {
        return Ok((None, None));
    };
    let at_ms = last.started_ms.saturating_add(u64::from(last.duration_ms));
    let channel = core.channel(&stored.delivery.channel);
    let code = last.reply.zip(channel).and_then(|(reply, channel)| {
        let answer = channel.plan().format.read_answer(&reply).ok()?;
        Some(answer.code)
    });
    Ok((Some(at_ms), code))
}

/// How far a delivery has come.
const fn far(state: DeliveryState) -> u8 {
    match state {
        DeliveryState::Delivered => 4,
        DeliveryState::Pending | DeliveryState::Pinned => 3,
        DeliveryState::DeadLetter => 2,
        DeliveryState::Withdrawn => 1,
    }
}

const fn word(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Delivered => "delivered",
        DeliveryState::Pending | DeliveryState::Pinned => "waiting",
        DeliveryState::DeadLetter => "dead-letter",
        DeliveryState::Withdrawn => "withdrawn",
    }
}

impl crate::Engine {
    /// Where what a message withdraws went.
    ///
    /// # Errors
    /// If there is no such message, or it withdraws nothing.
    pub async fn withdrawn(&self, message: MessageId) -> Result<Withdrawn, OperateError> {
        let found = find(self.core(), message).await;
        let found = found.map_err(crate::operate::missing("message", message))?;
        if found.results == 0 {
            let text = format!("message {message} withdraws no result (OBX-11 = W)");
            return Err(OperateError::Conflict(text));
        }
        Ok(found)
    }

    /// Messages that withdraw results, the newest first, at most `limit`, of the last 90 days.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn withdrawals(&self, limit: usize) -> Result<Vec<Withdrawal>, JournalError> {
        let mut rows: Vec<Withdrawal> = rows::read(self.core(), OPEN, REPORT_MAX)?;
        rows.extend(rows::read::<Withdrawal>(self.core(), LOOKED, REPORT_MAX)?);
        rows.sort_by_cached_key(|row| std::cmp::Reverse(row.message.clone()));
        rows.dedup_by(|one, other| one.message == other.message);
        rows.truncate(limit);
        Ok(rows)
    }
}
