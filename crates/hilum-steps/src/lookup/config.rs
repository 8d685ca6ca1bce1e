//! What a `lookup` step is set by.

use hilum_component::{Expr, PathText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::unmapped::Unmapped;

/// Writes what a code system says of codes.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// The codes: every occurrence that the path selects. In HL7 v2 a coded field stands for its
    /// code and its code system; so do a Coding and a CodeableConcept of FHIR.
    pub(crate) field: Expr,
    /// The URL of the code system, with `|VERSION` where the newest one is not wanted: one that is
    /// loaded (`hilum terminology`) or ships. Codes that come without a system, or with a name that
    /// nobody knows, are looked up in it too; those of other systems stay as they are.
    pub(crate) code_system: String,
    /// What is wanted: `display`, `definition`, `designation` (other names), `parent`, `child`, or
    /// a property of the code system, such as `SCALE_TYP` of LOINC.
    #[serde(default = "display")]
    pub(crate) property: String,
    /// The language of the display or of the designations (`de`, `fr-CA`). A code without a display
    /// in it has the one of the code system.
    pub(crate) language: Option<String>,
    /// Where it is written: a value beside the message (`meta.NAME`), or in HL7 v2 a field of the
    /// segment of the code (`OBX-15`). Without it a display becomes the text of the code: component
    /// 2 of a coded field, `display` of a Coding. A code of which the system does not say it leaves
    /// a field as it is.
    pub(crate) to: Option<PathText>,
    /// Between several values of a code, and between those of several codes in `meta.NAME`; without
    /// it the first one is written.
    pub(crate) separator: Option<String>,
    /// What happens to a message with a code that the system does not have: it goes on as it is
    /// (`keep`), goes on with a finding (`flag`), waits for a person (`hold`; once released it goes
    /// on with a finding), or is rejected (`reject`). In each case the code is registered
    /// (`hilum codes unmapped`).
    #[serde(default)]
    pub(crate) unknown: Unmapped,
}

fn display() -> String {
    "display".to_owned()
}
