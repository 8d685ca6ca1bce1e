//! The profiles that a validation knows: those of the standard and those that were added.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::compile::Stated;
use super::{Profile, compile, standard};
use crate::definitions::{Definitions, TypeId};
use crate::package::{Fault, FaultCause};
use crate::resource::Resource;

/// Bases of bases of a profile that are followed.
pub(super) const BASES_MAX: usize = 16;

/// Profiles by URL; made by a [`ProfilesBuilder`], never changed.
#[derive(Default)]
pub struct Profiles {
    /// By URL, several versions in the order in which they were added.
    added: BTreeMap<String, Vec<Arc<Profile>>>,
    /// What guides ask of every resource of a type.
    globals: Vec<(TypeId, String)>,
    faults: Vec<Fault>,
}

impl Profiles {
    /// Those of the standard alone.
    #[must_use]
    pub const fn standard() -> Self {
        Self {
            added: BTreeMap::new(),
            globals: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Those that were added, by their URLs.
    pub fn added(&self) -> impl Iterator<Item = &Profile> {
        self.added.values().flatten().map(Arc::as_ref)
    }

    /// Those that were added and cannot be used.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The profile with this canonical URL (`url` or `url|version`); without version the last one
    /// that was added, else the standard's.
    #[must_use]
    pub fn get(&self, canonical: &str) -> Option<Arc<Profile>> {
        let (url, version) = split(canonical);
        let Some(versions) = self.added.get(url) else {
            return standard::profile(url);
        };
        let wanted = |profile: &&Arc<Profile>| is_version(profile.version.as_deref(), version);
        versions.iter().rev().find(wanted).cloned()
    }

    /// The profiles that guides ask of every resource of a type (`ImplementationGuide.global`).
    #[must_use]
    pub fn globals(&self) -> &[(TypeId, String)] {
        &self.globals
    }
}

impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiles")
            .field("added", &self.added.len())
            .finish()
    }
}

pub(super) fn split(canonical: &str) -> (&str, Option<&str>) {
    match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (canonical, None),
    }
}

/// Whether a version is the wanted one; `0.2` stands for any `0.2.x`.
fn is_version(own: Option<&str>, wanted: Option<&str>) -> bool {
    let Some(wanted) = wanted else {
        return true;
    };
    let rest = own.and_then(|own| own.strip_prefix(wanted));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Gathers StructureDefinitions and compiles them together, so that their order does not matter.
#[derive(Default)]
pub struct ProfilesBuilder {
    sources: Vec<Source>,
    by_url: HashMap<String, Vec<usize>>,
    globals: Vec<(TypeId, String)>,
    faults: Vec<Fault>,
}

struct Source {
    package: String,
    file: String,
    version: Option<String>,
    resource: Arc<Resource>,
    state: State,
}

enum State {
    Raw,
    InWork,
    Done(Option<Arc<Profile>>),
}

impl ProfilesBuilder {
    /// Without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a StructureDefinition, or what an ImplementationGuide asks of all resources of a type;
    /// anything else and a profile without URL is left out.
    pub fn add(&mut self, resource: Resource) {
        self.add_from(resource, "", "");
    }

    /// As [`Self::add`], with the package and the file in it that a fault is to name.
    pub fn add_from(&mut self, resource: Resource, package: &str, file: &str) {
        let root = resource.root();
        if resource.type_name() == "ImplementationGuide" {
            for global in root.children_named("global") {
                let ty = global.child_text("type");
                let ty = ty.and_then(|name| Definitions::r4().type_named(name));
                let url = global.child_text("profile").map(str::to_owned);
                self.globals.extend(ty.zip(url));
            }
            return;
        }
        let Some(url) = root.child_text("url").map(str::to_owned) else {
            return;
        };
        if resource.type_name() != "StructureDefinition" {
            return;
        }
        let version = root.child_text("version").map(str::to_owned);
        self.by_url.entry(url).or_default().push(self.sources.len());
        self.sources.push(Source {
            package: package.to_owned(),
            file: file.to_owned(),
            version,
            resource: Arc::new(resource),
            state: State::Raw,
        });
    }

    /// Compiles all of them. One that cannot be is left out, and is among the faults.
    #[must_use]
    pub fn build(mut self) -> Profiles {
        for at in 0..self.sources.len() {
            self.compiled(at, 0);
        }
        let mut added: BTreeMap<String, Vec<Arc<Profile>>> = BTreeMap::new();
        for source in self.sources {
            if let State::Done(Some(profile)) = source.state {
                added.entry(profile.url.clone()).or_default().push(profile);
            }
        }
        Profiles {
            added,
            globals: self.globals,
            faults: self.faults,
        }
    }

    fn compiled(&mut self, at: usize, depth: usize) -> Option<Arc<Profile>> {
        let source = self.sources.get_mut(at)?;
        match &source.state {
            State::Done(profile) => return profile.clone(),
            State::InWork => {
                self.fault(at, FaultCause::Circle);
                return None;
            }
            State::Raw => source.state = State::InWork,
        }
        let resource = Arc::clone(&source.resource);
        let base = resource
            .root()
            .child_text("baseDefinition")
            .map(str::to_owned);
        let parent = base.as_deref().and_then(|base| self.base(base, depth + 1));
        let known = |base: &str| Definitions::r4().type_at(split(base).0).is_some();
        let stated = if parent.is_some() || base.as_deref().is_none_or(known) {
            Stated::Difference
        } else {
            Stated::Whole
        };
        if let Some(base) = base.filter(|_| stated == Stated::Whole)
            && resource.root().child("snapshot").is_none()
        {
            self.fault(at, FaultCause::Baseless(base));
        }
        let profile = compile::compile(&resource, parent.as_deref(), stated).map(Arc::new);
        let ty = resource.root().child_text("type").unwrap_or_default();
        let text = |name: &str| resource.root().child_text(name);
        // Types and logical models are no profiles on what is in R4.
        let profiles =
            text("derivation") != Some("specialization") && text("kind") != Some("logical");
        if profile.is_none() && profiles && Definitions::r4().type_named(ty).is_none() {
            self.fault(at, FaultCause::Type(ty.to_owned()));
        }
        if let Some(source) = self.sources.get_mut(at) {
            source.state = State::Done(profile.clone());
        }
        profile
    }

    /// The first thing that is wrong with a definition is told.
    fn fault(&mut self, at: usize, cause: FaultCause) {
        let Some(source) = self.sources.get(at) else {
            return;
        };
        let profile = source.resource.root().child_text("url").unwrap_or_default();
        let known = |fault: &Fault| fault.profile == profile && fault.file == source.file;
        if !self.faults.iter().any(known) {
            self.faults.push(Fault {
                package: source.package.clone(),
                file: source.file.clone(),
                profile: profile.to_owned(),
                cause,
            });
        }
    }

    fn base(&mut self, canonical: &str, depth: usize) -> Option<Arc<Profile>> {
        if depth > BASES_MAX {
            return None;
        }
        let (url, version) = split(canonical);
        let Some(places) = self.by_url.get(url) else {
            return standard::profile(url);
        };
        let sources = &self.sources;
        let wanted = |at: &&usize| {
            let source = sources.get(**at);
            source.is_some_and(|source| is_version(source.version.as_deref(), version))
        };
        let at = places.iter().rev().find(wanted).copied()?;
        self.compiled(at, depth)
    }
}

impl fmt::Debug for ProfilesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfilesBuilder")
            .field("sources", &self.sources.len())
            .finish()
    }
}
