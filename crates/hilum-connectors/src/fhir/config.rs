//! What a user writes for FHIR.

use std::collections::BTreeMap;

use hilum_component::{Millis, Secret, SystemName};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::endpoint::Tls;
use crate::http::config::{self as http, Basic, Key, StatusMeans};

/// Stores resources on a FHIR server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DestinationConfig {
    /// `local` for a store of this node, or the base URL of a server, where it is not the
    /// system's.
    pub(super) to: Option<String>,
    /// The tenant of the local store; the first one without it.
    pub(super) tenant: Option<String>,
    /// The system that receives; its file has the address.
    pub(super) system: Option<SystemName>,
    /// What is done with a message.
    #[serde(default)]
    pub(super) interaction: Interaction,
    /// What a server elsewhere is to create carries a tag with the id of the delivery, and is
    /// created only if nothing has that tag: so a repeat after a crash creates nothing twice.
    #[serde(default = "yes")]
    pub(super) once: bool,
    /// A key to show in a header.
    pub(super) key: Option<Key>,
    /// User and password to show.
    pub(super) basic: Option<Basic>,
    /// A token to show.
    pub(super) bearer: Option<Secret>,
    /// TLS, beyond what `https` implies.
    pub(super) tls: Option<Tls>,
    /// Requests under way at once: 4 without it, and 32 to a store of this node, which writes what
    /// waits for it in one commit.
    pub(super) connections: Option<u32>,
    /// How long the server may take to answer.
    #[serde(default = "answer_within")]
    pub(super) answer_within: Millis,
    /// How long connecting may take.
    pub(super) connect_within: Option<Millis>,
    /// What a status means, by number (`409`) or class (`5xx`), where it is not the usual.
    #[serde(default)]
    pub(super) status: BTreeMap<String, StatusMeans>,
}

/// A listener for notifications, as the source `http` has it.
#[derive(Clone, Debug)]
pub(super) struct Notifications(pub(super) serde_json::Value);

impl<'de> Deserialize<'de> for Notifications {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Notifications {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        http::SourceConfig::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        http::SourceConfig::json_schema(generator)
    }
}

/// What is done with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Interaction {
    /// A transaction or batch is carried out, a resource with an id is updated, one without is
    /// created.
    #[default]
    Auto,
    /// The resource is created; the server gives it an id.
    Create,
    /// The resource with this id gets this content, or is created.
    Update,
    /// The resource with the same first identifier gets this content, or is created. The
    /// identifier stands in the URL of the request, as the standard has it.
    ConditionalUpdate,
    /// The Bundle is carried out.
    Transaction,
}

/// A change that becomes a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum On {
    /// The resource did not exist before; the message is the resource.
    Create,
    /// It existed before; the message is the resource as it became.
    Update,
    /// It exists no more; the message is a Bundle of type `transaction` that deletes it.
    Delete,
}

/// Takes what changed on a FHIR server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SourceConfig {
    /// `local` for a store of this node, or the base URL of a server, where it is not the
    /// system's.
    pub(super) from: Option<String>,
    /// The tenant of the local store; the first one without it.
    pub(super) tenant: Option<String>,
    /// The system that is asked; its file has the address.
    pub(super) system: Option<SystemName>,
    /// The types of resources to look for, each with a cursor of its own.
    pub(super) types: Vec<String>,
    /// Further criteria of the search (`category=LAB&subject=Patient/7`). A store of this node
    /// asks them of each changed resource alone, so they take no chain, `_has` or value set there.
    /// With `status=final` a result that is corrected or withdrawn is found no more.
    pub(super) query: Option<String>,
    /// Which changes of a store of this node become messages: `create`, `update`, `delete`; the
    /// first two without it. A search of a server elsewhere cannot tell them apart.
    pub(super) on: Option<Vec<On>>,
    /// Where the first look begins: `now`, `beginning`, or a time such as `2026-01-01T00:00:00Z`.
    #[serde(default = "now")]
    pub(super) start: String,
    /// Where the server's subscriptions (rest-hook) call; each call is followed by a look, whatever
    /// it carries. The keys are those of the source `http`.
    pub(super) notifications: Option<Notifications>,
    /// How often to look. A store of this node says itself when something changes.
    #[serde(default = "every")]
    pub(super) every: Millis,
    /// How far each look goes back before the last change that was seen, for changes that a server
    /// elsewhere shows late.
    #[serde(default = "overlap")]
    pub(super) overlap: Millis,
    /// Resources, or changes, of one page.
    #[serde(default = "page")]
    pub(super) page: u32,
    /// A key to show in a header.
    pub(super) key: Option<Key>,
    /// User and password to show.
    pub(super) basic: Option<Basic>,
    /// A token to show.
    pub(super) bearer: Option<Secret>,
    /// TLS, beyond what `https` implies.
    pub(super) tls: Option<Tls>,
    /// How long the server may take to answer.
    #[serde(default = "answer_within")]
    pub(super) answer_within: Millis,
    /// How long connecting may take.
    pub(super) connect_within: Option<Millis>,
}

const fn yes() -> bool {
    true
}

const fn answer_within() -> Millis {
    Millis(20_000)
}

fn now() -> String {
    "now".to_owned()
}

const fn every() -> Millis {
    Millis(10_000)
}

const fn overlap() -> Millis {
    Millis(5_000)
}

const fn page() -> u32 {
    50
}
