//! The pure path of a message through a channel.
//!
//! Engine, `hilum test`, traces, replay and the benches all call [`process`]; what it returns is
//! what the journal writes, in one transaction.

mod application;
mod batch;
mod beside;
mod clock;
mod deliver;
mod outcome;
mod run;
mod trace;

pub use clock::{ClockReading, REPEATS_RECEIVED};
pub use outcome::{Disposition, Finding, Hold, PlannedDelivery, Processed, Reason};
pub use run::{SPLIT_MAX, apply_alone};
pub use trace::{StepOutcome, StepTrace, TRACED_CHANGES_MAX, trace};

use std::sync::Arc;

use hilum_fhirpath::{Env, Host, Moment};
use hilum_message::{IndexKey, IndexToken, MessageId, Metadata, OrderKey, Payload};

use crate::marks::{self, SECURITY, WITHDRAWS};
use crate::step::Changes;
use crate::{
    Answer, ChannelPlan, Document, Identity, LinkedKeys, Meter, Order, OrderKeys, SealedAnswer,
    Severity, Split, StateView, TraceLine, UnmappedCode, UnmappedFate, Verdict, Working,
};
use batch::batch;
pub use beside::Beside;
use beside::Original;
pub(crate) use beside::{META, ORIGINAL};
use deliver::TEST_PATIENT;
use run::{Ran, Runner};

/// What a message is processed with, beside its channel's plan.
pub struct ProcessEnvironment<'a> {
    /// The node's key for tokens and order keys.
    pub index_key: &'a IndexKey,
    /// Links between identifiers.
    pub links: &'a dyn LinkedKeys,
    /// A snapshot of the state.
    pub state: &'a dyn StateView,
    /// Says when the steps have taken too long.
    pub meter: &'a dyn Meter,
    /// What expressions need of the world.
    pub host: &'a dyn Host,
    /// Lines for a trace, where somebody asks for one.
    pub trace: Option<&'a mut Vec<TraceLine>>,
}

/// A message to be processed.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its id.
    pub id: MessageId,
    /// When it arrived, Unix milliseconds.
    pub arrived_ms: u64,
    /// Its bytes.
    pub payload: Payload,
    /// What the source knows beside the bytes.
    pub metadata: Metadata,
    /// The hold that is over, of a message that was held.
    pub released: Option<Released>,
    /// Of a reply: the message that asked, as it was received.
    pub original: Option<Payload>,
}

impl Incoming {
    /// A message that has just arrived.
    #[must_use]
    pub const fn new(id: MessageId, arrived_ms: u64, payload: Payload, metadata: Metadata) -> Self {
        Self {
            id,
            arrived_ms,
            payload,
            metadata,
            released: None,
            original: None,
        }
    }
}

/// A hold that is over. The steps run from the first one again: what they did to the message and
/// the state was not kept, and the holds of steps before this one are over as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// The step that held the message.
    pub step: usize,
    /// Why it is over.
    pub by: ReleasedBy,
}

/// Why a hold is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleasedBy {
    /// A person let the message go on, or its time is up: the step cannot hold it again.
    Decision,
    /// The value changed that it waits for: the step looks again, and may hold it again.
    Change,
}

/// Takes a message through its channel.
#[must_use]
pub fn process(
    plan: &ChannelPlan,
    environment: &mut ProcessEnvironment<'_>,
    incoming: Incoming,
) -> Processed {
    match plan.format.split(&incoming.payload) {
        Split::One => one(plan, environment, incoming),
        Split::Many(ranges, problems) => batch(plan, environment, incoming, &ranges, problems),
    }
}

/// Takes a message only so far that it can be answered: whether it can be read, what identifies
/// it, and whether the channel takes it. The steps follow, by [`process`], when it is stored; what
/// was noticed about it is recorded with them.
#[must_use]
pub fn receive(
    plan: &ChannelPlan,
    environment: &mut ProcessEnvironment<'_>,
    incoming: Incoming,
) -> Processed {
    let mut processed = match plan.format.split(&incoming.payload) {
        Split::One => match opened(plan, environment, &incoming) {
            Ok(opened) => opened.processed,
            Err(refused) => {
                let mut refused = *refused;
                application::plan(plan, environment.index_key, &mut refused);
                refused
            }
        },
        Split::Many(..) => {
            let mut batch = Processed::new(&incoming);
            batch.answer = answer(plan, &incoming, Verdict::Accept, false);
            batch
        }
    };
    if processed.disposition.is_positive() {
        processed.findings.clear();
    }
    processed
}

fn one(
    plan: &ChannelPlan,
    environment: &mut ProcessEnvironment<'_>,
    incoming: Incoming,
) -> Processed {
    let mut processed = match opened(plan, environment, &incoming) {
        Ok(opened) => worked(plan, environment, incoming, opened),
        Err(refused) => *refused,
    };
    application::plan(plan, environment.index_key, &mut processed);
    processed
}

/// Takes a message that was read and checked through the steps.
fn worked(
    plan: &ChannelPlan,
    environment: &mut ProcessEnvironment<'_>,
    incoming: Incoming,
    opened: Opened,
) -> Processed {
    let Opened {
        processed,
        document,
        original,
    } = opened;
    if let Some(trace) = environment.trace.as_deref_mut() {
        trace.extend(marks::lines(&processed.metadata));
    }
    let env = env_of(environment, &incoming);
    let working = Working {
        id: incoming.id,
        document,
        metadata: processed.metadata.clone(),
        routes: None,
    };
    let original = original.document();
    steps(
        plan,
        environment,
        incoming,
        &env,
        original,
        working,
        processed,
    )
}

/// A message that was read and checked, and is ready for the steps.
struct Opened {
    processed: Processed,
    document: Box<dyn Document>,
    original: Original,
}

/// Reads a message and checks it as it came; the error is one that ends here.
fn opened(
    plan: &ChannelPlan,
    environment: &ProcessEnvironment<'_>,
    incoming: &Incoming,
) -> Result<Opened, Box<Processed>> {
    let mut processed = Processed::new(incoming);
    let ended = |processed, disposition, reason| {
        Box::new(refuse(plan, incoming, processed, disposition, reason))
    };
    let document = match plan.format.parse(&incoming.payload) {
        Ok(document) => document,
        Err(reject) => {
            let reason = Reason::new("parse", "100", None, reject.to_string());
            return Err(ended(processed, Disposition::Rejected, reason));
        }
    };
    let problems = document.problems();
    processed.findings.extend(
        problems
            .into_iter()
            .map(|problem| Finding::of_problem("parse", problem)),
    );
    processed.identity = plan.format.identify(&*document);
    // It is in the order of both, and found by both.
    if let Some(patient) = environment.links.reassigned(&incoming.metadata)
        && !processed.identity.patients.contains(&patient)
    {
        processed.identity.patients.push(patient);
    }
    processed.clock = clock::read(
        &plan.senders,
        &*plan.format,
        incoming,
        &*document,
        &processed.identity,
        &mut processed.findings,
    );
    processed.answer_mode = plan.format.answer_mode(&*document);
    let original = Original::of(plan, incoming.original.as_ref(), &mut processed.findings);
    let beside = Beside::new(original.document(), &incoming.metadata);
    let env = env_of(environment, incoming).with_variables(&beside);
    let checked = check(
        plan,
        environment,
        incoming,
        &env,
        &*document,
        &mut processed,
    );
    match checked {
        Ok(()) => Ok(Opened {
            processed,
            document,
            original,
        }),
        Err((disposition, reason)) => Err(ended(processed, disposition, reason)),
    }
}

/// What expressions see of the world.
fn env_of<'e>(environment: &ProcessEnvironment<'e>, incoming: &Incoming) -> Env<'e> {
    let now = i64::try_from(incoming.arrived_ms).unwrap_or(i64::MAX);
    Env::new(Moment::from_unix_millis(now, 0)).with_host(environment.host)
}

/// Control id, keys, index values and `accept:`, all of the message as it came.
fn check(
    plan: &ChannelPlan,
    environment: &ProcessEnvironment<'_>,
    incoming: &Incoming,
    env: &Env<'_>,
    document: &dyn Document,
    processed: &mut Processed,
) -> Result<(), (Disposition, Reason)> {
    let failed =
        |what: String, text: String| (Disposition::Rejected, Reason::new(&what, "207", None, text));
    let has_answers = answer(plan, incoming, Verdict::Accept, false);
    let lacks_id = processed.identity.control_id.is_none()
        && plan.format.control_id_names_message(&processed.identity);
    if has_answers.is_some() && lacks_id && !plan.control_id_optional {
        let text = "the message has no control id".to_owned();
        let reason = Reason::new("accept", "101", Some("MSH-10".to_owned()), text);
        return Err((Disposition::Rejected, reason));
    }
    processed.answer = has_answers;
    for field in &plan.index {
        let values = field
            .rule
            .strings(document, env)
            .map_err(|text| failed(format!("index {}", field.name), text))?;
        if let Some(first) = values.first() {
            processed.metadata.set(&*field.name, first.as_str());
        }
        for value in values {
            let token = IndexToken::of(environment.index_key, &field.name, &value);
            processed.tokens.push((field.name.clone(), token));
        }
    }
    marks::note(
        plan.format.as_ref(),
        &plan.marking,
        document,
        env,
        &mut processed.metadata,
    )
    .map_err(|text| failed("security-labels".to_owned(), text))?;
    if let Some(count) = processed.metadata.get(WITHDRAWS) {
        processed.findings.push(Finding {
            step: "engine".to_owned(),
            code: "withdraws-result".to_owned(),
            path: None,
            severity: Severity::Warning,
            text: format!(
                "its sender takes back {count} {}; `hilum withdrawals` with the id of this message lists \
                 where they went",
                if count == "1" { "result" } else { "results" }
            ),
        });
    }
    let labels = processed.metadata.get(SECURITY).unwrap_or_default();
    for label in labels.split_whitespace() {
        let token = IndexToken::of(environment.index_key, SECURITY, label);
        processed.tokens.push((Arc::from(SECURITY), token));
    }
    processed.keys = keys(plan, environment, env, document, &processed.identity)
        .map_err(|text| failed("order".to_owned(), text))?;
    let Some(accept) = &plan.accept else {
        return Ok(());
    };
    match accept.test(document, env) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let text = format!("this channel accepts only {}", accept.text());
            Err((
                Disposition::Refused,
                Reason::new("accept", "200", None, text),
            ))
        }
        Err(text) => Err(failed("accept".to_owned(), text)),
    }
}

fn keys(
    plan: &ChannelPlan,
    environment: &ProcessEnvironment<'_>,
    env: &Env<'_>,
    document: &dyn Document,
    identity: &Identity,
) -> Result<Vec<OrderKey>, String> {
    let maker = OrderKeys {
        index: environment.index_key,
        links: environment.links,
        state: environment.state,
    };
    Ok(match &plan.order {
        Order::Channel => maker.of_values(&plan.name, &[]),
        Order::Domain(domain) => maker.of_domain(&plan.name, domain, identity),
        Order::Rule(rule) => maker.of_values(&plan.name, &rule.strings(document, env)?),
    })
}

/// Runs the steps and plans the deliveries.
fn steps(
    plan: &ChannelPlan,
    environment: &mut ProcessEnvironment<'_>,
    incoming: Incoming,
    env: &Env<'_>,
    original: Option<&dyn Document>,
    working: Working,
    mut processed: Processed,
) -> Processed {
    let mut changes = Changes::default();
    let mut runner = Runner {
        plan,
        env,
        original,
        arrived_ms: incoming.arrived_ms,
        meter: environment.meter,
        state: environment.state,
        changes: &mut changes,
        findings: &mut processed.findings,
        trace: environment.trace.as_deref_mut(),
    };
    let ran = runner.steps(&plan.steps, "", incoming.released, working);
    let result = match ran {
        Ran::Through(mut messages) if messages.len() == 1 && messages[0].id == incoming.id => {
            deliver::plan_all(
                &mut runner,
                messages.remove(0),
                &processed.identity,
                &processed.keys,
            )
            .and_then(|deliveries| {
                processed.deliveries = deliveries;
                withheld(runner.findings, &processed.deliveries)
            })
        }
        Ran::Through(messages) => children(
            &mut runner,
            messages,
            &processed.identity,
            &processed.keys,
            &incoming,
        )
        .map(|children| processed.children = children),
        Ran::Filtered(reason) => Err((Disposition::Filtered, reason)),
        Ran::Rejected(reason) => Err((Disposition::Rejected, reason)),
        Ran::Held(reason, hold) => {
            processed.hold = Some(hold);
            Err((Disposition::Held, reason))
        }
    };
    let (mut timers, writes) = (changes.timers, changes.writes);
    processed.reads = changes.reads.into_iter().map(|(read, _)| read).collect();
    processed.unmapped = changes.unmapped;
    processed.unmapped_more = changes.unmapped_more;
    if processed.hold.is_some() {
        // Whoever releases the message has it processed again, and then the others count.
        let held = |code: &UnmappedCode| code.fate == UnmappedFate::Held;
        processed.unmapped.retain(held);
        processed.unmapped_more = 0;
    }
    match result {
        Ok(()) => {
            processed.writes = writes.into_values().collect();
            processed.timers.append(&mut timers);
            processed
        }
        Err((disposition @ (Disposition::Filtered | Disposition::Held), reason)) => {
            processed.disposition = disposition;
            if disposition == Disposition::Filtered {
                processed.writes = writes.into_values().collect();
                processed.timers.append(&mut timers);
            }
            processed.reason = Some(reason);
            processed
        }
        Err((disposition, reason)) => refuse(plan, &incoming, processed, disposition, reason),
    }
}

/// A message that was for destinations in production alone, and is about a test patient, ends here.
fn withheld(
    findings: &[Finding],
    deliveries: &[PlannedDelivery],
) -> Result<(), (Disposition, Reason)> {
    let stopped = findings.iter().find(|finding| finding.code == TEST_PATIENT);
    match stopped {
        Some(found) if deliveries.is_empty() => {
            let path = found.path.clone();
            let reason = Reason::new(&found.step, TEST_PATIENT, path, found.text.clone());
            Err((Disposition::Filtered, reason))
        }
        Some(_) | None => Ok(()),
    }
}

/// Plans the deliveries of each message that a step split off.
fn children(
    runner: &mut Runner<'_, '_>,
    messages: Vec<Working>,
    identity: &Identity,
    keys: &[OrderKey],
    incoming: &Incoming,
) -> Result<Vec<Processed>, (Disposition, Reason)> {
    let mut children = Vec::with_capacity(messages.len());
    for message in messages {
        let payload = message.document.write();
        let metadata = message.metadata.clone();
        let mut child = Processed::new(&Incoming::new(
            message.id,
            incoming.arrived_ms,
            payload,
            metadata,
        ));
        child.identity = identity.clone();
        child.keys = keys.to_vec();
        child.deliveries = deliver::plan_all(runner, message, identity, keys)?;
        children.push(child);
    }
    Ok(children)
}

/// Ends a message with a negative verdict.
fn refuse(
    plan: &ChannelPlan,
    incoming: &Incoming,
    mut processed: Processed,
    disposition: Disposition,
    reason: Reason,
) -> Processed {
    let verdict = match disposition {
        Disposition::Refused => reason.as_refusal(),
        _ => reason.as_error(),
    };
    processed.answer = answer(plan, incoming, verdict, false);
    processed.disposition = disposition;
    processed.deliveries.clear();
    processed.children.clear();
    processed.reason = Some(reason);
    processed
}

/// The channel's answer to a message; also for messages that fail after processing.
#[must_use]
pub fn answer(
    plan: &ChannelPlan,
    incoming: &Incoming,
    verdict: Verdict<'_>,
    commit: bool,
) -> Option<SealedAnswer> {
    plan.format.answer(&Answer {
        received: &incoming.payload,
        verdict,
        message: incoming.id,
        at_ms: incoming.arrived_ms,
        commit,
    })
}

impl std::fmt::Debug for ProcessEnvironment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProcessEnvironment")
    }
}
