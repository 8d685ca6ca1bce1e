//! What identifies a message: who sent it, what it is, whom it is about.

use crate::message::{Message, Part, Segment};

use super::codes::AckCondition;

/// An identifier with the authority that assigned it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntityId {
    /// The identifier.
    pub id: String,
    /// Namespace of the authority, else its universal id.
    pub authority: Option<String>,
    /// The type of the identifier (`MR`), where the data type has one.
    pub kind: Option<String>,
}

impl std::fmt::Debug for EntityId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EntityId(…)")
    }
}

/// What identifies a message. Prints without the identifiers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// MSH-10.
    pub control_id: Option<String>,
    /// MSH-9.1.
    pub message_code: Option<String>,
    /// MSH-9.2.
    pub trigger: Option<String>,
    /// MSH-9.3.
    pub structure: Option<String>,
    /// MSH-12.1.
    pub version: Option<String>,
    /// MSH-3.1.
    pub sending_application: Option<String>,
    /// MSH-4.1.
    pub sending_facility: Option<String>,
    /// MSH-5.1.
    pub receiving_application: Option<String>,
    /// MSH-6.1.
    pub receiving_facility: Option<String>,
    /// MSH-11.1.
    pub processing_id: Option<String>,
    /// MSH-15.
    pub accept_ack: Option<AckCondition>,
    /// MSH-16.
    pub application_ack: Option<AckCondition>,
    /// PID-3 of every PID, PID-2 where PID-3 is empty.
    pub patients: Vec<EntityId>,
    /// MRG-1: the patients that are merged away.
    pub merged: Vec<EntityId>,
    /// PV1-19.
    pub visits: Vec<EntityId>,
    /// ORC-2 and ORC-3, OBR-2 and OBR-3, each once.
    pub orders: Vec<EntityId>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("message_code", &self.message_code)
            .field("trigger", &self.trigger)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// `ADT^A01`, or `ACK`.
    pub fn message_type(&self) -> Option<String> {
        let code = self.message_code.as_ref()?;
        Some(match &self.trigger {
            Some(trigger) => format!("{code}^{trigger}"),
            None => code.clone(),
        })
    }
}

impl Message {
    /// What identifies this message.
    pub fn identify(&self) -> Identity {
        let header = |field, component| {
            self.component("MSH", field, component)
                .map(std::borrow::Cow::into_owned)
        };
        let condition = |field| {
            self.field("MSH", field)
                .and_then(|text| AckCondition::named(&text))
        };
        let mut identity = Identity {
            control_id: self.field("MSH", 10).map(std::borrow::Cow::into_owned),
            message_code: header(9, 1),
            trigger: header(9, 2),
            structure: header(9, 3),
            version: header(12, 1),
            sending_application: header(3, 1),
            sending_facility: header(4, 1),
            receiving_application: header(5, 1),
            receiving_facility: header(6, 1),
            processing_id: header(11, 1),
            accept_ack: condition(15),
            application_ack: condition(16),
            ..Identity::default()
        };
        for segment in self.segments() {
            if segment.has_id("PID") {
                let before = identity.patients.len();
                collect(segment, 3, cx, &mut identity.patients);
                if identity.patients.len() == before {
                    collect(segment, 2, cx, &mut identity.patients);
                }
            } else if segment.has_id("MRG") {
                collect(segment, 1, cx, &mut identity.merged);
            } else if segment.has_id("PV1") {
                collect(segment, 19, cx, &mut identity.visits);
            } else if segment.has_id("ORC") || segment.has_id("OBR") {
                collect(segment, 2, ei, &mut identity.orders);
                collect(segment, 3, ei, &mut identity.orders);
            }
        }
        identity
    }
}

/// The bytes that are the same when a peer sends a message again: all but MSH-7.
pub fn resend_parts(payload: &[u8]) -> [&[u8]; 2] {
    let whole = [payload, &[]];
    let Some(start) = payload
        .windows(3)
        .position(|id| id.eq_ignore_ascii_case(b"MSH"))
    else {
        return whole;
    };
    let Some(separator) = payload.get(start.saturating_add(3)) else {
        return whole;
    };
    let mut from = start;
    // MSH-7 lies between the sixth and the seventh separator; a shorter header has none.
    for _ in 0..6 {
        let rest = payload.get(from..).unwrap_or_default();
        let ends = |byte: &u8| byte == separator || matches!(byte, b'\r' | b'\n');
        match rest.iter().position(ends) {
            Some(at) if rest.get(at) == Some(separator) => {
                from = from.saturating_add(at).saturating_add(1);
            }
            _ => return whole,
        }
    }
    let rest = payload.get(from..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|b| b == separator || matches!(b, b'\r' | b'\n'));
    let after = from.saturating_add(end.unwrap_or(rest.len()));
    [
        payload.get(..from).unwrap_or_default(),
        payload.get(after..).unwrap_or_default(),
    ]
}

/// Appends the identifiers of a field, each once.
fn collect(
    segment: Segment<'_>,
    field: u32,
    read: fn(Part<'_>) -> Option<EntityId>,
    into: &mut Vec<EntityId>,
) {
    let Some(field) = segment.field(field) else {
        return;
    };
    for id in field.children().filter_map(read) {
        if !into.contains(&id) {
            into.push(id);
        }
    }
}

/// Id, check digit, scheme, authority, type.
fn cx(part: Part<'_>) -> Option<EntityId> {
    let authority = part.nth(4);
    let authority = authority.and_then(|hd| text(hd.nth(1)).or_else(|| text(hd.nth(2))));
    Some(EntityId {
        id: identifier(part)?,
        authority,
        kind: text(part.nth(5)),
    })
}

/// Id, namespace, universal id.
fn ei(part: Part<'_>) -> Option<EntityId> {
    let authority = text(part.nth(2)).or_else(|| text(part.nth(3)));
    Some(EntityId {
        id: identifier(part)?,
        authority,
        kind: None,
    })
}

/// The first component; the explicit null identifies nobody.
fn identifier(part: Part<'_>) -> Option<String> {
    text(part.nth(1).filter(|id| !id.is_null()))
}

fn text(part: Option<Part<'_>>) -> Option<String> {
    part.map(|part| part.text().into_owned())
        .filter(|text| !text.is_empty())
}
