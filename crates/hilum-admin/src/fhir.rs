//! What the management API knows of the FHIR server beside it: where it is, and its long work. The
//! program hands it over, so that this crate knows no FHIR.

use std::path::{Path, PathBuf};

use hilum_component::BoxFuture;
use hilum_journal::Cancel;
use serde::Serialize;

/// Work of the FHIR server that takes longer than a request, and is not done.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FhirWork {
    /// The tenant; empty for the first one.
    pub tenant: String,
    /// `export`, `import`, `request`, `erase`, `reindex`.
    pub kind: String,
    /// `waiting`, `running`, `failed`.
    pub state: &'static str,
    /// The id of the job; a reindex has none.
    pub job: Option<String>,
    /// What is done.
    pub done: Option<u64>,
    /// What there is to do, where that is known.
    pub total: Option<u64>,
    /// Since when, Unix milliseconds.
    pub since_ms: Option<i64>,
    /// How far it is, or why it failed; no content.
    pub text: String,
}

/// The work of the server, or why it cannot be told.
pub type FhirWorkList = Result<Vec<FhirWork>, String>;

/// A FHIR server beside the API.
pub struct FhirSide {
    /// Where it is.
    pub url: String,
    /// Asks for its work.
    pub work: Box<dyn Fn() -> BoxFuture<'static, FhirWorkList> + Send + Sync>,
}

impl std::fmt::Debug for FhirSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FhirSide({})", self.url)
    }
}

/// A store of resources, for who looks after the data of a node. Its methods block.
pub trait FhirStore: Send + Sync {
    /// Its file without the folder, or its place in a database without user and password.
    fn name(&self) -> String;

    /// Copies one moment of it into a folder, synced, while it is in use.
    fn back_up(&self, to: &Path, cancel: &Cancel) -> Result<FhirCopy, String>;

    /// What does not hold together: kinds and numbers only; empty is good.
    fn verify(&self, cancel: &Cancel) -> Result<Vec<String>, String>;
}

/// What became of the copy of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FhirCopy {
    /// It is this file.
    Made(PathBuf),
    /// Another program has to copy it: how.
    By(String),
}

/// The stores of a data folder and of the FHIR server on it.
pub type FhirStores = Vec<Box<dyn FhirStore>>;
