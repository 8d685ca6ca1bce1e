//! What a condition behind `convert` withholds of a result that the site itself has converted.
//!
//! The synthetic resources of [`super::resources`] are what hilum makes. A site with rows, tables and steps of
//! its own may say elsewhere that a result is taken back, so where they show nothing a final result and each
//! of what takes it back go through the channel ([`super::stepped`]), and the condition is asked of what comes
//! out.

use std::sync::Arc;

use hilum_component::{Format, FormatOptions, Registry, Working};
use hilum_message::{Metadata, Payload};
use serde_json::Value;

use super::FHIR;
use super::resources::{self, AskedOf, Behind, asked_for};
use super::statuses::{self, warning};
use super::stepped::{Way, holds, listed};
use super::trial::{self, Trial};
use crate::diagnostic::Draft;
use crate::plan::channel::Checked;

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

/// What the conditions of a channel behind `convert` withhold.
pub(super) fn withheld(
    channel: &Checked<'_>,
    trial: &Trial<'_>,
    way: &Way<'_>,
    registry: &Registry,
) -> Vec<Draft> {
    let mut found = Vec::new();
    let Ok(fhir) = registry.format(FHIR, &FormatOptions::default()) else {
        return found;
    };
    for behind in resources::conditions(channel, &fhir, AskedOf::Other) {
        if !resources::of(&*fhir, &behind).is_empty() {
            continue;
        }
        let list = of(trial, way, &fhir, &behind);
        if !list.is_empty() {
            found.push(warning(&behind.condition, &list));
        }
    }
    found
}

/// A converted message, and what stands beside it.
#[derive(Clone)]
struct Converted {
    message: Value,
    metadata: Metadata,
}

/// What takes a result back and does not go on where the final one does.
fn of(trial: &Trial<'_>, way: &Way<'_>, fhir: &Arc<dyn Format>, behind: &Behind) -> Vec<String> {
    let condition = &behind.condition;
    let converted = |values: &[trial::Value<'_>]| {
        let message = trial.message(values)?;
        let all = way.until(&condition.decides, condition.before, message)?;
        all.iter().map(converted).collect::<Option<Vec<_>>>()
    };
    let Some(last) = converted(&statuses::FINAL) else {
        return Vec::new();
    };
    let passes = |one: &Converted| {
        let document = fhir.parse(&Payload::inline(one.message.to_string().into()));
        let held = document.map(|document| holds(&condition.rule, &*document, &one.metadata));
        held.is_ok_and(|held| held == Some(condition.passes))
    };
    let goes_on = |all: &[Converted], ty: &str| {
        let mut own = all.iter().filter(|one| one.kind(behind.asked_of) == ty);
        own.any(passes)
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
        for back @ (place, code, _) in statuses::TAKEN_BACK {
            let text = listed(back);
            let back = converted(&statuses::taken_back(place, code));
            let Some(back) = back.and_then(|back| context.of(&last, back)) else {
                continue;
            };
            let is_there = back.iter().any(|one| one.kind(behind.asked_of) == *ty);
            if is_there && !goes_on(&back, ty) && !found.contains(&text) {
                found.push(text);
            }
        }
    }
    found
}

/// A message as JSON.
fn converted(message: &Working) -> Option<Converted> {
    let payload = message.document.write();
    Some(Converted {
        message: serde_json::from_slice(payload.as_inline()?).ok()?,
        metadata: message.metadata.clone(),
    })
}

impl Converted {
    /// The type of the resource that a condition is asked of.
    fn kind(&self, asked_of: AskedOf) -> &str {
        let resource = match asked_of {
            AskedOf::Entries => &self.message["entry"][0]["resource"],
            _ => &self.message,
        };
        resource["resourceType"].as_str().unwrap_or_default()
    }
}

/// What a text was replaced by, in which of the converted messages and where; nowhere if the result goes on as
/// it is.
struct Context(Option<(usize, String, String)>);

/// The first way in which the final result goes on.
fn context(
    last: &[Converted],
    behind: &Behind,
    goes_on: impl Fn(&[Converted]) -> bool,
) -> Option<Context> {
    if goes_on(last) {
        return Some(Context(None));
    }
    let mut tried = 0;
    for constant in asked_for(&behind.condition.rule) {
        for (at, one) in last.iter().enumerate() {
            let mut places = Vec::new();
            texts(&one.message, String::new(), &mut places);
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
    fn of(&self, last: &[Converted], mut all: Vec<Converted>) -> Option<Vec<Converted>> {
        let Some((at, place, constant)) = &self.0 else {
            return Some(all);
        };
        let before = last.get(*at)?.message.pointer(place)?;
        let text = all.get_mut(*at)?.message.pointer_mut(place)?;
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
