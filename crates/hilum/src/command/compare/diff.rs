//! What differs between what two plans made of one message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hilum_component::{
    ChannelPlan, Finding, PlannedDelivery, Processed, TraceLine, changed_leaves, leaves,
};
use hilum_message::{Payload, Phi};
use serde::Serialize;

use super::seen::Seen;

/// What kind of difference it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Disposition,
    Answer,
    DestinationAppeared,
    DestinationVanished,
    FieldChanged,
    FindingAppeared,
    FindingVanished,
}

/// By what differences belong together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Kind,
    /// The destination, the place without numbers of repetitions, or the finding.
    pub(super) place: String,
    /// What made it so: with the first plan, and with the second.
    pub(super) cause: [String; 2],
}

/// One difference.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) key: Key,
    /// The place in full.
    pub(super) at: String,
    pub(super) before: Option<Phi<String>>,
    pub(super) after: Option<Phi<String>>,
}

/// Everything that differs.
pub(super) fn differences(
    a_plan: &ChannelPlan,
    a: &Seen,
    b_plan: &ChannelPlan,
    b: &Seen,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let decided = [&a.processed, &b.processed].map(decision);
    let same_decision = decided[0] == decided[1];
    let why = decided[1].clone();
    if !same_decision {
        let words = [&a.processed, &b.processed].map(|seen| seen.disposition.word());
        push(&mut found, Kind::Disposition, words.join(" → "), decided);
    }
    answers(a_plan, a, b_plan, b, &mut found);
    let (a_out, b_out) = (deliveries(&a.processed), deliveries(&b.processed));
    let names: BTreeSet<&Arc<str>> = a_out.keys().chain(b_out.keys()).copied().collect();
    for name in names {
        match (a_out.get(name), b_out.get(name)) {
            (None, None) => {}
            (None, Some(_)) => {
                let cause = ["not routed".to_owned(), "routed".to_owned()];
                let place = name.to_string();
                push(&mut found, Kind::DestinationAppeared, place, cause);
            }
            (Some(_), None) => {
                let why = if same_decision { "not routed" } else { &why };
                let cause = ["routed".to_owned(), why.to_owned()];
                let place = name.to_string();
                push(&mut found, Kind::DestinationVanished, place, cause);
            }
            (Some(before), Some(after)) => {
                let both = [(a_plan, a, before), (b_plan, b, after)];
                sent(name, both, &mut found);
            }
        }
    }
    findings(&a.processed, &b.processed, &mut found);
    found
}

fn push(found: &mut Vec<Difference>, kind: Kind, place: String, cause: [String; 2]) {
    found.push(Difference {
        at: place.clone(),
        key: Key { kind, place, cause },
        before: None,
        after: None,
    });
}

/// `rejected by 1 validate (207)`
fn decision(processed: &Processed) -> String {
    let word = processed.disposition.word();
    match &processed.reason {
        Some(reason) => format!("{word} by {} ({})", reason.step, reason.code),
        None => word.to_owned(),
    }
}

fn answers(
    a_plan: &ChannelPlan,
    a: &Seen,
    b_plan: &ChannelPlan,
    b: &Seen,
    found: &mut Vec<Difference>,
) {
    let bytes = |seen: &Seen| {
        let answer = seen.processed.answer.as_ref();
        answer.map(|answer| Payload::inline(answer.for_record().clone()))
    };
    let cause = [&a.processed, &b.processed].map(decision);
    match (bytes(a), bytes(b)) {
        (None, None) => {}
        (Some(before), Some(after)) => {
            for change in changes([(a_plan, &before), (b_plan, &after)]) {
                let key = Key {
                    kind: Kind::Answer,
                    place: plain(&change.at),
                    cause: cause.clone(),
                };
                found.push(change.with(key));
            }
        }
        (before, _) => {
            let words = if before.is_some() {
                "answered → not answered"
            } else {
                "not answered → answered"
            };
            push(found, Kind::Answer, words.to_owned(), cause);
        }
    }
}

type Out<'s> = BTreeMap<&'s Arc<str>, Vec<&'s PlannedDelivery>>;

/// The deliveries of a message and of those that it became, by destination.
fn deliveries(processed: &Processed) -> Out<'_> {
    let mut out = Out::new();
    let mut open = vec![processed];
    while let Some(next) = open.pop() {
        for delivery in &next.deliveries {
            out.entry(&delivery.destination).or_default().push(delivery);
        }
        open.extend(next.children.iter().rev());
    }
    out
}

type Sent<'s> = (&'s ChannelPlan, &'s Seen, &'s Vec<&'s PlannedDelivery>);

fn sent(name: &str, [a, b]: [Sent<'_>; 2], found: &mut Vec<Difference>) {
    if a.2.len() != b.2.len() {
        let words = format!("{name}: {} → {} deliveries", a.2.len(), b.2.len());
        let cause = [a, b].map(|side| decision(&side.1.processed));
        push(found, Kind::FieldChanged, words, cause);
        return;
    }
    for (before, after) in a.2.iter().zip(b.2) {
        let ends = [before, after].map(|delivery| match &delivery.dead_letter {
            Some(reason) => format!("dead letter by {} ({})", reason.step, reason.code),
            None => "to be sent".to_owned(),
        });
        if ends[0] != ends[1] {
            push(found, Kind::FieldChanged, name.to_owned(), ends);
        }
        for change in changes([(a.0, &before.payload), (b.0, &after.payload)]) {
            let cause = [a, b].map(|side| writer(&side.1.lines, name, &change.at));
            let key = Key {
                kind: Kind::FieldChanged,
                place: format!("{name} {}", plain(&change.at)),
                cause,
            };
            found.push(change.with(key));
        }
    }
}

/// The step that wrote a place last, and from where; a destination's own steps count for it alone.
fn writer(lines: &[TraceLine], destination: &str, at: &str) -> String {
    let found = lines.iter().rev().find(|line| {
        let own = line.step.split_once('/');
        let here = own.is_none_or(|(name, _)| name == destination);
        let path = line.path.as_deref();
        here && path.is_some_and(|path| covers(path, at) || covers(at, path))
    });
    match found {
        Some(line) if line.note.is_empty() => line.step.clone(),
        Some(line) => format!("{} ({})", line.step, line.note),
        None => "as received".to_owned(),
    }
}

/// The first path is the second, or stands above it.
fn covers(above: &str, below: &str) -> bool {
    let (above, below) = (plain(above), plain(below));
    below
        .strip_prefix(&*above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
}

/// A place without the numbers of repetitions.
fn plain(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|&c| {
            let hidden = inside || c == '[';
            inside = hidden && c != ']';
            !hidden
        })
        .collect()
}

fn findings(a: &Processed, b: &Processed, found: &mut Vec<Difference>) {
    let of = |processed: &Processed| -> BTreeSet<(String, String)> {
        let text = |finding: &Finding| {
            let place = finding.path.as_deref().map(plain).unwrap_or_default();
            let place = format!("{} {place}", finding.code);
            (place.trim_end().to_owned(), finding.step.clone())
        };
        processed.findings.iter().map(text).collect()
    };
    let (before, after) = (of(a), of(b));
    for (place, step) in before.difference(&after) {
        let cause = [step.clone(), "not found".to_owned()];
        push(found, Kind::FindingVanished, place.clone(), cause);
    }
    for (place, step) in after.difference(&before) {
        let cause = ["not found".to_owned(), step.clone()];
        push(found, Kind::FindingAppeared, place.clone(), cause);
    }
}

/// A place of two documents that differs.
struct Change {
    at: String,
    before: Option<String>,
    after: Option<String>,
}

impl Change {
    fn with(self, key: Key) -> Difference {
        Difference {
            key,
            at: self.at,
            before: self.before.map(Phi::new),
            after: self.after.map(Phi::new),
        }
    }
}

/// The places that differ; the whole where the documents cannot be compared place by place.
fn changes([(a_plan, a), (b_plan, b)]: [(&ChannelPlan, &Payload); 2]) -> Vec<Change> {
    if a.text() == b.text() && a.cuts() == b.cuts() {
        return Vec::new();
    }
    let read = |plan: &ChannelPlan, payload: &Payload| {
        let document = plan.format.parse(payload).ok()?;
        leaves(&*document)
    };
    let mut found = Vec::new();
    if let (Some(before), Some(after)) = (read(a_plan, a), read(b_plan, b)) {
        let differ = changed_leaves(before, after).into_iter();
        found.extend(differ.map(|change| Change {
            at: change.path,
            before: change.before,
            after: change.after,
        }));
    }
    if found.is_empty() {
        // The same values in other bytes, or bytes that are no document.
        let text = |payload: &Payload| Some(String::from_utf8_lossy(payload.text()).into_owned());
        found.push(Change {
            at: "(bytes)".to_owned(),
            before: text(a),
            after: text(b),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lose_their_numbers_and_cover_what_is_below() {
        assert_eq!(plain("OBX[2]-3[1].1"), "OBX-3.1");
        for (above, below, expected) in [
            ("OBX[1]-3", "OBX[1]-3.1", true),
            ("OBX-3", "OBX[7]-3", true),
            ("OBX-3", "OBX-31", false),
            ("OBX-3.1", "OBX-3", false),
            ("PID", "PID-3", true),
        ] {
            assert_eq!(covers(above, below), expected, "{above} {below}");
        }
    }
}
