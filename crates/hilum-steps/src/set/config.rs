//! What a `set` step is set by.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Places to write, in order, each with the expression whose value it takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Config(
    #[schemars(
        with = "std::collections::BTreeMap<hilum_component::PathText, hilum_component::Expr>",
        extend("propertyNames" = { "format": "path" })
    )]
    pub(crate) Map<String, Value>,
);
