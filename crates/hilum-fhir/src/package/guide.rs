//! Packages as a server uses them: their profiles, codes and search parameters, made ready together.
//!
//! Profiles of one package may be built on those of another, so all are read before any is
//! compiled, and their order does not matter. What is missing is told and not fetched.

use std::io::Read;

use super::{Entry, PackageError, PackageLimits, read};
use crate::profile::{Profiles, ProfilesBuilder};
use crate::resource::Resource;
use crate::validate::LoadedCodes;

/// Packages whose content is part of this program.
const BUILT_IN: [&str; 3] = [
    "hl7.fhir.r4.core",
    "hl7.fhir.r4.examples",
    "hl7.fhir.r4.expansions",
];

/// A package that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guide {
    /// Its name in the registry (`hl7.fhir.us.core`).
    pub name: String,
    /// Its version.
    pub version: String,
    /// The canonical URL of its ImplementationGuide.
    pub url: Option<String>,
    /// The packages that it needs, with their versions.
    pub needs: Vec<(String, String)>,
    /// Definitions in it that are no FHIR R4 and were left out.
    pub unread: usize,
}

/// Why a package cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuideError {
    /// It cannot be read.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// It says nothing about itself.
    #[error("the package has no `package.json` with a name and a version")]
    NoManifest,
    /// It is for another version of FHIR.
    #[error("the package is for FHIR {0}, not for R4 (4.0.1)")]
    Version(String),
}

/// A definition that cannot be used: where it stands, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{profile} ({package}, {file}) {cause}")]
pub struct Fault {
    /// The name of the package; empty where it came without one.
    pub package: String,
    /// The file in the package.
    pub file: String,
    /// The canonical URL of the profile.
    pub profile: String,
    /// Why.
    pub cause: FaultCause,
}

/// Why a definition cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultCause {
    /// What it is built on is in none of the packages, and it brings no snapshot.
    #[error("is built on {0}, which no package has")]
    Baseless(String),
    /// It is built on itself, or on too many others.
    #[error("is built on itself, or on too many others")]
    Circle,
    /// It is for a type that FHIR R4 does not have.
    #[error("is for the type {0}, which FHIR R4 does not have")]
    Type(String),
}

/// Packages, ready for use.
#[derive(Debug, Default)]
pub struct Guides {
    /// The packages, in the order in which they were added.
    pub guides: Vec<Guide>,
    /// Their profiles.
    pub profiles: Profiles,
    /// Their value sets and code systems.
    pub codes: LoadedCodes,
    /// Their search parameters.
    pub search_parameters: Vec<Resource>,
}

impl Guides {
    /// The packages that are needed and were not added, each with the one that needs it. What they
    /// define is not known; bindings to their value sets are not checked.
    pub fn missing(&self) -> impl Iterator<Item = (&Guide, &str, &str)> {
        self.guides.iter().flat_map(move |guide| {
            let absent = |name: &str| {
                !BUILT_IN.contains(&name) && self.guides.iter().all(|other| other.name != name)
            };
            let needs = guide.needs.iter().filter(move |(name, _)| absent(name));
            needs.map(move |(name, version)| (guide, name.as_str(), version.as_str()))
        })
    }

    /// The profiles that cannot be used.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        self.profiles.faults()
    }
}

/// Reads packages one after the other.
#[derive(Debug, Default)]
pub struct GuidesBuilder {
    guides: Vec<Guide>,
    profiles: ProfilesBuilder,
    codes: LoadedCodes,
    search_parameters: Vec<Resource>,
}

impl GuidesBuilder {
    /// Without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a package to its end. One that fails may have left some of its definitions here.
    pub fn add(&mut self, source: impl Read, limits: &PackageLimits) -> Result<&Guide, GuideError> {
        let mut guide = Guide::default();
        let mut versions: Vec<String> = Vec::new();
        read(source, limits, &mut |entry| {
            if entry.path == "package.json" {
                manifest(&entry, &mut guide, &mut versions);
            } else if entry.is_definition() {
                self.definition(&entry, &mut guide);
            }
        })?;
        if guide.name.is_empty() || guide.version.is_empty() {
            return Err(GuideError::NoManifest);
        }
        if !versions.is_empty() && !versions.iter().any(|version| version.starts_with("4.0")) {
            return Err(GuideError::Version(versions.join(", ")));
        }
        let at = self.guides.len();
        self.guides.push(guide);
        self.guides.get(at).ok_or(GuideError::NoManifest)
    }

    fn definition(&mut self, entry: &Entry<'_>, guide: &mut Guide) {
        let Ok(resource) = entry.resource() else {
            // An index or a note beside the resources is none of them.
            guide.unread +=
                usize::from(memchr::memmem::find(entry.bytes, b"resourceType").is_some());
            return;
        };
        match resource.type_name() {
            "StructureDefinition" => self.profiles.add_from(resource, &guide.name, entry.path),
            "ImplementationGuide" => {
                let root = resource.root();
                let own = root.child_text("packageId") == Some(guide.name.as_str());
                if own || guide.url.is_none() {
                    guide.url = root.child_text("url").map(str::to_owned);
                }
                self.profiles.add(resource);
            }
            "ValueSet" | "CodeSystem" => self.codes.add(resource),
            "SearchParameter" => self.search_parameters.push(resource),
            _ => {}
        }
    }

    /// Compiles everything.
    #[must_use]
    pub fn build(self) -> Guides {
        Guides {
            guides: self.guides,
            profiles: self.profiles.build(),
            codes: self.codes,
            search_parameters: self.search_parameters,
        }
    }
}

/// The definition with a URL, if a package has it. The package is read to its end.
pub fn find(
    source: impl Read,
    limits: &PackageLimits,
    url: &str,
) -> Result<Option<Resource>, PackageError> {
    let mut found = None;
    // Only what names the URL somewhere is read as a resource.
    let finder = memchr::memmem::Finder::new(url);
    read(source, limits, &mut |entry| {
        if found.is_none() && entry.is_definition() && finder.find(entry.bytes).is_some() {
            let own = |resource: &Resource| resource.root().child_text("url") == Some(url);
            found = entry.resource().ok().filter(own);
        }
    })?;
    Ok(found)
}

/// What `package.json` says.
fn manifest(entry: &Entry<'_>, guide: &mut Guide, versions: &mut Vec<String>) {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(entry.bytes) else {
        return;
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let named = |name: &str| json.get(name).map(text).unwrap_or_default();
    guide.name = named("name");
    guide.version = named("version");
    let needs = json
        .get("dependencies")
        .and_then(serde_json::Value::as_object);
    let needs = needs.into_iter().flatten();
    guide.needs = needs
        .map(|(name, version)| (name.clone(), text(version)))
        .collect();
    for list in ["fhirVersions", "fhir-version-list"] {
        let items = json.get(list).and_then(serde_json::Value::as_array);
        versions.extend(items.into_iter().flatten().map(text));
    }
}
