//! What the step is set by.

use schemars::JsonSchema;
use serde::Deserialize;

/// Recognises which system of a group sent a message, by MSH-3 and MSH-4.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// The group: every system whose file says `group: NAME` may send.
    #[schemars(extend("format" = "system-group"))]
    pub(crate) group: String,
}
