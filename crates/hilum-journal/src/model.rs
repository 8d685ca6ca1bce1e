//! What is handed to the journal and what it hands back.

use std::sync::Arc;

use bytes::Bytes;
use hilum_message::{
    Accepted, BlobRef, DeliveryId, IndexToken, MessageId, Metadata, OrderKey, Payload, PlanDigest,
};
use smallvec::SmallVec;
use smol_str::SmolStr;

/// The order keys of a delivery; most have one or two.
pub type OrderKeys = SmallVec<[OrderKey; 2]>;

/// What became of a message when it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Disposition {
    /// Processed, its deliveries are queued.
    Accepted = 0,
    /// A step said that nobody wants it.
    Filtered = 1,
    /// The channel does not take this kind of message (`accept:`).
    Refused = 2,
    /// A step rejected it, or it could not be read.
    Rejected = 3,
    /// It waits for a release, a time or a state key.
    Held = 4,
    /// Stored as received, not processed yet.
    Received = 5,
    /// A resend of what was accepted before; answered as then.
    Suppressed = 6,
    /// A batch whose parts follow in commits of their own.
    BatchOpen = 7,
    /// All parts of a batch are stored.
    BatchClosed = 8,
}

impl Disposition {
    pub(crate) const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            0 => Self::Accepted,
            1 => Self::Filtered,
            2 => Self::Refused,
            3 => Self::Rejected,
            4 => Self::Held,
            5 => Self::Received,
            6 => Self::Suppressed,
            7 => Self::BatchOpen,
            8 => Self::BatchClosed,
            _ => return None,
        })
    }
}

/// A searchable value: which index, and the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    /// The index. Below 16 are the journal's own.
    pub kind: u16,
    /// The value, hashed.
    pub value: IndexToken,
}

impl Token {
    /// Index of control ids.
    pub const CONTROL_ID: u16 = 16;
    /// Index of patient identifiers.
    pub const PATIENT: u16 = 17;
    /// Index of message types.
    pub const TYPE: u16 = 18;
    /// Index of the codes of findings.
    pub const FINDING: u16 = 19;
    /// Index of order numbers, placer's and filler's.
    pub const ORDER: u16 = 20;
    /// The first of the indexes that channels declare; the kind is this plus a hash of the name.
    pub const DECLARED: u16 = 32;

    /// The kind of the index that a channel declares under `name`. Two names may share a kind;
    /// the token's value covers the name, so they are still told apart.
    #[must_use]
    pub fn declared_kind(name: &str) -> u16 {
        let sum = crate::bytes::sum(&[name.as_bytes()]).unsigned_abs();
        Self::DECLARED + u16::try_from(sum % 4096).unwrap_or(0)
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// Worth knowing.
    Information = 0,
    /// Read by a rule that nobody should rely on.
    Warning = 1,
    /// Wrong.
    Error = 2,
}

impl Severity {
    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Information,
            1 => Self::Warning,
            2 => Self::Error,
            _ => return None,
        })
    }
}

/// What was noticed about a message: by its format, a step or the engine. Never content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFinding {
    /// How much it matters.
    pub severity: Severity,
    /// Who noticed it: `parse`, the name of a step, `resend`.
    pub step: Arc<str>,
    /// Stable code.
    pub code: Arc<str>,
    /// Where in the message.
    pub path: Option<Arc<str>>,
}

/// Who sent a message and under which number, to recognise a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resend {
    /// Hash of source, sending application, facility and control id.
    pub key: [u8; 8],
    /// Digest of the content without the time of the message.
    pub digest: [u8; 16],
}

/// How a held message comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// The step at which it re-enters.
    pub step: Arc<str>,
    /// When it comes back by itself, Unix milliseconds.
    pub until_ms: Option<u64>,
    /// The state key whose change brings it back.
    pub wake: Option<(SmolStr, SmolStr)>,
    /// The order keys that it blocks.
    pub keys: OrderKeys,
}

/// Where a delivery begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewState {
    /// To be sent.
    Pending,
    /// Not to be sent, with the reason.
    DeadLetter(Arc<str>),
}

/// A delivery to be stored with its message.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Its place among the deliveries of the message.
    pub ordinal: u32,
    /// The destination's name in the channel.
    pub destination: Arc<str>,
    /// What it is kept in order by.
    pub keys: OrderKeys,
    /// Higher passes a backlog of other keys.
    pub priority: i16,
    /// The bytes that will be sent.
    pub payload: Payload,
    /// Where it begins.
    pub state: NewState,
}

/// A state value as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRead {
    /// The scope.
    pub scope: SmolStr,
    /// The key.
    pub key: SmolStr,
    /// The commit sequence that wrote it; 0 if it was not there.
    pub version: u64,
}

/// A change of a state value.
#[derive(Clone, PartialEq, Eq)]
pub struct StateWrite {
    /// The scope.
    pub scope: SmolStr,
    /// The key.
    pub key: SmolStr,
    /// The new value; none removes it.
    pub value: Option<Bytes>,
    /// When it is forgotten, Unix milliseconds.
    pub expires_ms: Option<u64>,
}

impl std::fmt::Debug for StateWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.value.as_ref().map(Bytes::len);
        write!(f, "StateWrite({}, {bytes:?} bytes)", self.scope)
    }
}

/// A change of a state value that depends on what the value is when the message is committed, such
/// as a count. The writer makes it in commit order, so it is never stale and needs no read.
#[derive(Clone)]
pub struct StateMerge {
    /// The scope.
    pub scope: SmolStr,
    /// The key.
    pub key: SmolStr,
    /// What is added.
    pub value: Bytes,
    /// When the value is forgotten, Unix milliseconds.
    pub expires_ms: Option<u64>,
    /// Gives the new value from the one that is there, if one is, and what is added. It runs on
    /// the writer's thread: quick, and without a panic.
    pub merge: fn(Option<&[u8]>, &[u8]) -> Vec<u8>,
}

impl std::fmt::Debug for StateMerge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateMerge({}, {} bytes)", self.scope, self.value.len())
    }
}

/// A timer that is set or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerWrite {
    /// The scope.
    pub scope: SmolStr,
    /// The key.
    pub key: SmolStr,
    /// When it is due, Unix milliseconds; none removes it.
    pub due_ms: Option<u64>,
}

/// A blob that was written for a message; see [`crate::BlobWriter::finish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Where it is.
    pub blob: BlobRef,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub digest: [u8; 32],
}

/// A message to be accepted, with all that belongs to the same commit.
#[derive(Clone, Debug)]
pub struct AcceptRequest {
    /// Its id.
    pub message: MessageId,
    /// Its channel.
    pub channel: Arc<str>,
    /// When it arrived, Unix milliseconds.
    pub arrived_ms: u64,
    /// The bytes exactly as received.
    pub received: Payload,
    /// Named values.
    pub metadata: Metadata,
    /// The plan that processed it.
    pub plan: PlanDigest,
    /// What became of it.
    pub disposition: Disposition,
    /// Why, for people; without patient content.
    pub reason: Option<Arc<str>>,
    /// How it comes back, if it is held.
    pub hold: Option<Hold>,
    /// Its control id.
    pub control_id: Option<Arc<str>>,
    /// Its type.
    pub kind: Option<Arc<str>>,
    /// What it can be found by.
    pub tokens: Vec<Token>,
    /// What was noticed about it.
    pub findings: Vec<MessageFinding>,
    /// To recognise a repetition.
    pub resend: Option<Resend>,
    /// The answer that was given, byte for byte, for whoever repeats it.
    pub answer: Option<Bytes>,
    /// The message that it is part of, and its place there.
    pub parent: Option<(MessageId, u32)>,
    /// The message that it repeats on request.
    pub replay_of: Option<MessageId>,
    /// The connection or peer that it came from.
    pub peer: Option<Arc<str>>,
    /// Where it goes.
    pub deliveries: Vec<NewDelivery>,
    /// State that it was processed with.
    pub state_reads: Vec<StateRead>,
    /// State that it changes.
    pub state_writes: Vec<StateWrite>,
    /// State that it adds to.
    pub state_merges: Vec<StateMerge>,
    /// Timers that it sets or removes.
    pub timers: Vec<TimerWrite>,
    /// Blobs written for it.
    pub blobs: Vec<StoredBlob>,
    /// The commit sequence of the row, stored as *received* or *held*, that this one completes.
    pub completes: Option<u64>,
    /// The commit sequence whose place in the order it keeps, if not its own: that of a message
    /// that was held before it went on.
    pub place: Option<u64>,
}

impl AcceptRequest {
    /// A message with nothing but its bytes; the other fields are public.
    #[must_use]
    pub fn new(message: MessageId, channel: Arc<str>, received: Payload) -> Self {
        Self {
            message,
            channel,
            arrived_ms: message.arrived_ms(),
            received,
            metadata: Metadata::new(),
            plan: PlanDigest::default(),
            disposition: Disposition::Accepted,
            reason: None,
            hold: None,
            control_id: None,
            kind: None,
            tokens: Vec::new(),
            findings: Vec::new(),
            resend: None,
            answer: None,
            parent: None,
            replay_of: None,
            peer: None,
            deliveries: Vec::new(),
            state_reads: Vec::new(),
            state_writes: Vec::new(),
            state_merges: Vec::new(),
            timers: Vec::new(),
            blobs: Vec::new(),
            completes: None,
            place: None,
        }
    }
}

/// A stored delivery: its id, and the commit sequence by which the journal finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryRef {
    /// Its id, the same on every attempt.
    pub id: DeliveryId,
    /// The commit sequence of its message.
    pub sequence: u64,
}

/// A delivery that was committed, or is found pending.
#[derive(Clone, Debug)]
pub struct PendingDelivery {
    /// Which one.
    pub delivery: DeliveryRef,
    /// Its place in the order: its own commit sequence, or the one whose place it keeps.
    pub place: u64,
    /// The channel.
    pub channel: Arc<str>,
    /// The destination.
    pub destination: Arc<str>,
    /// What it is kept in order by.
    pub keys: OrderKeys,
    /// Higher passes a backlog of other keys.
    pub priority: i16,
    /// The number of bytes to send.
    pub bytes: u64,
    /// Attempts so far.
    pub attempts: u32,
    /// The bytes, if they are at hand; else [`crate::Journal::body`].
    pub payload: Option<Payload>,
}

/// A message that was committed, told in commit order.
#[derive(Clone, Debug)]
pub struct CommittedMessage {
    /// The proof.
    pub accepted: Accepted,
    /// Its channel.
    pub channel: Arc<str>,
    /// What became of it.
    pub disposition: Disposition,
    /// How it comes back, if it is held.
    pub hold: Option<Hold>,
    /// The row that it, or a message before it in the same commit, completed; told with the last.
    pub completes: Option<u64>,
    /// Its place in the order: its own commit sequence, or the one whose place it keeps.
    pub place: u64,
    /// Named values.
    pub metadata: Metadata,
    /// Its pending deliveries.
    pub deliveries: Vec<PendingDelivery>,
    /// Timers that it set or removed.
    pub timers: Vec<TimerWrite>,
    /// State keys that it changed.
    pub changed: Vec<(SmolStr, SmolStr)>,
}

/// Is told about every commit, by the writer's thread and in commit order: return quickly.
pub trait CommitSink: Send + Sync {
    /// Committed, before the future of its `accept` is woken.
    fn committed(&self, message: CommittedMessage);

    /// A message of a group whose commit failed was found on disk after all: it counts as
    /// accepted, although its `accept` said [`crate::AcceptError::Failed`].
    fn recovered(&self, message: CommittedMessage, resend: Option<Resend>);
}

/// Nobody listens: for tools that only read.
impl CommitSink for () {
    fn committed(&self, _message: CommittedMessage) {}
    fn recovered(&self, _message: CommittedMessage, _resend: Option<Resend>) {}
}

/// How an attempt, or a delivery, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// The peer took it.
    Delivered = 1,
    /// It will not be sent.
    DeadLetter = 2,
    /// Somebody withdrew it.
    Withdrawn = 3,
    /// To be tried again.
    Retry = 4,
    /// The peer is at fault: the destination pauses.
    Halt = 5,
}

impl Outcome {
    pub(crate) const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Delivered,
            2 => Self::DeadLetter,
            3 => Self::Withdrawn,
            4 => Self::Retry,
            5 => Self::Halt,
            _ => return None,
        })
    }
}

/// One attempt to deliver, or a decision about a delivery.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it began, Unix milliseconds.
    pub started_ms: u64,
    /// How long it took.
    pub duration_ms: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, for people; without patient content.
    pub reason: Option<Arc<str>>,
    /// What the peer answered.
    pub reply: Option<Payload>,
}

/// The end of a delivery.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which one.
    pub delivery: DeliveryRef,
    /// The last attempt or the decision; its outcome is `Delivered`, `DeadLetter` or `Withdrawn`.
    pub last: Attempt,
}

/// Where a delivery is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DeliveryState {
    /// To be sent.
    Pending = 0,
    /// The peer took it.
    Delivered = 1,
    /// Not to be sent, unless somebody requeues it.
    DeadLetter = 2,
    /// Withdrawn.
    Withdrawn = 3,
    /// Its row is in `pinned.db`.
    Pinned = 4,
}

impl DeliveryState {
    pub(crate) const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            0 => Self::Pending,
            1 => Self::Delivered,
            2 => Self::DeadLetter,
            3 => Self::Withdrawn,
            4 => Self::Pinned,
            _ => return None,
        })
    }
}
