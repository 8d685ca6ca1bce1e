//! What the management API knows of the FHIR server beside it: where it is, and its long work. The
//! program hands it over, so that this crate knows no FHIR.

use hilum_component::BoxFuture;
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
