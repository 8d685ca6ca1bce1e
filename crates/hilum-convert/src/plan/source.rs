//! Sources: whether the field or component exists, and how it is found.

use hilum_hl7v2::dictionary::Dictionary;

use super::{Joined, SegRef, Src};
use crate::problem::Fault;
use crate::text::{JoinPart, Source};

/// Fields that a segment may have behind those of the dictionary.
const YOUNGER_FIELDS: u32 = 10;

/// What rows of a map, of a message or of the identity can read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The segment or data type of the map; empty where rows read segments only.
    pub(crate) of: String,
    pub(crate) is_segment: bool,
    /// The row's own source.
    pub(crate) own: Option<Source>,
}

/// Whether a name is that of a segment.
pub(crate) fn is_segment(name: &str) -> bool {
    // The dictionary knows two letters as a segment too, where the standard's index slipped.
    let zed = name.starts_with('Z');
    name.len() == 3
        && (zed
            || Dictionary::get()
                .versions()
                .any(|version| version.segment(name).is_some()))
}

fn data_type_known(name: &str) -> bool {
    Dictionary::get()
        .versions()
        .any(|version| version.data_type(name).is_some())
}

fn segment_names() -> Vec<&'static str> {
    let newest = Dictionary::get().versions().next_back();
    newest.map_or_else(Vec::new, |version| {
        version.segments().map(|segment| segment.id()).collect()
    })
}

/// The packed id of a segment.
pub(crate) fn segment_id(name: &str) -> Option<[u8; 3]> {
    <[u8; 3]>::try_from(name.as_bytes()).ok()
}

impl Reading {
    pub(crate) fn of(name: &str) -> Self {
        Self {
            of: name.to_owned(),
            is_segment: is_segment(name),
            own: None,
        }
    }

    /// Whether the name of the map is known.
    pub(crate) fn check(&self, at: usize) -> Result<(), Fault> {
        if self.is_segment || data_type_known(&self.of) {
            return Ok(());
        }
        Err(
            Fault::new(at, &self.of, "neither a segment nor a data type of HL7 v2")
                .nearest(segment_names()),
        )
    }

    /// Makes a source ready; `at` is where it stands in its column.
    pub(crate) fn source(&self, source: &Source, at: usize) -> Result<Src, Fault> {
        let fault = |reason: String| Err(Fault::new(at, source.to_string(), reason));
        let Some(field) = source.field else {
            if !self.is_segment && source.name == self.of {
                self.component(source, at)?;
                return Ok(Src::Value {
                    component: source.component,
                    subcomponent: source.subcomponent,
                });
            }
            if !is_segment(&source.name) {
                let reason = format!(
                    "`{}` is neither a segment nor the data type of this map",
                    source.name
                );
                return Err(Fault::new(at, source.to_string(), reason)
                    .remedy(format!("a field is written `{}-3`", self.of)));
            }
            if source.component != 0 {
                return fault("a segment has fields".to_owned());
            }
            return Ok(Src::Segment(self.segment(&source.name)));
        };
        if !is_segment(&source.name) {
            return Err(
                Fault::new(at, &source.name, "there is no such segment").nearest(segment_names())
            );
        }
        if !source.name.starts_with('Z') {
            let versions = Dictionary::get().versions();
            let counts = versions.filter_map(|version| version.segment(&source.name));
            let count = u32::from(
                counts
                    .map(|segment| segment.field_count())
                    .max()
                    .unwrap_or(0),
            );
            // The guide names fields of releases that are younger than the dictionary.
            if field > count + YOUNGER_FIELDS {
                return fault(format!("{} has {count} fields", source.name));
            }
        }
        let own = self.own.as_ref().is_some_and(|own| {
            own.name == source.name && own.field == Some(field) && source.repetition.is_none()
        });
        Ok(Src::Field {
            segment: self.segment(&source.name),
            field,
            repetition: source.repetition,
            component: source.component,
            subcomponent: source.subcomponent,
            own: own && self.is_segment && source.name == self.of,
        })
    }

    fn segment(&self, name: &str) -> SegRef {
        if self.is_segment && name == self.of {
            return SegRef::Own;
        }
        segment_id(name).map_or(SegRef::Own, SegRef::Other)
    }

    fn component(&self, source: &Source, at: usize) -> Result<(), Fault> {
        let versions = Dictionary::get().versions();
        let counts = versions.filter_map(|version| version.data_type(&self.of));
        let count = u32::from(counts.map(|ty| ty.component_count()).max().unwrap_or(0));
        // A primitive type has none; its value is its first.
        if source.component > count.max(1) {
            let reason = format!("{} has {count} components", self.of);
            return Err(Fault::new(at, source.to_string(), reason));
        }
        Ok(())
    }

    pub(crate) fn join(&self, parts: &[JoinPart]) -> Result<Vec<Joined>, Fault> {
        let parts = parts.iter().map(|part| match part {
            JoinPart::Text(text) => Ok(Joined::Text(text.as_str().into())),
            JoinPart::Path { at, source } => self.source(source, *at).map(Joined::Path),
        });
        parts.collect()
    }
}

/// Types whose values are text, whatever separators stand in them.
const SIMPLE: [&str; 7] = ["ST", "TX", "FT", "NM", "SI", "varies", "Varies"];

/// Whether a source is a field or value of a simple type as a whole.
pub(super) fn is_simple(source: &Source) -> bool {
    if source.component != 0 {
        return false;
    }
    let Some(field) = source.field else {
        return SIMPLE.contains(&source.name.as_str());
    };
    let field = u16::try_from(field).unwrap_or(u16::MAX);
    let mut versions = Dictionary::get().versions().rev();
    let ty = versions.find_map(|version| {
        let field = version.segment(&source.name)?.field(field)?;
        Some(field.data_type())
    });
    ty.is_some_and(|ty| SIMPLE.contains(&ty) || ty.is_empty() || ty == "*")
}
