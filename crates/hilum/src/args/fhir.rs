//! Arguments of `hilum fhir`: files of resources, without a running node.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `hilum fhir`
#[derive(Debug, Args)]
pub(crate) struct Fhir {
    #[command(subcommand)]
    pub(crate) command: FhirCommand,
}

/// What can be done with files of resources.
#[derive(Debug, Subcommand)]
pub(crate) enum FhirCommand {
    /// Checks resources against FHIR R4
    Validate(FhirValidate),
    /// Writes a resource in the other form
    Convert(FhirConvert),
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
