//! What a `units` step is set by.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Gives results of HL7 v2 and Observations of FHIR in other units: value, unit and range together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// Which results, and the unit of each. Others stay as they are.
    #[schemars(length(min = 1))]
    pub(crate) results: Vec<Row>,
    /// How senders write units that UCUM writes otherwise: `G/l: 10*9/L`. Before what hilum knows of
    /// itself (`mmHg`, `µg/l`, `IU/L`, `x10^9/L` and the like).
    #[serde(default)]
    pub(crate) spelled: BTreeMap<String, String>,
    /// The system whose `decimal` says how numbers are written. Without it that of the system that
    /// the step `sender` recognised, else that of the system that the channel's source names.
    #[schemars(extend("format" = "system"))]
    pub(crate) system: Option<String>,
}

/// A result and its unit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Row {
    /// Its code, in OBX-3.1 or OBX-3.4; in FHIR in `code.coding` of the Observation or component.
    pub(crate) code: String,
    /// The name of the code's system, in OBX-3.3 or OBX-3.6; any without it. In FHIR the URL that
    /// conversions give that name (`LN` is `http://loinc.org`), or the URL itself.
    pub(crate) code_system: Option<String>,
    /// The unit, a code of UCUM.
    pub(crate) unit: String,
    /// Grams for a mole of the analyte: without it no amount of substance becomes a mass.
    pub(crate) molar_mass: Option<MolarMass>,
}

/// A number, as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum MolarMass {
    /// `180.156`
    Number(serde_json::Number),
    /// `"180.156"`
    Text(String),
}

impl MolarMass {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}
