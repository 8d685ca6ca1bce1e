//! What the program brings along: HL7 Terminology (the code systems of v2, v3 and FHIR, their value
//! sets and naming systems) with the definitions of FHIR R4 beside them (CC0;
//! `generated/PROVENANCE.md`).
//!
//! It costs nothing until something is asked for: then an index is unpacked, and of the packed
//! definitions the one chunk with what was asked for. What was read once stays.

mod index;
mod v2;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hilum_fhir::Resource;
use hilum_fhir::systems::names_of_url;

use crate::map::ConceptMap;
use crate::naming::{IdKind, NamingSystem, Registry};
use crate::set::ValueSet;
use crate::source::{Library, Missing, Source, Versions, Wanted};
use crate::system::System;

use index::index;
pub use v2::v2_system;

type Known<T> = Mutex<HashMap<Box<str>, Versions<T>>>;

/// The definitions that the program brings along.
#[derive(Debug, Default)]
pub struct Shipped {
    systems: Known<System>,
    value_sets: Known<ValueSet>,
    maps: OnceLock<Library>,
    registry: OnceLock<Registry>,
}

impl Shipped {
    /// The ones of this program.
    #[must_use]
    pub fn all() -> Arc<Self> {
        static ALL: OnceLock<Arc<Shipped>> = OnceLock::new();
        Arc::clone(ALL.get_or_init(Arc::default))
    }

    /// How many code systems, value sets, concept maps and naming systems there are, versions
    /// counted.
    #[must_use]
    pub fn counts() -> [usize; 4] {
        ["CodeSystem", "ValueSet", "ConceptMap", "NamingSystem"].map(|kind| index().all(kind).len())
    }

    /// The URLs of all code systems, sorted; one of several versions once.
    #[must_use]
    pub fn system_urls() -> Vec<&'static str> {
        let mut urls: Vec<&str> = index()
            .all("CodeSystem")
            .iter()
            .map(|row| row.url)
            .collect();
        urls.dedup();
        urls
    }
}

/// Looks something up, and remembers that of it which exists.
fn remembered<T>(
    known: &Known<T>,
    kind: &str,
    url: &str,
    read: impl Fn(Resource) -> Option<T>,
) -> Versions<T> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(url) {
        return found.clone();
    }
    let rows = index().find(kind, url);
    if rows.is_empty() {
        return None;
    }
    let read = index().resources(&rows).into_iter().filter_map(read);
    let made: Arc<[Arc<T>]> = read.map(Arc::new).collect();
    known.insert(url.into(), Some(Arc::clone(&made)));
    Some(made)
}

/// The naming systems with the OIDs of code systems, the tables of HL7 v2 and the names of table
/// 0396.
fn registry() -> Registry {
    let mut registry = Registry::default();
    let rows = index().all("NamingSystem");
    for resource in index().resources(&rows) {
        let mut system = NamingSystem::of(&resource);
        let uri = system.best(IdKind::Uri).unwrap_or_default().to_owned();
        for name in names_of_url(&uri) {
            system.ids.push((IdKind::Other, (*name).into(), false));
        }
        registry.add(system);
    }
    let mut last = "";
    for row in index().all("CodeSystem") {
        if row.url == last || registry.find(row.url).is_some() {
            continue;
        }
        last = row.url;
        let mut system = NamingSystem {
            name: row.url.rsplit('/').next().unwrap_or_default().into(),
            ids: vec![(IdKind::Uri, row.url.into(), true)],
        };
        if !row.oid.is_empty() {
            system.ids.push((IdKind::Oid, row.oid.into(), false));
        }
        if let Some(table) = v2::table_of(row.url) {
            // The OID of the table is the one that messages have, that of its code system another.
            system
                .ids
                .insert(0, (IdKind::Oid, v2::table_oid(table).into(), true));
            system
                .ids
                .push((IdKind::Other, format!("HL7{table:04}").into(), true));
        }
        for name in names_of_url(row.url) {
            system.ids.push((IdKind::Other, (*name).into(), false));
        }
        registry.add(system);
    }
    registry
}

/// Lets a value set that ships take the version of a code system that ships. Four hundred of HL7
/// Terminology name an older version than the same release has, and could not be told otherwise.
fn unpin(set: &mut ValueSet) {
    for part in set.include.iter_mut().chain(&mut set.exclude) {
        let (Some(system), Some(asked)) = (&part.system, &part.version) else {
            continue;
        };
        let shipped = index().find("CodeSystem", system);
        let fits = |version: &str| crate::version::fits(asked, version);
        if !shipped.is_empty() && !shipped.iter().any(|row| fits(row.version)) {
            part.version = None;
        }
    }
}

impl Source for Shipped {
    fn systems(&self, url: &str) -> Result<Versions<System>, Missing> {
        let read = |resource: Resource| System::of(&resource).ok();
        Ok(remembered(&self.systems, "CodeSystem", url, read))
    }

    fn value_sets(&self, url: &str) -> Result<Versions<ValueSet>, Missing> {
        let read = |resource: Resource| {
            let mut set = ValueSet::of(Arc::new(resource));
            unpin(&mut set);
            Some(set)
        };
        Ok(remembered(&self.value_sets, "ValueSet", url, read))
    }

    fn maps(&self, wanted: &Wanted) -> Result<Versions<ConceptMap>, Missing> {
        let maps = self.maps.get_or_init(|| {
            let mut library = Library::new();
            for resource in index().resources(&index().all("ConceptMap")) {
                // One that cannot be read is not there; a test reads all of them.
                let _added = library.add(resource);
            }
            library
        });
        maps.maps(wanted)
    }

    fn registry(&self) -> Option<&Registry> {
        Some(self.registry.get_or_init(registry))
    }
}

#[cfg(test)]
mod tests;
