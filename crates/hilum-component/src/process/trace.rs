//! What each step did to a message, for people who ask afterwards.
//!
//! [`trace`] is [`process`] with every step watched: the document is compared before and after, so
//! that also a step that says nothing (a script) shows what it changed. It costs far more than
//! [`process`] and is never on the way of a message.

use std::sync::{Arc, Mutex, PoisonError};

use hilum_message::{MessageId, Phi};

use super::{Finding, Incoming, ProcessEnvironment, Processed, process};
use crate::leaves::{Leaves, changed_leaves, leaves};
use crate::marks::MARKS;
use crate::{ChannelPlan, Document, Flow, Halted, Step, StepContext, StepPlan, TraceLine, Working};

/// Changes of one step that are listed.
pub const TRACED_CHANGES_MAX: usize = 500;

/// What one step did to one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTrace {
    /// The step's name (`2 translate`); a destination's own steps follow its name
    /// (`ehr/1 set`).
    pub step: String,
    /// The message, which may be part of a batch or of a split.
    pub message: MessageId,
    /// What became of it.
    pub outcome: StepOutcome,
    /// What it read and wrote, and why; content is masked in every format.
    pub lines: Vec<TraceLine>,
    /// More was changed than is listed, or the document is too large to compare.
    pub cut: bool,
    /// What it noticed.
    pub findings: Vec<Finding>,
}

/// What became of a message in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It goes on.
    Next,
    /// It ends, for this reason.
    Filtered(String),
    /// It became so many.
    Split(usize),
    /// It is at fault, waits, or took too long.
    Halted(Halted),
}

/// Takes a message through its channel and says what each step did.
#[must_use]
pub fn trace(
    plan: &ChannelPlan,
    environment: &mut ProcessEnvironment<'_>,
    incoming: Incoming,
) -> (Processed, Vec<StepTrace>) {
    let sink = Arc::new(Mutex::new(Vec::new()));
    let mut watched = plan.clone();
    watch(&mut watched.steps, &sink);
    for destination in &mut watched.destinations {
        watch(&mut destination.steps, &sink);
    }
    let mut lines = Vec::new();
    let mut traced = ProcessEnvironment {
        index_key: environment.index_key,
        links: environment.links,
        state: environment.state,
        meter: environment.meter,
        host: environment.host,
        trace: Some(&mut lines),
    };
    let processed = process(&watched, &mut traced, incoming);
    let mut steps = std::mem::take(&mut *sink.lock().unwrap_or_else(PoisonError::into_inner));
    outside(processed.id, lines, &mut steps);
    (processed, steps)
}

/// What was told outside of steps: how the message was marked, before all of them, and which
/// destinations do not get it, behind.
fn outside(message: MessageId, lines: Vec<TraceLine>, steps: &mut Vec<StepTrace>) {
    let one = |line: TraceLine| StepTrace {
        step: line.step.clone(),
        message,
        outcome: StepOutcome::Next,
        lines: vec![line],
        cut: false,
        findings: Vec::new(),
    };
    let (marks, after): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.step == MARKS);
    steps.extend(after.into_iter().map(|line| StepTrace {
        outcome: StepOutcome::Filtered(line.note.clone()),
        ..one(line)
    }));
    let mut marks = marks.into_iter();
    if let Some(first) = marks.next() {
        let mut all = one(first);
        all.lines.extend(marks);
        steps.insert(0, all);
    }
}

type Sink = Arc<Mutex<Vec<StepTrace>>>;

fn watch(steps: &mut [StepPlan], sink: &Sink) {
    for plan in steps {
        let (inner, sink) = (Arc::clone(&plan.step), Arc::clone(sink));
        plan.step = Arc::new(Watched { inner, sink });
    }
}

/// A step that is watched.
struct Watched {
    inner: Arc<dyn Step>,
    sink: Sink,
}

impl Step for Watched {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let id = message.id;
        let before = leaves(&*message.document);
        let noticed = context.findings.len();
        let told = context.trace.as_ref().map_or(0, |lines| lines.len());
        let done = self.inner.apply(message, context);
        let mut lines: Vec<TraceLine> = match context.trace.as_deref_mut() {
            Some(all) if told <= all.len() => all.split_off(told),
            Some(_) | None => Vec::new(),
        };
        let outcome = match &done {
            Ok(Flow::Next) => StepOutcome::Next,
            Ok(Flow::Filtered(reason)) => StepOutcome::Filtered(reason.clone()),
            Ok(Flow::Split(parts)) => StepOutcome::Split(parts.len()),
            Err(halted) => StepOutcome::Halted(halted.clone()),
        };
        let mut cut = before.is_none();
        if let (Some(before), StepOutcome::Next) = (before, &outcome) {
            cut |= changes(context.step, before, &*message.document, &mut lines);
        }
        let findings = context.findings.get(noticed..).unwrap_or_default().to_vec();
        let step = StepTrace {
            step: context.step.to_owned(),
            message: id,
            outcome,
            lines,
            cut,
            findings,
        };
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        sink.push(step);
        done
    }
}

/// Adds what differs and was not told by the step itself; `true` if not everything could be.
fn changes(step: &str, before: Leaves, after: &dyn Document, lines: &mut Vec<TraceLine>) -> bool {
    let Some(after) = leaves(after) else {
        return true;
    };
    let mut changed = changed_leaves(before, after);
    let told = |path: &String| lines.iter().any(|line| line.path.as_ref() == Some(path));
    changed.retain(|change| !told(&change.path));
    changed.sort_by(|a, b| a.path.cmp(&b.path));
    let cut = changed.len() > TRACED_CHANGES_MAX;
    changed.truncate(TRACED_CHANGES_MAX);
    lines.extend(changed.into_iter().map(|change| TraceLine {
        step: step.to_owned(),
        path: Some(change.path),
        before: change.before.map(Phi::new),
        after: change.after.map(Phi::new),
        note: String::new(),
    }));
    cut
}
