//! What is withheld of a result as the steps before leave it.
//!
//! A site may write a status elsewhere before it asks for it (`set: { meta.status: OBX-11 }`, the rows of a
//! map, a script). So where a condition on the message as it came shows nothing, a final result and each of
//! what takes it back go through the steps before it as they were built, and the condition is asked of what
//! comes out. A script that lets the one on and not the other is named itself.
//!
//! Left out are steps that decide, those that need to know what came before, and those that do not let the
//! synthetic result on: it has codes that the site does not know. Each channel is tried by itself.

use std::collections::BTreeMap;

use hilum_component::{
    Beside, ChannelPlan, Document, Flow, Registry, Rule, StepPlan, Working, apply_alone,
};
use hilum_fhirpath::{Env, Moment};
use hilum_message::{MessageId, Metadata};

use super::statuses::{FINAL, PLACES, TAKEN_BACK, named, taken_back, warning};
use super::trial::{TRIED_MS, Trial, Value, with};
use super::{Before, Condition, Decides, V2, converted, steps};
use crate::check::Piece;
use crate::diagnostic::{Draft, Report};
use crate::plan::channel::Checked;

/// Steps that are not run.
const DECIDE: [&str; 3] = ["filter", "route", "match"];

/// Results that one condition is tried on behind steps, at most.
const CONTEXTS_MAX: usize = 64;

/// Says of a channel that was built what is withheld behind its steps.
pub(in crate::plan) fn check(
    channel: &Checked<'_>,
    plan: &ChannelPlan,
    registry: &Registry,
    report: &mut Report,
) {
    let is_bare = plan.steps.is_empty() && plan.destinations.iter().all(|to| to.steps.is_empty());
    if is_bare || plan.format.name() != V2 {
        return;
    }
    let Some(trial) = Trial::new(&*plan.format) else {
        return;
    };
    let Some(way) = Way::of(plan, &trial) else {
        return;
    };
    let mut found = Vec::new();
    for condition in super::conditions(channel) {
        if condition.before == Before::default() || !named(&trial, &condition).is_empty() {
            continue;
        }
        let list = of(&trial, &way, &condition);
        if !list.is_empty() {
            found.push(warning(&condition, &list));
        }
    }
    found.extend(converted::withheld(channel, &trial, &way, registry));
    found.extend(scripts(channel, &trial, &way));
    found.retain(|draft| !channel.silences(draft.code));
    report.extend(found);
}

/// What takes a result back and does not go on where the final one does.
fn of(trial: &Trial<'_>, way: &Way<'_>, condition: &Condition) -> Vec<String> {
    let mut found = [false; TAKEN_BACK.len()];
    let contexts = trial.contexts(condition, &PLACES);
    for context in contexts.iter().take(CONTEXTS_MAX) {
        let goes_on = |values: &[Value<'_>]| {
            let message = trial.message(&with(context, values))?;
            let all = way.until(&condition.decides, condition.before, message)?;
            let mut held = all.iter().map(|one| {
                let held = holds(&condition.rule, &*one.document, &one.metadata);
                held == Some(condition.passes)
            });
            Some(held.any(|held| held))
        };
        if goes_on(&FINAL) != Some(true) {
            continue;
        }
        for (found, (place, code, _)) in found.iter_mut().zip(TAKEN_BACK) {
            *found = *found || goes_on(&taken_back(place, code)) == Some(false);
        }
    }
    let found = found
        .into_iter()
        .zip(TAKEN_BACK)
        .filter(|(found, _)| *found);
    found.map(|(_, back)| listed(back)).collect()
}

/// What takes a result back, for people.
pub(super) fn listed((place, code, word): (&str, &str, &str)) -> String {
    format!("{place} {code} ({word})")
}

/// What a condition comes to, with what stands beside the message; `None` if it cannot be evaluated.
pub(super) fn holds(rule: &Rule, message: &dyn Document, metadata: &Metadata) -> Option<bool> {
    let beside = Beside::new(None, metadata);
    let env = Env::new(Moment::from_unix_millis(TRIED_MS.cast_signed(), 0));
    rule.test(message, &env.with_variables(&beside)).ok()
}

/// Scripts that let a final result on, and drop what takes it back.
fn scripts(channel: &Checked<'_>, trial: &Trial<'_>, way: &Way<'_>) -> Vec<Draft> {
    let mut found = Vec::new();
    let mut look = |pieces: &[&Piece], decides: &Decides, before: Before| {
        for (number, piece) in pieces.iter().enumerate() {
            if piece.name != SCRIPT || way.step(decides, number).is_none() {
                continue;
            }
            let place = before.of(decides, number);
            let after = before.of(decides, number + 1);
            let is_dropped = |&(at, code, _): &(&str, &'static str, &str)| {
                let gone = |place| {
                    let message = trial.message(&taken_back(at, code))?;
                    Some(way.through(decides, place, message)?.is_empty())
                };
                gone(place) == Some(false) && gone(after) == Some(true)
            };
            let list: Vec<String> = TAKEN_BACK
                .into_iter()
                .filter(is_dropped)
                .map(listed)
                .collect();
            if !list.is_empty() {
                let condition = (decides, piece.name_span, SCRIPT);
                found.push(super::statuses::of_whom(condition, &list));
            }
        }
    };
    let own: Vec<&Piece> = steps(channel, &["steps"]).collect();
    look(&own, &Decides::Passing, Before::default());
    let before = Before {
        steps: own.len(),
        own: 0,
    };
    for name in &channel.destinations {
        let own: Vec<&Piece> = steps(channel, &["to", name, "steps"]).collect();
        look(&own, &Decides::Destination(name.clone()), before);
    }
    found
}

/// The step that runs what the site has programmed.
const SCRIPT: &str = "script";

/// The steps of a channel that are run; those that are left out are `None`.
pub(super) struct Way<'p> {
    plan: &'p ChannelPlan,
    steps: Vec<Option<&'p StepPlan>>,
    own: BTreeMap<&'p str, Vec<Option<&'p StepPlan>>>,
}

impl<'p> Way<'p> {
    /// `None` if there is no message to try.
    fn of(plan: &'p ChannelPlan, trial: &Trial<'_>) -> Option<Self> {
        let message = working(trial.message(&FINAL)?);
        let (steps, behind) = run_through(plan, &plan.steps, vec![message]);
        let own = plan.destinations.iter().map(|to| {
            let all = behind.iter().map(copy).collect();
            (&*to.name, run_through(plan, &to.steps, all).0)
        });
        let own = own.collect();
        Some(Self { plan, steps, own })
    }

    /// What comes out of the steps before a place; `None` if they do not let the message on.
    pub(super) fn until(
        &self,
        decides: &Decides,
        before: Before,
        message: Box<dyn Document>,
    ) -> Option<Vec<Working>> {
        let all = self.through(decides, before, message)?;
        (!all.is_empty()).then_some(all)
    }

    /// The same, and nothing where a step drops the message; `None` where one fails.
    fn through(
        &self,
        decides: &Decides,
        before: Before,
        message: Box<dyn Document>,
    ) -> Option<Vec<Working>> {
        let own = self.of_destination(decides).iter().take(before.own);
        let steps = self.steps.iter().take(before.steps).chain(own);
        let mut current = vec![working(message)];
        for step in steps.flatten() {
            current = applied(self.plan, step, current)?;
        }
        Some(current)
    }

    fn of_destination(&self, decides: &Decides) -> &[Option<&'p StepPlan>] {
        let own = match decides {
            Decides::Destination(name) => self.own.get(name.as_str()),
            Decides::Passing => None,
        };
        own.map(Vec::as_slice).unwrap_or_default()
    }

    /// A step of the channel or of a destination, if it is run.
    fn step(&self, decides: &Decides, number: usize) -> Option<&'p StepPlan> {
        let all = match decides {
            Decides::Passing => &self.steps,
            Decides::Destination(_) => self.of_destination(decides),
        };
        all.get(number).copied().flatten()
    }
}

/// Which of some steps are run on a message, and what comes out of them.
fn run_through<'p>(
    plan: &ChannelPlan,
    steps: &'p [StepPlan],
    mut current: Vec<Working>,
) -> (Vec<Option<&'p StepPlan>>, Vec<Working>) {
    let mut run = Vec::with_capacity(steps.len());
    for step in steps {
        let is_tried = !DECIDE.contains(&step.component.as_str());
        let tried = is_tried.then(|| applied(plan, step, current.iter().map(copy).collect()));
        match tried.flatten().filter(|after| !after.is_empty()) {
            Some(after) => {
                current = after;
                run.push(Some(step));
            }
            None => run.push(None),
        }
    }
    (run, current)
}

/// What a step makes of messages; `None` if it fails on one.
fn applied(plan: &ChannelPlan, step: &StepPlan, messages: Vec<Working>) -> Option<Vec<Working>> {
    let mut next = Vec::with_capacity(messages.len());
    for mut message in messages {
        match apply_alone(plan, step, TRIED_MS, &mut message).ok()? {
            Flow::Next => next.push(message),
            Flow::Filtered(_) => {}
            Flow::Split(parts) => next.extend(parts),
        }
    }
    Some(next)
}

fn working(document: Box<dyn Document>) -> Working {
    Working {
        id: MessageId::new(TRIED_MS, 0),
        document,
        metadata: Metadata::default(),
        routes: None,
    }
}

fn copy(message: &Working) -> Working {
    Working {
        id: message.id,
        document: message.document.boxed_clone(),
        metadata: message.metadata.clone(),
        routes: message.routes.clone(),
    }
}
