//! What a condition on FHIR withholds of a result, tried on small synthetic resources: behind `convert`, and
//! where FHIR is what the channel receives.

use std::sync::Arc;

use hilum_component::{Format, Rule};
use hilum_message::Payload;
use serde_json::{Value, json};

use super::statuses::warning;
use super::trial::{combinations, holds};
use super::{Before, CONVERT, Condition, Decides, SPLIT, condition_in, constants, of_step, steps};
use crate::check::Piece;
use crate::diagnostic::Draft;
use crate::plan::channel::Checked;
use crate::yaml::Node;

/// What takes a final result or an order back, or puts another in its place: the statuses of FHIR R4
/// observation-status, diagnostic-report-status and request-status, each tried alone.
pub(super) const TAKEN_BACK: [(&str, &str); 10] = [
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
pub(super) const ORDERED: [&str; 2] = ["active", "completed"];

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

/// A condition on FHIR, and what it is asked of.
pub(super) struct Behind {
    pub(super) condition: Condition,
    pub(super) asked_of: AskedOf,
}

/// What stands where a condition is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedOf {
    /// A message that is no FHIR.
    Other,
    /// What a sender of FHIR sends: a Bundle or a resource.
    Either,
    /// The Bundle of a whole message.
    Bundle,
    /// A Bundle for each entry.
    Entries,
    /// The resources themselves.
    Resources,
}

/// The conditions that let final results on and not what takes them back.
pub(super) fn withheld(
    channel: &Checked<'_>,
    format: &Arc<dyn Format>,
    received: AskedOf,
) -> Vec<Draft> {
    let behind = conditions(channel, format, received);
    let withheld = behind.iter().filter_map(|behind| {
        let found = of(&**format, behind);
        (!found.is_empty()).then(|| warning(&behind.condition, &found))
    });
    withheld.collect()
}

/// Every condition of a channel that is about FHIR, where it receives this.
pub(super) fn conditions(
    channel: &Checked<'_>,
    format: &Arc<dyn Format>,
    received: AskedOf,
) -> Vec<Behind> {
    let compile = |at: &Node, what, passes, decides| {
        condition_in(channel, &**format, at, what, passes, decides)
    };
    let mut found = Vec::new();
    if let Some(accept) = channel.tree.get("accept")
        && received != AskedOf::Other
    {
        let condition = compile(accept, "accept", true, Decides::Passing);
        let asked_of = received;
        found.extend(condition.map(|condition| Behind {
            condition,
            asked_of,
        }));
    }
    let mut read = |pieces: &[&Piece], decides: &Decides, (received, before): (AskedOf, Before)| {
        let mut asked_of = received;
        for (number, piece) in pieces.iter().enumerate() {
            if asked_of != AskedOf::Other {
                let mut own = Vec::new();
                of_step(piece, decides, &compile, &mut own);
                let before = before.of(decides, number);
                found.extend(own.into_iter().map(|own| Behind {
                    condition: Condition { before, ..own },
                    asked_of,
                }));
            }
            asked_of = asked_of.behind(piece);
        }
        asked_of
    };
    let own: Vec<&Piece> = steps(channel, &["steps"]).collect();
    let asked_of = read(&own, &Decides::Passing, (received, Before::default()));
    let before = Before {
        steps: own.len(),
        own: 0,
    };
    let to = channel.tree.get("to").map(Node::entries);
    let to = to.unwrap_or_default();
    for (name, _) in to {
        let decides = Decides::Destination(name.text.clone());
        let own: Vec<&Piece> = steps(channel, &["to", &name.text, "steps"]).collect();
        read(&own, &decides, (asked_of, before));
    }
    for (name, node) in to.iter().filter(|_| asked_of != AskedOf::Other) {
        let decides = Decides::Destination(name.text.clone());
        let when = node.get("when");
        let when = when.and_then(|when| compile(when, "when", true, decides));
        found.extend(when.map(|when| Behind {
            condition: Condition { before, ..when },
            asked_of,
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
            (SPLIT, Self::Bundle | Self::Either) if says("keep", "part") => Self::Resources,
            (SPLIT, Self::Bundle | Self::Either) => Self::Entries,
            (_, asked_of) => asked_of,
        }
    }

    /// What one condition may be asked of; each is tried by itself.
    const fn each(self) -> &'static [Self] {
        match self {
            Self::Other => &[],
            Self::Either => &[Self::Bundle, Self::Resources],
            Self::Bundle => &[Self::Bundle],
            Self::Entries => &[Self::Entries],
            Self::Resources => &[Self::Resources],
        }
    }
}

/// The statuses that do not go on where the final result of the same message does.
pub(super) fn of(format: &dyn Format, behind: &Behind) -> Vec<String> {
    let condition = &behind.condition;
    if !condition.rule.text().contains("status") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for context in contexts(&condition.rule) {
        for ordered in ORDERED {
            for asked_of in behind.asked_of.each() {
                let try_on = |own: (&'static str, &'static str)| {
                    let message = message(&context, ordered, own);
                    goes_on(format, condition, *asked_of, &message, own.0)
                };
                for back in TAKEN_BACK {
                    let is_tried = !found.contains(&back) && try_on((back.0, ""));
                    if is_tried && !try_on(back) {
                        found.push(back);
                    }
                }
            }
        }
    }
    found.sort_by_key(|back| TAKEN_BACK.iter().position(|known| known == back));
    found
        .into_iter()
        .map(|(ty, status)| named(ty, status))
        .collect()
}

/// A status of a resource, for people.
pub(super) fn named(ty: &str, status: &str) -> String {
    format!("{ty}.status {status}")
}

/// The Bundle, or what has the resource of a type where they are apart, goes on as far as the
/// condition says.
fn goes_on(
    format: &dyn Format,
    condition: &Condition,
    asked_of: AskedOf,
    bundle: &Value,
    resource: &str,
) -> bool {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let mut own = entries.filter(|entry| entry["resource"]["resourceType"] == resource);
    let asked = match asked_of {
        AskedOf::Other | AskedOf::Either => None,
        AskedOf::Bundle => Some(bundle.clone()),
        AskedOf::Entries => own.next().map(|entry| {
            let mut one = bundle.clone();
            one["entry"] = json!([entry]);
            one
        }),
        AskedOf::Resources => own.next().map(|entry| entry["resource"].clone()),
    };
    asked.is_some_and(|asked| passes(format, condition, &asked))
}

/// It goes on as far as the condition says.
pub(super) fn passes(format: &dyn Format, condition: &Condition, asked: &Value) -> bool {
    let document = format.parse(&Payload::inline(asked.to_string().into()));
    let held = document.map(|document| holds(&condition.rule, &*document));
    held.is_ok_and(|held| held == Some(condition.passes))
}

/// What is tried in the places besides the statuses: as it is, and each constant in each of them.
type Context = Vec<(&'static str, String)>;

fn contexts(rule: &Rule) -> Vec<Context> {
    combinations(&PLACES, &asked_for(rule), CONTEXTS_MAX)
}

/// What a condition asks for that is no status.
pub(super) fn asked_for(rule: &Rule) -> Vec<String> {
    let is_status = |text: &String| {
        let known = TAKEN_BACK.iter().map(|(_, status)| *status);
        known
            .chain(ORDERED)
            .chain(["final"])
            .any(|known| known == text)
    };
    let constants = constants(rule.text()).into_iter();
    constants.filter(|c| !is_status(c)).collect()
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
