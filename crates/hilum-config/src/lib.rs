//! A folder of YAML and tables, checked into a plan.
//!
//! [`load`] reads a site, collects every problem as a [`Diagnostic`] with its place and remedy,
//! and gives a [`hilum_component::Plan`] only where there is no error. What a file may hold comes
//! from the structs of this crate and from the [`hilum_component::ComponentSpec`] of each
//! component: the checker, the editor schema, the reference and the documents of a site are all
//! made from them.
//!
//! Invariants: a bad file never gives a plan; the digest of a plan does not depend on where the
//! folder lies; a secret is never read into a plan, a diagnostic or a document of its own accord;
//! no text makes this crate panic. It opens no socket and runs no message, except that tests go
//! through [`hilum_component::process`].

mod check;
mod diagnostic;
mod document;
mod file;
mod kept;
mod plan;
mod reference;
mod site;
mod trial;
mod yaml;

pub use check::{Use, UseKind};
pub use diagnostic::{
    DIAGNOSTICS_MAX, Diagnostic, Explanation, Place, Related, Severity, Summary, explain,
    explanations, render, summary,
};
pub use document::{Block, Form, Impact, ImpactChannel, Role, document, impact, rendered};
pub use kept::{KeptError, KeptPlan, KeptPlans};
pub use plan::{
    ChannelSummary, CheckPackages, FhirDatabase, FhirDatabaseTls, FhirPlan, FhirSubscriptions,
    FhirTenant, FhirTopic, FhirTrigger, Loaded, OpenTerminology, Options, PackageProblem,
    PartSummary, RuleSummary, SiteSummary, SystemSummary, Validate, load, load_all, load_folder,
    load_kept,
};
pub use reference::{SCHEMA_FILES, pages, schema};
pub use site::{FILES_MAX, Folder, ReadError, SITE_FILE_BYTES_MAX, Secrets, Variables, secret};
pub use trial::{
    ChannelCoverage, Coverage, Difference, TableCoverage, TestResult, TestRun, junit, run_tests,
};
pub use yaml::{DEPTH_MAX, FILE_BYTES_MAX, NODES_MAX, yaml_texts};
