//! What an `expand` step is set by.

use hilum_component::PathText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Writes the codes of a value set beside the message.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// The value set, by its canonical URL, with `|VERSION` where the newest one is not wanted: one
    /// that is loaded (`hilum terminology`), one that ships, or an implicit one of SNOMED CT or
    /// LOINC.
    pub(crate) value_set: String,
    /// Only codes with a name of which words begin with these.
    pub(crate) filter: Option<String>,
    /// Codes that there may be, at most 10,000; with more the step is refused when the site is
    /// checked.
    #[serde(default = "count")]
    pub(crate) count: usize,
    /// Between two codes.
    #[serde(default = "comma")]
    pub(crate) separator: String,
    /// The value beside the message that takes them, `meta.NAME`. Conditions behind the step read
    /// it: `OBX-3.1.subsetOf(%meta.NAME.split(','))`.
    pub(crate) to: PathText,
}

const fn count() -> usize {
    super::COUNT
}

fn comma() -> String {
    ",".to_owned()
}
