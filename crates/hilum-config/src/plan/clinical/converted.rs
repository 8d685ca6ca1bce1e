//! What a condition behind `convert` withholds of a result that the site itself has converted.
//!
//! The synthetic resources of [`super::resources`] are what hilum makes. A site with rows, tables and steps of
//! its own may say elsewhere that a result is taken back, so where they show nothing a final result and each
//! of what takes it back go through the channel as it is built, and the condition is asked of what comes out.
//! Steps that decide, that need to know what came before, and scripts are left out.

use std::sync::Arc;

use hilum_component::Format;
use hilum_component::{
    ChannelPlan, Document, Flow, FormatOptions, Registry, StepPlan, Working, apply_alone,
};
use hilum_message::{MessageId, Metadata};
use serde_json::Value;

use super::resources::{self, AskedOf, Behind, asked_for, passes};
use super::statuses::{self, warning};
use super::trial::{TRIED_MS, Trial};
use super::{Decides, FHIR, V2};
use crate::diagnostic::Report;
use crate::plan::channel::Checked;

/// Steps that are not run.
const LEFT_OUT: [&str; 4] = ["filter", "route", "match", "script"];

/// Results that one condition is tried on, at most: each text of the converted one is replaced by each text that
/// the condition asks for.
const CONTEXTS_MAX: usize = 512;

/// Keys whose texts are not replaced: they say what a resource is, not what is in it.
const FIXED: [&str; 7] = [
    "resourceType",
    "status",
    "fullUrl",
    "url",
    "method",
    "reference",
    "id",
];

/// Says of a channel that was built what its conditions behind `convert` withhold.
pub(in crate::plan) fn check(
    channel: &Checked<'_>,
    plan: &ChannelPlan,
    registry: &Registry,
    report: &mut Report,
) {
    if plan.format.name() != V2 || channel.silences("W0315") {
        return;
    }
    let fhir = registry.format(FHIR, &FormatOptions::default()).ok();
    let (Some(fhir), Some(trial)) = (fhir, Trial::new(&*plan.format)) else {
        return;
    };
    for behind in resources::conditions(channel, &fhir, AskedOf::Other) {
        if !resources::of(&*fhir, &behind).is_empty() {
            continue;
        }
        let list = of(&trial, plan, &fhir, &behind);
        if !list.is_empty() {
            report.push(warning(&behind.condition, &list));
        }
    }
}

/// What takes a result back and does not go on where the final one does.
fn of(
    trial: &Trial<'_>,
    plan: &ChannelPlan,
    fhir: &Arc<dyn Format>,
    behind: &Behind,
) -> Vec<String> {
    let converted = |values: &[super::trial::Value<'_>]| {
        let message = trial.message(values)?;
        run(plan, behind, message)
    };
    let Some(last) = converted(&statuses::FINAL) else {
        return Vec::new();
    };
    let goes_on = |all: &[Value], ty: &str| {
        let mut own = all.iter().filter(|one| kind(one, behind.asked_of) == ty);
        own.any(|one| passes(&**fhir, &behind.condition, one))
    };
    let kinds: &[&str] = match behind.asked_of {
        AskedOf::Bundle => &["Bundle"],
        _ => &["Observation", "DiagnosticReport", "ServiceRequest"],
    };
    let mut found = Vec::new();
    for ty in kinds {
        let Some(context) = context(&last, behind, |all| goes_on(all, ty)) else {
            continue;
        };
        for (place, code, word) in statuses::TAKEN_BACK {
            let text = format!("{place} {code} ({word})");
            let back = converted(&statuses::taken_back(place, code));
            let Some(back) = back.and_then(|back| context.of(&last, back)) else {
                continue;
            };
            let is_there = back.iter().any(|one| kind(one, behind.asked_of) == *ty);
            if is_there && !goes_on(&back, ty) && !found.contains(&text) {
                found.push(text);
            }
        }
    }
    found
}

/// What a text was replaced by, in which of the converted messages and where; nowhere if the result goes on as
/// it is.
struct Context(Option<(usize, String, String)>);

/// The first way in which the final result goes on.
fn context(last: &[Value], behind: &Behind, goes_on: impl Fn(&[Value]) -> bool) -> Option<Context> {
    if goes_on(last) {
        return Some(Context(None));
    }
    let mut tried = 0;
    for constant in asked_for(&behind.condition.rule) {
        for (at, one) in last.iter().enumerate() {
            let mut places = Vec::new();
            texts(one, String::new(), &mut places);
            for place in places {
                tried += 1;
                if tried > CONTEXTS_MAX {
                    return None;
                }
                let context = Context(Some((at, place, constant.clone())));
                if context
                    .of(last, last.to_vec())
                    .is_some_and(|all| goes_on(&all))
                {
                    return Some(context);
                }
            }
        }
    }
    None
}

impl Context {
    /// The same of another message; `None` where it has something else there.
    fn of(&self, last: &[Value], mut all: Vec<Value>) -> Option<Vec<Value>> {
        let Some((at, place, constant)) = &self.0 else {
            return Some(all);
        };
        let before = last.get(*at)?.pointer(place)?;
        let text = all.get_mut(*at)?.pointer_mut(place)?;
        if text != before {
            return None;
        }
        *text = constant.as_str().into();
        Some(all)
    }
}

/// Where the texts of a message stand, as JSON pointers (RFC 6901).
fn texts(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at),
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                texts(item, format!("{at}/{number}"), found);
            }
        }
        Value::Object(keys) => {
            for (key, item) in keys
                .iter()
                .filter(|(key, _)| !FIXED.contains(&key.as_str()))
            {
                texts(item, format!("{at}/{key}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The type of the resource that a condition is asked of.
fn kind(message: &Value, asked_of: AskedOf) -> &str {
    let resource = match asked_of {
        AskedOf::Entries => &message["entry"][0]["resource"],
        _ => message,
    };
    resource["resourceType"].as_str().unwrap_or_default()
}

/// What comes out of the steps before a condition, as JSON; `None` if they do not let the message on.
fn run(plan: &ChannelPlan, behind: &Behind, message: Box<dyn Document>) -> Option<Vec<Value>> {
    let own = match &behind.condition.decides {
        Decides::Destination(name) => {
            let mut to = plan.destinations.iter();
            to.find(|to| *to.name == **name).map(|to| &to.steps)
        }
        Decides::Passing => None,
    };
    let own = own.into_iter().flatten().take(behind.own_steps);
    let steps = plan.steps.iter().take(behind.steps).chain(own);
    let mut current = vec![Working {
        id: MessageId::new(TRIED_MS, 0),
        document: message,
        metadata: Metadata::default(),
        routes: None,
    }];
    for step in steps.filter(|step| !LEFT_OUT.contains(&step.component.as_str())) {
        let mut next = Vec::with_capacity(current.len());
        for message in current {
            next.extend(applied(plan, step, message)?);
        }
        current = next;
    }
    let written = current.iter().map(|message| {
        let payload = message.document.write();
        serde_json::from_slice(payload.as_inline()?).ok()
    });
    written.collect()
}

/// What a step makes of a message.
fn applied(plan: &ChannelPlan, step: &StepPlan, mut message: Working) -> Option<Vec<Working>> {
    match apply_alone(plan, step, TRIED_MS, &mut message).ok()? {
        Flow::Next => Some(vec![message]),
        Flow::Filtered(_) => None,
        Flow::Split(parts) => Some(parts),
    }
}
