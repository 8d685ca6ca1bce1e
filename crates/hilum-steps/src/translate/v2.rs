//! Codes in HL7 v2: which components stand for a code, and how they are written.

use hilum_codes::Coding;
use hilum_component::{Document, EditError, Problem};
use hilum_fhirpath::NodeId;
use hilum_hl7v2::dictionary::Version;
use hilum_hl7v2::structure::version_of;
use hilum_hl7v2::{Level, Message, Part, Path};

use crate::codes::Found;

/// A code in a message.
pub(crate) struct Place {
    /// Where it stands, in the words of the standard.
    pub(crate) location: String,
    /// The segment's place.
    segment: String,
    /// The segment's number.
    pub(super) index: usize,
    pub(crate) from: Coding,
    /// Code, text and system are components of this place.
    coded: bool,
}

/// Whether a path is that of the unit of a result; a problem where it is another one.
pub(super) fn is_unit_field(path: &str) -> Result<(), Problem> {
    let field = Path::parse(path).ok();
    let field = field
        .as_ref()
        .and_then(Path::field)
        .map(|field| field.field);
    if field == Some(6) && path.starts_with("OBX") {
        return Ok(());
    }
    let text = "the unit of a result stands in OBX-6, beside its value and its range";
    Err(Problem::at(&["unit"], text))
}

/// The places of the codes that `nodes` stand for; empty and null ones are left out.
pub(crate) fn places(document: &dyn Document, nodes: &[NodeId]) -> Vec<Place> {
    let Some(message) = document.as_any().downcast_ref::<Message>() else {
        return Vec::new();
    };
    let version = version_of(message);
    let parts = nodes.iter().filter_map(|&node| message.part_of(node));
    parts
        .filter(|part| !part.is_blank() && !part.is_null())
        .filter_map(|part| {
            let coded = part.level() <= Level::Repetition && is_coded(&part, version);
            let component = |n| {
                part.nth(n)
                    .map(|part| part.text().into_owned())
                    .unwrap_or_default()
            };
            let from = if coded {
                Coding {
                    code: component(1),
                    display: component(2),
                    system: component(3),
                }
            } else {
                Coding {
                    code: part.text().into_owned(),
                    ..Coding::default()
                }
            };
            (!from.code.is_empty()).then(|| Place {
                location: part.location(),
                segment: message.segment_location(part.segment().index()),
                index: part.segment().index(),
                from,
                coded,
            })
        })
        .collect()
}

/// The version of the message decides; where the type varies, a value with components is coded.
fn is_coded(part: &Part<'_>, version: Version) -> bool {
    let segment = part.segment();
    let field = u16::try_from(part.field_number()).ok();
    let known = field.and_then(|field| version.segment(&segment.id())?.field(field));
    match known.map(|field| field.data_type()) {
        Some("CE" | "CWE" | "CNE" | "CF") => true,
        Some("ID" | "IS" | "ST" | "SI" | "NM") => false,
        _ => !part.is_leaf(),
    }
}

impl Place {
    /// The same for steps that look codes up.
    pub(crate) fn into_found(self) -> Found {
        let text = self.coded.then(|| format!("{}.2", self.location));
        Found::new(self.from, self.location, text, Some(self.segment))
    }

    /// Writes a code with what belongs to it.
    pub(super) fn write(
        &self,
        message: &mut Message,
        to: &Coding,
        keep: bool,
    ) -> Result<(), EditError> {
        if !self.coded {
            return set(message, &self.location, &to.code);
        }
        let component = |n: u32| format!("{}.{n}", self.location);
        if keep {
            set(message, &component(4), &self.from.code)?;
            set(message, &component(5), &self.from.display)?;
            set(message, &component(6), &self.from.system)?;
        }
        set(message, &component(1), &to.code)?;
        set(message, &component(2), &to.display)?;
        set(message, &component(3), &to.system)
    }
}

/// Writes a text to a place.
pub(crate) fn set(message: &mut Message, place: &str, value: &str) -> Result<(), EditError> {
    let refuse = |reason: String| EditError {
        path: place.to_owned(),
        reason,
    };
    let path = Path::parse(place).map_err(|error| refuse(error.to_string()))?;
    // Nothing is written over nothing, so that no separators appear for it.
    if value.is_empty() && message.get(&path).is_none_or(|known| known.is_empty()) {
        return Ok(());
    }
    message
        .set(&path, value)
        .map(|_| ())
        .map_err(|error| refuse(error.to_string()))
}
