//! What processing a message gives.

use std::sync::Arc;

use hilum_message::{IndexToken, MessageId, Metadata, OrderKey, Payload};
use smol_str::SmolStr;

use super::{ClockReading, Incoming};
use crate::{
    AfterReject, AnswerMode, DocumentProblem, Identity, SealedAnswer, Severity, StateChange,
    StateRead, TimerChange, UnmappedCode, Verdict,
};

/// What was decided about a message.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// It goes to its destinations.
    Accepted,
    /// A step let it end here.
    Filtered,
    /// It is not for this channel.
    Refused,
    /// It is at fault.
    Rejected,
    /// It waits and blocks its keys.
    Held,
    /// It could not be recorded; the peer must send it again.
    Failed,
}

impl Disposition {
    /// The peer is told yes.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        matches!(self, Self::Accepted | Self::Filtered | Self::Held)
    }

    /// The word that files, tables and the command line use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Filtered => "filtered",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

/// Why a message ended as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The step or stage that decided.
    pub step: String,
    /// Code of table 0357 or our own.
    pub code: String,
    /// Where in the message.
    pub path: Option<String>,
    /// A sentence without content.
    pub text: String,
}

impl Reason {
    pub(crate) fn new(step: &str, code: &str, path: Option<String>, text: String) -> Self {
        Self {
            step: step.to_owned(),
            code: code.to_owned(),
            path,
            text,
        }
    }

    pub(crate) fn as_error(&self) -> Verdict<'_> {
        Verdict::Error {
            code: &self.code,
            path: self.path.as_deref(),
            text: &self.text,
        }
    }

    pub(crate) fn as_refusal(&self) -> Verdict<'_> {
        Verdict::Refuse {
            code: &self.code,
            path: self.path.as_deref(),
            text: &self.text,
        }
    }
}

/// Something that a step noticed about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The step or stage.
    pub step: String,
    /// Stable code.
    pub code: String,
    /// Where in the message.
    pub path: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// A sentence without content.
    pub text: String,
}

impl Finding {
    pub(crate) fn of_problem(step: &str, problem: DocumentProblem) -> Self {
        Self {
            step: step.to_owned(),
            code: problem.code,
            path: Some(problem.path),
            severity: problem.severity,
            text: problem.text,
        }
    }
}

/// How long a held message waits, and where it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The step at which it goes on.
    pub step: usize,
    /// When it goes on by itself, Unix milliseconds.
    pub until_ms: Option<u64>,
    /// A state key (scope, key) whose change lets it go on.
    pub wake: Option<(SmolStr, SmolStr)>,
}

/// One delivery, fixed at acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedDelivery {
    /// The destination's name.
    pub destination: Arc<str>,
    /// The bytes to send.
    pub payload: Payload,
    /// Named values of the message.
    pub metadata: Metadata,
    /// What it is kept in order by.
    pub keys: Vec<OrderKey>,
    /// Higher ones pass those of other keys.
    pub priority: i16,
    /// What a rejection means for its successors.
    pub after_reject: AfterReject,
    /// It failed in the destination's own steps and is a dead letter from the start.
    pub dead_letter: Option<Reason>,
    /// It is a critical result: until when its receiver must have acknowledged it, Unix
    /// milliseconds.
    pub critical: Option<u64>,
}

/// What the journal writes for one message.
#[derive(Clone, Debug)]
pub struct Processed {
    /// The message.
    pub id: MessageId,
    /// When it arrived, Unix milliseconds.
    pub arrived_ms: u64,
    /// The received bytes.
    pub payload: Payload,
    /// What was decided.
    pub disposition: Disposition,
    /// Why.
    pub reason: Option<Reason>,
    /// What identifies it.
    pub identity: Identity,
    /// Values to find it by.
    pub tokens: Vec<(Arc<str>, IndexToken)>,
    /// What it is kept in order by.
    pub keys: Vec<OrderKey>,
    /// Named values.
    pub metadata: Metadata,
    /// What was noticed.
    pub findings: Vec<Finding>,
    /// What is to be delivered.
    pub deliveries: Vec<PlannedDelivery>,
    /// Messages of a batch, or split off by a step.
    pub children: Vec<Self>,
    /// What it read of the state.
    pub reads: Vec<StateRead>,
    /// What it changes.
    pub writes: Vec<StateChange>,
    /// Timers it sets.
    pub timers: Vec<TimerChange>,
    /// Codes that no table has; also of a message that was rejected or filtered. A message that is
    /// held has none until it goes on, so that they are counted once.
    pub unmapped: Vec<UnmappedCode>,
    /// Unmapped codes beyond the limit of one message.
    pub unmapped_more: u32,
    /// How long it waits, if it is held.
    pub hold: Option<Hold>,
    /// The application answer, if the format has answers.
    pub answer: Option<SealedAnswer>,
    /// How the sender wants to be answered.
    pub answer_mode: AnswerMode,
    /// What it says of the clock of its sender, where that is known.
    pub clock: Option<ClockReading>,
}

impl Processed {
    pub(crate) fn new(incoming: &Incoming) -> Self {
        Self {
            id: incoming.id,
            arrived_ms: incoming.arrived_ms,
            payload: incoming.payload.clone(),
            disposition: Disposition::Accepted,
            reason: None,
            identity: Identity::default(),
            tokens: Vec::new(),
            keys: Vec::new(),
            metadata: incoming.metadata.clone(),
            findings: Vec::new(),
            deliveries: Vec::new(),
            children: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            timers: Vec::new(),
            unmapped: Vec::new(),
            unmapped_more: 0,
            hold: None,
            answer: None,
            answer_mode: AnswerMode::Original,
            clock: None,
        }
    }
}
