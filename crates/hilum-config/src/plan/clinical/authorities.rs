//! Systems say who assigns the identifiers that they send, or that they have none.

use std::collections::{BTreeMap, BTreeSet};

use hilum_component::ComponentKind;

use super::statuses::MATCH;
use crate::check::Piece;
use crate::diagnostic::{Draft, Report};
use crate::plan::channel::Checked;
use crate::plan::cross::SENDER;
use crate::plan::gather::Gathered;
use crate::site::System;
use crate::yaml::{Node, Span};

/// Formats whose messages are about patients.
const CLINICAL: [&str; 2] = ["hl7v2", "fhir"];

/// Each system that sends or gets messages about patients declares an authority, or says why it has
/// none; the first place that names it is shown. Gives the systems of which an error was reported.
pub(super) fn check<'g>(
    gathered: &'g Gathered,
    channels: &[Checked<'_>],
    report: &mut Report,
) -> BTreeSet<&'g str> {
    let mut wrong = undeclared(gathered, channels, report);
    for (name, system) in &gathered.systems {
        if both(system, report) {
            wrong.insert(name);
        }
    }
    for channel in channels {
        wrong.extend(matched(gathered, channel, report));
    }
    two_meanings(gathered, report);
    wrong
}

/// The systems that do not say who assigns their identifiers.
fn undeclared<'g>(
    gathered: &'g Gathered,
    channels: &[Checked<'_>],
    report: &mut Report,
) -> BTreeSet<&'g str> {
    let mut named: BTreeMap<&str, Span> = BTreeMap::new();
    for channel in channels {
        let clinical = channel
            .format
            .as_deref()
            .is_some_and(|format| CLINICAL.contains(&format.name()));
        if !clinical {
            continue;
        }
        for (name, span) in channel.pieces.iter().filter_map(system) {
            named.entry(name).or_insert(span);
        }
        for (group, span) in groups(channel) {
            for name in members(gathered, group) {
                named.entry(name).or_insert(span);
            }
        }
    }
    let mut found = BTreeSet::new();
    for (name, span) in named {
        let undeclared = |(_, system): &(&String, &System)| {
            let is_said = |key| system.tree.get(key).is_some() || system.unread.contains(key);
            !is_said("identifiers") && !is_said(NO_PATIENTS)
        };
        let known = gathered.systems.get_key_value(name);
        if let Some((name, system)) = known.filter(undeclared) {
            let text = format!("`{name}` does not say who assigns its identifiers");
            let remedy = "a number alone names nobody: write `identifiers: [{ authority: …, type: \
                          MR }]`, or `no-patients: REASON` if nothing that it sends or gets is \
                          about a patient";
            let draft = Draft::error("E0127", system.span, text).related(span, "named here");
            report.push(draft.remedy(remedy));
            found.insert(name.as_str());
        }
    }
    found
}

/// The key by which a system says that its messages are about no patient.
const NO_PATIENTS: &str = "no-patients";

/// Systems that say that they have no patients, and whose messages the channel holds against the record.
fn matched<'g>(
    gathered: &'g Gathered,
    channel: &Checked<'_>,
    report: &mut Report,
) -> BTreeSet<&'g str> {
    let mut found = BTreeSet::new();
    let steps = channel.pieces.iter().filter(|piece| piece.name == MATCH);
    for piece in steps.filter(|piece| piece.kind == ComponentKind::Step) {
        let source = channel.source().and_then(system);
        let named = system(piece).or(source).map(|(name, _)| name);
        let several = groups(channel).flat_map(|(group, _)| members(gathered, group));
        let senders: Vec<&str> = match named {
            Some(name) => vec![name],
            None => several.collect(),
        };
        for name in senders {
            let Some((name, system)) = gathered.systems.get_key_value(name) else {
                continue;
            };
            let says = system.tree.entry(NO_PATIENTS);
            let Some((key, _)) = says.filter(|_| system.tree.get("identifiers").is_none()) else {
                continue;
            };
            let text =
                format!("`{name}` says that it has no patients, and its messages are matched");
            let remedy = "write its `identifiers:` instead, or leave `match` out: a number without \
                          its authority is compared with nothing";
            let draft = Draft::error("E0127", key.span, text);
            let draft = draft.related(piece.name_span, "matched here");
            if found.insert(name.as_str()) {
                report.push(draft.remedy(remedy));
            }
        }
    }
    found
}

/// A name of an authority has one meaning in all files: `match` goes by the name, a FHIR store by what it
/// means.
fn two_meanings(gathered: &Gathered, report: &mut Report) {
    let mut known: BTreeMap<&str, (String, Span, &str)> = BTreeMap::new();
    for (system, file) in &gathered.systems {
        let items = file.tree.get("identifiers").map(Node::items);
        let all = file.info.identifiers.iter();
        for (authority, node) in all.zip(items.unwrap_or_default()) {
            let of_oid = || authority.oid.as_ref().map(|oid| format!("urn:oid:{oid}"));
            let Some(meaning) = authority.uri.clone().or_else(of_oid) else {
                continue;
            };
            let name = authority.name.as_str();
            let first = known
                .entry(name)
                .or_insert_with(|| (meaning.clone(), node.span, system));
            if first.0 == meaning {
                continue;
            }
            let text = format!("`{name}` is another authority here than for `{}`", first.2);
            let remedy = "give it the same `oid` or `uri` in both files; of two authorities one gets \
                          another name, with the object identifier that its messages say";
            let draft = Draft::warning("W0320", node.span, text).related(first.1, "declared here");
            report.push(draft.remedy(remedy));
        }
    }
}

/// A system has patients or it has none; whether it says both, or not why it has none.
fn both(system: &System, report: &mut Report) -> bool {
    let (Some((key, reason)), identifiers) = (
        system.tree.entry(NO_PATIENTS),
        system.tree.get("identifiers"),
    ) else {
        return false;
    };
    let draft = if let Some(identifiers) = identifiers {
        let text = "the system has identifiers of patients, and says that it has none";
        let draft = Draft::error("E0127", key.span, text).related(identifiers.span, "here");
        draft.remedy("leave one of the two out")
    } else if reason.text().is_some_and(|text| text.trim().is_empty()) {
        let text = "`no-patients` does not say why";
        let remedy = "write what the system is, such as `no-patients: the mail server`";
        Draft::error("E0127", reason.span, text).remedy(remedy)
    } else {
        return false;
    };
    report.push(draft);
    true
}

/// The systems of a group.
fn members<'g>(gathered: &'g Gathered, group: &str) -> impl Iterator<Item = &'g str> {
    let all = gathered.systems.iter();
    let own = all.filter(move |(_, system)| system.info.group.as_deref() == Some(group));
    own.map(|(name, _)| name.as_str())
}

fn system(piece: &Piece) -> Option<(&str, Span)> {
    let node: &Node = piece.node.get("system")?;
    Some((node.text()?, node.span))
}

/// The groups of systems that a step of the channel tells apart.
fn groups<'c>(channel: &'c Checked<'_>) -> impl Iterator<Item = (&'c str, Span)> {
    let senders = channel
        .pieces
        .iter()
        .filter(|piece| piece.kind == ComponentKind::Step && piece.name == SENDER);
    senders.filter_map(|piece| {
        let node = piece.node.get("group")?;
        Some((node.text()?, node.span))
    })
}
