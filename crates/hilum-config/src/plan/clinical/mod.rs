//! What is written correctly and can harm a patient: corrections that are withheld, numbers without
//! their authority, units without their values, results that nobody holds against the record.
//!
//! Channels of HL7 v2 are looked at; of those of FHIR, and behind a step that converts to it, the conditions
//! on statuses alone; of a source that asks a FHIR store, and of the topics of the node's own, what they ask
//! for. Conditions are never compared as text: they are evaluated on small synthetic messages, as they came
//! and as the steps before leave them, so that every way of writing the same condition gives the same warning.

mod authorities;
mod converted;
mod patients;
mod resources;
mod searches;
mod statuses;
mod stepped;
mod topics;
mod trial;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hilum_component::{ComponentKind, Format, FormatOptions, Registry, Rule};
use serde_json::Value;

use super::channel::Checked;
use super::gather::Gathered;
use crate::check::Piece;
use crate::diagnostic::{Draft, Report};
use crate::yaml::{Node, Span};
use resources::AskedOf;
pub(super) use statuses::MATCH;
pub(super) use stepped::check as check_stepped;
use trial::Trial;

/// Warnings of a channel that it may silence with a reason.
pub(super) const SILENCEABLE: [&str; 5] = ["W0315", "W0316", "W0317", "W0318", "W0319"];

/// The format whose messages are looked at.
const V2: &str = "hl7v2";
/// The format that they are converted to.
const FHIR: &str = "fhir";

/// Gives the systems of which it is said that nobody knows who assigns their identifiers.
pub(super) fn check<'g>(
    gathered: &'g Gathered,
    channels: &[Checked<'_>],
    registry: &Registry,
    report: &mut Report,
) -> BTreeSet<&'g str> {
    let undeclared = authorities::check(gathered, channels, report);
    let fhir = registry.format(FHIR, &FormatOptions::default()).ok();
    if let Some(fhir) = &fhir {
        topics::check(gathered, fhir, report);
    }
    for channel in channels {
        silences(channel.tree, &SILENCEABLE, report);
        let mut found = match channel
            .format
            .as_ref()
            .map(|format| (format.name(), format))
        {
            Some((V2, format)) => of_v2(channel, channels, &**format, fhir.as_ref()),
            Some((FHIR, format)) => resources::withheld(channel, format, AskedOf::Either),
            _ => Vec::new(),
        };
        found.extend(searches::withheld(channel));
        found.retain(|draft| !channel.silences(draft.code));
        report.extend(found);
    }
    undeclared
}

/// What is said of a channel of HL7 v2.
fn of_v2(
    channel: &Checked<'_>,
    channels: &[Checked<'_>],
    format: &dyn Format,
    fhir: Option<&Arc<dyn Format>>,
) -> Vec<Draft> {
    let conditions = conditions(channel);
    let mut found = Vec::new();
    let trial = Trial::new(format);
    if let Some(trial) = &trial {
        found.extend(statuses::withheld(trial, &conditions));
        found.extend(statuses::unmatched(trial, channel, channels, &conditions));
    }
    if let Some(fhir) = fhir {
        found.extend(resources::withheld(channel, fhir, AskedOf::Other));
    }
    found.extend(patients::bare_numbers(trial.as_ref(), &conditions));
    found.extend(units::alone(channel));
    found
}

/// What `silence:` names is a warning that may be silenced, and has a reason.
fn silences(of: &Node, silenceable: &[&str], report: &mut Report) {
    let written = of.get("silence").map(Node::entries);
    for (key, reason) in written.unwrap_or_default() {
        if !silenceable.contains(&key.text.as_str()) {
            let text = format!("`{}` cannot be silenced", key.text);
            let remedy = format!("only {} can", silenceable.join(", "));
            report.push(Draft::error("E0104", key.span, text).remedy(remedy));
        }
        if !reason.text().is_some_and(says_why) {
            let text = "a warning is silenced without a reason";
            let remedy = "write why it is safe here, for whoever reads the file next";
            report.push(Draft::error("E0105", reason.span, text).remedy(remedy));
        }
    }
}

/// A text is a reason, and no switch.
fn says_why(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let is_switch = matches!(
        &*text,
        "true" | "false" | "yes" | "no" | "on" | "off" | "null"
    );
    text.chars().any(char::is_alphabetic) && !is_switch
}

impl Checked<'_> {
    /// The channel's file says why a warning that is about to be given does not matter here.
    pub(super) fn silences(&self, code: &str) -> bool {
        let reason = self.tree.get("silence").and_then(|all| all.get(code));
        let silences = reason.and_then(Node::text).is_some();
        if silences {
            self.silenced.borrow_mut().insert(code.to_owned());
        }
        silences
    }
}

/// What a channel silences although nothing says it; it was built, so that all was looked at.
pub(super) fn needless_of(channel: &Checked<'_>, report: &mut Report) {
    needless(
        channel.tree,
        &channel.silenced.borrow(),
        &SILENCEABLE,
        report,
    );
}

fn needless(of: &Node, silenced: &BTreeSet<String>, silenceable: &[&str], report: &mut Report) {
    let written = of.get("silence").map(Node::entries);
    for (key, _) in written.unwrap_or_default() {
        let is_known = silenceable.contains(&key.text.as_str());
        if is_known && !silenced.contains(&key.text) {
            let text = format!("`{}` silences nothing here", key.text);
            let remedy = "leave it out: it would hide the next mistake of that kind";
            report.push(Draft::warning("W0312", key.span, text).remedy(remedy));
        }
    }
}

/// What a condition decides.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decides {
    /// Whether the channel works on a message at all.
    Passing,
    /// Whether a destination gets it.
    Destination(String),
}

/// A condition that a message must meet, or the opposite.
struct Condition {
    rule: Rule,
    /// It holds for those that go on; `unless` is the other way round.
    passes: bool,
    decides: Decides,
    span: Span,
    /// What the file calls it.
    what: &'static str,
    before: Before,
}

/// The steps that a message has been through when a condition is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Before {
    /// Of the channel.
    steps: usize,
    /// Of the destination.
    own: usize,
}

impl Before {
    /// That many steps of whoever it decides about.
    const fn of(self, decides: &Decides, number: usize) -> Self {
        match decides {
            Decides::Passing => Self {
                steps: number,
                own: 0,
            },
            Decides::Destination(_) => Self {
                steps: self.steps,
                own: number,
            },
        }
    }
}

/// Every condition of a channel that is about messages as they came.
fn conditions(channel: &Checked<'_>) -> Vec<Condition> {
    let mut found = Vec::new();
    if let Some(accept) = channel.tree.get("accept") {
        found.extend(condition(channel, accept, "accept", true, Decides::Passing));
    }
    let compile = |at: &Node, what, passes, decides| condition(channel, at, what, passes, decides);
    let own: Vec<&Piece> = steps(channel, &["steps"]).collect();
    of_steps(
        &own,
        &Decides::Passing,
        Before::default(),
        &compile,
        &mut found,
    );
    if own.iter().any(|piece| piece.name == CONVERT) {
        return found;
    }
    let all = Before {
        steps: own.len(),
        own: 0,
    };
    let to = channel.tree.get("to").map(Node::entries);
    for (name, node) in to.unwrap_or_default() {
        let decides = Decides::Destination(name.text.clone());
        let when = node.get("when");
        let when = when.and_then(|when| condition(channel, when, "when", true, decides.clone()));
        found.extend(when.map(|when| Condition {
            before: all,
            ..when
        }));
        let own: Vec<&Piece> = steps(channel, &["to", &name.text, "steps"]).collect();
        of_steps(&own, &decides, all, &compile, &mut found);
    }
    found
}

/// The conditions of steps on messages that are of HL7 v2 still.
fn of_steps(
    steps: &[&Piece],
    decides: &Decides,
    before: Before,
    compile: &Compile<'_>,
    found: &mut Vec<Condition>,
) {
    let still = steps.iter().take_while(|piece| piece.name != CONVERT);
    for (number, piece) in still.enumerate() {
        let first = found.len();
        of_step(piece, decides, compile, found);
        for condition in found.iter_mut().skip(first) {
            condition.before = before.of(decides, number);
        }
    }
}

/// The step behind which messages are no longer of HL7 v2.
const CONVERT: &str = "convert";
/// The step behind which resources are messages of their own.
const SPLIT: &str = "split";

/// The steps of a list, in order.
fn steps<'c>(channel: &'c Checked<'_>, at: &[&str]) -> impl Iterator<Item = &'c Piece> {
    let at: Vec<String> = at.iter().map(|&part| part.to_owned()).collect();
    channel.pieces.iter().filter(move |piece| {
        piece.kind == ComponentKind::Step
            && piece.at.len() == at.len() + 1
            && piece.at.starts_with(&at)
    })
}

/// Makes a condition of what stands in the file.
type Compile<'c> = dyn Fn(&Node, &'static str, bool, Decides) -> Option<Condition> + 'c;

fn of_step(piece: &Piece, decides: &Decides, compile: &Compile<'_>, found: &mut Vec<Condition>) {
    let node = |key: &str| piece.node.get(key);
    match piece.name.as_str() {
        "filter" => {
            for (key, passes) in [("if", true), ("unless", false)] {
                let at = node(key);
                found.extend(at.and_then(|at| compile(at, "filter", passes, decides.clone())));
            }
        }
        "route" => {
            for (name, at) in node("to").map(Node::entries).unwrap_or_default() {
                let decides = Decides::Destination(name.text.clone());
                found.extend(compile(at, "route", true, decides));
            }
        }
        _ => {}
    }
}

fn condition(
    channel: &Checked<'_>,
    at: &Node,
    what: &'static str,
    passes: bool,
    decides: Decides,
) -> Option<Condition> {
    let format = channel.format.as_deref()?;
    condition_in(channel, format, at, what, passes, decides)
}

/// A condition on messages of a format, which need not be that of the channel.
fn condition_in(
    channel: &Checked<'_>,
    format: &dyn Format,
    at: &Node,
    what: &'static str,
    passes: bool,
    decides: Decides,
) -> Option<Condition> {
    let rule = Rule::of_reply(at.text()?, format.dialect(), channel.original.as_deref()).ok()?;
    Some(Condition {
        rule,
        passes,
        decides,
        span: at.span,
        what,
        before: Before::default(),
    })
}

/// Texts in single quotes, as they stand in an expression.
fn constants(text: &str) -> Vec<String> {
    let quoted = text.split('\'').skip(1).step_by(2);
    let mut found: Vec<String> = quoted.map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

/// The settings of a step by key.
fn settings(piece: &Piece) -> BTreeMap<&str, &Value> {
    let all = piece.config.as_object().into_iter().flatten();
    all.map(|(key, value)| (key.as_str(), value)).collect()
}
