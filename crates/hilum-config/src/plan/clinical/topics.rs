//! What the topics of a FHIR server withhold of a result: its subscribers hear that it is final, and not that
//! it was taken back.
//!
//! Each trigger is tried on the changes of a synthetic resource, by its searches and its expression; criteria that
//! are about no status are taken as met.

use std::collections::BTreeSet;
use std::sync::Arc;

use hilum_component::{Document, Format};
use hilum_fhirpath::{Collection, Env, Expression, Moment, Node as TreeNode, Options, Variables};
use hilum_message::Payload;
use serde_json::json;

use super::resources::{ORDERED, TAKEN_BACK, named};
use super::searches::finds;
use super::statuses::withholds;
use super::trial::TRIED_MS;
use super::{needless, silences};
use crate::diagnostic::{Draft, Report};
use crate::file::{InteractionFile, TestResultFile, TopicFile, TriggerFile};
use crate::plan::gather::Gathered;
use crate::yaml::Node;

/// The one warning of a topic, which it may silence.
const SILENCEABLE: [&str; 1] = ["W0315"];

pub(super) fn check(gathered: &Gathered, format: &Arc<dyn Format>, report: &mut Report) {
    let fhir = gathered.node.as_ref().and_then(|node| node.fhir.as_ref());
    let topics = fhir.map(|fhir| fhir.subscriptions.topics.as_slice());
    let tree = gathered.node_tree.as_ref();
    let tree = tree.and_then(|tree| tree.get("fhir")?.get("subscriptions")?.get("topics"));
    let nodes = tree.map(Node::items).unwrap_or_default();
    for (topic, node) in topics.unwrap_or_default().iter().zip(nodes) {
        silences(node, &SILENCEABLE, report);
        let found = withheld(topic, node, format);
        let is_silenced = topic.silence.contains_key("W0315");
        let mut silenced = BTreeSet::new();
        if is_silenced && !found.is_empty() {
            silenced.insert("W0315".to_owned());
        }
        needless(node, &silenced, &SILENCEABLE, report);
        if !is_silenced {
            report.extend(found);
        }
    }
}

/// For each type of resource what its triggers withhold together.
fn withheld(topic: &TopicFile, node: &Node, format: &Arc<dyn Format>) -> Vec<Draft> {
    let triggers = node.get("triggers").map(Node::items).unwrap_or_default();
    let all: Vec<_> = topic.triggers.iter().zip(triggers).collect();
    let mut found = Vec::new();
    for ty in ["Observation", "DiagnosticReport", "ServiceRequest"] {
        let own: Vec<_> = all.iter().filter(|(file, _)| file.resource == ty).collect();
        let tells = |before: Option<&str>, now: &str| {
            let mut own = own.iter();
            own.find(|(file, _)| holds(file, ty, before, now, format))
        };
        let (last, earlier): (&[&str], _) = match ty {
            "ServiceRequest" => (&ORDERED, "draft"),
            _ => (&["final"], "preliminary"),
        };
        for last in last {
            let told = tells(None, last).or_else(|| tells(Some(earlier), last));
            let Some((_, trigger)) = told else { continue };
            let back = TAKEN_BACK.into_iter().filter(|back| back.0 == ty);
            let missed = back.filter(|(_, status)| tells(Some(last), status).is_none());
            let list: Vec<String> = missed.map(|(ty, status)| named(ty, status)).collect();
            if list.is_empty() {
                continue;
            }
            let remedy = "let the changes to these statuses through, by this trigger or another one, or \
                          write why not below the topic: `silence: { W0315: … }` (a subscriber goes on \
                          believing what it was told)";
            let place = ["current", "fhirpath", "on", "resource"];
            let place = place.iter().find_map(|key| trigger.get(key));
            let span = place.map_or(trigger.span, |place| place.span);
            let text = withholds("makes an event", &list);
            found.push(Draft::warning("W0315", span, text).remedy(remedy));
            break;
        }
    }
    found
}

/// A change of a resource of this type makes an event.
fn holds(
    trigger: &TriggerFile,
    ty: &str,
    before: Option<&str>,
    now: &str,
    format: &Arc<dyn Format>,
) -> bool {
    let done = match before {
        None => InteractionFile::Create,
        Some(_) => InteractionFile::Update,
    };
    if !trigger.on.is_empty() && !trigger.on.contains(&done) {
        return false;
    }
    let created = trigger.result_for_create == TestResultFile::TestPasses;
    let previous = trigger.previous.as_deref();
    let previous = previous.map(|query| before.map_or(created, |status| finds(query, status)));
    let current = trigger.current.as_deref().map(|query| finds(query, now));
    let found = match (previous, current) {
        (None, None) => true,
        (Some(one), None) | (None, Some(one)) => one,
        (Some(previous), Some(current)) if trigger.require_both => previous && current,
        (Some(previous), Some(current)) => previous || current,
    };
    found
        && trigger.fhirpath.as_deref().is_none_or(|text| {
            let seen = |status| resource(ty, status, format);
            let change = Change {
                previous: before.and_then(seen),
                current: seen(now),
            };
            change.meets(text).unwrap_or(true)
        })
}

/// A resource with a status.
fn resource(ty: &str, status: &str, format: &Arc<dyn Format>) -> Option<Box<dyn Document>> {
    let resource = json!({
        "resourceType": ty, "id": "1", "status": status,
        "code": { "coding": [{ "system": "http://loinc.org", "code": "2823-3" }] },
        "subject": { "reference": "Patient/1" }
    });
    format
        .parse(&Payload::inline(resource.to_string().into()))
        .ok()
}

/// A resource as it was and as it is.
struct Change {
    previous: Option<Box<dyn Document>>,
    current: Option<Box<dyn Document>>,
}

impl Change {
    /// It meets an expression; `None` if that cannot be told.
    fn meets(&self, text: &str) -> Option<bool> {
        let options = Options {
            variables: &["previous", "current"],
            ..Options::default()
        };
        let expression = Expression::compile(text, &options).ok()?;
        let tree = self.current.as_ref()?.tree();
        let env = Env::new(Moment::from_unix_millis(TRIED_MS.cast_signed(), 0));
        let env = env.with_variables(self);
        expression.holds(tree, tree.root(), &env).ok()
    }
}

impl Variables for Change {
    fn variable<'v>(&'v self, name: &str) -> Option<Collection<'v>> {
        let seen = match name {
            "previous" => &self.previous,
            "current" => &self.current,
            _ => return None,
        };
        let tree = seen.as_ref().map(|seen| seen.tree());
        Some(tree.map_or_else(Collection::new, |tree| {
            Collection::one(TreeNode {
                tree,
                id: tree.root(),
            })
        }))
    }
}
