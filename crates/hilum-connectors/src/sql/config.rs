//! What a user writes for databases.

use std::collections::BTreeMap;

use hilum_component::{Expr, Millis, Secret, SystemName};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::endpoint::Tls;

/// Reads rows of a database.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SourceConfig {
    /// The system whose database it is; its file may have the address.
    pub(super) system: Option<SystemName>,
    /// `postgres://user@host:port/database`, `mariadb://user@host:port/database`, or
    /// `sqlite:PATH`.
    pub(super) url: Option<String>,
    /// The password.
    pub(super) password: Option<Secret>,
    /// TLS; a database beyond loopback should be reached no other way.
    pub(super) tls: Option<Tls>,
    /// The query; `:cursor` stands for the last value of the cursor column.
    pub(super) query: String,
    /// The column that grows with each new row and by which the query is ordered.
    pub(super) cursor: Option<String>,
    /// The value of the cursor before the first row.
    pub(super) start: Option<String>,
    /// The column that holds the message; without it the message is the row.
    pub(super) payload: Option<String>,
    /// How a row is written where it is the message.
    #[serde(default)]
    pub(super) row: RowForm,
    /// A statement for each row after its message was recorded; `:NAME` stands for a column.
    pub(super) after: Option<String>,
    /// How often to look.
    #[serde(default = "every")]
    pub(super) every: Millis,
    /// How long connecting and a statement may take.
    #[serde(default = "answer_within")]
    pub(super) answer_within: Millis,
}

/// How a row is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RowForm {
    /// An object of JSON.
    #[default]
    Json,
    /// Delimited text: a line of the columns' names and a line of values, with commas.
    Delimited,
}

/// Writes to a database.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DestinationConfig {
    /// The system whose database it is; its file may have the address.
    pub(super) system: Option<SystemName>,
    /// `postgres://user@host:port/database`, `mariadb://user@host:port/database`, or
    /// `sqlite:PATH`.
    pub(super) url: Option<String>,
    /// The password.
    pub(super) password: Option<Secret>,
    /// TLS; a database beyond loopback should be reached no other way.
    pub(super) tls: Option<Tls>,
    /// The statement; `:NAME` stands for a value, which is bound and never becomes part of the
    /// text. `:delivery`, `:channel` and `:arrived` are always there.
    pub(super) statement: String,
    /// The values by name, each the first of an expression; nothing found is NULL.
    #[serde(default)]
    pub(super) params: BTreeMap<String, Expr>,
    /// Connections kept open.
    #[serde(default = "one_connection")]
    pub(super) connections: u32,
    /// How long connecting and the transaction may take.
    #[serde(default = "answer_within")]
    pub(super) answer_within: Millis,
}

const fn every() -> Millis {
    Millis(10_000)
}

const fn answer_within() -> Millis {
    Millis(30_000)
}

const fn one_connection() -> u32 {
    1
}
