//! What a `route` step is set by.

use hilum_component::Expr;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Chooses the destinations of a message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// Destinations, each with the condition under which it gets the message.
    #[schemars(with = "Option<std::collections::BTreeMap<String, Expr>>")]
    pub(crate) to: Option<Map<String, Value>>,
    /// An expression whose values are names of destinations.
    pub(crate) by: Option<Expr>,
    /// Destinations of a message for which nothing else was chosen.
    pub(crate) default: Option<Vec<String>>,
}
