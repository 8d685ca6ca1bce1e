//! Arguments of `hilum terminology`: code systems from licensed copies, in a data folder.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::node::Node;

/// `hilum terminology`
///
/// What is loaded lies in the folder `terminology` of the data folder. Versions stand side by side;
/// what is active answers, and of two versions the one that was activated last answers questions
/// that name none.
#[derive(Debug, Args)]
pub(crate) struct Terminology {
    #[command(subcommand)]
    pub(crate) command: TerminologyCommand,
}

/// What can be done with code systems.
#[derive(Debug, Subcommand)]
pub(crate) enum TerminologyCommand {
    /// Loads a release of a code system; the same release again is noticed and left alone, and an
    /// import that was broken off goes on
    Import(TerminologyImport),
    /// Lists what is loaded, what of it is active, and imports that were broken off
    List(TerminologyList),
    /// Lets a load answer, before those that are active already
    Activate(TerminologyLoad),
    /// Lets a load answer no more
    Deactivate(TerminologyLoad),
    /// Removes a load that is not active, or what an import that was broken off has left
    Remove(TerminologyRemove),
}

/// A format of releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TerminologyKind {
    /// LOINC: folder or zip with LoincTable/Loinc.csv and AccessoryFiles
    Loinc,
    /// SNOMED CT: folder or zip with an RF2 snapshot
    Snomed,
    /// RxNorm: folder or zip with RXNCONSO.RRF, RXNREL.RRF, RXNSAT.RRF
    Rxnorm,
    /// ICD-10-CM: the tabular XML or the order file
    Icd10cm,
    /// ICD-10-PCS: the order file
    Icd10pcs,
    /// CVX: cvx.txt or the XML of the CDC
    Cvx,
    /// MVX: mvx.txt or the XML of the CDC
    Mvx,
    /// NDC: folder or zip with product.txt and package.txt of the FDA
    Ndc,
    /// A table with commas and the columns code, display, parent, status and others
    Csv,
    /// FHIR: a package (.tgz), or files of CodeSystem, ValueSet, ConceptMap and NamingSystem
    Fhir,
}

/// `hilum terminology import`
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(crate) struct TerminologyImport {
    /// The format of the release
    #[arg(value_enum)]
    pub(crate) kind: TerminologyKind,
    /// The folder, the zip as it was downloaded, or the file
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// The version, where the files do not tell it; of SNOMED CT also as MODULE/DATE
    #[arg(long = "version", value_name = "VERSION")]
    pub(crate) release: Option<String>,
    /// The URL of the code system, for csv
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Activates it as well
    #[arg(long)]
    pub(crate) activate: bool,
    /// Reads everything again, also what the same import had read before it was broken off
    #[arg(long)]
    pub(crate) restart: bool,
    #[command(flatten)]
    pub(crate) data: TerminologyData,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// Where loads lie.
#[derive(Debug, Args)]
pub(crate) struct TerminologyData {
    /// The folder given to `hilum run --data`
    #[arg(long, value_name = "FOLDER", env = "HILUM_DATA")]
    pub(crate) data: PathBuf,
}

/// `hilum terminology list`
#[derive(Debug, Args)]
pub(crate) struct TerminologyList {
    #[command(flatten)]
    pub(crate) data: TerminologyData,
}

/// `hilum terminology activate` and `deactivate`
#[derive(Debug, Args)]
pub(crate) struct TerminologyLoad {
    /// What `hilum terminology list` calls it, such as loinc-2.78
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) data: TerminologyData,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `hilum terminology remove`
#[derive(Debug, Args)]
pub(crate) struct TerminologyRemove {
    /// What `hilum terminology list` calls it, such as loinc-2.78
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) data: TerminologyData,
}
