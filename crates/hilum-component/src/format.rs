//! Formats: the only place that knows a protocol's grammar.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hilum_fhirpath::{Dialect, NodeId, Tree};
use hilum_message::{Accepted, MessageId, Payload, Tokens};

use crate::{Marks, Object, TestPatients};

/// A format of messages: pure, without clock and I/O.
pub trait Format: Send + Sync {
    /// The name by which channels choose it.
    fn name(&self) -> &'static str;

    /// The beginning of a message looks like this format.
    fn sniff(&self, start: &[u8]) -> bool;

    /// Parses a message. Bad input from a peer is a value: what can be read is read, with
    /// problems noted on the document; only what is no message of this format at all is rejected.
    fn parse(&self, payload: &Payload) -> Result<Box<dyn Document>, ParseReject>;

    /// Splits a payload that holds several messages.
    fn split(&self, _payload: &Payload) -> Split {
        Split::One
    }

    /// What identifies a message.
    fn identify(&self, document: &dyn Document) -> Identity;

    /// What the message tells the state of, each as of when; `arrived_ms` stands in for a message
    /// that does not say when it was sent. Asked when a message is to be sent again, not on its way.
    fn objects(&self, _document: &dyn Document, _arrived_ms: u64) -> Vec<Object> {
        Vec::new()
    }

    /// Whether a control id names one very message: then a message without one is refused where
    /// the format has answers, and a second one with it may be a repeat.
    fn control_id_names_message(&self, _identity: &Identity) -> bool {
        true
    }

    /// What a message says of itself that decides who may have it and how soon; `test_patients` are
    /// those of the site.
    fn marks(&self, _document: &dyn Document, _test_patients: &[TestPatients]) -> Marks {
        Marks::default()
    }

    /// The time at which a message says that it was sent, against a receipt in Unix milliseconds. `None`
    /// if it does not say so to the minute, or says no offset and `zone` has none. A time that may be one
    /// of several (no seconds, an hour that comes twice) is the one next to the receipt.
    fn sent(
        &self,
        _document: &dyn Document,
        _received_ms: u64,
        _zone: Option<&Offsets>,
    ) -> Option<Sent> {
        None
    }

    /// Feeds `sink` with the bytes that are equal when a peer sends the same message again
    /// (for HL7 v2 without MSH-7).
    fn resend_bytes(&self, payload: &Payload, sink: &mut dyn FnMut(&[u8])) {
        sink(payload.text());
    }

    /// The answer to a message, sealed until the journal has it; `None` where the format has no
    /// answers of its own.
    fn answer(&self, _answer: &Answer<'_>) -> Option<SealedAnswer> {
        None
    }

    /// How the sender of this message wants to be answered.
    fn answer_mode(&self, _document: &dyn Document) -> AnswerMode {
        AnswerMode::Original
    }

    /// Reads a peer's answer; the error says why it is none.
    fn read_answer(&self, _bytes: &[u8]) -> Result<PeerAnswer, String> {
        Err(format!("the format {} has no answers", self.name()))
    }

    /// Messages of this kind build on each other, so that a rejected one holds its successors
    /// (ADT and orders).
    fn successors_depend(&self, _identity: &Identity) -> bool {
        false
    }

    /// The format's own way of writing paths.
    fn dialect(&self) -> Option<&dyn Dialect> {
        None
    }

    /// Compiles a place to write to.
    fn target(&self, path: &str) -> Result<Target, String>;

    /// Whether a byte ends a run that may be cut out as an attachment.
    fn ends_attachment(&self, byte: u8) -> bool {
        matches!(
            byte,
            b'\r' | b'\n' | b'|' | b'^' | b'&' | b'~' | b'"' | b'<' | b'>'
        )
    }
}

impl fmt::Debug for dyn Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Format({})", self.name())
    }
}

/// How a format is set for one channel.
#[derive(Clone, Debug, Default)]
pub struct FormatOptions {
    /// The character set to assume where a message does not say.
    pub charset: Option<String>,
    /// A message without a control id is accepted.
    pub control_id_optional: bool,
    /// The zone of times that say no offset.
    pub zone: Option<Offsets>,
    /// The format's own settings, as its schema describes them.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// The offsets of a time zone. This crate has no table of zones; whoever sets a format up has.
#[derive(Clone)]
pub struct Offsets(Arc<OffsetAt>);

type OffsetAt = dyn Fn(i64) -> Option<i32> + Send + Sync;

impl Offsets {
    /// By a function from a local time (seconds since 1970 on the clock of the zone) to minutes east of
    /// UTC.
    pub fn new(at: impl Fn(i64) -> Option<i32> + Send + Sync + 'static) -> Self {
        Self(Arc::new(at))
    }

    /// Minutes east of UTC at a local time, in seconds since 1970 on the clock of the zone.
    #[must_use]
    pub fn minutes(&self, local_s: i64) -> Option<i32> {
        (self.0)(local_s)
    }
}

impl fmt::Debug for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offsets(…)")
    }
}

/// The parsed view that travels with a message through all steps.
pub trait Document: Send + Sync {
    /// The view that expressions walk over.
    fn tree(&self) -> &dyn Tree;

    /// Writes `values` to a place. Without `[n]` the first is written, with `[*]` each; what is
    /// missing on the way appears at its place. An empty list clears the place.
    fn set(&mut self, target: &Target, values: &[String]) -> Result<(), EditError>;

    /// Replaces the value of one node.
    fn set_node(&mut self, node: NodeId, value: &str) -> Result<(), EditError>;

    /// Removes a place with all below it.
    fn delete(&mut self, target: &Target) -> Result<(), EditError>;

    /// The document as bytes; the received bytes where nothing was touched.
    fn write(&self) -> Payload;

    /// Something was changed since it was parsed.
    fn touched(&self) -> bool;

    /// What was noticed while parsing.
    fn problems(&self) -> Vec<DocumentProblem>;

    /// A copy that can be changed on its own.
    fn boxed_clone(&self) -> Box<dyn Document>;

    /// A text that was made of values of this document, as a payload: what stands in it for content
    /// outside memory becomes a cut again.
    fn payload_of(&self, text: bytes::Bytes) -> Payload {
        Payload::inline(text)
    }

    /// What stands in this document for content outside memory.
    fn tokens(&self) -> Option<&Tokens> {
        None
    }

    /// For the format's own steps.
    fn as_any(&self) -> &dyn Any;

    /// For the format's own steps.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl fmt::Debug for dyn Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document(…)")
    }
}

/// A compiled place to write to.
pub struct Target {
    /// The path as written.
    pub text: String,
    /// What the format compiled.
    pub compiled: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.text)
    }
}

/// Why an edit is not possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot write {path}: {reason}")]
pub struct EditError {
    /// The place.
    pub path: String,
    /// The reason, without content.
    pub reason: String,
}

/// Something a parser or a rule noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentProblem {
    /// Stable code (`msh2-short`).
    pub code: String,
    /// Where, in the words of the format.
    pub path: String,
    /// How bad it is.
    pub severity: Severity,
    /// A sentence without content.
    pub text: String,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Information,
    /// Read by a rule that the sender should not rely on.
    Warning,
    /// Wrong.
    Error,
}

/// The bytes are no message of the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not readable as {format}: {reason}")]
pub struct ParseReject {
    /// The format that was tried.
    pub format: &'static str,
    /// The reason, without content.
    pub reason: String,
}

/// When a message was sent, as it says, seen from its receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The place that says so, in the words of the format.
    pub path: &'static str,
    /// By how much it lies behind the receipt, in milliseconds; negative if it is ahead of it.
    pub behind_ms: i64,
}

/// What a payload holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split {
    /// One message.
    One,
    /// Several messages, each by its range of the text, and what was noticed about the envelope.
    Many(Vec<std::ops::Range<usize>>, Vec<DocumentProblem>),
}

/// What identifies a message, in the words of its format.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The sender's id of the message (MSH-10).
    pub control_id: Option<String>,
    /// Type as the format writes it (`ADT^A01`).
    pub message_type: Option<String>,
    /// Sending application and facility (MSH-3, MSH-4).
    pub sender: Option<(String, String)>,
    /// Patient identifiers, each with its assigning authority if it has one.
    pub patients: Vec<(String, Option<String>)>,
    /// Visit identifiers.
    pub visits: Vec<(String, Option<String>)>,
    /// Order identifiers (placer and filler).
    pub orders: Vec<(String, Option<String>)>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("message_type", &self.message_type)
            .finish_non_exhaustive()
    }
}

/// What a source may tell its peer about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Taken.
    Accept,
    /// Taken but wrong in itself: AE with a code of table 0357 and a place.
    Error {
        /// Code of table 0357 or the format's own.
        code: &'a str,
        /// Where.
        path: Option<&'a str>,
        /// A sentence without content.
        text: &'a str,
    },
    /// Not for this channel, or not acceptable: AR.
    Refuse {
        /// Code of table 0357 or the format's own.
        code: &'a str,
        /// Where.
        path: Option<&'a str>,
        /// A sentence without content.
        text: &'a str,
    },
}

/// All that an answer is built from.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The received message; may be unreadable.
    pub received: &'a Payload,
    /// What to say.
    pub verdict: Verdict<'a>,
    /// The id from which the answer's own control id derives.
    pub message: MessageId,
    /// The time to write into it, Unix milliseconds.
    pub at_ms: u64,
    /// The commit answer of enhanced mode (CA, CE, CR) is asked for.
    pub commit: bool,
}

/// How a sender wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerMode {
    /// One application answer.
    Original,
    /// Enhanced mode: a commit answer now, the application answer as a delivery of its own.
    Enhanced {
        /// A commit answer is wanted for a good message.
        commit_on_success: bool,
        /// A commit answer is wanted for a bad message.
        commit_on_error: bool,
        /// An application answer is wanted for a good message.
        application_on_success: bool,
        /// An application answer is wanted for a bad message.
        application_on_error: bool,
    },
}

/// An answer that was built, so that it can be recorded with its message, but cannot be sent yet.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedAnswer {
    bytes: Bytes,
    positive: bool,
}

impl SealedAnswer {
    /// A positive answer: only [`SealedAnswer::open`] gives it out.
    #[must_use]
    pub const fn positive(bytes: Bytes) -> Self {
        Self {
            bytes,
            positive: true,
        }
    }

    /// A negative answer.
    #[must_use]
    pub const fn negative(bytes: Bytes) -> Self {
        Self {
            bytes,
            positive: false,
        }
    }

    /// The answer, for a message that is on disk.
    #[must_use]
    pub fn open(&self, _proof: &Accepted) -> Bytes {
        self.bytes.clone()
    }

    /// The answer if it is a negative one, which needs no proof.
    #[must_use]
    pub fn open_negative(&self) -> Option<Bytes> {
        (!self.positive).then(|| self.bytes.clone())
    }

    /// The bytes for the record of the message; never to be sent from here.
    #[must_use]
    pub const fn for_record(&self) -> &Bytes {
        &self.bytes
    }

    /// It says yes.
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        self.positive
    }
}

impl fmt::Debug for SealedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SealedAnswer({}, {} bytes)",
            if self.positive { "yes" } else { "no" },
            self.bytes.len()
        )
    }
}

/// A peer's answer.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PeerAnswer {
    /// MSA-1 or the like.
    pub code: String,
    /// The id that is answered (MSA-2).
    pub control_id: Option<String>,
    /// ERR-3 or the like.
    pub error_code: Option<String>,
    /// ERR-4 or the like.
    pub severity: Option<String>,
    /// ERR-2 or the like.
    pub location: Option<String>,
    /// MSA-3, ERR-8; may hold content.
    pub text: Option<String>,
}

impl fmt::Debug for PeerAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerAnswer")
            .field("code", &self.code)
            .field("error_code", &self.error_code)
            .finish_non_exhaustive()
    }
}
