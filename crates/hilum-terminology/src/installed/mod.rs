//! Code systems that users loaded from copies of their own, kept in a folder of the data folder.
//!
//! ```text
//! terminology/
//!   active.json            ids of what answers, the one that goes first at the front
//!   loinc-2.78/
//!     load.json            what it is, and the SHA-256 of the files beside it
//!     system-0.table       a table (`crate::table`)
//!     definitions.lines    KIND, URL, VERSION, JSON with tabs between, one a line
//! ```
//!
//! An import keeps what it has read in `.reading-…` until it is at its end, so that it can go on there.
//! A load is made in a folder of another name and renamed when it is whole and synced, so that what
//! has the name of a load is one. Versions stand side by side; what is active answers, and of two
//! active versions the one that was activated last answers questions that name none.

mod ecl;
mod files;
mod implicit;
mod source;
mod staging;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::import::{Imported, Kind};
use crate::source::Source;
use crate::table::Damaged;

pub use source::Loaded;
pub use staging::{Staging, Unfinished};

/// The folder in a data folder.
pub const FOLDER: &str = "terminology";
/// Loads in one data folder.
pub const LOADS_MAX: usize = 1_000;

/// Why something about loads could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Reading or writing failed.
    #[error("cannot {what} {path}", what = .0, path = .1.display())]
    Files(&'static str, PathBuf, #[source] std::io::Error),
    /// A file says something that no load says.
    #[error("{path} is damaged: {text}; import the release again", path = .0.display(), text = .1)]
    Damaged(PathBuf, String),
    /// A table is damaged.
    #[error("{} cannot be used", .0.display())]
    Table(PathBuf, #[source] Damaged),
    /// There is no such load.
    #[error("nothing is loaded as {0}; `hilum terminology list` shows what is")]
    Unknown(String),
    /// It answers questions.
    #[error("{0} is active; deactivate it before it is removed")]
    Active(String),
    /// It is imported at this moment.
    #[error("the import {0} goes on; wait for its end, or stop it")]
    GoesOn(String),
    /// There are too many.
    #[error("more than {LOADS_MAX} loads; remove those that nobody needs")]
    Full,
}

/// A code system of a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedSystem {
    /// Its URL.
    pub url: String,
    /// Its version.
    pub version: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// The language of its displays.
    pub language: Option<String>,
    /// Its properties: code and type.
    pub properties: Vec<(String, String)>,
    /// How many concepts it has.
    pub concepts: usize,
    /// The file of its table.
    pub file: String,
    /// Bytes of the file.
    pub bytes: u64,
}

/// What was loaded from one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// What it is called, such as `loinc-2.78`.
    pub id: String,
    /// The format it came in.
    pub kind: String,
    /// What it was read from; the same release read again is known by it.
    pub fingerprint: String,
    /// When it was loaded, as an instant of FHIR.
    pub loaded: String,
    /// Its code systems.
    pub systems: Vec<LoadedSystem>,
    /// How many other definitions it has.
    pub definitions: usize,
    /// SHA-256 of the file of definitions.
    pub definitions_sha256: String,
}

/// The folder of loads.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// What answers, opened.
#[derive(Debug, Default)]
pub struct Opened {
    /// What answers, first ones first.
    pub loads: Vec<Arc<Loaded>>,
    /// What should answer and cannot.
    pub problems: Vec<LoadError>,
    /// Ids and fingerprints of what answers, a line each: the same text means the same answers.
    pub state: String,
}

impl Opened {
    /// As sources of definitions.
    #[must_use]
    pub fn sources(&self) -> Vec<Arc<dyn Source>> {
        let as_source = |load: &Arc<Loaded>| Arc::clone(load) as Arc<dyn Source>;
        self.loads.iter().map(as_source).collect()
    }
}

impl Folder {
    /// The one of a data folder.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self {
            path: data.join(FOLDER),
        }
    }

    /// What a load of this kind and version would be called. `name` tells loads of one kind apart
    /// that are of several systems: the URL of a table, the name of a package.
    #[must_use]
    pub fn id(kind: Kind, name: &str, imported: &Imported) -> String {
        let version = imported
            .systems
            .first()
            .and_then(|system| system.version.as_deref());
        match (kind, version) {
            (Kind::Fhir, _) => slug(&["fhir", name]),
            (Kind::Csv, version) => slug(&[name, version.unwrap_or_default()]),
            (Kind::Snomed, Some(version)) => {
                let rest = version.trim_start_matches("http://snomed.info/");
                slug(&[
                    "snomed",
                    &rest.replace("sct/", "").replace("/version/", "-"),
                ])
            }
            (_, version) => slug(&[kind.name(), version.unwrap_or_default()]),
        }
    }

    /// Everything that is loaded, by id.
    pub fn loads(&self) -> Result<Vec<Load>, LoadError> {
        let mut loads = Vec::new();
        for name in files::folders(&self.path)? {
            if !name.starts_with('.') {
                loads.push(self.load(&name)?);
            }
        }
        Ok(loads)
    }

    /// The load with an id.
    pub fn load(&self, id: &str) -> Result<Load, LoadError> {
        let known = !id.is_empty() && !id.starts_with('.') && !id.contains(['/', '\\']);
        let file = self.path.join(id).join("load.json");
        if !known || !file.is_file() {
            return Err(LoadError::Unknown(id.to_owned()));
        }
        files::json(&file)
    }

    /// The ids of what is active, the one that goes first at the front.
    pub fn active(&self) -> Result<Vec<String>, LoadError> {
        let file = self.path.join("active.json");
        if file.is_file() {
            files::json(&file)
        } else {
            Ok(Vec::new())
        }
    }

    /// Keeps what a release gave, in the place of what had the same id.
    pub fn keep(
        &self,
        id: &str,
        kind: Kind,
        imported: &Imported,
        fingerprint: &str,
        loaded: &str,
    ) -> Result<Load, LoadError> {
        files::make(&self.path)?;
        files::clean(&self.path)?;
        if files::folders(&self.path)?.len() >= LOADS_MAX {
            return Err(LoadError::Full);
        }
        let part = self.path.join(format!(".part-{id}"));
        files::remove(&part)?;
        files::make(&part)?;
        let mut systems = Vec::new();
        for (at, system) in imported.systems.iter().enumerate() {
            let Some(table) = system.table() else {
                continue;
            };
            let file = format!("system-{at}.table");
            let bytes = table.write();
            files::write(&part.join(&file), &bytes)?;
            let text = |of: &Option<Box<str>>| of.as_deref().map(str::to_owned);
            systems.push(LoadedSystem {
                url: system.url.to_string(),
                version: text(&system.version),
                name: text(&system.name),
                title: text(&system.title),
                language: text(&system.language),
                properties: system
                    .properties
                    .iter()
                    .map(|of| (of.code.to_string(), of.kind.type_name().to_owned()))
                    .collect(),
                concepts: table.len(),
                file,
                bytes: bytes.len() as u64,
            });
        }
        let lines = source::lines(&imported.resources);
        files::write(&part.join(source::DEFINITIONS), lines.as_bytes())?;
        let load = Load {
            id: id.to_owned(),
            kind: kind.name().to_owned(),
            fingerprint: fingerprint.to_owned(),
            loaded: loaded.to_owned(),
            systems,
            definitions: imported.resources.len(),
            definitions_sha256: files::digest(lines.as_bytes()),
        };
        files::write_json(&part.join("load.json"), &load)?;
        files::put(&self.path, &part, id)?;
        Ok(load)
    }

    /// Lets a load answer, before all that are active already. It is opened first: what is damaged
    /// is not activated.
    pub fn activate(&self, id: &str) -> Result<Arc<Loaded>, LoadError> {
        let opened = self.open_one(id)?;
        let mut active = self.active()?;
        active.retain(|known| known != id);
        active.insert(0, id.to_owned());
        self.set_active(&active)?;
        Ok(Arc::new(opened))
    }

    /// Lets a load answer no more; false if it did not.
    pub fn deactivate(&self, id: &str) -> Result<bool, LoadError> {
        self.load(id)?;
        let mut active = self.active()?;
        let before = active.len();
        active.retain(|known| known != id);
        if active.len() == before {
            return Ok(false);
        }
        self.set_active(&active)?;
        Ok(true)
    }

    /// Removes a load that is not active.
    pub fn remove(&self, id: &str) -> Result<(), LoadError> {
        self.load(id)?;
        if self.active()?.iter().any(|known| known == id) {
            return Err(LoadError::Active(id.to_owned()));
        }
        files::take_away(&self.path, id)
    }

    /// Opens a load, active or not.
    pub fn open_one(&self, id: &str) -> Result<Loaded, LoadError> {
        Loaded::open(&self.path.join(id), self.load(id)?)
    }

    /// Opens what is active.
    pub fn open(&self) -> Result<Opened, LoadError> {
        let mut opened = Opened::default();
        files::clean(&self.path)?;
        for id in self.active()? {
            let load = self.load(&id);
            let loaded = load.and_then(|load| Loaded::open(&self.path.join(&id), load));
            match loaded {
                Ok(loaded) => {
                    let line = format!("{id} {}\n", loaded.load.fingerprint);
                    opened.state.push_str(&line);
                    opened.loads.push(Arc::new(loaded));
                }
                Err(problem) => opened.problems.push(problem),
            }
        }
        Ok(opened)
    }

    fn set_active(&self, active: &[String]) -> Result<(), LoadError> {
        let part = self.path.join(".active.json");
        files::write_json(&part, &active)?;
        files::rename(&part, &self.path.join("active.json"))?;
        files::sync(&self.path)
    }
}

/// A name that is a name of a folder everywhere.
fn slug(parts: &[&str]) -> String {
    let joined = parts.join("-").to_ascii_lowercase();
    let kept = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c
        } else {
            '-'
        }
    };
    let mut slug: String = joined.chars().map(kept).collect();
    while slug.contains("--") {
        slug = slug.replace("--", "-");
    }
    slug.trim_matches(['-', '.']).chars().take(100).collect()
}
