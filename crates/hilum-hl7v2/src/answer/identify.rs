//! What identifies a message: its id and type, who sent it, whom it is about.
//!
//! Patients are the identifiers of PID-3 with their assigning authority (PID-2 where PID-3 is
//! empty), the mother's of PID-21, and those that MRG-1 says are merged, so that survivor and
//! victim of a merge are both named. Visits are PV1-19, PID-18 and MRG-5; orders the placer's and
//! filler's numbers of ORC and OBR. The explicit null identifies nobody.

use crate::message::{Message, Part, Segment};

use super::codes::AckCondition;

/// Identifiers of one kind that are kept of one message; more make no difference to its order.
const IDENTIFIERS_MAX: usize = 256;

/// An identifier, and the authority that assigned it: its namespace, else its universal id.
pub type Identifier = (String, Option<String>);

/// What identifies a message. Prints without the identifiers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// MSH-10.
    pub control_id: Option<String>,
    /// MSH-9 as `ADT^A01`, or `ACK`.
    pub message_type: Option<String>,
    /// MSH-3 and MSH-4, namespace or universal id.
    pub sender: Option<(String, String)>,
    /// Whom it is about.
    pub patients: Vec<Identifier>,
    /// The visits.
    pub visits: Vec<Identifier>,
    /// The orders.
    pub orders: Vec<Identifier>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("message_type", &self.message_type)
            .finish_non_exhaustive()
    }
}

impl Message {
    /// What identifies this message.
    #[must_use]
    pub fn identify(&self) -> Identity {
        let mut identity = Identity::default();
        if let Some(segment) = self.segment(0) {
            header(&segment, &mut identity);
        }
        for segment in self.segments() {
            match &segment.name() {
                b"PID" => {
                    if extended(&segment, 3, &mut identity.patients) == 0 {
                        extended(&segment, 2, &mut identity.patients);
                    }
                    extended(&segment, 21, &mut identity.patients);
                    extended(&segment, 18, &mut identity.visits);
                }
                b"MRG" => {
                    extended(&segment, 1, &mut identity.patients);
                    extended(&segment, 5, &mut identity.visits);
                }
                b"PV1" => {
                    extended(&segment, 19, &mut identity.visits);
                }
                b"ORC" | b"OBR" => {
                    entity(&segment, 2, &mut identity.orders);
                    entity(&segment, 3, &mut identity.orders);
                }
                _ => {}
            }
        }
        identity
    }

    /// When the sender wants an accept and an application acknowledgement (MSH-15, MSH-16); a
    /// value that table 0155 does not know counts as always.
    #[must_use]
    pub fn ack_conditions(&self) -> (Option<AckCondition>, Option<AckCondition>) {
        let header = self.segment(0);
        let condition = |n| {
            let field = header.and_then(|segment| segment.field(n)?.nth(1))?;
            let text = text(&field)?;
            Some(AckCondition::named(&text).unwrap_or(AckCondition::Always))
        };
        (condition(15), condition(16))
    }
}

/// Messages whose successors build on them: registrations, merges, and orders.
#[must_use]
pub fn builds_on(message_type: &str) -> bool {
    let code = message_type.split('^').next().unwrap_or_default();
    matches!(
        code,
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

fn header(segment: &Segment<'_>, identity: &mut Identity) {
    identity.control_id = segment.field(10).and_then(|field| text(&field));
    identity.message_type = segment.field(9).and_then(|field| {
        let field = field.nth(1)?;
        let mut kind = component(&field, 1)?;
        if let Some(trigger) = component(&field, 2) {
            kind.reserve_exact(trigger.len().saturating_add(1));
            kind.push('^');
            kind.push_str(&trigger);
        }
        Some(kind)
    });
    // The namespace of a hierarchic designator, or its universal id.
    let party = |n| {
        let party = segment.field(n)?.nth(1)?;
        component(&party, 1).or_else(|| component(&party, 2))
    };
    identity.sender = match (party(3), party(4)) {
        (None, None) => None,
        (application, facility) => Some((
            application.unwrap_or_default(),
            facility.unwrap_or_default(),
        )),
    };
}

fn text(part: &Part<'_>) -> Option<String> {
    (!part.is_blank() && !part.is_null()).then(|| part.text().into_owned())
}

/// A component of a repetition, or a subcomponent of a component.
fn component(part: &Part<'_>, n: u32) -> Option<String> {
    text(&part.nth(n)?)
}

/// Extended composite ids (CX): id in component 1, authority in component 4.
fn extended(segment: &Segment<'_>, field: u32, into: &mut Vec<Identifier>) -> usize {
    each(segment, field, into, |repetition| {
        let authority = repetition.nth(4).filter(|part| !part.is_blank())?;
        component(&authority, 1).or_else(|| component(&authority, 2))
    })
}

/// Entity identifiers (EI): id in component 1, namespace in component 2, universal id in 3.
fn entity(segment: &Segment<'_>, field: u32, into: &mut Vec<Identifier>) -> usize {
    each(segment, field, into, |repetition| {
        component(repetition, 2).or_else(|| component(repetition, 3))
    })
}

/// Appends the identifiers of a field, each once; returns how many there were.
fn each(
    segment: &Segment<'_>,
    field: u32,
    into: &mut Vec<Identifier>,
    authority: impl Fn(&Part<'_>) -> Option<String>,
) -> usize {
    let Some(field) = segment.field(field).filter(|field| !field.raw().is_empty()) else {
        return 0;
    };
    let mut found = 0_usize;
    for repetition in field.children() {
        let Some(id) = component(&repetition, 1) else {
            continue;
        };
        found = found.saturating_add(1);
        if into.len() < IDENTIFIERS_MAX {
            let identifier = (id, authority(&repetition));
            if !into.contains(&identifier) {
                into.push(identifier);
            }
        }
    }
    found
}
