//! From a folder to a checked plan.
//!
//! [`load`] reads every file, reports every problem at once, and gives a plan only where there is
//! no error. Nothing here opens a socket.

mod alert;
mod build;
mod channel;
mod clinical;
mod cross;
mod database;
mod digest;
mod environments;
mod fhir;
mod gather;
mod handover;
mod marks;
mod packages;
mod summary;
mod terminology;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hilum_component::{FhirDoor, Marking, Plan, Registry, SystemInfo};

pub use environments::load_all;
pub use fhir::{
    FhirDatabase, FhirDatabaseTls, FhirPlan, FhirSubscriptions, FhirTenant, FhirTopic, FhirTrigger,
    Validate,
};
pub use packages::{CheckPackages, PackageProblem};
pub use summary::{ChannelSummary, PartSummary, RuleSummary, SiteSummary, SystemSummary};
pub use terminology::OpenTerminology;
pub(crate) use terminology::{Opened, STATE};

use crate::diagnostic::{Diagnostic, Report, Severity};
use crate::site::{Folder, Secrets, Variables};
pub(crate) use build::made_by;
use build::markings;
use gather::Gathered;
pub(crate) use gather::read_text;

/// How a site is loaded.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The environment of `environments/`; the one that `hilum.yaml` names where it is not set.
    pub environment: Option<String>,
    /// Whether secrets must be there.
    pub secrets: Secrets,
    /// Where `env:` references look.
    pub variables: Variables,
    /// The way to the node's FHIR stores, for a plan that is run.
    pub fhir: FhirDoor,
    /// The types of resources that there are, which `validate-types` names; not compared where empty.
    pub resource_types: Vec<&'static str>,
    /// Looks into packages of FHIR, where somebody can.
    pub packages: Option<CheckPackages>,
    /// The code systems that steps see.
    pub terminology: OpenTerminology,
}

/// What became of a site.
#[derive(Debug)]
pub struct Loaded {
    /// The plan, if nothing is wrong.
    pub plan: Option<Plan>,
    /// The FHIR server that the site asks for; the engine knows nothing of it.
    pub fhir: Option<FhirPlan>,
    /// What is wrong or doubtful, by file and line.
    pub diagnostics: Vec<Diagnostic>,
    /// The number of files that were read as configuration.
    pub files: usize,
    /// What the channels are made of, for documents and `hilum impact`.
    pub site: SiteSummary,
    /// The systems as components see them.
    pub systems: BTreeMap<String, Arc<SystemInfo>>,
    /// The IANA name of the node's time zone.
    pub zone: Option<String>,
    /// What marks the messages of HL7 v2 of each system; behind no name those of any other.
    pub marking: BTreeMap<String, Marking>,
    /// Every file that the plan was made of, so that [`load_kept`] can make it again.
    pub snapshot: BTreeMap<String, Arc<[u8]>>,
}

impl Loaded {
    /// The number of errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count()
    }
}

/// Loads the site of a folder.
#[must_use]
pub fn load(folder: &Path, registry: &Registry, options: &Options) -> Loaded {
    load_folder(&Folder::on_disk(folder), registry, options)
}

/// Loads a site from the files that were kept with an earlier plan.
#[must_use]
pub fn load_kept(
    folder: &Path,
    files: BTreeMap<String, Arc<[u8]>>,
    registry: &Registry,
    options: &Options,
) -> Loaded {
    load_folder(&Folder::kept(folder, files), registry, options)
}

/// Loads a site from a folder that is already open.
#[must_use]
pub fn load_folder(folder: &Folder, registry: &Registry, options: &Options) -> Loaded {
    let mut report = Report::default();
    let gathered = Gathered::read(folder, registry, options, &mut report);
    let (plan, site) = channel::plan(&gathered, folder, registry, options, &mut report);
    let fhir = fhir::plan(&gathered, folder, options, &mut report);
    let plan = if report.errors() == 0 { plan } else { None };
    Loaded {
        plan,
        fhir,
        files: gathered.files.count(),
        diagnostics: report.finish(&gathered.files),
        site,
        systems: gathered
            .systems
            .iter()
            .map(|(name, system)| (name.clone(), Arc::clone(&system.info)))
            .collect(),
        zone: gathered.node.as_ref().and_then(|node| node.zone.clone()),
        marking: markings(&gathered, registry),
        snapshot: folder.snapshot(),
    }
}
