//! FHIR R4 to HL7 v2 by rows.
//!
//! The rows stand in `maps/reverse/`; those of the way there that are one to one are turned round
//! when the maps are compiled. A message is built segment by segment from a Bundle, or from one
//! resource and what a [`Resolver`] finds for its references.
//!
//! Invariants: pure, no clock; no resource makes it panic; an element that no row carries over is
//! reported by its path, never by its content.

mod compile;
mod draft;
mod event;
mod given;
mod marks;
mod message;
mod path;
mod plan;
mod run;
mod select;
mod sources;
mod systems;
mod tables;
mod turn;
mod value;
mod write;
mod zone;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hilum_fhir::Resource;
use hilum_hl7v2::Message;

pub(crate) use compile::compile;
pub(crate) use plan::Plan;
use sources::Sources;
pub use systems::system as system_name;

use crate::{Maps, Zone};

/// Finds resources that are referred to and not in the Bundle.
pub trait Resolver {
    /// The resource that a reference names (`Patient/7`, an absolute URL), where there is one.
    fn resolve(&self, reference: &str) -> Option<Resource>;
}

/// Finds nothing.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Resolver for Nothing {
    fn resolve(&self, _reference: &str) -> Option<Resource> {
        None
    }
}

/// What holds for all messages to a receiver.
#[derive(Clone, Debug)]
pub struct V2Settings {
    /// The event that is sent, as `ADT^A08` or `ORU_R01`, or its code alone (`ADT`); without one what
    /// the MessageHeader says, else what is in the Bundle decides.
    pub event: Option<String>,
    /// MSH-12.
    pub version: String,
    /// MSH-11.
    pub processing_id: String,
    /// MSH-3, with `^` between namespace, universal id and type.
    pub sending_application: Option<String>,
    /// MSH-4, as MSH-3.
    pub sending_facility: Option<String>,
    /// MSH-5, as MSH-3.
    pub receiving_application: Option<String>,
    /// MSH-6, as MSH-3.
    pub receiving_facility: Option<String>,
    /// Assigning authorities (a namespace or a universal id) and their URIs.
    pub authorities: BTreeMap<String, String>,
    /// Names of coding systems and their URIs, before those that the standard knows.
    pub systems: BTreeMap<String, String>,
    /// The zone of the receiver: times with an offset are written as the clock there shows them.
    pub zone: Option<Arc<dyn Zone>>,
    /// Whether each value can say why it is there.
    pub explain: bool,
}

impl Default for V2Settings {
    fn default() -> Self {
        Self {
            event: None,
            version: "2.5.1".to_owned(),
            processing_id: "P".to_owned(),
            sending_application: None,
            sending_facility: None,
            receiving_application: None,
            receiving_facility: None,
            authorities: BTreeMap::new(),
            systems: BTreeMap::new(),
            zone: None,
            explain: false,
        }
    }
}

/// What holds for one message that is sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent<'a> {
    /// MSH-10; the second message of one Bundle has `-2` behind it.
    pub control_id: &'a str,
    /// MSH-7, as an instant of FHIR.
    pub at: &'a str,
}

/// Messages that were made of a resource.
#[derive(Debug)]
pub struct Reversed {
    /// One message, or one for each patient, order, document or appointment that needs its own.
    pub messages: Vec<Message>,
    /// What is not as it stands in the resource.
    pub findings: Vec<ReverseFinding>,
    /// Elements that no row carried over: their paths.
    pub unmapped: Vec<String>,
    /// Why each value is there, where that was asked for.
    pub why: Vec<Because>,
}

/// Why a value stands in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    /// Which of the messages, from 0.
    pub message: usize,
    /// Where it stands: `OBX[2]-5.1`.
    pub place: String,
    /// What stands there, as it is written in a message.
    pub value: String,
    /// The row: file and line.
    pub row: String,
    /// The element it was made of, where it was made of one.
    pub source: Option<String>,
}

/// What kind of finding it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ReverseCode {
    /// A code without a row in its table.
    UnmappedCode,
    /// A limit was reached; what came behind it was left out.
    LimitReached,
    /// What it is about cannot be written as a message.
    Refused,
}

impl ReverseCode {
    /// Its name, as it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnmappedCode => "unmapped-code",
            Self::LimitReached => "limit-reached",
            Self::Refused => "refused",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReverseFinding {
    /// The kind.
    pub code: ReverseCode,
    /// The element, by its path.
    pub path: String,
    /// The table or the limit, without content.
    pub detail: Option<String>,
}

impl fmt::Display for ReverseFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.as_str(), self.path)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

/// Why there is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReverseError {
    /// No row of `events` fits what is there.
    #[error("no message is known for a {ty}; name the event, or add a row to `events`")]
    NoEvent {
        /// The type of the resource, and for a Bundle those in it.
        ty: String,
    },
    /// The event that was asked for has no rows for what is there.
    #[error("there are no rows that make {event} of this {ty}")]
    NoRows {
        /// The event.
        event: String,
        /// The type of the resource, and for a Bundle those in it.
        ty: String,
    },
}

/// Messages of a resource: a Bundle, or one resource with what it refers to.
///
/// # Errors
/// Where nothing says which message it should be, or no rows lead there.
pub fn to_v2(
    maps: &Maps,
    resource: &Resource,
    resolver: &dyn Resolver,
    settings: &V2Settings,
    sent: Sent<'_>,
) -> Result<Reversed, ReverseError> {
    let sources = Sources::new(resource, &[]);
    let found = sources::gather(resource, &sources, resolver, &maps.reverse);
    let sources = if found.is_empty() {
        sources
    } else {
        Sources::new(resource, &found)
    };
    run::run(maps, resource, sources, settings, sent)
}
