//! The code systems and value sets of FHIR R4 itself, from the tables of `hilum-fhir`, and UCUM.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hilum_fhir::definitions::{Definitions, ValueSetDef, code_system};
use hilum_fhir::systems::{V2_TABLE, V2_TABLE_OID};
use hilum_fhir::validate::{ListedCodes, Terminology as _};

use crate::map::ConceptMap;
use crate::naming::IdKind;
use crate::set::{Chosen, Part, ValueSet};
use crate::source::{Missing, Source, Versions, Wanted};
use crate::system::{Body, Content, Standing, System, UCUM};
use crate::table::{At, Case, TableBuilder};

/// The version of FHIR, which its own definitions have as theirs.
const VERSION: &str = "4.0.1";
/// Before the URLs of what FHIR defines.
const FHIR: &str = "http://hl7.org/fhir/";
/// Code systems and OIDs that HL7 lists (FHIR R4 terminologies-systems.html).
const OIDS: [(&str, &str); 12] = [
    ("http://snomed.info/sct", "2.16.840.1.113883.6.96"),
    ("http://loinc.org", "2.16.840.1.113883.6.1"),
    (UCUM, "2.16.840.1.113883.6.8"),
    (
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        "2.16.840.1.113883.6.88",
    ),
    (
        "http://hl7.org/fhir/sid/icd-10-cm",
        "2.16.840.1.113883.6.90",
    ),
    ("http://hl7.org/fhir/sid/icd-10", "2.16.840.1.113883.6.3"),
    ("http://hl7.org/fhir/sid/icd-9-cm", "2.16.840.1.113883.6.42"),
    ("http://hl7.org/fhir/sid/cvx", "2.16.840.1.113883.12.292"),
    ("http://hl7.org/fhir/sid/ndc", "2.16.840.1.113883.6.69"),
    ("http://www.ama-assn.org/go/cpt", "2.16.840.1.113883.6.12"),
    ("urn:iso:std:iso:3166", "1.0.3166.1.2.2"),
    ("http://www.whocc.no/atc", "2.16.840.1.113883.6.73"),
];

/// The name of a kind for a system that the standard lists: its URL, its OID, or the number of its
/// table in HL7 v2.
pub(crate) fn name(id: &str, kind: IdKind) -> Option<String> {
    let bare = id.strip_prefix("urn:oid:").unwrap_or(id);
    if let Some((url, oid)) = OIDS.iter().find(|(url, oid)| *url == bare || *oid == bare) {
        return match kind {
            IdKind::Uri => Some((*url).to_owned()),
            IdKind::Oid => Some((*oid).to_owned()),
            IdKind::Uuid | IdKind::Other => None,
        };
    }
    let number = bare
        .strip_prefix(V2_TABLE)
        .or_else(|| bare.strip_prefix(V2_TABLE_OID))
        .or_else(|| bare.strip_prefix("HL7"))
        .unwrap_or(bare);
    let table: u16 = number.parse().ok()?;
    let url = format!("{V2_TABLE}{table:04}");
    code_system(&url)?;
    match kind {
        IdKind::Uri => Some(url),
        IdKind::Oid => Some(format!("{V2_TABLE_OID}{table}")),
        IdKind::Other => Some(format!("HL7{table:04}")),
        IdKind::Uuid => None,
    }
}

/// What FHIR R4 defines; read from the tables when it is first asked for.
#[derive(Debug, Default)]
pub struct Standard {
    systems: Mutex<HashMap<Box<str>, Versions<System>>>,
    value_sets: Mutex<HashMap<Box<str>, Versions<ValueSet>>>,
}

impl Standard {
    /// The one of this program.
    #[must_use]
    pub fn r4() -> Arc<Self> {
        static R4: OnceLock<Arc<Standard>> = OnceLock::new();
        Arc::clone(R4.get_or_init(Arc::default))
    }
}

fn version(url: &str) -> Option<Box<str>> {
    url.starts_with(FHIR).then(|| VERSION.into())
}

fn active() -> Standing {
    Standing {
        status: "active".into(),
        ..Standing::default()
    }
}

/// A code system of the standard.
fn system(url: &str) -> Option<System> {
    if url == UCUM {
        return Some(System::ucum());
    }
    let placed = code_system(url)?;
    let mut table = TableBuilder::new(Case::Sensitive);
    // The places of the code before and of those above it.
    let mut above: Vec<At> = Vec::new();
    let mut named: Vec<(At, &str)> = Vec::new();
    for of in placed {
        let display = ListedCodes.display(url, of.code);
        // The tables of the standard are far smaller than a table may be.
        let at = table.concept(of.code, display, None).ok()?;
        above.truncate(of.level.saturating_sub(1));
        if let Some(parent) = above.last().copied() {
            table.place(at, parent);
        }
        above.push(at);
        named.extend(of.also_below().map(|child| (at, child)));
    }
    for (parent, child) in named {
        if let Some(child) = table.find(child) {
            table.place(child, parent);
        }
    }
    Some(System {
        url: url.into(),
        version: version(url),
        name: None,
        title: None,
        language: Some("en".into()),
        standing: active(),
        content: Content::Complete,
        version_needed: false,
        supplements: None,
        properties: Vec::new(),
        body: Body::Table(Arc::new(table.finish())),
    })
}

/// A value set of the standard that can be told whole.
fn value_set(def: &ValueSetDef) -> Option<ValueSet> {
    if !def.is_enumerated() {
        return None;
    }
    let mut include: Vec<Part> = Vec::new();
    for concept in &def.concepts {
        let known = include
            .iter()
            .position(|part| part.system.as_deref() == Some(concept.system));
        let at = known.unwrap_or_else(|| {
            include.push(Part {
                system: Some(concept.system.into()),
                ..Part::default()
            });
            include.len() - 1
        });
        if let Some(part) = include.get_mut(at) {
            part.concepts.push(Chosen {
                code: concept.code.into(),
                ..Chosen::default()
            });
        }
    }
    for part in &mut include {
        // The tables have codes in their own order; people know that of the code system.
        let placed = code_system(part.system.as_deref().unwrap_or_default()).unwrap_or_default();
        let places: HashMap<&str, usize> = placed
            .iter()
            .enumerate()
            .map(|(at, of)| (of.code, at))
            .collect();
        part.concepts
            .sort_by_key(|chosen| places.get(&*chosen.code).copied().unwrap_or(usize::MAX));
        part.index();
    }
    Some(ValueSet {
        url: Some(def.url.into()),
        version: version(def.url),
        language: None,
        standing: active(),
        is_composed: true,
        inactive: None,
        include,
        exclude: Vec::new(),
        expansion: None,
        expansion_is_partial: false,
        supplements: Vec::new(),
        parameters: Vec::new(),
        contained: HashMap::new(),
        resource: None,
    })
}

/// Looks something up, and remembers that of it which exists.
fn remembered<T>(
    known: &Mutex<HashMap<Box<str>, Versions<T>>>,
    url: &str,
    make: impl FnOnce() -> Option<T>,
) -> Versions<T> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(url) {
        return found.clone();
    }
    let made: Arc<[Arc<T>]> = Arc::from([Arc::new(make()?)]);
    known.insert(url.into(), Some(Arc::clone(&made)));
    Some(made)
}

impl Source for Standard {
    fn systems(&self, url: &str) -> Result<Versions<System>, Missing> {
        Ok(remembered(&self.systems, url, || system(url)))
    }

    fn value_sets(&self, url: &str) -> Result<Versions<ValueSet>, Missing> {
        Ok(remembered(&self.value_sets, url, || {
            value_set(Definitions::r4().value_set(url)?)
        }))
    }

    fn maps(&self, _wanted: &Wanted) -> Result<Versions<ConceptMap>, Missing> {
        Ok(None)
    }
}
