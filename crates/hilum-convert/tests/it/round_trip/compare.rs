//! Fields of a message before and after.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hilum_hl7v2::Message;

/// What whoever sends a message sets anew, and what only counts or repeats what stands elsewhere.
pub(super) const OWN: &[(&str, u32)] = &[
    ("MSH", 1),
    ("MSH", 2),
    ("MSH", 7),
    ("MSH", 10),
    ("MSH", 11),
    ("MSH", 12),
    ("MSH", 18),
    ("EVN", 1),
    ("PID", 1),
    ("NK1", 1),
    ("PV1", 1),
    ("AL1", 1),
    ("DG1", 1),
    ("OBR", 1),
    ("OBX", 1),
    ("NTE", 1),
    ("SPM", 1),
    ("TXA", 1),
    ("AIS", 1),
    ("AIG", 1),
    ("AIL", 1),
    ("AIP", 1),
    ("RGS", 1),
    ("TQ1", 1),
    ("RXA", 1),
    ("RXA", 2),
    ("GT1", 1),
    ("IN1", 1),
    ("PR1", 1),
];

/// Fields whose value may come back in another one that says the same.
const ELSEWHERE: &[(&str, u32, &str, u32)] = &[
    ("PID", 2, "PID", 3),
    ("PID", 4, "PID", 3),
    ("PID", 9, "PID", 5),
    ("PID", 12, "PID", 11),
    ("PID", 14, "PID", 13),
    ("PID", 40, "PID", 13),
    ("OBR", 2, "ORC", 2),
    ("OBR", 3, "ORC", 3),
    ("ORC", 2, "OBR", 2),
    ("ORC", 3, "OBR", 3),
    ("OBR", 16, "ORC", 12),
    ("ORC", 12, "OBR", 16),
    ("NK1", 12, "NK1", 33),
    ("OBR", 14, "SPM", 18),
    ("OBR", 7, "SPM", 17),
    ("TXA", 5, "TXA", 9),
    ("SCH", 11, "TQ1", 7),
    ("AIS", 4, "SCH", 11),
    ("OBR", 17, "ORC", 14),
    ("OBR", 15, "SPM", 4),
    ("OBR", 15, "SPM", 6),
    ("OBR", 15, "SPM", 7),
    ("OBR", 15, "SPM", 8),
    ("OBR", 15, "SPM", 14),
    ("OBR", 39, "SPM", 14),
    ("OBX", 15, "OBX", 23),
    ("OBX", 33, "SPM", 2),
    ("PID", 39, "PID", 26),
    ("NK1", 30, "NK1", 2),
    ("NK1", 31, "NK1", 5),
    ("NK1", 32, "NK1", 4),
    ("NK1", 40, "NK1", 5),
    ("NK1", 41, "NK1", 5),
    ("NK1", 31, "NK1", 6),
    ("NK1", 40, "NK1", 6),
    ("NK1", 41, "NK1", 6),
    ("MSH", 23, "MSH", 6),
    ("ORC", 14, "OBR", 17),
    ("DG1", 4, "DG1", 3),
    ("MRG", 4, "MRG", 1),
    ("ORC", 33, "OBR", 53),
    ("PR1", 4, "PR1", 3),
    ("ORC", 14, "OBR", 17),
];

/// Types of OBX-2 that hold the same.
const KINDS: &[&[&str]] = &[
    &["ST", "TX", "FT"],
    &["CE", "CWE", "CNE", "CF", "IS", "ID"],
    &["DT", "TS", "DTM"],
];

/// Leaves of one field: repetition, component, subcomponent and text.
pub(super) type Leaves = Vec<(u32, u32, u32, String)>;
/// The fields of a segment.
pub(super) type Fields = BTreeMap<u32, Leaves>;

/// A segment: its name, its ordinal and its fields.
pub(super) struct Segment {
    pub(super) id: String,
    pub(super) ordinal: usize,
    pub(super) fields: Fields,
}

pub(super) fn segments(message: &Message) -> Vec<Segment> {
    let mut ordinals: BTreeMap<String, usize> = BTreeMap::new();
    let mut segments = Vec::new();
    for segment in message.segments() {
        let id = segment.id().into_owned();
        let ordinal = ordinals.entry(id.clone()).or_insert(0);
        *ordinal += 1;
        let mut fields = Fields::new();
        for field in segment.fields() {
            let mut leaves = Vec::new();
            for (r, repetition) in (1..).zip(field.children()) {
                for (c, component) in (1..).zip(repetition.children()) {
                    for (s, part) in (1..).zip(component.children()) {
                        let text = part.text();
                        if !text.trim().is_empty() && !part.is_null() {
                            leaves.push((r, c, s, text.trim().to_owned()));
                        }
                    }
                }
            }
            if !leaves.is_empty() {
                fields.insert(field.field_number(), leaves);
            }
        }
        segments.push(Segment {
            id,
            ordinal: *ordinal,
            fields,
        });
    }
    segments
}

/// For each segment the one that it came back as: of its name, the one that says most of the same.
pub(super) fn pairs<'b>(there: &[Segment], back: &'b [Segment]) -> Vec<Option<&'b Segment>> {
    let mut scores = Vec::new();
    for (i, one) in there.iter().enumerate() {
        let others = back.iter().enumerate();
        for (j, other) in others.filter(|(_, other)| other.id == one.id) {
            let same = one.fields.iter().map(|(field, leaves)| {
                let found = other.fields.get(field).map_or(&[][..], Vec::as_slice);
                let own = OWN.iter().any(|(id, own)| *id == one.id && own == field);
                leaves
                    .iter()
                    .filter(|leaf| !own && found.contains(leaf))
                    .count()
            });
            let apart = one.ordinal.abs_diff(other.ordinal);
            scores.push((std::cmp::Reverse(same.sum::<usize>()), apart, i, j));
        }
    }
    scores.sort_unstable();
    let mut found = vec![None; there.len()];
    let mut taken = vec![false; back.len()];
    for (_, _, i, j) in scores {
        if found[i].is_none() && !taken[j] {
            (found[i], taken[j]) = (back.get(j), true);
        }
    }
    found
}

/// A time in UTC without noughts at its end: only the zone of the test and a precision that FHIR
/// demands are in them.
fn time(text: &str) -> String {
    let (clock, offset) = match text.rfind(['+', '-']).filter(|at| *at >= 4) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let offset = if matches!(offset, "+0000" | "-0000") {
        ""
    } else {
        offset
    };
    let clock = clock.split_once('.').map_or(clock, |(whole, fraction)| {
        if fraction.bytes().all(|b| b == b'0') {
            whole
        } else {
            clock
        }
    });
    let long = clock.len() > 8 && clock.bytes().all(|b| b.is_ascii_digit());
    let clock = if long {
        clock.trim_end_matches('0')
    } else {
        clock
    };
    format!("{clock}{offset}")
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
        || time(a) == time(b)
        || a.parse::<f64>().ok() == b.parse().ok() && a.parse::<f64>().is_ok()
        || matches!((a, b), ("true", "Y") | ("false", "N"))
}

/// What became of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Equal,
    Meaning,
    /// These places are not as they were; whether something else stands at each.
    Amiss(Vec<(u32, bool)>),
}

/// Compares a field with the one of the segment that it came back in, and with those that say the same.
pub(super) fn fate(one: &Segment, field: u32, other: Option<&Segment>, back: &[Segment]) -> Fate {
    let Some(leaves) = one.fields.get(&field) else {
        return Fate::Equal;
    };
    let own = other.and_then(|other| other.fields.get(&field));
    if own == Some(leaves) {
        return Fate::Equal;
    }
    let elsewhere = ELSEWHERE
        .iter()
        .filter(|(id, number, ..)| *id == one.id && *number == field)
        .flat_map(|(_, _, id, number)| {
            let of = back.iter().filter(move |other| other.id == *id);
            of.filter_map(move |other| other.fields.get(number))
        });
    let candidates: Vec<&Leaves> = own.into_iter().chain(elsewhere).collect();
    let is_kind = (one.id.as_str(), field) == ("OBX", 2);
    let found = |text: &str| {
        let texts = candidates.iter().flat_map(|leaves| leaves.iter());
        let mut texts = texts.map(|(.., other)| other.as_str());
        texts.any(|other| {
            let kinds = || {
                KINDS
                    .iter()
                    .any(|all| all.contains(&text) && all.contains(&other))
            };
            let is_part = text.len() > 2 && other.contains(text)
                || other.split([' ', ',']).any(|part| part == text);
            same(text, other) || is_part || (is_kind && kinds())
        })
    };
    let amiss = leaves.iter().filter(|(.., text)| !found(text));
    let amiss: Vec<(u32, bool)> = amiss
        .map(|(r, c, s, _)| {
            let place = (*r, *c, *s);
            let at = own.map_or(&[][..], Vec::as_slice);
            (*c, at.iter().any(|(r, c, s, _)| (*r, *c, *s) == place))
        })
        .collect();
    if amiss.is_empty() {
        Fate::Meaning
    } else {
        Fate::Amiss(amiss)
    }
}

pub(super) fn shown(leaves: &Leaves) -> String {
    let mut out = String::new();
    for (r, c, s, text) in leaves {
        let _ok = write!(out, "{r}.{c}.{s}={text} ");
    }
    out
}
