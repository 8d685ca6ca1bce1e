//! Configuration after checking: the engine runs nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hilum_message::PlanDigest;

use crate::{
    Care, Destination, Format, Marking, Millis, Offsets, Order, Rule, SendsAs, Size, Source, Step,
};

/// A checked site, addressed by its digest.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Covers the program's version, every file, table and secret reference.
    pub digest: PlanDigest,
    /// The site's name.
    pub site: String,
    /// The channels by name.
    pub channels: BTreeMap<Arc<str>, Arc<ChannelPlan>>,
    /// How long a stop may take before what is queued stays for the next start.
    pub stop_within: Millis,
    /// Where the management API listens.
    pub admin: Option<String>,
    /// Messages are kept this long.
    pub keep: Option<Millis>,
    /// Someone is told when less than this is free where the journal lies.
    pub disk_free_below: Option<Size>,
    /// Bytes of messages in flight, at most.
    pub in_flight_max: Size,
}

/// A checked channel.
#[derive(Clone, Debug)]
pub struct ChannelPlan {
    /// Its name.
    pub name: Arc<str>,
    /// What it is for.
    pub about: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// Covers everything the channel's behaviour depends on.
    pub digest: PlanDigest,
    /// Where its messages come from.
    pub source: SourcePlan,
    /// Their format.
    pub format: Arc<dyn Format>,
    /// When the peer is answered.
    pub acknowledge: Acknowledge,
    /// Messages for which this does not hold are refused.
    pub accept: Option<Rule>,
    /// What keeps messages in order.
    pub order: Order,
    /// Values to find messages by.
    pub index: Vec<IndexField>,
    /// The steps, in order.
    pub steps: Vec<StepPlan>,
    /// The destinations, in the order of the file.
    pub destinations: Vec<DestinationPlan>,
    /// How resent messages are recognised.
    pub resend: ResendPlan,
    /// When someone is told.
    pub alerts: Vec<AlertRule>,
    /// Time that the steps may take for one message, plus 10 ms for each MB.
    pub step_budget: Millis,
    /// A message without a control id is accepted.
    pub control_id_optional: bool,
    /// What marks a message as confidential or as one about a test patient.
    pub marking: Arc<Marking>,
    /// The clocks of the systems that may send, where messages say when they were sent.
    pub senders: Arc<[SenderClock]>,
}

/// How far the clock of a system may be off where nothing else is said.
pub const CLOCK_SKEW_MAX: Millis = Millis(300_000);

/// The clock of a system that sends.
#[derive(Clone, Debug)]
pub struct SenderClock {
    /// The system.
    pub system: Arc<str>,
    /// How it names itself, where several systems send.
    pub sends_as: SendsAs,
    /// The zone of its times that say no offset.
    pub zone: Option<Offsets>,
    /// How far it may be off.
    pub skew_max: Millis,
}

/// Where a channel's messages come from.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// The component's name, or `topic` or `reply`.
    pub component: String,
    /// The system at the other end, if the file names one.
    pub system: Option<String>,
    /// Covers the source's own configuration: a reload that leaves it alone keeps it running.
    pub digest: PlanDigest,
    /// How it is made.
    pub kind: SourceKind,
}

/// The kinds of source.
#[derive(Clone)]
pub enum SourceKind {
    /// A component.
    Component(SourceFactory),
    /// A topic of the engine.
    Topic(Arc<str>),
    /// Only replies that other channels' `then` hands over; the format of the messages that ask,
    /// if any channel does.
    Reply(Option<Arc<dyn Format>>),
}

impl fmt::Debug for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component(_) => f.write_str("Component"),
            Self::Topic(name) => write!(f, "Topic({name})"),
            Self::Reply(_) => f.write_str("Reply"),
        }
    }
}

/// Makes a source.
pub type SourceFactory = Arc<dyn Fn() -> Box<dyn Source> + Send + Sync>;

/// Makes a destination.
pub type DestinationFactory = Arc<dyn Fn() -> Arc<dyn Destination> + Send + Sync>;

/// When the peer is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// After the message and the verdict of the steps are durable.
    Processed,
    /// After the received bytes are durable; the steps run afterwards.
    Received,
    /// After these destinations have it, at most so long; then AE, and delivery goes on.
    Delivered {
        /// The destinations to wait for.
        after: Vec<Arc<str>>,
        /// How long.
        within: Millis,
    },
}

/// A value to find messages by.
#[derive(Clone, Debug)]
pub struct IndexField {
    /// The name of the field in searches.
    pub name: Arc<str>,
    /// The values.
    pub rule: Rule,
}

/// A checked step.
#[derive(Clone, Debug)]
pub struct StepPlan {
    /// What findings and traces call it: `2 translate`.
    pub name: Arc<str>,
    /// The component's name.
    pub component: String,
    /// The step.
    pub step: Arc<dyn Step>,
}

/// A checked destination.
#[derive(Clone, Debug)]
pub struct DestinationPlan {
    /// Its name.
    pub name: Arc<str>,
    /// The component's name, or `topic`.
    pub component: String,
    /// The system at the other end, if the file names one.
    pub system: Option<String>,
    /// It is a store of this node.
    pub store: bool,
    /// Covers the destination's own configuration.
    pub digest: PlanDigest,
    /// How it is made.
    pub kind: DestinationKind,
    /// What it gets.
    pub sends: Sends,
    /// Only messages for which this holds are delivered.
    pub when: Option<Rule>,
    /// Its own steps.
    pub steps: Vec<StepPlan>,
    /// A failure of its own steps fails the whole message.
    pub required: bool,
    /// Retry.
    pub retry: RetryPlan,
    /// What a rejected delivery means for those of the same key; `None` chooses by message type.
    pub after_reject: Option<AfterReject>,
    /// A number; deliveries of a higher one pass those of other keys.
    pub priority: Option<Rule>,
    /// Deliveries that may wait.
    pub queue_max: u64,
    /// Bytes that may wait.
    pub queue_bytes_max: Size,
    /// The channel that gets the reply.
    pub then: Option<Arc<str>>,
    /// Its name before, whose queue it takes over.
    pub was: Option<Arc<str>>,
    /// How it takes test patients and critical results.
    pub care: Care,
}

/// What a destination gets.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Sends {
    /// The messages of the channel.
    #[default]
    Message,
    /// The application answers that senders in enhanced mode ask for (MSH-16).
    ApplicationAnswer,
}

/// The kinds of destination.
#[derive(Clone)]
pub enum DestinationKind {
    /// A component.
    Component(DestinationFactory),
    /// A topic of the engine.
    Topic(Arc<str>),
    /// The destination is gone; what is queued for it is still delivered with these settings.
    Drain(DestinationFactory),
    /// The destination is gone; what is queued for it becomes dead letters.
    DeadLetter,
}

impl fmt::Debug for DestinationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component(_) => f.write_str("Component"),
            Self::Topic(name) => write!(f, "Topic({name})"),
            Self::Drain(_) => f.write_str("Drain"),
            Self::DeadLetter => f.write_str("DeadLetter"),
        }
    }
}

/// How a suspended destination is tried again: the delay doubles from `first` to `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// The first delay.
    pub first: Millis,
    /// The longest delay.
    pub longest: Millis,
    /// A delivery older than this becomes a dead letter.
    pub give_up_after: Option<Millis>,
}

impl Default for RetryPlan {
    fn default() -> Self {
        Self {
            first: Millis(1_000),
            longest: Millis(300_000),
            give_up_after: None,
        }
    }
}

/// What the successors of a rejected delivery do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum AfterReject {
    /// They go on.
    Continue,
    /// Those of the same key wait for a person.
    HoldKey,
    /// The destination waits for a person.
    HoldDestination,
}

/// How resent messages are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResendPlan {
    /// How long a message is remembered; zero turns it off.
    pub within: Millis,
    /// How many messages are remembered for a source.
    pub max: usize,
}

impl Default for ResendPlan {
    fn default() -> Self {
        Self {
            within: Millis(600_000),
            max: 100_000,
        }
    }
}

/// A condition under which someone is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertRule {
    /// Nothing arrived for so long.
    Silence {
        /// How long.
        longer_than: Millis,
        /// Only then.
        during: Option<Window>,
    },
    /// A queue is too long or too old.
    Queue {
        /// Which destination; every one if none is named.
        destination: Option<Arc<str>>,
        /// More than this many wait.
        longer_than: Option<u64>,
        /// The first has waited longer than this.
        older_than: Option<Millis>,
    },
}

/// Hours of the week, in UTC plus an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Days from Monday (0) to Sunday (6).
    pub days: [bool; 7],
    /// First minute of the day.
    pub from_minute: u16,
    /// Minute of the day at which it ends; smaller than `from_minute` if it passes midnight.
    pub to_minute: u16,
    /// The IANA name of the time zone; UTC without one.
    pub zone: Option<String>,
}
