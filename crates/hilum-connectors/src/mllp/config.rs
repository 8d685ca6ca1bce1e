//! What a user writes for MLLP.

use hilum_component::{Millis, Size, SystemName};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::endpoint::Tls;

/// Receives HL7 v2 messages over MLLP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SourceConfig {
    /// The system that sends.
    pub(super) system: Option<SystemName>,
    /// Where to listen, as `host:port`; a port alone listens on loopback.
    pub(super) listen: Option<String>,
    /// Where to connect to instead of listening, for peers that wait to be called.
    pub(super) connect: Option<String>,
    /// TLS.
    pub(super) tls: Option<Tls>,
    /// The addresses and networks that may connect; everybody may without it.
    #[serde(default)]
    pub(super) allow: Vec<String>,
    /// Connections open at once.
    #[serde(default = "connections")]
    pub(super) connections: u32,
    /// The largest message.
    #[serde(default = "frame_bytes_max")]
    pub(super) frame_bytes_max: Size,
    /// A connection without a message for so long is closed.
    #[serde(default = "idle")]
    pub(super) idle: Millis,
    /// Silence after which a peer is probed; 0s turns it off.
    #[serde(default = "keep_alive")]
    pub(super) keep_alive: Millis,
    /// Also take messages without the start byte of MLLP, as some devices send them.
    #[serde(default)]
    pub(super) unframed: bool,
    /// The release of MLLP; r2 confirms each message on the transport as well.
    #[serde(default)]
    pub(super) release: Release,
}

/// Sends HL7 v2 messages over MLLP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DestinationConfig {
    /// The system that receives; its file has the address.
    pub(super) system: Option<SystemName>,
    /// The address as `host:port`, where it is not the system's.
    pub(super) address: Option<String>,
    /// Where to listen instead of connecting, as `host:port`, for peers that call to fetch their
    /// messages; a port alone listens on loopback.
    pub(super) listen: Option<String>,
    /// With `listen`, the addresses and networks that may connect; everybody may without it.
    #[serde(default)]
    pub(super) allow: Vec<String>,
    /// TLS.
    pub(super) tls: Option<Tls>,
    /// Connections kept open, each with one message under way. Many peers take only one.
    #[serde(default = "one_connection")]
    pub(super) connections: u32,
    /// How long the peer may take to answer.
    #[serde(default = "answer_within")]
    pub(super) answer_within: Millis,
    /// How long connecting may take, or with `listen` waiting for the peer to connect.
    pub(super) connect_within: Option<Millis>,
    /// Silence after which the peer is probed; 0s turns it off.
    #[serde(default = "keep_alive")]
    pub(super) keep_alive: Millis,
    /// Whether the peer answers.
    #[serde(default)]
    pub(super) answer: AnswerWanted,
    /// The release of MLLP; with r2 the peer confirms each message on the transport.
    #[serde(default)]
    pub(super) release: Release,
}

/// The release of MLLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum Release {
    /// Frames only.
    #[default]
    #[serde(rename = "r1")]
    One,
    /// Frames, and an acknowledgement of each on the transport.
    #[serde(rename = "r2")]
    Two,
}

/// Whether a peer answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AnswerWanted {
    /// It does, and the message counts as delivered when it says yes.
    #[default]
    Required,
    /// It does not; the message counts as delivered when the bytes were handed to the system.
    None,
}

const fn connections() -> u32 {
    100
}

const fn one_connection() -> u32 {
    1
}

const fn frame_bytes_max() -> Size {
    Size(128_000_000)
}

const fn idle() -> Millis {
    Millis(86_400_000)
}

const fn keep_alive() -> Millis {
    Millis(60_000)
}

const fn answer_within() -> Millis {
    Millis(20_000)
}
