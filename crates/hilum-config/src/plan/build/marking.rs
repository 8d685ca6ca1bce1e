//! What marks the messages of a channel, and how its destinations take what is marked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hilum_component::{
    CRITICAL_WITHIN, Care, Format, FormatOptions, LabelList, Marking, Registry, Rule, Sends,
    TestMessages, TestPatients,
};
use serde_json::Value;

use super::Builder;
use crate::check::Piece;
use crate::diagnostic::Report;
use crate::file::{DestinationFile, LabelListFile, TestMessagesFile, TestPatientsFile};
use crate::plan::digest::Digest;
use crate::plan::gather::Gathered;
use crate::plan::marks::{LABELS, PATIENTS};
use crate::site::SiteView;
use crate::yaml::{Node, Span};

impl<'g, V: Fn() -> SiteView<'g>> Builder<'_, 'g, V> {
    /// The lists of the site and of every system that may send.
    pub(super) fn marking(
        &self,
        format: &dyn Format,
        digest: &mut Digest,
        report: &mut Report,
    ) -> Marking {
        let mut marking = Marking::default();
        if format.name() != "hl7v2" {
            return marking;
        }
        let systems = self.senders();
        let systems = systems
            .iter()
            .filter_map(|name| self.gathered.systems.get(*name));
        let trees = self
            .gathered
            .node_tree
            .iter()
            .chain(systems.map(|system| &system.tree));
        for tree in trees {
            for node in lists(tree) {
                digest.json(&node.json());
            }
            let mut compile = |path: &str, at| self.compile(path, format, at, report);
            add(&mut marking, tree, &mut compile);
        }
        marking
    }

    /// The system of the source, those of a group that a step tells apart, and one that a step names.
    fn senders(&self) -> BTreeSet<&str> {
        let mut names: BTreeSet<&str> = self.sender().into_iter().collect();
        let steps = self.channel.pieces.iter().filter(|piece| is_step(piece));
        for piece in steps {
            names.extend(piece.config.get("system").and_then(Value::as_str));
            let Some(group) = piece.config.get("group").and_then(Value::as_str) else {
                continue;
            };
            let systems = self.gathered.systems.iter();
            let own = systems.filter(|(_, system)| system.info.group.as_deref() == Some(group));
            names.extend(own.map(|(name, _)| name.as_str()));
        }
        names
    }

    /// How a destination takes test patients and critical results.
    pub(super) fn care(
        &self,
        piece: Option<&Piece>,
        file: &DestinationFile,
        digest: &mut Digest,
    ) -> Care {
        let stops =
            piece.is_some_and(|piece| self.in_production(piece) && !self.allows_tests(piece));
        let inside = piece.is_none_or(|piece| piece.spec.is_none());
        let channel = self.channel.file.as_ref();
        let own = file.critical_within.filter(|_| file.critical_off.is_none());
        let off = file.critical_off.is_some()
            || (own.is_none() && channel.is_some_and(|channel| channel.critical_off.is_some()));
        let within = own
            .or_else(|| channel.and_then(|channel| channel.critical_within))
            .unwrap_or(CRITICAL_WITHIN);
        // What goes on inside the node is waited for where it leaves it, and an answer is no result.
        let waits = !off && !inside && file.removed.is_none() && file.sends == Sends::Message;
        digest.text(if stops { "stops tests" } else { "takes tests" });
        Care {
            test_messages: if stops {
                TestMessages::Stop
            } else {
                TestMessages::Deliver
            },
            critical_within: waits.then_some(within),
        }
    }

    /// What is used for care: a system that is marked so, or a store of a node that is.
    fn in_production(&self, piece: &Piece) -> bool {
        let system = self.system_of(piece);
        let marked = system.is_some_and(|system| system.info.production);
        let mut values = piece.config.as_object().into_iter().flatten();
        let address = |text: &str| self.gathered.production.contains(text);
        let named = values.any(|(_, value)| value.as_str().is_some_and(address));
        let reached =
            system.is_some_and(|system| system.info.addresses.values().any(|a| address(a)));
        let node = self
            .gathered
            .node
            .as_ref()
            .is_some_and(|node| node.production);
        marked || named || reached || (node && is_local(piece))
    }

    /// The file of the system, or the section of the store, says that it takes test patients.
    fn allows_tests(&self, piece: &Piece) -> bool {
        if is_local(piece) {
            let fhir = self
                .gathered
                .node
                .as_ref()
                .and_then(|node| node.fhir.as_ref());
            let tenant = piece.config.get("tenant").and_then(Value::as_str);
            let said = fhir.map(|fhir| {
                let own = fhir
                    .tenants
                    .iter()
                    .find(|(name, _)| Some(name.0.as_str()) == tenant);
                match own {
                    Some((_, own)) => own.test_messages,
                    None => fhir.test_messages,
                }
            });
            return said == Some(TestMessagesFile::Allow);
        }
        let system = self.system_of(piece);
        let said = system.and_then(|system| system.tree.get("test-messages")?.text());
        said == Some("allow")
    }

    fn system_of(&self, piece: &Piece) -> Option<&'g crate::site::System> {
        let name = piece.config.get("system").and_then(Value::as_str)?;
        self.gathered.systems.get(name)
    }
}

/// The lists of every system for messages of HL7 v2, each with those of the site; behind no name those
/// of the site alone. What is wrong with one is told where its channel is built.
pub(crate) fn markings(gathered: &Gathered, registry: &Registry) -> BTreeMap<String, Marking> {
    let Ok(format) = registry.format("hl7v2", &FormatOptions::default()) else {
        return BTreeMap::new();
    };
    let of = |own: Option<&Node>| {
        let mut marking = Marking::default();
        for tree in gathered.node_tree.iter().chain(own) {
            let mut compile = |path: &str, _| Rule::compile(path, format.dialect()).ok();
            add(&mut marking, tree, &mut compile);
        }
        marking
    };
    let systems = gathered.systems.iter();
    let all = systems.map(|(name, system)| (name.clone(), of(Some(&system.tree))));
    all.chain([(String::new(), of(None))]).collect()
}

fn lists(tree: &Node) -> impl Iterator<Item = &Node> {
    let lists = [LABELS, PATIENTS].into_iter();
    lists.flat_map(|key| tree.get(key).map(Node::items).unwrap_or_default())
}

/// Adds the lists of a file.
fn add(marking: &mut Marking, tree: &Node, compile: &mut dyn FnMut(&str, Span) -> Option<Rule>) {
    for node in tree.get(LABELS).map(Node::items).unwrap_or_default() {
        marking.labels.extend(labels(node, compile));
    }
    for node in tree.get(PATIENTS).map(Node::items).unwrap_or_default() {
        let file = serde_json::from_value::<TestPatientsFile>(text_values(node)).ok();
        marking.test_patients.extend(file.map(patients));
    }
}

fn labels(node: &Node, compile: &mut dyn FnMut(&str, Span) -> Option<Rule>) -> Option<LabelList> {
    let file = serde_json::from_value::<LabelListFile>(text_values(node)).ok()?;
    let at = node.get("field").map_or(node.span, |field| field.span);
    let whole = file
        .field
        .rsplit('-')
        .next()
        .is_some_and(|end| !end.contains('.'));
    let path = if whole {
        format!("{}.1", file.field)
    } else {
        file.field.clone()
    };
    Some(LabelList {
        rule: compile(&path, at)?,
        field: file.field,
        codes: file.codes,
        labels: file
            .labels
            .iter()
            .map(|label| Arc::from(label.as_str()))
            .collect(),
    })
}

fn is_step(piece: &Piece) -> bool {
    piece.kind == hilum_component::ComponentKind::Step
}

/// A store of this node.
fn is_local(piece: &Piece) -> bool {
    piece.name == "fhir" && piece.config.get("to").is_some_and(|to| to == "local")
}

/// A part of a file in which every single value is text: numbers of patients are not numbers.
fn text_values(node: &Node) -> Value {
    let mut all = serde_json::Map::new();
    for (key, value) in node.entries() {
        let one = |node: &Node| node.text().map(|text| Value::from(text.to_owned()));
        let value = match one(value) {
            Some(text) => text,
            None => value
                .items()
                .iter()
                .filter_map(one)
                .collect::<Vec<_>>()
                .into(),
        };
        all.insert(key.text.clone(), value);
    }
    Value::Object(all)
}

fn patients(file: TestPatientsFile) -> TestPatients {
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.trim().parse().ok());
    TestPatients {
        range: number(&file.from).zip(number(&file.to)),
        family: file.family,
        given: file.given,
        authority: file.authority,
        numbers: file.numbers,
    }
}
