//! Critical results: until when their receivers must have acknowledged them, who is told where one has
//! not, and how long each took.
//!
//! A delivery of a critical result has a row in the state, written in the commit of its message, so it
//! survives a restart; so has one that is held, since whoever waits for it does not know why. The rows
//! are held against the journal now and then; what is over is kept for the report, elsewhere, so that
//! what is open stays few. Somebody counts as told when a channel has the alert durably.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hilum_component::{CRITICAL, ChannelPlan, FIRST_RECEIVED, Processed, Stop};
use hilum_journal::{DeliveryState, JournalError, Outcome, StateWrite};
use hilum_message::{DeliveryId, MessageId};
use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::figures::{Counter, Latency};
use crate::rows;
use crate::run::alerts::{Told, hand_over_all};
use crate::runtime::Core;

/// Where what is open is kept in the state, by message and ordinal.
const OPEN: &str = "hilum.critical";
/// Where what is over is kept.
const OVER: &str = "hilum.critical-over";
/// How long what is over is kept for the report.
const KEPT_MS: u64 = 90 * 86_400_000;
/// How often open rows are held against the journal.
const EVERY: Duration = Duration::from_millis(500);
/// Open rows that are read at once; beyond it the newest wait until older ones are over.
const OPEN_MAX: usize = 100_000;
/// The ordinal of a message that is held: it has no deliveries yet.
const HELD: u32 = u32::MAX;
/// Deliveries that are looked up at a time, those that are due first.
const LOOK_MAX: usize = 500;

/// A delivery of a critical result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Critical {
    /// The message.
    pub message: String,
    /// The place of the delivery among those of the message; the greatest number for a message that
    /// is held.
    pub ordinal: u32,
    /// The channel.
    pub channel: Arc<str>,
    /// The destination; `held` for a message that is held.
    pub destination: Arc<str>,
    /// The flag of the value (`HH`), or `STAT`.
    pub why: String,
    /// When the message arrived first, in whatever channel, Unix milliseconds.
    pub arrived_ms: u64,
    /// Until when the receiver must have acknowledged it.
    pub due_ms: u64,
    /// When someone was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_ms: Option<u64>,
    /// When the receiver acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_ms: Option<u64>,
    /// `waiting`, `acknowledged`, `taken` (received, and not acknowledged by the application),
    /// `dead-letter`, `withdrawn` or `gone`; of a message that was held and is not any more `decided`.
    pub state: String,
}

impl Critical {
    fn key(&self) -> String {
        format!("{}.{}", self.message, self.ordinal)
    }

    fn id(&self) -> Option<DeliveryId> {
        Some(DeliveryId {
            message: self.message.parse::<MessageId>().ok()?,
            ordinal: self.ordinal,
        })
    }
}

/// What is counted of critical results.
#[derive(Debug, Default)]
pub struct CriticalFigures {
    /// Deliveries that wait to be acknowledged.
    open: AtomicU64,
    /// Of those, the ones that somebody was told of.
    late: AtomicU64,
    /// Deliveries that were acknowledged since the start of the engine.
    pub acknowledged: Counter,
    /// Deliveries that somebody was told of, since the start of the engine.
    pub told: Counter,
    /// From the arrival of a message to its acknowledgement.
    pub took: Latency,
}

impl CriticalFigures {
    /// Deliveries that wait to be acknowledged.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Of those, the ones that took too long already.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }
}

/// The rows of a message's critical deliveries, for its commit; of one that is held a row of its own.
pub(crate) fn rows(plan: &ChannelPlan, processed: &Processed) -> Vec<StateWrite> {
    let mut rows = Vec::new();
    if processed.hold.is_some()
        && let Some(why) = processed.metadata.get(CRITICAL)
    {
        let within = plan.destinations.iter();
        let within = within.filter_map(|one| one.care.critical_within).min();
        rows.extend(within.and_then(|within| {
            let due_ms = first_ms(processed).saturating_add(within.0);
            row(plan, processed, HELD, &Arc::from("held"), why, due_ms)
        }));
    }
    for (delivery, ordinal) in processed.deliveries.iter().zip(0_u32..) {
        let why = delivery.metadata.get(CRITICAL).unwrap_or("critical");
        let to = &delivery.destination;
        rows.extend(
            delivery
                .critical
                .and_then(|due_ms| row(plan, processed, ordinal, to, why, due_ms)),
        );
    }
    rows
}

/// When a message came first: a hold and a way through other channels count.
fn first_ms(processed: &Processed) -> u64 {
    let first = processed.metadata.get(FIRST_RECEIVED);
    let first = first.and_then(|text| text.parse().ok());
    first.unwrap_or(processed.arrived_ms)
}

fn row(
    plan: &ChannelPlan,
    processed: &Processed,
    ordinal: u32,
    destination: &Arc<str>,
    why: &str,
    due_ms: u64,
) -> Option<StateWrite> {
    let row = Critical {
        message: processed.id.to_string(),
        ordinal,
        channel: Arc::clone(&plan.name),
        destination: Arc::clone(destination),
        why: why.to_owned(),
        arrived_ms: first_ms(processed),
        due_ms,
        told_ms: None,
        acknowledged_ms: None,
        state: "waiting".to_owned(),
    };
    rows::write(OPEN, &row.key(), &row, None)
}

/// Holds what is open against the journal until `stop`.
pub(crate) async fn watch(core: Arc<Core>, stop: Stop) {
    rows::watch(core, stop, ("critical results", EVERY), look).await;
}

async fn look(core: &Arc<Core>) -> Result<Vec<StateWrite>, JournalError> {
    let mut open: Vec<Critical> = rows::read(core, OPEN, OPEN_MAX)?;
    let late = open.iter().filter(|row| row.told_ms.is_some()).count();
    core.critical
        .open
        .store(open.len() as u64, Ordering::Relaxed);
    core.critical.late.store(late as u64, Ordering::Relaxed);
    // Whoever is not told of yet and due first; each of the others comes round.
    open.sort_by_key(|row| (row.told_ms.is_some(), row.due_ms));
    let mut writes = Vec::new();
    let held = if open.iter().any(|row| row.ordinal == HELD) {
        core.journal.holds().await?
    } else {
        Vec::new()
    };
    let held: BTreeSet<String> = held.iter().map(|row| row.message.to_string()).collect();
    for row in open.into_iter().take(LOOK_MAX) {
        let now = match row.ordinal {
            HELD if held.contains(&row.message) => Now::Held,
            HELD => Now::Decided,
            _ => found(core, &row).await?,
        };
        let was_told = row.told_ms.is_some();
        let next = settle(core, row, now);
        if hand_over_all(core, &next.alerts).await == Told::No {
            // It is tried again the next time.
            continue;
        }
        core.critical
            .told
            .add(u64::from(!was_told && next.row.told_ms.is_some()));
        if next.over {
            if let Some(at_ms) = next.row.acknowledged_ms {
                core.critical.acknowledged.add(1);
                let took_ms = at_ms.saturating_sub(next.row.arrived_ms);
                core.critical.took.observe_us(took_ms.saturating_mul(1_000));
            }
            let expires_ms = Some(core.now_ms().saturating_add(KEPT_MS));
            let key = next.row.key();
            writes.push(rows::remove(OPEN, &key));
            writes.extend(rows::write(OVER, &key, &next.row, expires_ms));
        } else if next.changed {
            writes.extend(rows::write(OPEN, &next.row.key(), &next.row, None));
        }
    }
    Ok(writes)
}

/// Where a delivery is.
enum Now {
    Held,
    Decided,
    Waiting,
    Acknowledged(u64),
    Taken,
    Dead,
    Withdrawn,
    Gone,
}

async fn found(core: &Core, row: &Critical) -> Result<Now, JournalError> {
    let Some(id) = row.id() else {
        return Ok(Now::Gone);
    };
    let stored = match core.journal.find_delivery(id).await {
        Ok(stored) => stored,
        Err(JournalError::NotFound { .. }) => return Ok(Now::Gone),
        Err(error) => return Err(error),
    };
    Ok(match stored.state {
        // A row that was pinned is open: what is settled is not moved there.
        DeliveryState::Pending | DeliveryState::Pinned => Now::Waiting,
        DeliveryState::DeadLetter => Now::Dead,
        DeliveryState::Withdrawn => Now::Withdrawn,
        DeliveryState::Delivered => delivered(core, row, id).await?,
    })
}

/// When the receiver had it, and whether its application said so: a commit answer of enhanced mode
/// says only that it was stored.
async fn delivered(core: &Core, row: &Critical, id: DeliveryId) -> Result<Now, JournalError> {
    let trace = core.journal.trace(id.message).await?;
    let own = trace
        .deliveries
        .into_iter()
        .rfind(|(stored, _)| stored.delivery.delivery.id == id);
    let attempts = own.map(|(_, attempts)| attempts).unwrap_or_default();
    let last = attempts
        .into_iter()
        .rfind(|one| one.outcome == Outcome::Delivered);
    let Some(last) = last else {
        return Ok(Now::Acknowledged(core.now_ms()));
    };
    let at_ms = last.started_ms.saturating_add(u64::from(last.duration_ms));
    let channel = core
        .channels()
        .into_iter()
        .find(|channel| channel.name == row.channel);
    let answer = last.reply.zip(channel).and_then(|(reply, channel)| {
        let plan = channel.plan();
        plan.format.read_answer(&reply).ok()
    });
    Ok(match answer {
        Some(answer) if answer.code == "CA" => Now::Taken,
        _ => Now::Acknowledged(at_ms),
    })
}

/// A row as it is now.
struct Next {
    row: Critical,
    /// It is to be written.
    changed: bool,
    /// Nobody waits for it any more.
    over: bool,
    /// What somebody is to be told of it.
    alerts: Vec<Alert>,
}

/// What follows from where a delivery is.
fn settle(core: &Core, row: Critical, now: Now) -> Next {
    let now_ms = core.now_ms();
    let before = row.clone();
    let is_due = now_ms > row.due_ms;
    let mut next = Next {
        row,
        changed: false,
        over: false,
        alerts: Vec::new(),
    };
    match now {
        Now::Held if is_due => {
            next.tell(
                core,
                "is held and nobody has decided in time (`hilum holds`)",
            );
        }
        Now::Waiting if is_due => {
            next.state("waiting");
            next.tell(core, "was not acknowledged in time");
        }
        Now::Held | Now::Waiting => next.state("waiting"),
        Now::Decided => next.end(core, "decided", "is no longer held"),
        Now::Dead => {
            next.state("dead-letter");
            next.tell(core, "became a dead letter");
        }
        Now::Taken if is_due => {
            let text = "was received, and the application has not acknowledged it in time";
            next.tell(core, text);
            next.state("taken");
            next.over = true;
        }
        Now::Taken => next.state("taken"),
        Now::Acknowledged(at_ms) => {
            if at_ms > next.row.due_ms {
                next.tell(core, "was not acknowledged in time");
            }
            next.row.acknowledged_ms = Some(at_ms);
            let took_s = at_ms.saturating_sub(next.row.arrived_ms) / 1_000;
            let text = format!("was acknowledged after {took_s} s");
            next.end(core, "acknowledged", &text);
        }
        Now::Withdrawn => next.end(core, "withdrawn", "was withdrawn by a person"),
        Now::Gone => next.end(core, "gone", "is no longer kept"),
    }
    next.changed = next.row != before;
    next
}

impl Next {
    fn state(&mut self, state: &str) {
        state.clone_into(&mut self.row.state);
    }

    /// Somebody is told, once for each delivery.
    fn tell(&mut self, core: &Core, what: &str) {
        if self.row.told_ms.is_some() {
            return;
        }
        self.row.told_ms = Some(core.now_ms());
        let text = format!(
            "a critical result ({}) {what}; call whoever cares for the patient, and see it with `hilum trace {}`",
            self.row.why, self.row.message
        );
        self.alerts.push(alert(core, &self.row, "raised", text));
    }

    /// It is over, and whoever was told learns that.
    fn end(&mut self, core: &Core, state: &str, what: &str) {
        self.state(state);
        self.over = true;
        if self.row.told_ms.is_some() {
            let text = format!("the critical result ({}) {what}", self.row.why);
            self.alerts.push(alert(core, &self.row, "cleared", text));
        }
    }
}

fn alert(core: &Core, row: &Critical, state: &'static str, text: String) -> Alert {
    Alert {
        kind: "critical-result",
        state,
        site: core.site(),
        channel: Some(Arc::clone(&row.channel)),
        owner: core.owner(&row.channel),
        destination: (row.ordinal != HELD).then(|| Arc::clone(&row.destination)),
        message: Some(row.message.clone()),
        text,
        at_ms: core.now_ms(),
    }
}

impl crate::Engine {
    /// Critical results, the newest first: those that wait and, unless `open` is set, those that are
    /// over; at most `limit`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn critical(
        &self,
        only_open: OnlyOpen,
        limit: usize,
    ) -> Result<Vec<Critical>, JournalError> {
        let mut rows: Vec<Critical> = rows::read(self.core(), OPEN, OPEN_MAX)?;
        if only_open == OnlyOpen::No {
            rows.extend(rows::read::<Critical>(self.core(), OVER, OPEN_MAX)?);
        }
        rows.sort_by_cached_key(|row| std::cmp::Reverse(row.key()));
        rows.truncate(limit);
        Ok(rows)
    }

    /// What is counted of critical results.
    #[must_use]
    pub fn critical_figures(&self) -> &CriticalFigures {
        &self.core().critical
    }
}

/// Whether only what waits is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnlyOpen {
    /// What waits.
    Yes,
    /// What is over as well.
    No,
}
