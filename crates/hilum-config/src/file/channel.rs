//! `channels/*.yaml` and `alerts.yaml`.

use hilum_component::{AfterReject, Expr, Millis, Sends, Size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DestinationName, FormatFile, Free, Name, OrderText, RetryFile, seconds};

/// One source, ordered steps, and destinations.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("x-removed" = {
    "name": "write `channel: NAME`",
    "description": "write `about: TEXT`",
    "source": "write `from: { COMPONENT: … }`",
    "destinations": "write `to:` with a name and a component for each",
    "destination": "write `to:` with a name and a component for each",
    "filter": "write `accept: EXPRESSION` for what is refused, or a step `- filter: EXPRESSION` for what is dropped",
    "transformer": "write a list of `steps:`",
    "transform": "write a list of `steps:`",
    "alerts": "write `alert:`"
}))]
pub(crate) struct ChannelFile {
    /// Its name, which is the name of the file.
    pub(crate) channel: Name,
    /// What it is for, in a sentence.
    #[serde(default)]
    pub(crate) about: Option<String>,
    /// Who answers for it.
    #[serde(default)]
    pub(crate) owner: Option<String>,
    /// Where its messages come from: one component and its settings.
    #[serde(default)]
    pub(crate) from: FromFile,
    /// The format of its messages: `hl7v2`, or with settings `{ delimited: { … } }`.
    pub(crate) format: FormatFile,
    /// The character set of messages that do not say theirs; before that of the system.
    #[serde(default)]
    pub(crate) charset: Option<String>,
    /// Messages for which this does not hold are refused with a negative answer.
    #[serde(default)]
    pub(crate) accept: Option<Expr>,
    /// What keeps messages in order: `patient`, `visit` or `order` (shared across channels),
    /// `channel` (one after the other), or an expression whose values are keys of this channel.
    #[serde(default = "order")]
    pub(crate) order: OrderText,
    /// Values by which messages are found, each under a name.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<Name, Expr>", extend("propertyNames" = { "format": "name" }))]
    pub(crate) index: Free,
    /// When the sender is answered.
    #[serde(default)]
    pub(crate) acknowledge: AcknowledgeFile,
    /// With `acknowledge: delivered`: the destinations that the answer waits for.
    #[serde(default)]
    pub(crate) answer_after: Vec<DestinationName>,
    /// With `acknowledge: delivered`: how long the answer waits before it is AE.
    #[serde(default)]
    pub(crate) answer_within: Option<Millis>,
    /// What happens to each message, in order.
    #[serde(default)]
    pub(crate) steps: Vec<StepFile>,
    /// Where messages go, each destination under a name.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<Name, DestinationFile>", extend("propertyNames" = { "format": "name" }))]
    pub(crate) to: Free,
    /// How resent messages are recognised.
    #[serde(default)]
    pub(crate) resend: ResendFile,
    /// Time that the steps may take for one message, plus 10 ms for each MB.
    #[serde(default = "step_budget")]
    pub(crate) step_budget: Millis,
    /// Until when the receiver must have acknowledged a critical result, counted from its arrival,
    /// before someone is told on `hilum.alerts`; 10m where it is not set.
    #[serde(default)]
    pub(crate) critical_within: Option<Millis>,
    /// Why nobody waits for critical results.
    #[serde(default)]
    pub(crate) critical_off: Option<String>,
    /// When someone is told.
    #[serde(default)]
    pub(crate) alert: Vec<AlertFile>,
    /// Warnings about patients' safety that do not matter here, each with the reason:
    /// `W0315: the registry takes first reports only`.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub(crate) silence: Free,
}

/// One component that brings messages in.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(extend("x-component" = "source"))]
pub(crate) struct FromFile {}

/// One step.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(extend("x-component" = "step"))]
pub(crate) struct StepFile {}

/// One destination: a component with its settings, and what the engine does with it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(extend("x-component" = "destination", "x-removed" = {
    "filter": "write `when: EXPRESSION`",
    "transformer": "write a list of `steps:`",
    "on-removed": "write `removed: drain` or `removed: dead-letter`",
    "queue": "write `queue-max:` and `queue-bytes-max:`"
}))]
pub(crate) struct DestinationFile {
    /// What goes there: the messages, or the application answers that senders in enhanced mode ask
    /// for.
    #[serde(default)]
    pub(crate) sends: Sends,
    /// Only messages for which this holds are delivered.
    #[serde(default)]
    pub(crate) when: Option<Expr>,
    /// What happens to the copy for this destination only.
    #[serde(default)]
    pub(crate) steps: Vec<StepFile>,
    /// A failure of the destination's own steps fails the whole message instead of this delivery.
    #[serde(default)]
    pub(crate) required: bool,
    /// How it is tried again when the peer is away.
    #[serde(default)]
    pub(crate) retry: RetryFile,
    /// What deliveries after a rejected one do; where it is not set, those of the same key wait if
    /// the messages build on each other (ADT and orders), else they go on.
    #[serde(default)]
    pub(crate) after_reject: Option<AfterReject>,
    /// A number; deliveries of a higher one pass those of other keys.
    #[serde(default)]
    pub(crate) priority: Option<Expr>,
    /// Until when the receiver must have acknowledged a critical result, counted from its arrival,
    /// before someone is told on `hilum.alerts`; 10m where it is not set here or for the channel.
    #[serde(default)]
    pub(crate) critical_within: Option<Millis>,
    /// Why nobody waits for critical results here.
    #[serde(default)]
    pub(crate) critical_off: Option<String>,
    /// Deliveries that may wait; beyond it the source waits too.
    #[serde(default = "queue_max")]
    pub(crate) queue_max: u64,
    /// Bytes that may wait; beyond it the source waits too.
    #[serde(default = "queue_bytes_max")]
    pub(crate) queue_bytes_max: Size,
    /// The channel that gets the reply, with the message attached. Its source is `reply`.
    #[serde(default)]
    pub(crate) then: Option<Name>,
    /// Its name before, whose queue it takes over.
    #[serde(default)]
    pub(crate) was: Option<Name>,
    /// The destination is gone: what still waits for it is delivered (`drain`) or becomes dead
    /// letters.
    #[serde(default)]
    pub(crate) removed: Option<RemovedFile>,
}

/// What becomes of the queue of a destination that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RemovedFile {
    /// It is still delivered.
    Drain,
    /// It becomes dead letters.
    DeadLetter,
}

/// When the sender is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AcknowledgeFile {
    /// When the message and the verdict of the steps are on disk.
    #[default]
    Processed,
    /// When the received bytes are on disk; the steps run afterwards.
    Received,
    /// When the destinations of `answer-after` have it.
    Delivered,
}

/// How resent messages are recognised.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ResendFile {
    /// How long a message is remembered; 10m where it is not set, `0s` turns it off.
    #[serde(default)]
    pub(crate) within: Option<Millis>,
    /// How many messages are remembered; 100000 where it is not set.
    #[serde(default)]
    pub(crate) max: Option<u32>,
}

/// Rules that hold for every channel.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("x-removed" = { "alerts": "write `alert:`", "rules": "write `alert:`" }))]
pub(crate) struct AlertsFile {
    /// When someone is told; each rule is applied to each channel.
    #[serde(default)]
    pub(crate) alert: Vec<AlertFile>,
}

/// A condition under which a message is published on the topic `hilum.alerts`: one of
/// `no-message-for`, `queue` and, in `alerts.yaml`, `disk`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct AlertFile {
    /// No message arrived for so long.
    #[serde(default)]
    pub(crate) no_message_for: Option<Millis>,
    /// With `no-message-for`: only then, such as `weekdays 07:00-19:00` or `mon-sat 06:00-22:00
    /// Europe/Berlin`.
    #[serde(default)]
    pub(crate) during: Option<String>,
    /// A queue is too long or too old.
    #[serde(default)]
    pub(crate) queue: Option<QueueAlertFile>,
    /// The disk of the journal has little space left. Only in `alerts.yaml`.
    #[serde(default)]
    pub(crate) disk: Option<DiskAlertFile>,
}

/// A disk with little space left.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct DiskAlertFile {
    /// Less than this is free.
    pub(crate) free_below: Size,
}

/// A queue that is too long or too old.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct QueueAlertFile {
    /// The destination; every one of the channel where it is not set.
    #[serde(default)]
    pub(crate) destination: Option<DestinationName>,
    /// The first delivery has waited longer than this.
    #[serde(default)]
    pub(crate) older_than: Option<Millis>,
    /// More than this many deliveries wait.
    #[serde(default)]
    pub(crate) longer_than: Option<u64>,
}

fn order() -> OrderText {
    OrderText("patient".to_owned())
}

const fn step_budget() -> Millis {
    Millis(250)
}

const fn queue_max() -> u64 {
    1_000_000
}

const fn queue_bytes_max() -> Size {
    Size(10_000_000_000)
}

impl ChannelFile {
    /// How long the answer waits for deliveries.
    pub(crate) fn answer_within(&self) -> Millis {
        self.answer_within.unwrap_or(seconds(20))
    }
}
