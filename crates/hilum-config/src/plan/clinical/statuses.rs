//! Results: what a condition withholds of them, and whether somebody holds them against the record.

use hilum_component::ComponentKind;

use super::stepped::listed;
use super::trial::{Trial, Value, with};
use super::{CONVERT, Condition, Decides, FHIR, steps};
use crate::check::Piece;
use crate::diagnostic::Draft;
use crate::plan::channel::Checked;
use crate::yaml::Span;

/// The places of a status: OBX-11 (table 0085), OBR-25 (table 0123) and ORC-1 (table 0119).
pub(super) const PLACES: [&str; 3] = ["OBX-11", "OBR-25", "ORC-1"];

/// What takes a final result back or puts another in its place, HL7 v2.5.1 tables 0085, 0123 and
/// 0119. A correction of the whole report has C in OBR-25 and in OBX-11, so each is tried alone.
pub(super) const TAKEN_BACK: [(&str, &str, &str); 9] = [
    ("OBX-11", "C", "corrected"),
    ("OBX-11", "D", "deleted"),
    ("OBX-11", "W", "of the wrong patient"),
    ("OBX-11", "X", "cancelled"),
    ("OBR-25", "C", "corrected"),
    ("OBR-25", "X", "cancelled"),
    ("ORC-1", "CA", "cancelled"),
    ("ORC-1", "OC", "cancelled"),
    ("ORC-1", "CR", "cancelled"),
];

/// Conditions that let final results on and not what takes them back.
pub(super) fn withheld(trial: &Trial<'_>, conditions: &[Condition]) -> Vec<Draft> {
    let mut found = Vec::new();
    for condition in conditions {
        let list = named(trial, condition);
        if !list.is_empty() {
            found.push(warning(condition, &list));
        }
    }
    found
}

/// What a condition on the message as it came withholds.
pub(super) fn named(trial: &Trial<'_>, condition: &Condition) -> Vec<String> {
    let text = condition.rule.text();
    if !["OBX", "OBR", "ORC"].iter().any(|id| text.contains(id)) {
        return Vec::new();
    }
    of(trial, condition).into_iter().map(listed).collect()
}

/// What is said of a condition that withholds these statuses.
pub(super) fn warning(condition: &Condition, withheld: &[String]) -> Draft {
    let whom = (&condition.decides, condition.span, condition.what);
    of_whom(whom, withheld)
}

/// What is said of what decides here about whom, and is called so.
pub(super) fn of_whom((decides, span, what): (&Decides, Span, &str), withheld: &[String]) -> Draft {
    let whom = match decides {
        Decides::Passing => "goes on".to_owned(),
        Decides::Destination(name) => format!("reaches `{name}`"),
    };
    let text = withholds(&whom, withheld);
    let remedy = format!(
        "let the statuses through as well, or write why not: `silence: {{ W0315: … }}` \
         (this `{what}` leaves the wrong value where it was sent)"
    );
    Draft::warning("W0315", span, text).remedy(remedy)
}

/// A text about something final, and what takes it back.
pub(super) fn withholds(whom: &str, withheld: &[String]) -> String {
    let is_order = |status: &String| status.starts_with("ServiceRequest.");
    let what = if withheld.iter().all(is_order) {
        "an order"
    } else {
        "a final result"
    };
    let list = withheld.join(", ");
    format!("{what} {whom}, but not what takes it back: {list}")
}

/// The statuses that do not go on where the final result of the same message does.
fn of(trial: &Trial<'_>, condition: &Condition) -> Vec<(&'static str, &'static str, &'static str)> {
    let mut found = Vec::new();
    for context in trial.contexts(condition, &PLACES) {
        if !trial.goes_on(condition, &with(&context, &FINAL)) {
            continue;
        }
        for back in TAKEN_BACK {
            let (place, code, _) = back;
            let values = taken_back(place, code);
            if !found.contains(&back) && !trial.goes_on(condition, &with(&context, &values)) {
                found.push(back);
            }
        }
    }
    found.sort_by_key(|back| TAKEN_BACK.iter().position(|known| known == back));
    found
}

/// How a final result says so.
pub(super) const FINAL: [Value<'static>; 3] = [("OBX-11", "F"), ("OBR-25", "F"), ("ORC-1", "RE")];

/// The same with what takes it back in one place.
pub(super) fn taken_back(place: &str, code: &'static str) -> [Value<'static>; 3] {
    FINAL.map(|(at, value)| (at, if at == place { code } else { value }))
}

/// A channel that stores results although no `match` holds them against the record.
pub(super) fn unmatched(
    trial: &Trial<'_>,
    channel: &Checked<'_>,
    channels: &[Checked<'_>],
    conditions: &[Condition],
) -> Option<Draft> {
    if matches(channel) || matched_before(channel, channels) {
        return None;
    }
    let takes = |decides: &Decides| {
        let own = conditions.iter().filter(|c| c.decides == *decides);
        own.into_iter()
            .all(|condition| result_passes(trial, condition))
    };
    if !takes(&Decides::Passing) {
        return None;
    }
    let takes = |name: &&String| {
        takes(&Decides::Destination((**name).clone())) && !matches_own(channel, name)
    };
    let mut found = channel
        .destinations
        .iter()
        .filter(takes)
        .filter_map(|name| {
            let piece = channel.destination(name)?;
            if stored(Some(piece)) {
                return Some((piece.name_span, format!("`{name}`")));
            }
            let behind = converts(channel, name).then(|| stored_behind(piece, channels));
            Some((piece.name_span, behind.flatten()?))
        });
    let (span, by) = found.next()?;
    let text = format!("results are stored by {by} without being held against the record");
    let remedy = "put `- match: {}` before what converts, so that a result on the wrong patient \
                  waits for a person, or write why not: `silence: { W0319: … }`";
    Some(Draft::warning("W0319", span, text).remedy(remedy))
}

/// What a destination gets is of FHIR.
fn converts(channel: &Checked<'_>, destination: &str) -> bool {
    let is_convert = |piece: &Piece| piece.name == CONVERT;
    steps(channel, &["steps"]).any(is_convert)
        || steps(channel, &["to", destination, "steps"]).any(is_convert)
}

/// Who stores what is published on a topic: the channels of FHIR that get it match nothing any more.
fn stored_behind(destination: &Piece, channels: &[Checked<'_>]) -> Option<String> {
    let mut topics = vec![topic(destination)?];
    let mut at = 0;
    while let Some(known) = topics.get(at).copied() {
        at += 1;
        let gets = |channel: &&Checked<'_>| channel.source().and_then(topic) == Some(known);
        for channel in channels.iter().filter(gets) {
            if channel
                .format
                .as_deref()
                .is_none_or(|format| format.name() != FHIR)
            {
                continue;
            }
            for name in &channel.destinations {
                let piece = channel.destination(name);
                if stored(piece) {
                    return Some(format!("`{name}` of the channel `{}`", channel.name));
                }
                let next = piece.and_then(topic);
                topics.extend(next.filter(|next| !topics.contains(next)));
            }
        }
    }
    None
}

/// The topic that a source or destination names.
fn topic(piece: &Piece) -> Option<&str> {
    piece
        .spec
        .is_none()
        .then(|| piece.config.as_str())
        .flatten()
}

/// A FHIR store, of this node or another.
fn stored(piece: Option<&Piece>) -> bool {
    piece.is_some_and(|piece| piece.name == "fhir")
}

fn matches(channel: &Checked<'_>) -> bool {
    steps(channel, &["steps"]).any(|piece| piece.name == MATCH)
}

/// The step that holds a message against the record.
pub(in crate::plan) const MATCH: &str = "match";

fn matches_own(channel: &Checked<'_>, destination: &str) -> bool {
    steps(channel, &["to", destination, "steps"]).any(|piece| piece.name == MATCH)
}

/// The messages come from a channel of this site that has done it.
fn matched_before(channel: &Checked<'_>, channels: &[Checked<'_>]) -> bool {
    let Some(own) = channel.source().and_then(topic) else {
        return false;
    };
    let publishes = |other: &&Checked<'_>| {
        other
            .pieces
            .iter()
            .any(|piece| piece.kind == ComponentKind::Destination && topic(piece) == Some(own))
    };
    let mut publishers = channels.iter().filter(publishes).peekable();
    publishers.peek().is_some() && publishers.all(matches)
}

/// A message of results can meet the condition.
fn result_passes(trial: &Trial<'_>, condition: &Condition) -> bool {
    let contexts = trial.contexts(condition, &["MSH-9"]);
    let kinds = [("ORU", "R01", "ORU_R01"), ("OUL", "R22", "OUL_R22")];
    contexts.iter().any(|context| {
        kinds.iter().any(|(code, trigger, structure)| {
            let kind = [
                ("MSH-9.1", *code),
                ("MSH-9.2", *trigger),
                ("MSH-9.3", *structure),
            ];
            trial.goes_on(condition, &with(context, &kind))
        })
    })
}
