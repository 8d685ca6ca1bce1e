//! What a `split` step is set by.

use hilum_component::Expr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes several messages of one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// What each new message holds one of: a segment or group of HL7 v2 (`OBX`,
    /// `` `ORDER_OBSERVATION` ``), the items of an array of JSON, an element of XML, `row` of
    /// delimited text, `Bundle.entry` or `Bundle.entry.resource` of FHIR.
    pub(crate) each: Expr,
    /// What else each new message holds: everything that does not repeat (`envelope`), or
    /// nothing (`part`; JSON, XML and FHIR only).
    #[serde(default)]
    pub(crate) keep: Keep,
    /// New messages that one message may become.
    #[serde(default = "parts_max")]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) parts_max: usize,
}

const fn parts_max() -> usize {
    10_000
}

/// What each new message holds beside its part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Keep {
    /// Everything that does not repeat: MSH and PID, the header of delimited text, the object
    /// around an array.
    #[default]
    Envelope,
    /// The part alone.
    Part,
}
