//! What the step is set by.

use schemars::JsonSchema;
use serde::Deserialize;

/// Holds a message against what is known of its patient, visit and orders.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// The system that sends: its authorities, its time zone, and what it wants done about patients
    /// that nobody knows. The one that the step `sender` recognised where it is not set, else that of
    /// the channel's source.
    #[schemars(extend("format" = "system"))]
    pub(crate) system: Option<String>,
    /// What becomes of an identifier that was merged into another one: the survivor's takes its
    /// place (`rewrite`), or the message stays as it is (`keep`). A finding says so in both cases.
    #[serde(default)]
    pub(crate) merged: Merged,
}

/// What becomes of an identifier that was merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Merged {
    /// That of the survivor takes its place.
    #[default]
    Rewrite,
    /// It stays.
    Keep,
}
