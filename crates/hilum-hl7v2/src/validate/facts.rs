//! What validation needs of a version, made ready once when the version is first used.
//!
//! The dictionary's table is compact; walking it for every field of every message would cost more
//! than the check itself. One version takes about 100 kB here.

use std::sync::OnceLock;

use super::value::Form;
use crate::dictionary::{Field, Table, Usage, Version};
use crate::message::segment_key;

/// More versions than there are; `facts` of a position beyond would find nothing.
const VERSIONS_MAX: usize = 16;

static FACTS: [OnceLock<Facts>; VERSIONS_MAX] = [const { OnceLock::new() }; VERSIONS_MAX];

/// What kind of data a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One value.
    Leaf,
    /// Components: the index of the type in [`Facts::types`].
    Composite(u16),
    /// Another field decides, or nothing is known.
    Varies,
}

/// A field or component, ready to check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    pub(crate) kind: Kind,
    pub(crate) form: Form,
    pub(crate) usage: Usage,
    /// 0 is unbounded.
    pub(crate) max: u8,
    /// 0 is unknown.
    pub(crate) length: u32,
    pub(crate) table: Option<Table>,
    /// CE, CNE, CWE and their like: code, text, coding system.
    pub(crate) coded: bool,
}

/// A segment's or data type's parts; `None` where a position is not defined.
pub(crate) type Parts = Box<[Option<Fact>]>;

/// A version, ready to check.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Sorted by packed id.
    segments: Vec<(u32, Parts)>,
    pub(crate) types: Vec<(&'static str, Parts)>,
}

impl Facts {
    /// The facts of a version.
    pub(crate) fn of(version: Version) -> Option<&'static Self> {
        Some(
            FACTS
                .get(version.position())?
                .get_or_init(|| Self::make(version)),
        )
    }

    fn make(version: Version) -> Self {
        let names: Vec<&'static str> = version.data_types().map(|found| found.name()).collect();
        let fact = |field: Field| {
            let name = field.data_type();
            let table = field.table().and_then(|number| version.table(number));
            let at = names
                .binary_search(&name)
                .ok()
                .and_then(|at| u16::try_from(at).ok());
            let parts = version
                .data_type(name)
                .map_or(0, |found| found.component_count());
            let kind = match at {
                _ if is_varies(name) => Kind::Varies,
                Some(at) if parts > 0 => Kind::Composite(at),
                _ => Kind::Leaf,
            };
            Fact {
                kind,
                form: Form::of(name),
                usage: field.usage(),
                max: field.repetitions_max().unwrap_or(0),
                length: field.length().unwrap_or(0),
                table,
                coded: matches!(name, "CE" | "CNE" | "CWE" | "CF"),
            }
        };
        let types = version
            .data_types()
            .map(|found| {
                let parts = (1..=found.component_count()).map(|at| found.component(at).map(fact));
                (found.name(), parts.collect())
            })
            .collect();
        let mut segments: Vec<(u32, Parts)> = version
            .segments()
            .map(|found| {
                let parts = (1..=found.field_count()).map(|at| found.field(at).map(fact));
                (segment_key(found.id().as_bytes()), parts.collect())
            })
            .collect();
        segments.sort_by_key(|(key, _)| *key);
        Self { segments, types }
    }

    /// The fields of a segment by packed id.
    pub(crate) fn segment(&self, key: u32) -> Option<&[Option<Fact>]> {
        let at = self
            .segments
            .binary_search_by_key(&key, |(key, _)| *key)
            .ok()?;
        self.segments.get(at).map(|(_, parts)| &**parts)
    }

    /// A fact for a data type named in the message, as OBX-2 does.
    pub(crate) fn named(&self, name: &[u8]) -> Option<Fact> {
        let at = self
            .types
            .binary_search_by(|(known, _)| known.as_bytes().cmp(name))
            .ok()?;
        let (name, parts) = self.types.get(at)?;
        let composite = (!parts.is_empty())
            .then(|| u16::try_from(at).ok())
            .flatten();
        Some(Fact {
            kind: composite.map_or(Kind::Leaf, Kind::Composite),
            form: Form::of(name),
            usage: Usage::Optional,
            max: 0,
            length: 0,
            table: None,
            coded: false,
        })
    }

    /// The components of a composite type.
    pub(crate) fn parts(&self, at: u16) -> &[Option<Fact>] {
        self.types
            .get(usize::from(at))
            .map_or(&[], |(_, parts)| parts)
    }
}

fn is_varies(name: &str) -> bool {
    matches!(name, "varies" | "Varies" | "VARIES" | "var" | "*")
}

const _: () = assert!(VERSIONS_MAX >= 13);

/// Every version of the dictionary has its facts.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::Dictionary;

    #[test]
    fn every_version_has_facts_for_its_segments() {
        for version in Dictionary::get().versions() {
            let facts = Facts::of(version).expect("facts");
            for segment in version.segments() {
                let key = segment_key(segment.id().as_bytes());
                let found = facts.segment(key).expect("segment");
                assert_eq!(found.len(), usize::from(segment.field_count()));
            }
        }
    }
}
