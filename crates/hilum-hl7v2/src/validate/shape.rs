//! Checks which segments and groups a message has: required ones, cardinality, order.
//!
//! Serves the dictionary and profiles alike; both hand in a grammar and an assignment.

use super::finding::{Findings, Rule, Severity};
use super::segment_path;
use crate::dictionary::NodeKind;
use crate::message::Message;
use crate::structure::{Assignment, Fit, Grammar};

/// How the findings of a structure are rated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShapeRatings {
    pub(crate) missing: Severity,
    pub(crate) excess: Severity,
    pub(crate) order: Severity,
    pub(crate) unknown: Severity,
}

/// Compares an assignment with its grammar.
pub(crate) fn check(
    message: &Message,
    grammar: &Grammar,
    assignment: &Assignment,
    ratings: ShapeRatings,
    findings: &mut Findings,
) {
    fits(message, assignment, ratings, findings);
    let mut seen: Vec<(u32, u16)> =
        Vec::with_capacity(assignment.places.len() + assignment.occurrences.len());
    let places = assignment.places.iter();
    seen.extend(places.filter_map(|place| Some((place.occurrence, place.node?))));
    let inner = assignment.occurrences.iter().skip(1);
    seen.extend(inner.map(|occurrence| (occurrence.parent, occurrence.node)));
    seen.sort_unstable();
    let mut rest = seen.as_slice();
    for (number, occurrence) in assignment.occurrences.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let end = rest.partition_point(|(at, _)| *at <= number);
        let (own, later) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        rest = later;
        let choice = grammar
            .rule(occurrence.node)
            .is_some_and(|rule| rule.kind == NodeKind::Choice);
        children(
            grammar,
            assignment,
            (number, occurrence.node, choice),
            own,
            ratings,
            findings,
        );
    }
}

fn fits(
    message: &Message,
    assignment: &Assignment,
    ratings: ShapeRatings,
    findings: &mut Findings,
) {
    for (index, place) in assignment.places.iter().enumerate() {
        match place.fit {
            Fit::InOrder => {}
            Fit::OutOfOrder => findings.add(
                || segment_path(message, index),
                Rule::SegmentOrder,
                ratings.order,
                "the segment stands where the structure does not have it",
            ),
            Fit::Unknown => {
                // Sites may add segments that begin with Z anywhere.
                let site = message
                    .segs
                    .get(index)
                    .is_some_and(|seg| seg.key & 0xFF == 0x5A);
                if !site {
                    findings.add(
                        || segment_path(message, index),
                        Rule::SegmentUnexpected,
                        ratings.unknown,
                        "the structure does not have this segment",
                    );
                }
            }
        }
    }
}

fn children(
    grammar: &Grammar,
    assignment: &Assignment,
    (occurrence, node, choice): (u32, u16, bool),
    own: &[(u32, u16)],
    ratings: ShapeRatings,
    findings: &mut Findings,
) {
    let mut rest = own;
    for (at, rule) in grammar.children(node) {
        let start = rest
            .iter()
            .position(|(_, found)| *found >= at)
            .unwrap_or(rest.len());
        let (_, tail) = rest.split_at_checked(start).unwrap_or((&[], rest));
        let count = tail.iter().take_while(|(_, found)| *found == at).count();
        rest = tail;
        let segment = matches!(rule.kind, NodeKind::Segment | NodeKind::Any);
        if count < usize::from(rule.min) && !choice {
            let broken = if segment {
                Rule::SegmentMissing
            } else {
                Rule::GroupMissing
            };
            let path = || inner_path(grammar, assignment, occurrence, &rule.name);
            findings.add(path, broken, ratings.missing, "required by the structure");
        }
        if rule.max != 0 && count > usize::from(rule.max) {
            let broken = if segment {
                Rule::SegmentExcess
            } else {
                Rule::GroupExcess
            };
            let path = || inner_path(grammar, assignment, occurrence, &rule.name);
            findings.add(
                path,
                broken,
                ratings.excess,
                format!("stands {count} times, at most {}", rule.max),
            );
        }
    }
}

/// `PATIENT_RESULT/ORDER_OBSERVATION[2]/OBR`: a place that the message may not have.
pub(crate) fn inner_path(
    grammar: &Grammar,
    assignment: &Assignment,
    occurrence: u32,
    name: &str,
) -> String {
    let mut parts = vec![name.to_owned()];
    let mut at = occurrence;
    while let Some(found) = assignment.occurrences.get(at as usize).filter(|_| at != 0) {
        if let Some(rule) = grammar
            .rule(found.node)
            .filter(|_| !grammar.is_transparent(found.node))
        {
            let single = rule.max == 1 && found.ordinal == 1;
            let index = if single {
                String::new()
            } else {
                format!("[{}]", found.ordinal)
            };
            parts.push(format!("{}{index}", rule.name));
        }
        at = found.parent;
    }
    parts.reverse();
    parts.join("/")
}
