//! Code systems from the releases that users have copies of, in the formats that they come in.
//!
//! A release is a folder, a zip as it was downloaded, or one file. It is read as a stream, file by
//! file; what grows with its size is the table that it becomes. Every error names the file and the
//! line. Nothing is written here: [`crate::installed`] keeps what an import gives.
//!
//! Limits: [`LINE_BYTES_MAX`] a line or a column, 100,000 files in a release, [`XML_BYTES_MAX`] an
//! XML file, 50 MB a FHIR resource, 4 GB of texts of one kind and 65,534 kinds of properties in a
//! table.

mod build;
mod error;
mod fhir;
mod icd10;
mod input;
mod lines;
mod loinc;
mod meter;
mod ndc;
mod parts;
mod plain;
mod rxnorm;
mod snomed;
mod snomed_names;
mod tabular;
mod vaccines;
mod zip;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::system::System;

pub use error::ImportError;
pub use lines::LINE_BYTES_MAX;
pub use meter::Seen;
pub use parts::{Keep, Progress, progress};
pub(crate) use snomed::{MEMBER_OF, URL as SNOMED};
pub use tabular::XML_BYTES_MAX;

use input::Input;
use meter::Meter;
use parts::Parts;

/// A format of releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// LOINC: `LoincTable/Loinc.csv` with its accessory files.
    Loinc,
    /// SNOMED CT: an RF2 snapshot.
    Snomed,
    /// RxNorm: RRF files.
    Rxnorm,
    /// ICD-10-CM: the tabular XML or the order file.
    Icd10cm,
    /// ICD-10-PCS: the order file.
    Icd10pcs,
    /// CVX: the CDC's table, with bars or as XML.
    Cvx,
    /// MVX: the CDC's table, with bars or as XML.
    Mvx,
    /// NDC: the FDA's `product.txt` and `package.txt`.
    Ndc,
    /// A table with commas.
    Csv,
    /// FHIR: a package or files of resources.
    Fhir,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Loinc,
        Self::Snomed,
        Self::Rxnorm,
        Self::Icd10cm,
        Self::Icd10pcs,
        Self::Cvx,
        Self::Mvx,
        Self::Ndc,
        Self::Csv,
        Self::Fhir,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loinc => "loinc",
            Self::Snomed => "snomed",
            Self::Rxnorm => "rxnorm",
            Self::Icd10cm => "icd10cm",
            Self::Icd10pcs => "icd10pcs",
            Self::Cvx => "cvx",
            Self::Mvx => "mvx",
            Self::Ndc => "ndc",
            Self::Csv => "csv",
            Self::Fhir => "fhir",
        }
    }

    /// The format with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What is to be imported.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// Its format.
    pub kind: Kind,
    /// The folder, the zip or the file.
    pub path: &'r Path,
    /// The version, where the files do not tell it.
    pub version: Option<&'r str>,
    /// The URL of the code system; for tables with commas.
    pub url: Option<&'r str>,
}

/// What a release gives.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Code systems with their tables.
    pub systems: Vec<Arc<System>>,
    /// Definitions as compact JSON: value sets, concept maps, naming systems, small code systems.
    pub resources: Vec<Definition>,
    /// What was left out, and how often.
    pub left_out: Vec<(String, usize)>,
}

/// A definition as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The type of the resource.
    pub kind: String,
    /// Its canonical URL; of a naming system its name.
    pub url: String,
    /// Its version.
    pub version: Option<String>,
    /// The resource.
    pub json: String,
}

/// What a release is known by again: the SHA-256 of a file, or of the names, lengths and times of the
/// files of a folder.
pub fn fingerprint(path: &Path) -> Result<String, ImportError> {
    let fails = |error| ImportError::Read(path.display().to_string(), error);
    let mut digest = Sha256::new();
    if path.is_dir() {
        let mut ignored = |_: &Seen| {};
        let input = Input::open(path, Meter::new(&mut ignored), Parts::default())?;
        for member in input.members() {
            digest.update(member.stamp());
        }
    } else {
        let mut file = File::open(path).map_err(fails)?;
        let mut bytes = vec![0; 1 << 16];
        loop {
            let count = file.read(&mut bytes).map_err(fails)?;
            if count == 0 {
                break;
            }
            digest.update(bytes.get(..count).unwrap_or_default());
        }
    }
    let digits = digest.finalize();
    Ok(digits.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads a release, telling now and then how far it is.
pub fn read<'t>(
    request: &Request<'_>,
    tell: &'t mut (dyn FnMut(&Seen) + 't),
) -> Result<Imported, ImportError> {
    read_by(request, Meter::new(tell), Parts::default())
}

/// The same, going on behind the files that were read when the import was broken off before. The
/// outcome is the same as without a break.
pub fn resume<'t>(
    request: &Request<'_>,
    tell: &'t mut (dyn FnMut(&Seen) + 't),
    keep: &'t mut (dyn Keep + 't),
) -> Result<Imported, ImportError> {
    read_by(request, Meter::new(tell), Parts::new(request, keep))
}

fn read_by<'t>(
    request: &Request<'_>,
    meter: Rc<Meter<'t>>,
    parts: Parts<'t>,
) -> Result<Imported, ImportError> {
    let input = Input::open(request.path, meter, parts)?;
    let imported = match request.kind {
        Kind::Loinc => loinc::read(&input, request.version)?,
        Kind::Snomed => snomed::read(&input, request.version)?,
        Kind::Rxnorm => rxnorm::read(&input, request.version)?,
        Kind::Icd10cm => icd10::clinical(&input, request.version)?,
        Kind::Icd10pcs => icd10::procedures(&input, request.version)?,
        Kind::Cvx => vaccines::codes(&input, request.version)?,
        Kind::Mvx => vaccines::makers(&input, request.version)?,
        Kind::Ndc => ndc::read(&input, request.version)?,
        Kind::Csv => plain::read(&input, request.url, request.version)?,
        Kind::Fhir => fhir::read(&input)?,
    };
    input.meter.tell();
    Ok(imported)
}
