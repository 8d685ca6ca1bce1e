//! What a `script` step is set by.

use hilum_component::SiteFile;
use schemars::JsonSchema;
use serde::Deserialize;

/// Runs a function of JavaScript on each message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// The file with the function.
    pub(crate) file: Option<SiteFile>,
    /// The function itself, instead of a file.
    pub(crate) code: Option<String>,
}
