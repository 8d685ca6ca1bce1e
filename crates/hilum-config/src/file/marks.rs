//! What marks messages as confidential or as ones about test patients, in `hilum.yaml` and in
//! `systems/*.yaml`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What values of a field of HL7 v2 mean for confidentiality. For these values it stands in the place
/// of what hilum would make of them itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct LabelListFile {
    /// The field, such as `PV1-16` or `OBX-3`; its first component is read unless another is named.
    pub(crate) field: String,
    /// The values, in any case; `*` is every value.
    #[schemars(length(min = 1))]
    pub(crate) codes: Vec<String>,
    /// The labels: codes of HL7 v3 Confidentiality (`R`, `V`) or ActCode (`HIV`, `PSY`, `CEL`), or
    /// `SYSTEM|CODE`. An empty list says that the values mean nothing.
    pub(crate) labels: Vec<String>,
}

/// Patients who are none; everything that is set must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct TestPatientsFile {
    /// Family names (PID-5.1), in any case; a `*` at the end stands for anything.
    #[serde(default)]
    pub(crate) family: Vec<String>,
    /// Given names (PID-5.2), likewise.
    #[serde(default)]
    pub(crate) given: Vec<String>,
    /// Who assigned the numbers (PID-3.4).
    #[serde(default)]
    pub(crate) authority: Option<String>,
    /// The first number of a range (PID-3.1).
    #[serde(default)]
    pub(crate) from: Option<String>,
    /// The last number of the range.
    #[serde(default)]
    pub(crate) to: Option<String>,
    /// Numbers one by one.
    #[serde(default)]
    pub(crate) numbers: Vec<String>,
}

/// What becomes of messages about test patients at what is used for care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TestMessagesFile {
    /// They are not delivered.
    #[default]
    Stop,
    /// They are delivered like any other.
    Allow,
}
