//! What a `validate` step is set by.

use hilum_component::SiteFile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Holds messages of HL7 v2 against a conformance profile, or against the standard.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// The profile, in the XML of the NIST tools; the dictionary of the message's version without
    /// one.
    pub(crate) profile: Option<SiteFile>,
    /// The constraints of the profile.
    pub(crate) constraints: Option<SiteFile>,
    /// The value sets of the profile.
    pub(crate) value_sets: Option<SiteFile>,
    /// The bindings of value sets.
    pub(crate) bindings: Option<SiteFile>,
    /// What an error means for the message: it goes on with findings (`warn`) or is rejected
    /// (`reject`).
    #[serde(default)]
    pub(crate) level: Level,
    /// Findings that are listed for one message.
    #[serde(default = "findings_max")]
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) findings_max: usize,
}

const fn findings_max() -> usize {
    100
}

/// What an error means for the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// It goes on, with findings.
    #[default]
    Warn,
    /// It is rejected with the first error.
    Reject,
}
