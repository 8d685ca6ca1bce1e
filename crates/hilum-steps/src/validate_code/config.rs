//! What a `validate-code` step is set by.

use hilum_component::{Expr, PathText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::unmapped::Unmapped;

/// Looks whether codes are in a value set.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// The codes: every occurrence that the path selects. In HL7 v2 a coded field stands for its
    /// code and its code system; so do a Coding and a CodeableConcept of FHIR.
    pub(crate) field: Expr,
    /// The value set, by its canonical URL, with `|VERSION` where the newest one is not wanted: one
    /// that is loaded (`hilum terminology`), one that ships, or an implicit one of SNOMED CT or
    /// LOINC. Code systems that a message names are known by `code-systems` of the file of its sender
    /// and by table 0396.
    pub(crate) value_set: String,
    /// The URL of the code system of codes that come without one, or with a name that nobody knows.
    pub(crate) code_system: Option<String>,
    /// What happens to a message with a code that is not in the value set: it goes on as it is
    /// (`keep`), goes on with a finding (`flag`), waits for a person (`hold`; once released it goes
    /// on with a finding), or is rejected (`reject`). In each case the code is registered
    /// (`hilum codes unmapped`).
    #[serde(default)]
    pub(crate) invalid: Unmapped,
    /// A value beside the message, `meta.NAME`, that takes `true` if all codes are in the value set
    /// and else `false`; without a code there is none. Conditions behind the step read it:
    /// `%meta.NAME = 'true'`.
    pub(crate) to: Option<PathText>,
}
