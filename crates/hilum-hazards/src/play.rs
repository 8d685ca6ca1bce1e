//! One run: the story is played against a node, with what goes wrong, and what came of it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use hilum_engine::{Critical, Engine, Held, OldState, OnlyOpen, OperateError, Replay, StateEdit};
use hilum_faultfs::Faults;
use hilum_identity::{
    Cause, Identifier, LinkError, Memory, REASSIGNED, UNDO, left_out, remembered_until, undo,
};
use hilum_journal::{DeliveryState, Disposition, PAGE_MAX, Query, StoredMessage};
use hilum_message::{DeliveryId, MessageId};
use smol_str::SmolStr;

use crate::course::{Course, Retry, Size};
use crate::message::Templates;
use crate::node::{Node, PATIENCE, Site, Time};
use crate::peers::World;
use crate::sequence::{Act, Scene, Sent, Sequence};

/// Between two messages, in milliseconds.
const STEP_MS: u64 = 1_000;
/// How often a dead letter is looked for, every 5 ms.
const SETTLE_TRIES: u32 = 200;
/// Power cuts that a run survives before it is given up: only one is set.
const STARTS_MAX: u32 = 3;

/// What a run led to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Facts by receiver.
    pub(crate) receivers: BTreeMap<String, BTreeMap<String, String>>,
    /// Why messages are held, by name.
    pub(crate) holds: BTreeMap<String, String>,
    /// Former values in the store, of what the sequence asks for.
    pub(crate) history: BTreeMap<String, Vec<String>>,
    /// The messages from which the store has something, of what the sequence asks for.
    pub(crate) provenance: BTreeMap<String, Vec<String>>,
    /// The codes of findings, by message.
    pub(crate) findings: BTreeMap<String, BTreeSet<String>>,
    /// The receivers that have not got a message for good, by message.
    pub(crate) dead_letters: BTreeMap<String, BTreeSet<String>>,
    /// What whoever is on duty was told last.
    pub(crate) alerts: BTreeMap<String, String>,
    /// The messages that each receiver took, in that order.
    pub(crate) orders: BTreeMap<String, Vec<String>>,
    /// What did not go as the story says.
    pub(crate) broken: Vec<String>,
    /// What each receiver was sent, oldest first.
    pub(crate) taken: BTreeMap<String, Vec<String>>,
    pub(crate) size: Size,
    /// The power went.
    pub(crate) cut: bool,
}

/// Plays a story; without a course in the order of the file, and nothing goes wrong.
pub(crate) async fn play(
    site: &Site,
    templates: &Templates,
    sequence: &Sequence,
    course: Option<&Course>,
) -> anyhow::Result<Outcome> {
    let world = World::default();
    let time = Time::default();
    let disk = site.disk();
    let node = Node::start(site, world.clone(), disk, time).await?;
    node.disk.set_faults(Faults {
        cut_at: course.map(|course| course.cut_at),
        ..Faults::default()
    });
    if let Some(Course {
        retry: Retry::Delivery(at, what),
        ..
    }) = course
    {
        world.mishap(*at, *what);
    }
    let mut player = Player {
        site,
        templates,
        course,
        node: Some(node),
        sent: Vec::new(),
        starts: 0,
        outcome: Outcome::default(),
    };
    let played = player.story(sequence).await;
    let ended = match played {
        Ok(()) => player.end(sequence).await,
        Err(error) => Err(error),
    };
    if let Some(mut node) = player.node.take() {
        node.stop(site).await;
    }
    ended.map(|()| player.outcome)
}

struct Player<'a> {
    site: &'a Site,
    templates: &'a Templates,
    course: Option<&'a Course>,
    /// Only missing while the node starts again.
    node: Option<Node>,
    /// Names, channels and bytes of what was sent.
    sent: Vec<(String, Arc<str>, Bytes)>,
    starts: u32,
    outcome: Outcome,
}

impl Player<'_> {
    fn node(&self) -> anyhow::Result<&Node> {
        self.node.as_ref().context("the node does not run")
    }

    async fn story(&mut self, sequence: &Sequence) -> anyhow::Result<()> {
        let mut place = 0;
        for (scene, number) in sequence.story.iter().zip(0..) {
            if let Scene::Do(act) = scene {
                self.act(act).await?;
            }
            let messages = scene.messages();
            let in_file = || (0..messages.len()).collect();
            let order = self.course.and_then(|course| course.orders.get(number));
            let order: Vec<usize> = order.cloned().unwrap_or_else(in_file);
            let mut again = None;
            for at in order {
                let Some(sent) = messages.get(at) else {
                    continue;
                };
                self.send(sent).await?;
                if let Some(Retry::Resend { message, after }) = self.course.map(|one| one.retry)
                    && message == place
                {
                    let name = sent.is.name.clone();
                    if after == 0 {
                        self.send_again(&name).await?;
                    } else {
                        again = Some(name);
                    }
                }
                place += 1;
            }
            if let Some(name) = again {
                self.send_again(&name).await?;
            }
            self.rest().await?;
        }
        Ok(())
    }

    async fn send(&mut self, sent: &Sent) -> anyhow::Result<()> {
        let bytes = self.templates.build(sent)?;
        let channel = self.site.sources.get(&sent.source);
        let channel = channel.with_context(|| format!("the site has no source {}", sent.source))?;
        let named = (sent.is.name.clone(), Arc::clone(channel), bytes);
        self.sent.push(named.clone());
        let expected = sent.is.answer.as_deref().unwrap_or("AA");
        self.deliver(&named, expected).await
    }

    async fn send_again(&mut self, name: &str) -> anyhow::Result<()> {
        let found = self.sent.iter().find(|(known, ..)| known == name).cloned();
        let named = found.with_context(|| format!("{name} was not sent yet"))?;
        self.deliver(&named, "").await
    }

    /// Sends until it is answered, as a sender does; checks the answer unless none is expected.
    async fn deliver(
        &mut self,
        (name, channel, bytes): &(String, Arc<str>, Bytes),
        expected: &str,
    ) -> anyhow::Result<()> {
        loop {
            let node = self.node()?;
            node.time.fetch_add(STEP_MS, Ordering::Relaxed);
            let reply = node.send(channel, bytes.clone()).await;
            let positive = reply
                .as_ref()
                .is_some_and(|reply| reply.disposition.is_positive());
            if self.node()?.disk.is_dead() && !positive {
                self.start_again().await?;
                continue;
            }
            let answer = reply.as_ref().and_then(|reply| reply.answer.clone());
            let answer = answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let code = answer.as_deref().map_or("", code);
            if !expected.is_empty() && code != expected {
                let why = reply.and_then(|reply| reply.reason).unwrap_or_default();
                self.outcome.broken.push(format!(
                    "{name} is answered {code} and not {expected}: {why}"
                ));
            }
            break;
        }
        if self.course.is_none_or(|course| course.waits) {
            self.rest().await?;
        }
        Ok(())
    }

    /// Waits until all is at rest; if the power has gone, it is so after the next start.
    async fn rest(&mut self) -> anyhow::Result<()> {
        loop {
            let node = self.node()?;
            if !node.disk.is_dead() {
                let rested = match node.rest().await {
                    Ok(()) => self.told().await,
                    Err(error) => Err(error),
                };
                if let Err(error) = rested
                    && !self.node()?.disk.is_dead()
                {
                    return Err(error);
                }
            }
            if !self.node()?.disk.is_dead() {
                return Ok(());
            }
            self.start_again().await?;
        }
    }

    async fn start_again(&mut self) -> anyhow::Result<()> {
        self.starts += 1;
        if self.starts > STARTS_MAX {
            bail!("the disk failed again after the power was back");
        }
        self.outcome.cut = true;
        let node = self.node.take().context("the node does not run")?;
        let seed = self.course.map_or(0, |course| course.seed);
        self.node = Some(node.power_cut(self.site, seed).await?);
        Ok(())
    }

    async fn act(&mut self, act: &Act) -> anyhow::Result<()> {
        let first = self.acted(act, OldState::Refuse).await;
        let failed = match (first, self.node()?.disk.is_dead()) {
            (Ok(()), _) => return self.rest().await,
            (Err(error), false) => error,
            (Err(_), true) => {
                // The operator looks again after the start, and does what was not done.
                self.start_again().await?;
                match self.acted(act, OldState::Refuse).await {
                    Ok(()) => return self.rest().await,
                    Err(error) if is_done(&error) => return self.rest().await,
                    Err(error) => error,
                }
            }
        };
        self.outcome.broken.push(format!("{act:?}: {failed:#}"));
        self.rest().await
    }

    async fn acted(&mut self, act: &Act, old: OldState) -> anyhow::Result<()> {
        let reason = "as the story says";
        match act {
            Act::Release(name) => self.held(name, Held::Release, old).await,
            Act::Reject(name) => self.held(name, Held::Reject, old).await,
            Act::Reassign { message, to } => {
                let number = self.templates.number(to)?;
                let key = Identifier::new(number, "STE", "MR").key();
                let values = vec![(REASSIGNED.to_owned(), key.into())];
                self.held(message, Held::Retry(values), old).await
            }
            Act::Undo(name) => self.undo(name).await,
            Act::Retry { message, at } => {
                let id = self.dead_letter(message, at).await?;
                let engine = Arc::clone(self.node()?.engine()?);
                Ok(engine.requeue(id, reason, old).await?)
            }
            Act::Replay(name) => {
                let id = self.message(name).await?;
                let engine = Arc::clone(self.node()?.engine()?);
                let replay = Replay {
                    old,
                    reason: reason.to_owned(),
                    ..Replay::default()
                };
                engine.replay(id, replay).await?;
                Ok(())
            }
            Act::Forced(act) => Box::pin(self.acted(act, OldState::Force)).await,
            Act::Refused(act) => match Box::pin(self.acted(act, old)).await {
                Ok(()) => bail!("it was done, where it has to be refused"),
                Err(error) if error.downcast_ref::<OperateError>().is_some() => Ok(()),
                Err(error) => Err(error),
            },
            Act::Resend(name) => self.send_again(name).await,
            Act::Away(receiver) => {
                self.node()?.world.away(receiver, true);
                Ok(())
            }
            Act::Back(receiver) => {
                self.node()?.world.away(receiver, false);
                Ok(())
            }
            Act::Answers { at, to, with } => {
                self.node()?.world.refuses(at, to, with);
                Ok(())
            }
            Act::Accepts(receiver) => {
                self.node()?.world.accepts(receiver);
                Ok(())
            }
            Act::Minutes(minutes) => self.minutes(minutes).await,
        }
    }

    async fn minutes(&self, minutes: &str) -> anyhow::Result<()> {
        let minutes: u64 = minutes.parse().context("minutes are a number")?;
        let node = self.node()?;
        node.time.fetch_add(minutes * 60_000, Ordering::Relaxed);
        node.rest().await
    }

    /// Waits until critical results were held against the clock and the journal, and whoever is told
    /// has been.
    async fn told(&self) -> anyhow::Result<()> {
        let node = self.node()?;
        let told = async {
            while !node.disk.is_dead() && !self.all_told().await? {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            anyhow::Ok(())
        };
        let told = tokio::time::timeout(PATIENCE, told).await;
        told.context("nobody looks at critical results")?
    }

    async fn all_told(&self) -> anyhow::Result<bool> {
        let node = self.node()?;
        let engine = node.engine()?;
        let (open, alerts) = (
            engine.critical(OnlyOpen::Yes, PAGE_MAX)?,
            node.world.alerts(),
        );
        let held = engine.journal().holds().await?;
        for row in &open {
            let message = row.message.parse()?;
            let ordinal = row.ordinal;
            let is_told = row.told_ms.is_some();
            let in_time = node.now_ms() <= row.due_ms;
            let id = DeliveryId { message, ordinal };
            let settled = match engine
                .journal()
                .find_delivery(id)
                .await
                .map(|one| one.state)
            {
                Ok(DeliveryState::Delivered | DeliveryState::Withdrawn) => false,
                Ok(DeliveryState::DeadLetter) => is_told,
                // What can be delivered is about to be settled.
                Ok(DeliveryState::Pending | DeliveryState::Pinned) => {
                    node.world.is_away(&row.destination) && (is_told || in_time)
                }
                // It is held, or was so.
                Err(_) => held.iter().any(|one| one.message == message) && (is_told || in_time),
            };
            if !settled {
                return Ok(false);
            }
        }
        let rows = engine.critical(OnlyOpen::No, PAGE_MAX)?;
        let heard = |row: &Critical| {
            let state = if open.contains(row) {
                "raised"
            } else {
                "cleared"
            };
            let of = format!("critical-result {} {}", row.channel, row.destination);
            row.told_ms.is_none() || alerts.get(&of).is_some_and(|heard| heard == state)
        };
        Ok(rows.iter().all(heard))
    }

    /// The rows of a message, newest first.
    async fn rows(&self) -> anyhow::Result<Vec<StoredMessage>> {
        let query = Query {
            limit: PAGE_MAX,
            ..Query::default()
        };
        let engine = self.node()?.engine()?;
        Ok(engine.journal().search(query).await?.messages)
    }

    /// The first record of a message by its name.
    async fn message(&self, name: &str) -> anyhow::Result<MessageId> {
        let rows = self.rows().await?;
        let first = rows
            .iter()
            .rfind(|row| row.control_id.as_deref() == Some(name));
        let first = first.with_context(|| format!("{name} is not in the journal"))?;
        Ok(first.message)
    }

    async fn held(&self, name: &str, decision: Held, old: OldState) -> anyhow::Result<()> {
        let engine = Arc::clone(self.node()?.engine()?);
        let holds = engine.journal().holds().await?;
        let found = holds
            .iter()
            .find(|row| row.control_id.as_deref() == Some(name));
        let found = found.ok_or_else(|| OperateError::NotFound(format!("held message {name}")))?;
        let reason = "as the story says";
        engine.held(found.message, decision, reason, old).await?;
        Ok(())
    }

    /// The dead letter of a message. What was refused just now is written a moment later than its
    /// queue is empty.
    async fn dead_letter(&self, name: &str, at: &str) -> anyhow::Result<DeliveryId> {
        for _ in 0..SETTLE_TRIES {
            if let Some(found) = self.find_dead_letter(name, at).await? {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let text = format!("dead letter of {name} at {at}");
        Err(OperateError::NotFound(text).into())
    }

    async fn find_dead_letter(&self, name: &str, at: &str) -> anyhow::Result<Option<DeliveryId>> {
        let engine = self.node()?.engine()?;
        for row in self.rows().await? {
            if row.control_id.as_deref() != Some(name) {
                continue;
            }
            let trace = engine.journal().trace(row.message).await?;
            let dead = trace.deliveries.iter().find(|(one, _)| {
                one.state == DeliveryState::DeadLetter && *one.delivery.destination == *at
            });
            if let Some((dead, _)) = dead {
                return Ok(Some(dead.delivery.delivery.id));
            }
        }
        Ok(None)
    }

    /// Takes back what a message did to links, by the event that its patient's record names.
    async fn undo(&self, name: &str) -> anyhow::Result<()> {
        let engine = Arc::clone(self.node()?.engine()?);
        let rows = self.rows().await?;
        let named = rows
            .iter()
            .filter(|row| row.control_id.as_deref() == Some(name));
        let mut refused = anyhow::anyhow!("{name} is not in the journal");
        // The step names its events after the message; one that was held before has a row of its own
        // for what it did then, and one that took another back is no event of the story.
        for row in named.filter(|row| row.metadata.get(UNDO).is_none()) {
            let event = row.message.derive("match", 0).to_string();
            let look = |state: &mut StateEdit<'_>| tried(state, &event);
            match engine.edit_state("looked at", look).await? {
                Ok(()) | Err(Some(LinkError::NoEvent)) => continue,
                Err(None) => {}
                Err(Some(error @ LinkError::Undone(_))) => {
                    tell_late(&engine, &event).await?;
                    refused = OperateError::Conflict(error.to_string()).into();
                    continue;
                }
                Err(Some(error)) => {
                    refused = OperateError::Conflict(error.to_string()).into();
                    continue;
                }
            }
            let values = vec![(UNDO.to_owned(), format!("{event} as the story says"))];
            let again = engine
                .again_for_stores(row.message, values, "as the story says")
                .await?;
            let disposition = again.map(|again| again.disposition);
            if disposition == Some(hilum_component::Disposition::Accepted) {
                return tell_late(&engine, &event).await;
            }
            bail!("the stores were not told: {disposition:?}");
        }
        Err(refused)
    }

    /// Reads what came of it.
    async fn end(&mut self, sequence: &Sequence) -> anyhow::Result<()> {
        self.rest().await?;
        let node = self.node()?;
        let steps = node.disk.steps();
        // What is only read is no part of the story.
        node.disk.set_faults(Faults::default());
        if node.disk.is_dead() {
            self.start_again().await?;
            self.rest().await?;
        }
        let rows = self.rows().await?;
        let node = self.node()?;
        let engine = Arc::clone(node.engine()?);
        let world = node.world.clone();
        let port = node.fhir()?.port();
        let store = crate::store::facts(&port).await?;
        let then = &sequence.then;
        let history = crate::store::histories(&port, then.history.keys()).await?;
        let provenance = crate::store::provenances(&port, then.provenance.keys()).await?;
        let name = |row: &StoredMessage| row.control_id.as_deref().unwrap_or("?").to_owned();
        let mut outcome = std::mem::take(&mut self.outcome);
        (outcome.history, outcome.provenance) = (history, provenance);
        for row in engine.journal().holds().await? {
            let reason = row.reason.as_deref().unwrap_or_default().to_owned();
            outcome.holds.insert(name(&row), reason);
        }
        for row in &rows {
            let codes = row.findings.iter().map(|finding| finding.code.to_string());
            outcome.findings.entry(name(row)).or_default().extend(codes);
            if row.disposition == Disposition::Filtered {
                let own = outcome.findings.entry(name(row)).or_default();
                own.insert("filtered".to_owned());
            }
            let trace = engine.journal().trace(row.message).await?;
            for (one, _) in trace.deliveries {
                if one.state == DeliveryState::DeadLetter {
                    let to = one.delivery.destination.to_string();
                    outcome
                        .dead_letters
                        .entry(name(row))
                        .or_default()
                        .insert(to);
                }
            }
        }
        outcome.size = Size {
            attempts: world.attempts(),
            steps,
        };
        outcome.alerts = world.alerts();
        for receiver in world.names() {
            outcome
                .orders
                .insert(receiver.clone(), world.order(&receiver));
            outcome
                .taken
                .insert(receiver.clone(), world.taken(&receiver));
            outcome
                .receivers
                .insert(receiver.clone(), world.facts(&receiver));
        }
        outcome.receivers.insert("store".to_owned(), store);
        self.outcome = outcome;
        Ok(())
    }
}

/// What an operator finds done already after a power cut.
fn is_done(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<OperateError>();
    refused
        .is_some_and(|error| matches!(error, OperateError::NotFound(_) | OperateError::Conflict(_)))
}

/// Tells the store what came late for visits whose merge was taken back, as the API does.
async fn tell_late(engine: &Engine, event: &str) -> anyhow::Result<()> {
    let late = |state: &mut StateEdit<'_>| left_out(&mut Links(state), event);
    for message in engine.edit_state("looked at", late).await?? {
        let why = "as the story says";
        engine.again_for_stores(message, Vec::new(), why).await?;
    }
    Ok(())
}

/// Takes an event back and fails, so that nothing is written; `None` if it could be done.
fn tried(state: &mut StateEdit<'_>, event: &str) -> Result<(), Option<LinkError>> {
    let cause = Cause {
        id: state.id,
        at_ms: state.now_ms,
        by: "an operator",
        reason: "",
    };
    undo(&mut Links(state), event, &cause).map_err(Some)?;
    Err(None)
}

/// MSA-1 of an answer.
fn code(answer: &str) -> &str {
    let msa = answer.split('\r').find(|line| line.starts_with("MSA|"));
    msa.and_then(|line| line.split('|').nth(1))
        .unwrap_or_default()
}

/// The state as links see it.
struct Links<'a, 'b>(&'a mut StateEdit<'b>);

impl Memory for Links<'_, '_> {
    fn read(&mut self, scope: &str, key: &str) -> Option<Bytes> {
        self.0.get(scope, key)
    }

    fn write(&mut self, scope: &'static str, key: &SmolStr, value: Option<Bytes>) {
        let until = remembered_until(scope, self.0.now_ms).filter(|_| value.is_some());
        self.0.put(scope, key, value, until);
    }
}
