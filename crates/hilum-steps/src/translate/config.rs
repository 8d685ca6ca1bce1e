//! What a `translate` step is set by.

use hilum_component::{Expr, PathText, SiteFile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::unmapped::Unmapped;

/// Replaces codes by the rows of a table of the site, or by a ConceptMap.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// The codes to translate: every occurrence that the path selects.
    pub(crate) field: Expr,
    /// The table, CSV with the columns `source,code,display,target,code,display` and, if wanted,
    /// `unit,equivalence,status,by,on,reviewed-by,reviewed-on,approved-by,approved-on,from,until,note`.
    /// Rows count while they are `approved` and the message arrived within `from` and `until`.
    pub(crate) table: Option<SiteFile>,
    /// Instead of `table`: a folder with a table for each system of `group`, `FOLDER/SYSTEM.csv`.
    /// The step `sender` before says whose table it is.
    pub(crate) tables: Option<String>,
    /// The group of systems whose tables lie in `tables`.
    #[schemars(extend("format" = "system-group"))]
    pub(crate) group: Option<String>,
    /// Instead of `table`: a ConceptMap that is loaded (`hilum terminology`) or ships, by its
    /// canonical URL, with `|VERSION` where the newest one is not wanted. Code systems that a message
    /// names are known by `code-systems` of the file of its sender and by table 0396.
    pub(crate) map: Option<String>,
    /// With `map`: the URL of the code system of codes that come without one, or with a name that
    /// nobody knows.
    pub(crate) code_system: Option<String>,
    /// `high` for a table in which a wrong row can harm a patient at once: each row that counts
    /// needs two different people, and no rows are suggested for it. Tables of blood groups,
    /// susceptibilities, units, allergies and drugs are recognised by their name, their field and
    /// their code systems.
    pub(crate) risk: Option<Risk>,
    /// What is written where no row fits.
    pub(crate) default: Option<Default>,
    /// Read the table from right to left.
    #[serde(default)]
    pub(crate) reverse: bool,
    /// What happens to a message with a code that no row has: it goes on as it is (`keep`), goes
    /// on with a finding (`flag`), waits for a person (`hold`; once released it goes on with a
    /// finding), or is rejected (`reject`).
    #[serde(default)]
    pub(crate) unmapped: Unmapped,
    /// For HL7 v2, `OBX-6`: the result is given in the unit of the row. A unit that is the same by
    /// another name is written as the row has it; any other is converted with value and range, or
    /// the result stays as it came, with a finding (see the step `units`, which knows molar masses and
    /// spellings).
    pub(crate) unit: Option<PathText>,
    /// For coded fields of HL7 v2: keep the code that came in as the alternate one (components 4
    /// to 6).
    #[serde(default)]
    pub(crate) keep_original: bool,
}

/// How much a wrong row can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Risk {
    /// A wrong row can harm a patient at once.
    High,
}

/// What is written where no row fits.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Default {
    /// The code.
    pub(crate) code: String,
    /// Its text.
    #[serde(default)]
    pub(crate) display: String,
    /// Its code system.
    #[serde(default)]
    pub(crate) system: String,
}
