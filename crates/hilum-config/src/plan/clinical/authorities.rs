//! Systems say who assigns the identifiers that they send, or that they have none.

use std::collections::BTreeMap;

use hilum_component::ComponentKind;

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
/// none; the first place that names it is shown.
pub(super) fn check(gathered: &Gathered, channels: &[Checked<'_>], report: &mut Report) {
    let mut named: BTreeMap<&str, Span> = BTreeMap::new();
    for channel in channels {
        let clinical = channel
            .format
            .as_deref()
            .is_some_and(|format| CLINICAL.contains(&format.name()));
        if !clinical {
            continue;
        }
        let ends = channel
            .pieces
            .iter()
            .filter(|piece| piece.kind != ComponentKind::Step);
        for piece in ends {
            if let Some((name, span)) = system(piece) {
                named.entry(name).or_insert(span);
            }
        }
        for group in groups(channel) {
            let own = gathered.systems.iter().filter(|(_, system)| {
                system
                    .info
                    .group
                    .as_deref()
                    .is_some_and(|name| name == group.0)
            });
            for (name, _) in own {
                named.entry(name).or_insert(group.1);
            }
        }
    }
    for (name, span) in named {
        let undeclared = |system: &&System| {
            let is_said = |key| system.tree.get(key).is_some() || system.unread.contains(key);
            !is_said("identifiers") && !is_said("no-patients")
        };
        if let Some(system) = gathered.systems.get(name).filter(undeclared) {
            let text = format!("`{name}` does not say who assigns its identifiers");
            let remedy = "a number alone names nobody: write `identifiers: [{ authority: …, type: \
                          MR }]`, or `no-patients: REASON` if nothing that it sends or gets is \
                          about a patient";
            let draft = Draft::error("E0127", system.span, text).related(span, "named here");
            report.push(draft.remedy(remedy));
        }
    }
    for system in gathered.systems.values() {
        both(system, report);
    }
    two_meanings(gathered, report);
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

/// A system has patients or it has none.
fn both(system: &System, report: &mut Report) {
    let (Some((key, reason)), identifiers) = (
        system.tree.entry("no-patients"),
        system.tree.get("identifiers"),
    ) else {
        return;
    };
    if let Some(identifiers) = identifiers {
        let text = "the system has identifiers of patients, and says that it has none";
        let draft = Draft::error("E0127", key.span, text).related(identifiers.span, "here");
        report.push(draft.remedy("leave one of the two out"));
    } else if reason.text().is_some_and(|text| text.trim().is_empty()) {
        let text = "`no-patients` does not say why";
        let remedy = "write what the system is, such as `no-patients: the mail server`";
        report.push(Draft::error("E0127", reason.span, text).remedy(remedy));
    }
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
