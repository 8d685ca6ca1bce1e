//! The section `fhir:` of `hilum.yaml`.

use std::collections::BTreeMap;

use hilum_component::{Millis, Size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Address, Name, SecretName, TestMessagesFile};

/// The FHIR server of the node: an API for applications on a store of resources.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct FhirFile {
    /// Where it listens; loopback only in this release.
    #[serde(default = "listen")]
    pub(crate) listen: Address,
    /// Scheme and host under which clients reach it, where that is not the address it listens at:
    /// `https://fhir.st-elsewhere.example`.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// What is done with a resource that breaks a rule of FHIR.
    #[serde(default)]
    pub(crate) validate: ValidateFile,
    /// The same for single types of resources.
    #[serde(default)]
    pub(crate) validate_types: BTreeMap<String, ValidateFile>,
    /// FHIR packages (`.tgz`) with profiles, value sets and search parameters, by their paths from
    /// the site's folder.
    #[serde(default)]
    pub(crate) packages: Vec<String>,
    /// Profiles that every resource of a type has to conform to, besides those that it names.
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Vec<String>>,
    /// Whether the store takes messages of channels about test patients although the node is in
    /// production.
    #[serde(default)]
    pub(crate) test_messages: TestMessagesFile,
    /// Stores beside the first, each under `/fhir/t/NAME`; nothing refers from one to another.
    #[serde(default)]
    pub(crate) tenants: BTreeMap<Name, TenantFile>,
    /// The PostgreSQL database that keeps the stores, instead of files in the data folder.
    #[serde(default)]
    pub(crate) database: Option<DatabaseFile>,
    /// Web pages of these origins may call it from a browser; none where it is empty.
    #[serde(default)]
    pub(crate) origins: Vec<String>,
    /// Files below this folder may be named by `$import`; none where it is not set.
    #[serde(default)]
    pub(crate) import_folder: Option<String>,
    /// Beginnings of URLs that `$import` may fetch files from, such as
    /// `https://files.example/bulk/`; none where it is empty.
    #[serde(default)]
    pub(crate) import_from: Vec<String>,
    /// Certificates (PEM) that those of `https` are trusted by, from the site's folder; the
    /// system's where it is not set.
    #[serde(default)]
    pub(crate) import_ca: Option<String>,
    /// Connections at once.
    #[serde(default = "connections_max")]
    pub(crate) connections_max: u32,
    /// Bytes of a request's body.
    #[serde(default = "body_max")]
    pub(crate) body_max: Size,
    /// Resources of a page, however many a client asks for.
    #[serde(default = "page_max")]
    pub(crate) page_max: u32,
    /// What clients may subscribe to, and where they may be called.
    #[serde(default)]
    pub(crate) subscriptions: SubscriptionsFile,
}

/// Subscriptions: applications that are told of changes.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct SubscriptionsFile {
    /// Beginnings of URLs that a subscription may have called, such as
    /// `https://app.example/hooks/`; loopback always may.
    #[serde(default)]
    pub(crate) allow: Vec<String>,
    /// Failed attempts in a row after which a subscription is in `error`; it is tried on.
    #[serde(default = "failures_max")]
    pub(crate) failures_max: u32,
    /// The first delay before a failed notification is sent again; it doubles.
    #[serde(default = "retry_first")]
    pub(crate) retry_first: Millis,
    /// The longest delay before a failed notification is sent again.
    #[serde(default = "retry_longest")]
    pub(crate) retry_longest: Millis,
    /// A notification that is older becomes a dead letter.
    #[serde(default = "week")]
    pub(crate) give_up_after: Millis,
    /// How long events are kept for `$events`.
    #[serde(default = "week")]
    pub(crate) keep: Millis,
    /// Events that are kept for `$events`, all subscriptions of a store together.
    #[serde(default = "keep_max")]
    pub(crate) keep_max: u64,
    /// Of several nodes on one database, how long the one that sends the notifications may be silent
    /// before another one does.
    #[serde(default = "lease")]
    pub(crate) lease: Millis,
    /// What clients may subscribe to beside searches.
    #[serde(default)]
    pub(crate) topics: Vec<TopicFile>,
}

impl Default for SubscriptionsFile {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            failures_max: failures_max(),
            retry_first: retry_first(),
            retry_longest: retry_longest(),
            give_up_after: week(),
            keep: week(),
            keep_max: keep_max(),
            lease: lease(),
            topics: Vec::new(),
        }
    }
}

/// A topic that clients may subscribe to, after the SubscriptionTopic of FHIR R5.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct TopicFile {
    /// Its canonical URL, which subscriptions name as their criteria.
    pub(crate) url: String,
    /// What it is, for people.
    #[serde(default)]
    pub(crate) about: Option<String>,
    /// Any of these makes an event.
    pub(crate) triggers: Vec<TriggerFile>,
    /// What subscriptions may narrow it by, type and search parameter: `Encounter?patient`.
    #[serde(default)]
    pub(crate) filters: Vec<String>,
    /// Warnings about patients' safety that do not matter here, each with the reason:
    /// `W0315: subscribers take first reports only`.
    #[serde(default)]
    pub(crate) silence: BTreeMap<String, String>,
}

/// What makes an event of a topic.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct TriggerFile {
    /// The type of the resource.
    pub(crate) resource: String,
    /// What is done to it; anything where it is empty.
    #[serde(default)]
    pub(crate) on: Vec<InteractionFile>,
    /// A search that must match the resource as it was: `status:not=in-progress`.
    #[serde(default)]
    pub(crate) previous: Option<String>,
    /// What `previous` comes to for a create, where nothing was.
    #[serde(default)]
    pub(crate) result_for_create: TestResultFile,
    /// A search that must match the resource as it will be.
    #[serde(default)]
    pub(crate) current: Option<String>,
    /// What `current` comes to for a delete, where nothing will be.
    #[serde(default)]
    pub(crate) result_for_delete: TestResultFile,
    /// Both searches must match; else one is enough.
    #[serde(default)]
    pub(crate) require_both: bool,
    /// FHIRPath that must be true as well, over `%previous` and `%current`:
    /// `%current.status = 'finished'`.
    #[serde(default)]
    pub(crate) fhirpath: Option<String>,
}

/// What a search comes to for a resource that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TestResultFile {
    /// It matches.
    #[default]
    TestPasses,
    /// It does not match.
    TestFails,
}

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InteractionFile {
    /// It did not exist before.
    Create,
    /// It existed before.
    Update,
    /// It exists no more.
    Delete,
}

const fn failures_max() -> u32 {
    5
}

const fn retry_first() -> Millis {
    Millis(1_000)
}

const fn retry_longest() -> Millis {
    Millis(60_000)
}

const fn week() -> Millis {
    Millis(7 * 24 * 3_600_000)
}

const fn lease() -> Millis {
    Millis(10_000)
}

const fn keep_max() -> u64 {
    1_000_000
}

/// A database; each store is a schema of it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct DatabaseFile {
    /// `postgres://user@host:port/database`, without the password.
    pub(crate) url: String,
    /// The password of the user.
    #[serde(default)]
    pub(crate) password: Option<SecretName>,
    /// The schema of the first store; that of a tenant is this one, `_`, and its name. Schemas are
    /// made where they are missing.
    #[serde(default = "first_schema")]
    pub(crate) schema: String,
    /// TLS; a database beyond loopback should be reached no other way.
    #[serde(default)]
    pub(crate) tls: Option<DatabaseTlsFile>,
}

/// TLS of a database; `{}` trusts the authorities of the operating system.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct DatabaseTlsFile {
    /// The authorities (PEM) from which its certificate must come.
    #[serde(default)]
    pub(crate) ca: Option<String>,
    /// Our certificate chain (PEM), where the database asks for one.
    #[serde(default)]
    pub(crate) certificate: Option<String>,
    /// The key of our certificate (PEM).
    #[serde(default)]
    pub(crate) key: Option<String>,
    /// The name in its certificate, where it is not the host of the address.
    #[serde(default)]
    pub(crate) server_name: Option<String>,
}

fn first_schema() -> String {
    "fhir".to_owned()
}

/// A store of its own.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct TenantFile {
    /// What is done with a resource that breaks a rule; as for the server where it is not set.
    #[serde(default)]
    pub(crate) validate: Option<ValidateFile>,
    /// The same for single types of resources.
    #[serde(default)]
    pub(crate) validate_types: BTreeMap<String, ValidateFile>,
    /// Whether the store takes messages of channels about test patients although the node is in
    /// production.
    #[serde(default)]
    pub(crate) test_messages: TestMessagesFile,
    /// Packages beside those of the server.
    #[serde(default)]
    pub(crate) packages: Vec<String>,
    /// Profiles that every resource of a type has to conform to; for a type that is named here
    /// those of the server do not count.
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Vec<String>>,
}

/// How strictly resources are checked. What is no FHIR at all (an unknown element, a date that is
/// none) is refused in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ValidateFile {
    /// They are not checked.
    Off,
    /// They are stored; the answer names what is wrong where the client asks for it.
    Warn,
    /// They are refused.
    #[default]
    Enforce,
}

fn listen() -> Address {
    Address("127.0.0.1:26680".to_owned())
}

const fn connections_max() -> u32 {
    256
}

const fn body_max() -> Size {
    Size(50_000_000)
}

const fn page_max() -> u32 {
    1_000
}
