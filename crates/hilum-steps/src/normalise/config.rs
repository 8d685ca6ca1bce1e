//! What a `normalise` step is set by.

use hilum_component::Expr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Brings dates, names and identifiers into one form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// Dates and times, written as the format writes them: `20240501` in HL7 v2, `2024-05-01`
    /// elsewhere.
    #[serde(default)]
    pub(crate) dates: Vec<Expr>,
    /// How dates with slashes are read: `dmy` or `mdy`; without it they are left and flagged.
    pub(crate) order: Option<Order>,
    /// Names: white space at the ends goes, several blanks become one.
    #[serde(default)]
    pub(crate) names: Vec<Expr>,
    /// Letters of names: as they are (`keep`), or `title` for names all in capitals or all in
    /// small letters.
    #[serde(default)]
    pub(crate) name_case: NameCase,
    /// Identifiers: white space goes, letters become capitals.
    #[serde(default)]
    pub(crate) identifiers: Vec<Expr>,
    /// Characters that are also taken out of identifiers, such as `-.`.
    #[serde(default)]
    pub(crate) strip: String,
}

/// Which part of a date with slashes comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// Day, month, year.
    Dmy,
    /// Month, day, year.
    Mdy,
}

/// How letters of names are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NameCase {
    /// As they are.
    #[default]
    Keep,
    /// Capital first letters, where a name is all in capitals or all in small letters.
    Title,
}
