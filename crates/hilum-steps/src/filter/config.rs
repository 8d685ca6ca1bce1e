//! What a filter is set by.

use hilum_component::Expr;
use schemars::JsonSchema;
use serde::Deserialize;

/// Lets only messages through for which a condition holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// A message goes on if this holds.
    #[serde(rename = "if")]
    pub(crate) holds: Option<Expr>,
    /// A message goes on unless this holds.
    pub(crate) unless: Option<Expr>,
    /// What the record of a filtered message says; the condition without it.
    pub(crate) reason: Option<String>,
}
