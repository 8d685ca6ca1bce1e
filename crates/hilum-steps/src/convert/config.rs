//! What a `convert` step is set by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes a FHIR Bundle of a message of HL7 v2.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// What messages become.
    pub(crate) to: To,
    /// The kind of Bundle.
    #[serde(default)]
    pub(crate) bundle: Bundle,
    /// How the message as it came is kept in the Bundle.
    #[serde(default)]
    pub(crate) original: Original,
    /// The folder of map files (`*.map`) that are laid over the rows of hilum.
    #[serde(default = "maps")]
    pub(crate) maps: String,
    /// The system whose assigning authorities, code systems and time zone hold. Without it, those of
    /// the system that the step `sender` recognised.
    #[serde(default)]
    #[schemars(extend("format" = "system"))]
    pub(crate) system: Option<String>,
    /// The time zone of times without an offset (`Europe/Berlin`, `+01:00`), before that of the
    /// system and that of the node.
    #[serde(default)]
    pub(crate) zone: Option<String>,
    /// The country that rows ask for as `%country` (`US`).
    #[serde(default)]
    pub(crate) country: Option<String>,
    /// The profile that rows ask for as `%profile` (`us-core`).
    #[serde(default)]
    pub(crate) profile: Option<String>,
    /// What is recorded of what could not be carried over.
    #[serde(default)]
    pub(crate) report: Report,
}

fn maps() -> String {
    "maps".to_owned()
}

/// What messages become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum To {
    /// FHIR R4.
    Fhir,
}

/// The kind of Bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bundle {
    /// What a server carries out: what is known is updated, not doubled.
    #[default]
    Transaction,
    /// A FHIR message, MessageHeader first.
    Message,
    /// Resources alone.
    Collection,
}

/// How the message as it came is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Original {
    /// It is not; the journal has it.
    #[default]
    None,
    /// As a Binary.
    Binary,
    /// As the attachment of a DocumentReference.
    DocumentReference,
}

/// What is recorded beside the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// Values that were refused, dropped or without a row, and the places that no row reads.
    #[default]
    All,
    /// The former alone.
    Values,
    /// Nothing.
    None,
}
