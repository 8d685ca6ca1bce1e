//! What a condition behind `convert` withholds of a result, tried on small synthetic resources.

use std::sync::Arc;

use hilum_component::{Format, Rule};
use hilum_message::Payload;
use serde_json::{Value, json};

use super::statuses::warning;
use super::trial::{combinations, holds};
use super::{CONVERT, Condition, Decides, SPLIT, condition_in, constants, of_step, steps};
use crate::check::Piece;
use crate::diagnostic::Draft;
use crate::plan::channel::Checked;
use crate::yaml::Node;

/// What takes a final result or an order back, or puts another in its place: the statuses of FHIR R4
/// observation-status, diagnostic-report-status and request-status, each tried alone.
const TAKEN_BACK: [(&str, &str); 10] = [
    ("Observation", "corrected"),
    ("Observation", "amended"),
    ("Observation", "cancelled"),
    ("Observation", "entered-in-error"),
    ("DiagnosticReport", "corrected"),
    ("DiagnosticReport", "amended"),
    ("DiagnosticReport", "cancelled"),
    ("DiagnosticReport", "entered-in-error"),
    ("ServiceRequest", "revoked"),
    ("ServiceRequest", "entered-in-error"),
];

/// The statuses of an order whose results are final.
const ORDERED: [&str; 2] = ["active", "completed"];

/// Resources that one condition is tried on, at most.
const CONTEXTS_MAX: usize = 512;

/// Places besides the statuses that conditions commonly ask for; each is tried with each constant.
const PLACES: [&str; 6] = [
    "code",
    "code-system",
    "category",
    "number",
    "number-system",
    "profile",
];

/// A condition on FHIR, and of what it is asked.
struct Behind {
    condition: Condition,
    asked_of: AskedOf,
}

/// What stands where a condition is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AskedOf {
    /// A message that is no FHIR.
    Other,
    /// The Bundle of a whole message.
    Bundle,
    /// A Bundle for each entry.
    Entries,
    /// The resources themselves.
    Resources,
}

/// The conditions behind `convert` that let final results on and not what takes them back.
pub(super) fn withheld(channel: &Checked<'_>, format: &Arc<dyn Format>) -> Vec<Draft> {
    let behind = conditions(channel, format);
    let withheld = behind.iter().filter_map(|behind| {
        let found = of(&**format, behind);
        if found.is_empty() {
            return None;
        }
        let list: Vec<String> = found
            .iter()
            .map(|(resource, status)| format!("{resource}.status {status}"))
            .collect();
        Some(warning(&behind.condition, &list))
    });
    withheld.collect()
}

/// Every condition of a channel that is about messages that were converted to FHIR.
fn conditions(channel: &Checked<'_>, format: &Arc<dyn Format>) -> Vec<Behind> {
    let compile = |at: &Node, what, passes, decides| {
        condition_in(channel, &**format, at, what, passes, decides)
    };
    let mut found = Vec::new();
    let mut read = |pieces: &[&Piece], decides: &Decides, before: AskedOf| {
        pieces.iter().fold(before, |asked_of, piece| {
            if asked_of != AskedOf::Other {
                let mut own = Vec::new();
                of_step(piece, decides, &compile, &mut own);
                found.extend(own.into_iter().map(|condition| Behind {
                    condition,
                    asked_of,
                }));
            }
            asked_of.behind(piece)
        })
    };
    let own: Vec<&Piece> = steps(channel, &["steps"]).collect();
    let behind = read(&own, &Decides::Passing, AskedOf::Other);
    let to = channel.tree.get("to").map(Node::entries);
    let to = to.unwrap_or_default();
    for (name, _) in to {
        let decides = Decides::Destination(name.text.clone());
        let own: Vec<&Piece> = steps(channel, &["to", &name.text, "steps"]).collect();
        read(&own, &decides, behind);
    }
    for (name, node) in to.iter().filter(|_| behind != AskedOf::Other) {
        let decides = Decides::Destination(name.text.clone());
        let when = node.get("when");
        let when = when.and_then(|when| compile(when, "when", true, decides));
        found.extend(when.map(|condition| Behind {
            condition,
            asked_of: behind,
        }));
    }
    found
}

impl AskedOf {
    /// What stands behind a step.
    fn behind(self, piece: &Piece) -> Self {
        let says = |key: &str, value: &str| {
            let said = piece.config.get(key).and_then(Value::as_str);
            said == Some(value)
        };
        match (piece.name.as_str(), self) {
            (CONVERT, _) if says("to", "fhir") => Self::Bundle,
            (CONVERT, _) => Self::Other,
            (SPLIT, Self::Bundle) if says("keep", "part") => Self::Resources,
            (SPLIT, Self::Bundle) => Self::Entries,
            (_, asked_of) => asked_of,
        }
    }
}

/// The statuses that do not go on where the final result of the same message does.
fn of(format: &dyn Format, behind: &Behind) -> Vec<(&'static str, &'static str)> {
    let condition = &behind.condition;
    if !condition.rule.text().contains("status") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for context in contexts(&condition.rule) {
        for ordered in ORDERED {
            let try_on = |own: (&'static str, &'static str)| {
                goes_on(format, behind, &message(&context, ordered, own), own.0)
            };
            for back in TAKEN_BACK {
                let (resource, _) = back;
                if found.contains(&back) || !try_on((resource, "")) {
                    continue;
                }
                if !try_on(back) {
                    found.push(back);
                }
            }
        }
    }
    found.sort_by_key(|back| TAKEN_BACK.iter().position(|known| known == back));
    found
}

/// The Bundle, or what has the resource of a type where they are apart, goes on as far as the
/// condition says.
fn goes_on(format: &dyn Format, behind: &Behind, bundle: &Value, resource: &str) -> bool {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let mut own = entries.filter(|entry| entry["resource"]["resourceType"] == resource);
    let asked = match behind.asked_of {
        AskedOf::Other => None,
        AskedOf::Bundle => Some(bundle.clone()),
        AskedOf::Entries => own.next().map(|entry| {
            let mut one = bundle.clone();
            one["entry"] = json!([entry]);
            one
        }),
        AskedOf::Resources => own.next().map(|entry| entry["resource"].clone()),
    };
    let payload = asked.map(|asked| Payload::inline(asked.to_string().into()));
    let document = payload.and_then(|payload| format.parse(&payload).ok());
    let condition = &behind.condition;
    document.is_some_and(|document| holds(&condition.rule, &*document) == Some(condition.passes))
}

/// What is tried in the places besides the statuses: as it is, and each constant in each of them.
type Context = Vec<(&'static str, String)>;

fn contexts(rule: &Rule) -> Vec<Context> {
    let is_status = |text: &String| {
        let known = TAKEN_BACK.iter().map(|(_, status)| *status);
        known
            .chain(ORDERED)
            .chain(["final"])
            .any(|known| known == text)
    };
    let constants = constants(rule.text());
    let constants: Vec<String> = constants.into_iter().filter(|c| !is_status(c)).collect();
    combinations(&PLACES, &constants, CONTEXTS_MAX)
}

/// A converted message of results, in which one resource may have another status.
fn message(context: &Context, ordered: &str, (other, status): (&str, &str)) -> Value {
    let place = |name: &str, own: &str| {
        let set = context.iter().find(|(place, _)| *place == name);
        set.map_or_else(|| own.to_owned(), |(_, value)| value.clone())
    };
    let code = json!({ "coding": [{
        "system": place("code-system", "http://loinc.org"),
        "code": place("code", "2823-3")
    }] });
    let category = json!([{ "coding": [{ "code": place("category", "laboratory") }] }]);
    let number = json!([{
        "system": place("number-system", "urn:oid:2.999.1"),
        "value": place("number", "4711")
    }]);
    let meta = json!({ "profile": [place("profile", "http://hilum.example/profile")] });
    let of = |resource: &str, own: &str| {
        let status = match resource == other && !status.is_empty() {
            true => status,
            false => own,
        };
        json!({
            "resourceType": resource, "meta": meta, "identifier": number, "status": status,
            "category": category, "code": code, "subject": { "reference": "Patient/1" }
        })
    };
    let mut order = of("ServiceRequest", ordered);
    order["intent"] = "order".into();
    let mut result = of("Observation", "final");
    result["valueQuantity"] = json!({ "value": 4.1, "unit": "mmol/L" });
    let patient = json!({
        "resourceType": "Patient", "meta": meta, "identifier": number, "gender": "female",
        "name": [{ "family": "DOE", "given": ["JANE"] }]
    });
    let all = [patient, order, of("DiagnosticReport", "final"), result];
    let entry = |resource: Value| {
        let url = resource["resourceType"].clone();
        json!({ "resource": resource, "request": { "method": "POST", "url": url } })
    };
    let entries: Vec<Value> = all.into_iter().map(entry).collect();
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries })
}
