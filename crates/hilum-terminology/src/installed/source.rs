//! A load as a source of definitions.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hilum_fhir::{Limits, Resource, json};

use super::{Load, LoadError, files, implicit};
use crate::import::Definition;
use crate::map::ConceptMap;
use crate::naming::Registry;
use crate::set::ValueSet;
use crate::source::{Library, Missing, Source, Versions, Wanted};
use crate::system::{Body, Content, PropertyDef, Standing, System};
use crate::table::{Table, ValueKind};

/// The file of definitions.
pub(super) const DEFINITIONS: &str = "definitions.lines";
/// Bytes of a table or a file of definitions.
const BYTES_MAX: u64 = 16 << 30;

/// Where definitions stand in the text, by kind and URL.
type Places = HashMap<(Box<str>, Box<str>), Vec<Range<usize>>>;

/// Definitions as lines: no JSON that is written compactly has a tab or a line break in it.
pub(super) fn lines(definitions: &[Definition]) -> String {
    let mut sorted: Vec<&Definition> = definitions.iter().collect();
    sorted.sort_by(|a, b| (&a.kind, &a.url, &a.version).cmp(&(&b.kind, &b.url, &b.version)));
    let mut lines = String::new();
    for one in sorted {
        let version = one.version.as_deref().unwrap_or_default();
        for part in [&*one.kind, &one.url, version] {
            lines.extend(part.chars().map(|c| if c.is_control() { ' ' } else { c }));
            lines.push('\t');
        }
        lines.push_str(&one.json);
        lines.push('\n');
    }
    lines
}

/// A load that answers. What it has was checked when it was opened.
#[derive(Debug)]
pub struct Loaded {
    /// What it is.
    pub load: Load,
    systems: HashMap<Box<str>, Arc<[Arc<System>]>>,
    text: String,
    places: Places,
    more_systems: Mutex<HashMap<Box<str>, Versions<System>>>,
    sets: Mutex<HashMap<Box<str>, Versions<ValueSet>>>,
    maps: OnceLock<Library>,
    registry: OnceLock<Registry>,
}

/// Implicit value sets that are remembered.
const SETS_MAX: usize = 4_096;

impl Loaded {
    /// Opens the folder of a load and checks what is in it.
    pub fn open(folder: &Path, load: Load) -> Result<Self, LoadError> {
        let mut systems: HashMap<Box<str>, Arc<[Arc<System>]>> = HashMap::new();
        for said in &load.systems {
            let path = folder.join(&said.file);
            let bytes = files::read(&path, BYTES_MAX)?;
            let table = Table::read(&bytes).map_err(|error| LoadError::Table(path, error))?;
            let properties = said.properties.iter().filter_map(|(code, kind)| {
                Some(PropertyDef {
                    code: code.as_str().into(),
                    uri: None,
                    kind: ValueKind::named(kind)?,
                })
            });
            let text = |of: &Option<String>| of.as_deref().map(Into::into);
            let system = Arc::new(System {
                url: said.url.as_str().into(),
                version: text(&said.version),
                name: text(&said.name),
                title: text(&said.title),
                language: text(&said.language),
                standing: Standing {
                    status: "active".into(),
                    ..Standing::default()
                },
                content: Content::Complete,
                version_needed: false,
                supplements: None,
                properties: properties.collect(),
                body: Body::Table(Arc::new(table)),
            });
            let known = systems
                .entry(said.url.as_str().into())
                .or_insert_with(|| Arc::from([]));
            *known = known.iter().cloned().chain([system]).collect();
        }
        let path = folder.join(DEFINITIONS);
        let bytes = files::read(&path, BYTES_MAX)?;
        if files::digest(&bytes) != load.definitions_sha256 {
            return Err(LoadError::Damaged(
                path,
                "its checksum does not fit".to_owned(),
            ));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| LoadError::Damaged(path, "it is no text".to_owned()))?;
        Ok(Self {
            places: places(&text),
            load,
            systems,
            text,
            more_systems: Mutex::default(),
            sets: Mutex::default(),
            maps: OnceLock::new(),
            registry: OnceLock::new(),
        })
    }

    /// Bytes in memory, of tables and definitions.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let systems = self.systems.values().flat_map(|all| all.iter());
        let tables = systems.filter_map(|system| system.table());
        tables.map(|table| table.bytes()).sum::<usize>() + self.text.len()
    }

    fn resources(&self, kind: &str, url: &str) -> Vec<Resource> {
        let places = self.places.get(&(kind.into(), url.into()));
        let places = places.map(Vec::as_slice).unwrap_or_default();
        places
            .iter()
            .filter_map(|place| self.resource(place))
            .collect()
    }

    fn resource(&self, place: &Range<usize>) -> Option<Resource> {
        let text = self.text.get(place.clone())?;
        json::parse(text.as_bytes(), &Limits::default()).ok()
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = Resource> {
        let fits = self
            .places
            .iter()
            .filter(move |((own, _), _)| **own == *kind);
        let mut places: Vec<&Range<usize>> = fits.flat_map(|(_, places)| places).collect();
        places.sort_by_key(|place| place.start);
        places.into_iter().filter_map(|place| self.resource(place))
    }
}

fn places(text: &str) -> Places {
    let mut places = Places::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let mut parts = line.splitn(4, '\t');
        if let (Some(kind), Some(url), Some(_), Some(json)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        {
            let end = at + line.len();
            let place = end - json.len()..end;
            places
                .entry((kind.into(), url.into()))
                .or_default()
                .push(place);
        }
        at += line.len();
    }
    places
}

fn remembered<T>(
    known: &Mutex<HashMap<Box<str>, Versions<T>>>,
    url: &str,
    make: impl FnOnce() -> Vec<T>,
) -> Versions<T> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(url) {
        return found.clone();
    }
    let made = make();
    if made.is_empty() {
        return None;
    }
    let made: Arc<[Arc<T>]> = made.into_iter().map(Arc::new).collect();
    if known.len() < SETS_MAX {
        known.insert(url.into(), Some(Arc::clone(&made)));
    }
    Some(made)
}

impl Source for Loaded {
    fn systems(&self, url: &str) -> Result<Versions<System>, Missing> {
        if let Some(found) = self.systems.get(url) {
            return Ok(Some(Arc::clone(found)));
        }
        Ok(remembered(&self.more_systems, url, || {
            let all = self.resources("CodeSystem", url);
            all.iter().filter_map(|one| System::of(one).ok()).collect()
        }))
    }

    fn value_sets(&self, url: &str) -> Result<Versions<ValueSet>, Missing> {
        Ok(remembered(&self.sets, url, || {
            let all = self.resources("ValueSet", url).into_iter();
            let mut sets: Vec<ValueSet> = all.map(|one| ValueSet::of(Arc::new(one))).collect();
            if sets.is_empty() {
                let systems = self.systems.values().flat_map(|all| all.iter());
                sets.extend(systems.filter_map(|system| implicit::value_set(url, system)));
            }
            sets
        }))
    }

    fn maps(&self, wanted: &Wanted) -> Result<Versions<ConceptMap>, Missing> {
        let maps = self.maps.get_or_init(|| {
            let mut library = Library::new();
            for resource in self.of_kind("ConceptMap") {
                // It was read when it was imported.
                let _added = library.add(resource);
            }
            library
        });
        maps.maps(wanted)
    }

    fn registry(&self) -> Option<&Registry> {
        Some(self.registry.get_or_init(|| {
            let mut registry = Registry::default();
            for resource in self.of_kind("NamingSystem") {
                registry.add(crate::naming::NamingSystem::of(&resource));
            }
            registry
        }))
    }
}
