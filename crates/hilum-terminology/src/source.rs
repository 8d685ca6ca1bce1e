//! Where code systems, value sets and concept maps come from.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hilum_fhir::Resource;

use crate::map::ConceptMap;
use crate::naming::{NamingSystem, Registry};
use crate::set::ValueSet;
use crate::system::{ReadError, System};
use crate::version;

/// Something that an answer needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wanted {
    /// Every version of the code system with this URL.
    Systems(Box<str>),
    /// Every version of the value set with this URL.
    ValueSets(Box<str>),
    /// Every version of the concept map with this URL.
    Maps(Box<str>),
    /// The concept maps with a group from this code system.
    MapsFrom(Box<str>),
    /// The concept maps with a group to this code system.
    MapsTo(Box<str>),
}

/// A source does not have something at hand, but may get it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} has to be loaded first")]
pub struct Missing(pub Wanted);

/// Every version of something; `None` where there is none.
pub type Versions<T> = Option<Arc<[Arc<T>]>>;

/// A place that definitions come from. It never waits: what it would have to wait for is
/// [`Missing`], and whoever asked loads it and asks again.
pub trait Source: Send + Sync + fmt::Debug {
    /// The code systems with a URL.
    fn systems(&self, url: &str) -> Result<Versions<System>, Missing>;
    /// The value sets with a URL.
    fn value_sets(&self, url: &str) -> Result<Versions<ValueSet>, Missing>;
    /// The concept maps that are asked for.
    fn maps(&self, wanted: &Wanted) -> Result<Versions<ConceptMap>, Missing>;
    /// The names of systems that it knows.
    fn registry(&self) -> Option<&Registry> {
        None
    }
}

/// Definitions that are all at hand.
#[derive(Debug, Default)]
pub struct Library {
    systems: HashMap<Box<str>, Arc<[Arc<System>]>>,
    value_sets: HashMap<Box<str>, Arc<[Arc<ValueSet>]>>,
    maps: HashMap<Wanted, Arc<[Arc<ConceptMap>]>>,
    registry: Registry,
}

fn add<K: std::hash::Hash + Eq, T>(all: &mut HashMap<K, Arc<[Arc<T>]>>, key: K, one: Arc<T>) {
    let known = all.entry(key).or_insert_with(|| Arc::from([]));
    *known = known.iter().cloned().chain([one]).collect();
}

impl Library {
    /// One without anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a CodeSystem, ValueSet, ConceptMap or NamingSystem; false for anything else and for one
    /// without URL.
    pub fn add(&mut self, resource: Resource) -> Result<bool, ReadError> {
        match resource.type_name() {
            "CodeSystem" => self.add_system(Arc::new(System::of(&resource)?)),
            "ValueSet" => {
                let set = ValueSet::of(Arc::new(resource));
                let Some(url) = set.url.clone() else {
                    return Ok(false);
                };
                add(&mut self.value_sets, url, Arc::new(set));
            }
            "ConceptMap" => self.add_map(Arc::new(ConceptMap::of(&resource)?)),
            "NamingSystem" => self.registry.add(NamingSystem::of(&resource)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Adds a code system.
    pub fn add_system(&mut self, system: Arc<System>) {
        add(&mut self.systems, system.url.clone(), system);
    }

    /// Adds a value set; one without URL is found by nobody.
    pub fn add_value_set(&mut self, set: Arc<ValueSet>) {
        if let Some(url) = set.url.clone() {
            add(&mut self.value_sets, url, set);
        }
    }

    /// Adds a concept map.
    pub fn add_map(&mut self, map: Arc<ConceptMap>) {
        if let Some(url) = map.url.clone() {
            add(&mut self.maps, Wanted::Maps(url), Arc::clone(&map));
        }
        let mut keys: Vec<Wanted> = Vec::new();
        for group in &map.groups {
            let from = group.source.clone().map(Wanted::MapsFrom);
            let to = group.target.clone().map(Wanted::MapsTo);
            keys.extend([from, to].into_iter().flatten());
        }
        keys.sort();
        keys.dedup();
        for key in keys {
            add(&mut self.maps, key, Arc::clone(&map));
        }
    }

    /// How many code systems, value sets and concept maps there are, each URL once.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let maps = self
            .maps
            .keys()
            .filter(|key| matches!(key, Wanted::Maps(_)));
        (self.systems.len(), self.value_sets.len(), maps.count())
    }
}

impl Source for Library {
    fn systems(&self, url: &str) -> Result<Versions<System>, Missing> {
        Ok(self.systems.get(url).cloned())
    }

    fn value_sets(&self, url: &str) -> Result<Versions<ValueSet>, Missing> {
        Ok(self.value_sets.get(url).cloned())
    }

    fn maps(&self, wanted: &Wanted) -> Result<Versions<ConceptMap>, Missing> {
        Ok(self.maps.get(wanted).cloned())
    }

    fn registry(&self) -> Option<&Registry> {
        Some(&self.registry)
    }
}

/// All sources of one moment, the first ones before the others. Cheap to clone; it never changes.
#[derive(Clone, Debug, Default)]
pub struct Terminology {
    sources: Vec<Arc<dyn Source>>,
}

/// The newest of some versions.
fn newest<T>(all: impl Iterator<Item = Arc<T>>, of: impl Fn(&T) -> Option<&str>) -> Option<Arc<T>> {
    let mut best: Option<Arc<T>> = None;
    for one in all {
        let newer = best
            .as_ref()
            .is_none_or(|known| match (of(known), of(&one)) {
                (Some(known), Some(other)) => version::order(known, other).is_lt(),
                (None, Some(_)) => true,
                (_, None) => false,
            });
        if newer {
            best = Some(one);
        }
    }
    best
}

impl Terminology {
    /// Definitions of these sources; what an earlier one has goes before what a later one has.
    #[must_use]
    pub fn new(sources: Vec<Arc<dyn Source>>) -> Self {
        Self { sources }
    }

    /// The same with a source before all others.
    #[must_use]
    pub fn over(&self, first: Arc<dyn Source>) -> Self {
        let mut sources = Vec::with_capacity(self.sources.len() + 1);
        sources.push(first);
        sources.extend(self.sources.iter().cloned());
        Self { sources }
    }

    /// The code system with a URL in the version that is asked for, or in the newest one of the
    /// first source that has any. Supplements and systems without content are no answer.
    pub fn system(&self, url: &str, asked: Option<&str>) -> Result<Option<Arc<System>>, Missing> {
        self.system_that(url, asked, |system| system.content.answers())
    }

    /// The same of what is wanted otherwise.
    pub fn system_that(
        &self,
        url: &str,
        asked: Option<&str>,
        is_wanted: impl Fn(&System) -> bool,
    ) -> Result<Option<Arc<System>>, Missing> {
        for source in &self.sources {
            let Some(all) = source.systems(url)? else {
                continue;
            };
            let fitting = all.iter().filter(|one| is_wanted(one));
            let fitting = fitting.filter(|one| fits(asked, one.version.as_deref()));
            if let Some(found) = newest(fitting.cloned(), |one| one.version.as_deref()) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The versions of a code system that codes can be looked up in, sorted as text.
    pub fn versions(&self, url: &str) -> Result<Vec<String>, Missing> {
        let mut versions = Vec::new();
        for source in &self.sources {
            let all = source.systems(url)?;
            let all = all.iter().flat_map(|all| all.iter());
            let all = all.filter(|one| one.content.answers());
            versions.extend(all.filter_map(|one| one.version.as_deref().map(str::to_owned)));
        }
        versions.sort();
        versions.dedup();
        Ok(versions)
    }

    /// The value set with a canonical URL, in the version that it names or in the newest one.
    pub fn value_set(&self, canonical: &str) -> Result<Option<Arc<ValueSet>>, Missing> {
        let (url, asked) = version::split(canonical);
        for source in &self.sources {
            let Some(all) = source.value_sets(url)? else {
                continue;
            };
            let fitting = all.iter().filter(|one| fits(asked, one.version.as_deref()));
            if let Some(found) = newest(fitting.cloned(), |one| one.version.as_deref()) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The concept maps that are asked for: of each URL the newest version, from the first source
    /// that has it.
    pub fn maps(&self, wanted: &Wanted) -> Result<Vec<Arc<ConceptMap>>, Missing> {
        let mut found: Vec<Arc<ConceptMap>> = Vec::new();
        for source in &self.sources {
            let known = found.len();
            let all = source.maps(wanted)?;
            for map in all.iter().flat_map(|all| all.iter()) {
                let same = |one: &&mut Arc<ConceptMap>| one.url.is_some() && one.url == map.url;
                let before = found.iter().take(known);
                if map.url.is_some() && before.clone().any(|one| one.url == map.url) {
                    continue;
                }
                match found.iter_mut().find(same) {
                    Some(older) => {
                        let newer = match (&older.version, &map.version) {
                            (Some(a), Some(b)) => version::order(a, b).is_lt(),
                            (None, Some(_)) => true,
                            (_, None) => false,
                        };
                        if newer {
                            *older = Arc::clone(map);
                        }
                    }
                    None => found.push(Arc::clone(map)),
                }
            }
        }
        Ok(found)
    }

    /// The concept map with a canonical URL.
    pub fn map(&self, canonical: &str) -> Result<Option<Arc<ConceptMap>>, Missing> {
        let (url, asked) = version::split(canonical);
        for source in &self.sources {
            let Some(all) = source.maps(&Wanted::Maps(url.into()))? else {
                continue;
            };
            let fitting = all.iter().filter(|one| fits(asked, one.version.as_deref()));
            if let Some(found) = newest(fitting.cloned(), |one| one.version.as_deref()) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The names of systems that the sources know, first ones first.
    pub fn registries(&self) -> impl Iterator<Item = &Registry> {
        self.sources.iter().filter_map(|source| source.registry())
    }
}

fn fits(asked: Option<&str>, version: Option<&str>) -> bool {
    asked.is_none_or(|asked| version.is_some_and(|own| version::fits(asked, own)))
}
