//! The site as one channel sees it; remembers what the channel uses, for its digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hilum_component::{FhirStores, Format, FormatOptions, Registry, Site, SystemInfo, Terminology};

use super::folder::{Folder, ReadError, reason};
use super::systems::System;
use crate::check::{Use, UseKind};
use crate::plan::{Opened, STATE};

/// Longest secret, in bytes.
const SECRET_BYTES_MAX: u64 = 65_536;

/// Whether secrets must be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// A secret that is not there is an error.
    #[default]
    Required,
    /// References are checked, secrets are not looked up: for tests and documents. A plan that was
    /// made so must not be run.
    Unread,
}

/// Where `env:` references look.
#[derive(Clone, Debug, Default)]
pub enum Variables {
    /// The environment of the process.
    #[default]
    Process,
    /// These, and no others.
    Fixed(BTreeMap<String, String>),
}

/// What is known about a reference to a secret.
pub(crate) enum SecretState {
    /// It is there.
    Present,
    /// It is no reference.
    Literal,
    /// It is not there, for this reason.
    Absent(String),
}

/// The site as one channel sees it.
pub(crate) struct SiteView<'a> {
    folder: &'a Folder,
    systems: &'a BTreeMap<String, System>,
    secrets: Secrets,
    variables: &'a Variables,
    production: bool,
    fhir: Option<FhirStores>,
    registry: Option<&'a Registry>,
    zone: Option<&'a str>,
    terminology: Option<&'a Opened<'a>>,
    used: Mutex<Used>,
}

/// What a channel uses of the site.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    /// Files and their bytes.
    pub(crate) files: BTreeMap<String, Arc<[u8]>>,
    /// References to secrets.
    pub(crate) secrets: BTreeSet<String>,
    /// Names of systems.
    pub(crate) systems: BTreeSet<String>,
    /// Files whose content is no part of the digest, and their [`stamp`]s.
    pub(crate) stamps: BTreeMap<String, String>,
}

impl<'a> SiteView<'a> {
    pub(crate) fn new(
        folder: &'a Folder,
        systems: &'a BTreeMap<String, System>,
        secrets: Secrets,
        variables: &'a Variables,
        production: bool,
    ) -> Self {
        Self {
            folder,
            systems,
            secrets,
            variables,
            production,
            fhir: None,
            registry: None,
            zone: None,
            terminology: None,
            used: Mutex::default(),
        }
    }

    /// With the FHIR stores of the node.
    pub(crate) fn with_fhir(mut self, fhir: Option<FhirStores>) -> Self {
        self.fhir = fhir;
        self
    }

    /// With the formats that the program knows, and the node's time zone.
    pub(crate) const fn with_formats(
        mut self,
        registry: &'a Registry,
        zone: Option<&'a str>,
    ) -> Self {
        self.registry = Some(registry);
        self.zone = zone;
        self
    }

    /// With the code systems that steps see.
    pub(crate) const fn with_terminology(mut self, opened: &'a Opened<'a>) -> Self {
        self.terminology = Some(opened);
        self
    }

    /// The systems by name.
    pub(crate) const fn systems(&self) -> &'a BTreeMap<String, System> {
        self.systems
    }

    /// The names of the files in a folder.
    pub(crate) fn list(&self, folder: &str) -> Vec<String> {
        self.folder.list(folder)
    }

    /// What was used so far.
    pub(crate) fn used(&self) -> Used {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what a file names, whether or not the component asks for it now.
    pub(crate) fn note(&self, used: &Use) {
        match used.kind {
            UseKind::File => drop(self.read_file(&used.text)),
            UseKind::System => drop(self.lock().systems.insert(used.text.clone())),
            UseKind::Secret => self.note_secret(&used.text),
            UseKind::Expression | UseKind::Path => {}
        }
    }

    pub(crate) fn read_file(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        let bytes = self.folder.read(path)?;
        self.lock().files.insert(path.to_owned(), bytes.clone());
        Ok(bytes)
    }

    fn note_secret(&self, reference: &str) {
        self.lock().secrets.insert(reference.to_owned());
        if let Some(Place::File(path)) = Place::of(reference) {
            self.note_stamp(path);
        }
    }

    /// Remembers which version of a file is there.
    fn note_stamp(&self, path: &str) {
        if self.secrets == Secrets::Unread {
            return;
        }
        let stamp = stamp(&self.folder.root().join(path));
        self.lock().stamps.insert(path.to_owned(), stamp);
    }

    pub(crate) fn secret_state(&self, reference: &str) -> SecretState {
        let Some(place) = Place::of(reference) else {
            return SecretState::Literal;
        };
        self.note_secret(reference);
        if self.secrets == Secrets::Unread {
            return SecretState::Present;
        }
        match look_up(self.folder.root(), self.variables, &place) {
            Ok(_) => SecretState::Present,
            Err(reason) => SecretState::Absent(reason),
        }
    }
}

fn look_up(root: &Path, variables: &Variables, place: &Place<'_>) -> Result<String, String> {
    match place {
        Place::Variable(name) => {
            let value = match variables {
                Variables::Process => std::env::var(name).ok(),
                Variables::Fixed(known) => known.get(*name).cloned(),
            };
            value
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("the environment variable {name} is not set"))
        }
        Place::File(path) => {
            let path = root.join(path);
            let size = path.metadata().map_err(|error| reason(&error))?.len();
            if size > SECRET_BYTES_MAX {
                return Err(format!("the file has more than {SECRET_BYTES_MAX} bytes"));
            }
            let text = std::fs::read_to_string(&path).map_err(|error| reason(&error))?;
            let text = text.trim_end_matches(['\n', '\r']);
            if text.is_empty() {
                Err("the file is empty".to_owned())
            } else {
                Ok(text.to_owned())
            }
        }
    }
}

/// A secret of the node itself, read when it is needed: plans only name secrets. `folder` is that of
/// the site.
pub fn secret(folder: &Path, reference: &str) -> Result<String, String> {
    let place = Place::of(reference);
    let place = place.ok_or("a secret is named by env:NAME or file:PATH")?;
    look_up(folder, &Variables::Process, &place)
        .map_err(|reason| format!("the secret `{reference}` is not there: {reason}"))
}

/// What tells one version of a file from the next and says nothing about its content, which may be
/// a password that somebody could guess from its hash.
fn stamp(path: &Path) -> String {
    let Ok(about) = path.metadata() else {
        return "absent".to_owned();
    };
    let changed = about.modified().ok().and_then(|time| {
        let since = time.duration_since(std::time::UNIX_EPOCH);
        since.ok().map(|since| since.as_nanos())
    });
    format!("{} {} {changed:?}", about.len(), about.ino())
}

enum Place<'r> {
    Variable(&'r str),
    File(&'r str),
}

impl<'r> Place<'r> {
    fn of(reference: &'r str) -> Option<Self> {
        if let Some(name) = reference.strip_prefix("env:") {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            return (!name.is_empty() && name.chars().all(good)).then_some(Self::Variable(name));
        }
        reference
            .strip_prefix("file:")
            .filter(|path| !path.is_empty())
            .map(Self::File)
    }
}

impl Site for SiteView<'_> {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        self.read_file(path)
            .map_err(|error| format!("cannot read `{path}`: {error}"))
    }

    fn secret(&self, reference: &str) -> Result<String, String> {
        let Some(place) = Place::of(reference) else {
            return Err("a secret is named by env:NAME or file:PATH".to_owned());
        };
        self.note_secret(reference);
        match self.secrets {
            Secrets::Unread => Ok("unread".to_owned()),
            Secrets::Required => look_up(self.folder.root(), self.variables, &place)
                .map_err(|reason| format!("the secret `{reference}` is not there: {reason}")),
        }
    }

    fn note_file(&self, path: &str) {
        self.note_stamp(path);
    }

    fn system(&self, name: &str) -> Option<Arc<SystemInfo>> {
        let system = self.systems.get(name)?;
        self.lock().systems.insert(name.to_owned());
        Some(system.info.clone())
    }

    fn system_names(&self) -> Vec<String> {
        self.systems.keys().cloned().collect()
    }

    fn folder(&self) -> &Path {
        self.folder.root()
    }

    fn production(&self) -> bool {
        self.production
    }

    fn list(&self, folder: &str) -> Vec<String> {
        self.folder.list(folder)
    }

    fn format(&self, name: &str) -> Result<Arc<dyn Format>, String> {
        let registry = self.registry.ok_or("no format is known here")?;
        registry.format(name, &FormatOptions::default())
    }

    fn zone(&self) -> Option<String> {
        self.zone.map(str::to_owned)
    }

    fn terminology(&self) -> Result<Arc<dyn Terminology>, String> {
        let opened = self.terminology.ok_or("no code systems are at hand here")?;
        let opened = opened.get(self.folder)?;
        let state = opened.state().as_bytes().into();
        self.lock().files.insert(STATE.to_owned(), state);
        Ok(opened)
    }

    fn fhir(&self) -> Option<FhirStores> {
        self.fhir.clone()
    }
}

impl fmt::Debug for SiteView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteView")
            .field("folder", &self.folder.root())
            .finish_non_exhaustive()
    }
}
