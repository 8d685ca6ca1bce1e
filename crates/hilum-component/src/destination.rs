//! Destinations: one attempt each, and what the engine does with its outcome.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hilum_message::{BlobRange, DeliveryId, Metadata, Payload};

use crate::{BoxFuture, PeerAnswer};

/// Where messages go.
///
/// `send` makes one attempt for each delivery and says how each ended, in the same order. It
/// never retries: suspending, back-off and dead letters are the engine's. A delivery carries the
/// same id on every attempt, so that a receiver can recognise a repeat. `send` is called from
/// several lanes at once, at most [`Destination::concurrency`] of them. Dropping the future gives
/// the attempt up: the next `send` must start clean (drop a connection whose answer is unknown).
pub trait Destination: Send + Sync {
    /// Makes one attempt for each delivery.
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>>;

    /// How many deliveries one call may carry.
    fn batch_max(&self) -> usize {
        1
    }

    /// How many calls may be under way at once.
    fn concurrency(&self) -> usize {
        1
    }

    /// What it sends to decides by the times that this says which state is the newer one, so that it is
    /// not kept from it for being old.
    fn keeps_newest(&self, _payload: &Payload) -> bool {
        false
    }

    /// Where it sends to, for people; without secrets.
    fn address(&self) -> String;

    /// Called when the destination comes into use, also if there is nothing to send yet: one that
    /// its peer connects to listens from now on. Returns at once; what does not succeed is tried
    /// again, and `send` says why. A destination is also usable without it, and after a `close`.
    fn open(&self) {}

    /// Goes as far towards the peer as is possible without sending anything: connects, verifies
    /// its certificate, looks for its folder. `None` where nothing can be tried without a message.
    fn reach(&self) -> BoxFuture<'_, Option<Result<Reached, DeliveryError>>> {
        Box::pin(async { None })
    }

    /// Ends what is open.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl fmt::Debug for dyn Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({})", self.address())
    }
}

/// Reads content that lies outside memory.
pub trait BlobReader: Send + Sync {
    /// Reads up to `length` bytes from `offset` within the range; fewer at its end.
    fn read<'a>(
        &'a self,
        range: &'a BlobRange,
        offset: u64,
        length: usize,
    ) -> BoxFuture<'a, std::io::Result<Bytes>>;
}

/// One message on its way to one destination.
#[derive(Clone)]
pub struct Delivery {
    /// The same on every attempt.
    pub id: DeliveryId,
    /// The channel it comes from.
    pub channel: Arc<str>,
    /// Counts from 1.
    pub attempt: u32,
    /// What to send.
    pub payload: Payload,
    /// Named values of the message.
    pub metadata: Metadata,
    /// When the message arrived, Unix milliseconds.
    pub arrived_ms: u64,
    /// Reads the blobs of the payload.
    pub blobs: Arc<dyn BlobReader>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({}, attempt {})", self.id, self.attempt)
    }
}

/// A peer that was reached without sending anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The subject of the peer's certificate, where it has shown one.
    pub certificate: Option<String>,
    /// Until when that is good, in Unix seconds.
    pub good_until: Option<i64>,
}

/// How one attempt ended.
pub type Outcome = Result<Delivered, DeliveryError>;

/// The peer has it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// What the peer said.
    pub reply: Option<Bytes>,
    /// What the trace shows of it, without content (`AA`, `201`).
    pub summary: String,
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivered({})", self.summary)
    }
}

/// What a failed delivery means for those that follow.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The peer is away: the destination is suspended and tried again.
    Retry,
    /// The message is at fault: a dead letter.
    Reject,
    /// The peer is at fault: the destination pauses until a person resumes it.
    Halt,
}

/// A delivery that failed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeliveryError {
    /// The engine branches on this, never on text.
    pub class: Class,
    /// Stable code (`connect-refused`, `answer-ae`).
    pub code: &'static str,
    /// What was attempted and what happened, without content.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What the peer said.
    pub reply: Option<Bytes>,
}

impl fmt::Debug for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DeliveryError({:?}, {}, {})",
            self.class, self.code, self.message
        )
    }
}

impl DeliveryError {
    /// The peer is away.
    pub fn retry(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Class::Retry, code, message)
    }

    /// The message is at fault.
    pub fn reject(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Class::Reject, code, message)
    }

    /// The peer is at fault.
    pub fn halt(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Class::Halt, code, message)
    }

    /// Of a class that is only known at run time.
    pub fn new(class: Class, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            code,
            message: message.into(),
            hint: None,
            reply: None,
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With what the peer said.
    #[must_use]
    pub fn reply(mut self, reply: Bytes) -> Self {
        self.reply = Some(reply);
        self
    }
}

/// What a system's negative answers mean, row by row; the first row that fits decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerTable {
    /// The rows, in the order of the system's file.
    pub rows: Vec<AnswerRow>,
}

/// One row of an [`AnswerTable`]; an absent condition fits everything.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AnswerRow {
    /// MSA-1: `AE`, `AR`, `CE`, `CR`.
    pub code: Option<String>,
    /// ERR-3, such as `207`.
    pub error: Option<String>,
    /// ERR-4, such as `E`.
    pub severity: Option<String>,
    /// A text that MSA-3 or ERR-8 contains, in any case.
    pub text: Option<String>,
    /// What it means.
    pub means: Class,
}

impl AnswerTable {
    /// What an answer means: `None` is a positive one.
    ///
    /// Without a fitting row AA and CA are positive, AE and CE, AR and CR reject the message, and
    /// anything else is the peer's fault.
    #[must_use]
    pub fn class(&self, answer: &PeerAnswer) -> Option<Class> {
        let fits = |row: &&AnswerRow| {
            let same = |want: &Option<String>, have: Option<&str>| {
                want.as_ref()
                    .is_none_or(|want| have.is_some_and(|have| have.eq_ignore_ascii_case(want)))
            };
            let contains = row.text.as_ref().is_none_or(|want| {
                answer
                    .text
                    .as_ref()
                    .is_some_and(|have| have.to_lowercase().contains(&want.to_lowercase()))
            });
            same(&row.code, Some(&answer.code))
                && same(&row.error, answer.error_code.as_deref())
                && same(&row.severity, answer.severity.as_deref())
                && contains
        };
        if matches!(answer.code.as_str(), "AA" | "CA") {
            return None;
        }
        Some(self.rows.iter().find(fits).map_or(
            match answer.code.as_str() {
                "AE" | "AR" | "CE" | "CR" => Class::Reject,
                _ => Class::Halt,
            },
            |row| row.means,
        ))
    }
}
