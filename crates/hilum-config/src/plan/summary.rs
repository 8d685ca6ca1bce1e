//! What a site is made of, as data: the material of `hilum docs` and `hilum impact`.

use std::collections::BTreeMap;

use hilum_component::ComponentKind;
use serde::Serialize;
use serde_json::Value;

use crate::check::{Piece, Use, UseKind};
use crate::diagnostic::without_passwords;
use crate::yaml::{Kind, Node};

/// A site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SiteSummary {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: Option<String>,
    /// The environment that was laid over it.
    pub environment: Option<String>,
    /// Its systems.
    pub systems: Vec<SystemSummary>,
    /// Its channels.
    pub channels: Vec<ChannelSummary>,
}

/// A system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SystemSummary {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// What it is.
    pub about: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// It is used for care.
    pub production: bool,
    /// The group of systems that send to one channel.
    pub group: Option<String>,
    /// Addresses by technology.
    pub addresses: BTreeMap<String, String>,
    /// Files of certificates that its `settings:` name.
    pub certificates: Vec<String>,
}

/// A channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChannelSummary {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// What it is for.
    pub about: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// The format of its messages.
    pub format: String,
    /// Which messages it takes.
    pub accept: Option<String>,
    /// What keeps them in order.
    pub order: String,
    /// By what they are found: name and expression.
    pub index: Vec<(String, String)>,
    /// Where they come from.
    pub source: Option<PartSummary>,
    /// What happens to each.
    pub steps: Vec<PartSummary>,
    /// Where they go.
    pub destinations: Vec<PartSummary>,
    /// Everything it uses.
    pub uses: Vec<Use>,
}

/// A source, a step or a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PartSummary {
    /// The destination's name, or the step's place.
    pub name: String,
    /// The component.
    pub component: String,
    /// What the component does.
    pub summary: String,
    /// The system at the other end.
    pub system: Option<String>,
    /// The condition of a destination.
    pub when: Option<String>,
    /// The channel that gets the reply.
    pub then: Option<String>,
    /// What it says, setting by setting.
    pub rules: Vec<RuleSummary>,
    /// A destination's own steps.
    pub steps: Vec<Self>,
}

/// One setting of a component: for `set`, which rule writes which target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RuleSummary {
    /// The place that is written, or the name of the setting.
    pub target: String,
    /// The setting as written.
    pub rule: String,
    /// The paths that it reads.
    pub sources: Vec<String>,
    /// The table or other file that it uses.
    pub table: Option<String>,
}

/// Longest setting that is shown, in characters.
const RULE_CHARS_MAX: usize = 400;

pub(super) fn part(name: &str, piece: &Piece, uses: &[Use]) -> PartSummary {
    let own: Vec<&Use> = uses
        .iter()
        .filter(|used| used.at.starts_with(&piece.at))
        .collect();
    let built_in = crate::check::BUILT_IN
        .iter()
        .find(|(kind, known, _)| *kind == piece.kind && *known == piece.name);
    let summary = piece
        .spec
        .as_ref()
        .map(|spec| spec.summary)
        .or(built_in.map(|(_, _, summary)| *summary));
    let mut rules = Vec::new();
    let start = piece.at.len() + 1;
    // What is wrong may hold a secret in clear text.
    if piece.clean {
        lines(&piece.node, &mut Vec::new(), &own, start, &mut rules);
    }
    PartSummary {
        name: name.to_owned(),
        component: piece.name.clone(),
        summary: summary.unwrap_or_default().to_owned(),
        system: system(&piece.config),
        rules,
        ..PartSummary::default()
    }
}

/// The value of the key `system`, which names the system at the other end.
pub(super) fn system(config: &Value) -> Option<String> {
    config
        .get("system")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

/// The destination is a FHIR store of this node: `fhir: local`, or `fhir: { to: local }`.
pub(super) fn is_store(component: &str, config: &Value) -> bool {
    let to = config.get("to").unwrap_or(config);
    component == "fhir" && to.as_str() == Some("local")
}

/// The values of `certificate` and `ca`, wherever they stand in the settings of a system.
pub(super) fn certificates(settings: &Value, found: &mut Vec<String>) {
    for (key, value) in settings.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(path) if matches!(key.as_str(), "certificate" | "ca") => {
                found.push(path.to_owned());
            }
            _ => certificates(value, found),
        }
    }
}

fn lines(
    node: &Node,
    at: &mut Vec<String>,
    uses: &[&Use],
    start: usize,
    out: &mut Vec<RuleSummary>,
) {
    match &node.kind {
        Kind::Map(entries) => {
            for (key, value) in entries {
                at.push(key.text.clone());
                lines(value, at, uses, start, out);
                at.pop();
            }
        }
        Kind::List(items) if items.iter().any(|item| item.scalar().is_none()) => {
            for (place, item) in items.iter().enumerate() {
                at.push((place + 1).to_string());
                lines(item, at, uses, start, out);
                at.pop();
            }
        }
        Kind::List(items) => {
            let texts: Vec<&str> = items.iter().filter_map(Node::text).collect();
            push(at, &texts.join(", "), uses, start, out);
        }
        Kind::Scalar(scalar) => push(at, &scalar.text, uses, start, out),
    }
}

fn push(at: &[String], text: &str, uses: &[&Use], start: usize, out: &mut Vec<RuleSummary>) {
    let here = |used: &&&Use| used.at.get(start..).is_some_and(|tail| tail == at);
    let own: Vec<&&Use> = uses.iter().filter(here).collect();
    let sources = own.iter().filter(|used| used.kind == UseKind::Expression);
    let table = own
        .iter()
        .find(|used| used.kind == UseKind::File)
        .map(|used| used.text.clone());
    out.push(RuleSummary {
        target: at.join(" "),
        rule: without_passwords(text)
            .chars()
            .take(RULE_CHARS_MAX)
            .collect(),
        sources: sources.flat_map(|used| used.paths.clone()).collect(),
        table,
    });
}

/// The kind of a piece and the part of the file it belongs to.
pub(super) fn of_kind(pieces: &[Piece], kind: ComponentKind, at: &[&str]) -> Option<usize> {
    pieces.iter().position(|piece| {
        piece.kind == kind && piece.at.iter().map(String::as_str).eq(at.iter().copied())
    })
}
