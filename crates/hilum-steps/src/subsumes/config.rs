//! What a `subsumes` step is set by.

use hilum_component::{Expr, PathText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::unmapped::Unmapped;

/// Looks which of some codes the codes of a message are, or are a kind of.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// The codes of the message: every occurrence that the path selects. In HL7 v2 a coded field
    /// stands for its code and its code system; so do a Coding and a CodeableConcept of FHIR.
    pub(crate) field: Expr,
    /// The URL of the code system, with `|VERSION` where the newest one is not wanted: one that is
    /// loaded (`hilum terminology`) or ships. Codes that come without a system, or with a name that
    /// nobody knows, are looked for in it too; those of other systems are a kind of nothing.
    pub(crate) code_system: String,
    /// The codes that are asked about, up to 100 of the code system: the first one that is a code of
    /// the message or above it in the hierarchy is the answer.
    pub(crate) codes: Vec<String>,
    /// The value beside the message that takes the answer, `meta.NAME`; there is none if no code of
    /// the message is a kind of any of them. Conditions behind the step read it:
    /// `%meta.NAME.exists()`, `%meta.NAME = 'CODE'`.
    pub(crate) to: PathText,
    /// What happens to a message with a code that the system does not have: it goes on as it is
    /// (`keep`), goes on with a finding (`flag`), waits for a person (`hold`; once released it goes
    /// on with a finding), or is rejected (`reject`). In each case the code is registered
    /// (`hilum codes unmapped`).
    #[serde(default)]
    pub(crate) unknown: Unmapped,
}
