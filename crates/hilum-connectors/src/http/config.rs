//! What a user writes for HTTP.

use std::collections::BTreeMap;

use hilum_component::{Millis, Secret, Size, SystemName};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::endpoint::Tls;

/// Takes messages from HTTP requests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct SourceConfig {
    /// The system that sends.
    pub(super) system: Option<SystemName>,
    /// Where to listen, as `host:port`; a port alone listens on loopback. Sources with the same
    /// address and the same settings of the listener share it.
    pub(super) listen: String,
    /// The path of the requests, matched as a whole.
    #[serde(default = "root")]
    pub(super) path: String,
    /// The methods that bring a message.
    #[serde(default = "post")]
    pub(super) methods: Vec<Method>,
    /// A key that the caller shows in a header.
    pub(super) key: Option<Key>,
    /// User and password that the caller shows.
    pub(super) basic: Option<Basic>,
    /// Whoever reaches the listener may call; to be said where neither `key`, `basic`, a
    /// certificate nor `allow` says who may, and the listener is not on loopback.
    #[serde(default)]
    pub(super) anyone: bool,
    /// TLS.
    pub(super) tls: Option<Tls>,
    /// The addresses and networks that may connect.
    #[serde(default)]
    pub(super) allow: Vec<String>,
    /// Connections open at once.
    #[serde(default = "connections")]
    pub(super) connections: u32,
    /// The largest body.
    #[serde(default = "body_max")]
    pub(super) body_max: Size,
    /// How long a body may take to arrive.
    #[serde(default = "read_within")]
    pub(super) read_within: Millis,
    /// Values kept beside the message, from `header:NAME` or `query:NAME`.
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    /// What the body of the response is.
    #[serde(default)]
    pub(super) answer: AnswerBody,
}

/// A method that may carry a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Method {
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
}

impl Method {
    pub(super) const fn http(self) -> http::Method {
        match self {
            Self::Post => http::Method::POST,
            Self::Put => http::Method::PUT,
            Self::Patch => http::Method::PATCH,
        }
    }
}

/// A key in a header.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Key {
    /// The name of the header.
    #[serde(default = "key_header")]
    pub(crate) header: String,
    /// The key.
    pub(crate) secret: Secret,
}

/// User and password.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Basic {
    /// The user.
    pub(crate) user: String,
    /// The password.
    pub(crate) password: Secret,
}

/// What the body of a response is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AnswerBody {
    /// The answer of the format where it has one, else as `json`.
    #[default]
    Format,
    /// `{ "id", "disposition", "reason" }`.
    Json,
}

/// Sends messages as HTTP requests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DestinationConfig {
    /// The system that receives; its file has the address.
    pub(super) system: Option<SystemName>,
    /// The address, where it is not the system's. It is a constant: addresses appear in logs on
    /// the way, so nothing of a message goes into them.
    pub(super) url: Option<String>,
    /// The method.
    #[serde(default = "post_one")]
    pub(super) method: Method,
    /// The content type; that of the channel's format without it.
    pub(super) content_type: Option<String>,
    /// Further headers. Values may hold `{id}`, `{channel}` and `{meta.NAME}`.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// A key to show in a header.
    pub(super) key: Option<Key>,
    /// User and password to show.
    pub(super) basic: Option<Basic>,
    /// A token to show.
    pub(super) bearer: Option<Secret>,
    /// TLS, beyond what `https` implies.
    pub(super) tls: Option<Tls>,
    /// Connections kept open, each with one request under way.
    #[serde(default = "one_connection")]
    pub(super) connections: u32,
    /// How long the peer may take to answer.
    #[serde(default = "answer_within")]
    pub(super) answer_within: Millis,
    /// How long connecting may take.
    pub(super) connect_within: Option<Millis>,
    /// Whether the body of a positive response is the format's answer and is to be read as well.
    #[serde(default)]
    pub(super) answer: AnswerRead,
    /// What a status means, by number (`409`) or class (`5xx`), where it is not the usual.
    #[serde(default)]
    pub(super) status: BTreeMap<String, StatusMeans>,
}

/// Whether the body of a positive response is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AnswerRead {
    /// The status decides.
    #[default]
    Status,
    /// The answer in the body decides as well.
    Format,
}

/// What a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StatusMeans {
    /// The peer has it.
    Delivered,
    /// The peer is away.
    Retry,
    /// The message is at fault.
    Reject,
    /// The peer is at fault.
    Halt,
}

/// The content type of a message or an answer of a format; FHIR has one for each form.
pub(crate) fn content_type(format: &str, body: &[u8]) -> &'static str {
    match format {
        "fhir" if body.trim_ascii_start().starts_with(b"<") => "application/fhir+xml",
        "fhir" => "application/fhir+json",
        "hl7v2" => "x-application/hl7-v2+er7",
        "json" => "application/json",
        "xml" => "application/xml",
        "delimited" => "text/csv",
        _ => "application/octet-stream",
    }
}

fn root() -> String {
    "/".to_owned()
}

fn post() -> Vec<Method> {
    vec![Method::Post]
}

const fn post_one() -> Method {
    Method::Post
}

fn key_header() -> String {
    "x-api-key".to_owned()
}

const fn connections() -> u32 {
    100
}

const fn one_connection() -> u32 {
    1
}

const fn body_max() -> Size {
    Size(64_000_000)
}

const fn read_within() -> Millis {
    Millis(60_000)
}

const fn answer_within() -> Millis {
    Millis(20_000)
}
