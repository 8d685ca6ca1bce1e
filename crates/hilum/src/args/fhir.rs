//! Arguments of `hilum fhir`: files of resources without a running node, and the FHIR server of one.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::node::Node;

/// `hilum fhir`
#[derive(Debug, Args)]
pub(crate) struct Fhir {
    #[command(subcommand)]
    pub(crate) command: FhirCommand,
}

/// What can be done with resources.
#[derive(Debug, Subcommand)]
pub(crate) enum FhirCommand {
    /// Checks resources against FHIR R4
    Validate(FhirValidate),
    /// Writes a resource in the other form
    Convert(FhirConvert),
    /// Writes the resources of a node's FHIR server into files, one resource a line
    Export(FhirExport),
    /// Stores the resources of files in a node's FHIR server
    Import(FhirImport),
    /// Removes a resource, or a patient with everything about them, for good
    Erase(FhirErase),
    /// Shows search parameters beside the standard's, and how far the index is
    SearchParameters(FhirParameters),
}

/// The FHIR server of which node, and which of its tenants.
#[derive(Debug, Args)]
pub(crate) struct FhirNode {
    #[command(flatten)]
    pub(crate) node: Node,
    /// The tenant; the first store without it
    #[arg(long, display_order = 801, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
}

/// `hilum fhir export`
#[derive(Debug, Args)]
pub(crate) struct FhirExport {
    /// The folder of the files; the same command goes on where it was broken off
    #[arg(long, value_name = "FOLDER", required = true)]
    pub(crate) to: PathBuf,
    /// Of these types alone
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// What changed since then, and what was deleted
    #[arg(long, value_name = "INSTANT")]
    pub(crate) since: Option<String>,
    /// A search that resources of its type have to match, such as Observation?status=final
    #[arg(long, value_name = "SEARCH")]
    pub(crate) type_filter: Vec<String>,
    /// What is about patients
    #[arg(long)]
    pub(crate) patients: bool,
    /// What is about the patients of this group
    #[arg(long, value_name = "ID", conflicts_with = "patients")]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) node: FhirNode,
}

/// `hilum fhir import`
#[derive(Debug, Args)]
pub(crate) struct FhirImport {
    /// Files (.ndjson, .ndjson.gz, .ndjson.zst), or folders of them; the same command goes on where
    /// the import of a folder was cut off
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) node: FhirNode,
}

/// `hilum fhir erase`
#[derive(Debug, Args)]
pub(crate) struct FhirErase {
    /// Type and id, such as Patient/p1
    #[arg(value_name = "TYPE/ID")]
    pub(crate) resource: String,
    /// The patient without what is about them
    #[arg(long)]
    pub(crate) alone: bool,
    /// Does it; what would go is only counted without it
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) node: FhirNode,
}

/// `hilum fhir search-parameters`
#[derive(Debug, Args)]
pub(crate) struct FhirParameters {
    /// Indexes every resource again
    #[arg(long)]
    pub(crate) rebuild: bool,
    #[command(flatten)]
    pub(crate) node: FhirNode,
}

/// `hilum fhir validate`
#[derive(Debug, Args)]
pub(crate) struct FhirValidate {
    /// Files (JSON, XML, or NDJSON with a resource a line), or folders of them
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Shows errors alone
    #[arg(long)]
    pub(crate) errors_only: bool,
    /// The folder given to `hilum run --data`: codes are looked for in the value sets and code
    /// systems that are loaded there, and in those that ship
    #[arg(long, value_name = "FOLDER", env = "HILUM_DATA")]
    pub(crate) data: Option<PathBuf>,
}

/// `hilum fhir convert`
#[derive(Debug, Args)]
pub(crate) struct FhirConvert {
    /// A resource in JSON or XML
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The form to write
    #[arg(long, value_enum)]
    pub(crate) to: FhirForm,
    /// Without line breaks and indentation
    #[arg(long)]
    pub(crate) compact: bool,
    /// Writes to a file instead
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// A form of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FhirForm {
    /// `application/fhir+json`
    Json,
    /// `application/fhir+xml`
    Xml,
}
