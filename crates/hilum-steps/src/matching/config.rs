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
    /// What becomes of a registration that comes after a newer one of the same patient or visit: it
    /// goes on with the newest values in place of the older ones, and as a change (A08) where its
    /// event is over, or ends if it says nothing new (`newest`); it ends (`withhold`); or it stays as
    /// it is (`keep`). One that changes links never ends. A finding says so in each case.
    #[serde(default)]
    pub(crate) late: Late,
}

/// What becomes of a registration that comes late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Late {
    /// The newest values take the place of the older ones.
    #[default]
    Newest,
    /// It ends.
    Withhold,
    /// It stays.
    Keep,
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
