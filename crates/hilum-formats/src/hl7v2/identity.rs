//! What identifies a v2 message.
//!
//! Patients are the identifiers of PID-3 with their assigning authority (PID-2 where PID-3 is
//! empty), the mother's of PID-21, and those that MRG-1 says are merged, so that survivor and
//! victim of a merge are both named. Visits are PV1-19, PID-18 and MRG-5; orders the placer's and
//! filler's numbers of ORC and OBR.

use hilum_component::Identity;
use hilum_hl7v2::{Message, Part, Segment};

type Identifiers = Vec<(String, Option<String>)>;

/// Identifiers that are looked at in one message; more make no difference to its order.
const IDENTIFIERS_MAX: usize = 256;

pub(super) fn identify(message: &Message) -> Identity {
    let mut identity = Identity::default();
    for segment in message.segments() {
        match segment.id().as_ref() {
            "MSH" | "msh" if segment.index() == 0 => header(&segment, &mut identity),
            "PID" => {
                if extended(&segment, 3, &mut identity.patients) == 0 {
                    extended(&segment, 2, &mut identity.patients);
                }
                extended(&segment, 21, &mut identity.patients);
                extended(&segment, 18, &mut identity.visits);
            }
            "MRG" => {
                extended(&segment, 1, &mut identity.patients);
                extended(&segment, 5, &mut identity.visits);
            }
            "PV1" => {
                extended(&segment, 19, &mut identity.visits);
            }
            "ORC" | "OBR" => {
                entity(&segment, 2, &mut identity.orders);
                entity(&segment, 3, &mut identity.orders);
            }
            _ => {}
        }
    }
    identity
}

fn header(segment: &Segment<'_>, identity: &mut Identity) {
    identity.control_id = segment.field(10).and_then(|field| text(&field));
    identity.message_type = segment.field(9).and_then(|field| {
        let kind = component(&field, 1)?;
        Some(match component(&field, 2) {
            Some(trigger) => format!("{kind}^{trigger}"),
            None => kind,
        })
    });
    let party = |n| {
        segment
            .field(n)
            .and_then(|field| named(&field))
            .unwrap_or_default()
    };
    let sender = (party(3), party(4));
    identity.sender = (sender != (String::new(), String::new())).then_some(sender);
}

/// The namespace of a hierarchic designator, or its universal id.
fn named(part: &Part<'_>) -> Option<String> {
    component(part, 1).or_else(|| component(part, 2))
}

fn text(part: &Part<'_>) -> Option<String> {
    if part.is_blank() || part.is_null() {
        return None;
    }
    Some(part.text().into_owned())
}

/// A component of the first repetition of a field, or of a repetition itself.
fn component(part: &Part<'_>, n: u32) -> Option<String> {
    let repetition = match part.level() {
        hilum_hl7v2::Level::Field => part.nth(1)?,
        hilum_hl7v2::Level::Repetition
        | hilum_hl7v2::Level::Component
        | hilum_hl7v2::Level::Subcomponent => *part,
    };
    text(&repetition.nth(n)?)
}

/// Extended composite ids (CX): id in component 1, authority in component 4.
fn extended(segment: &Segment<'_>, field: u32, into: &mut Identifiers) -> usize {
    each(segment, field, into, |repetition| {
        let authority = repetition.nth(4).filter(|part| !part.is_blank());
        authority.and_then(|part| {
            let namespace = part.nth(1).and_then(|part| text(&part));
            namespace.or_else(|| part.nth(2).and_then(|part| text(&part)))
        })
    })
}

/// Entity identifiers (EI): id in component 1, namespace in component 2, universal id in 3.
fn entity(segment: &Segment<'_>, field: u32, into: &mut Identifiers) -> usize {
    each(segment, field, into, |repetition| {
        component(repetition, 2).or_else(|| component(repetition, 3))
    })
}

fn each(
    segment: &Segment<'_>,
    field: u32,
    into: &mut Identifiers,
    authority: impl Fn(&Part<'_>) -> Option<String>,
) -> usize {
    let Some(field) = segment.field(field).filter(|field| !field.is_blank()) else {
        return 0;
    };
    let mut found = 0;
    for repetition in field.children() {
        let Some(id) = component(&repetition, 1) else {
            continue;
        };
        found += 1;
        let identifier = (id, authority(&repetition));
        if into.len() < IDENTIFIERS_MAX && !into.contains(&identifier) {
            into.push(identifier);
        }
    }
    found
}

/// Messages whose successors build on them: registrations, merges, and orders.
pub(super) fn builds_on(message_type: &str) -> bool {
    let kind = message_type.split('^').next().unwrap_or_default();
    matches!(
        kind,
        "ADT"
            | "ORM"
            | "OML"
            | "OMG"
            | "OMI"
            | "OMP"
            | "OMB"
            | "OMD"
            | "OMN"
            | "OMS"
            | "OPL"
            | "RDE"
            | "RDS"
            | "RGV"
            | "RAS"
    )
}
