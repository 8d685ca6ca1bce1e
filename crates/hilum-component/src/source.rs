//! Sources: how messages come in, through [`Intake`] and nothing else.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hilum_message::{BlobRef, Metadata, Payload};
use tokio::sync::watch;

use crate::{BoxFuture, Disposition};

/// Where messages come from.
///
/// `open` claims what the source needs (binds the listener, opens the folder) and returns at
/// once; its error is shown before anything runs. `run` brings messages in until the stop is
/// requested, then finishes what it has handed to [`Intake`], answers it, and returns. It takes
/// what peers send from its first poll on: a node is ready when each source was polled. The source
/// answers its peer with what the [`Reply`] holds and never on its own account, but to say no.
/// Dropping `run` is allowed at any time: what intake has taken goes on, unanswered.
pub trait Source: Send {
    /// Claims what the source needs; gives the address people may use, where there is one.
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>>;

    /// Brings messages in until `stop`.
    fn run<'a>(&'a mut self, intake: Intake, stop: Stop) -> BoxFuture<'a, Result<(), SourceError>>;
}

impl fmt::Debug for dyn Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source(…)")
    }
}

/// Why a source cannot start or go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// Trying again may help (the engine does, with back-off).
    pub retry: bool,
    /// What was attempted and what happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A request to stop, to be awaited beside the work.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Requests the stop.
#[derive(Debug)]
pub struct StopHandle(watch::Sender<bool>);

impl Stop {
    /// A stop and the handle that requests it.
    #[must_use]
    pub fn new() -> (StopHandle, Self) {
        let (sender, receiver) = watch::channel(false);
        (StopHandle(sender), Self(receiver))
    }

    /// Returns when the stop is requested, or when nobody is left who could.
    pub async fn requested(&mut self) {
        // An error means that the handle is gone, which is a stop as well.
        drop(self.0.wait_for(|requested| *requested).await);
    }

    /// The stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

impl StopHandle {
    /// Requests the stop.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

/// The scope of the state that holds what sources remember, under `CHANNEL/KEY`.
pub const SOURCE_SCOPE: &str = "hilum.source";

/// Who sent a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Network address or file name without folder.
    pub label: Arc<str>,
    /// Number of the connection or pass; messages of one connection are in order.
    pub connection: u64,
}

impl Peer {
    /// Where a message comes from that no connection brought: a replay, a timer, the journal.
    #[must_use]
    pub const fn inside(label: Arc<str>) -> Self {
        Self {
            label,
            connection: 0,
        }
    }
}

/// A message as it came in.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The bytes.
    pub payload: Payload,
    /// Who sent it.
    pub peer: Peer,
    /// What the source knows beside the bytes (file name, HTTP header, column).
    pub metadata: Metadata,
    /// A key and a value that the source recalls from then on. Unlike what it
    /// [remembers](Intake::remember) afterwards it is written in the commit of the message, so that
    /// after a crash the place of the source and its messages agree.
    pub remembers: Option<(Arc<str>, Bytes)>,
}

impl Arrival {
    /// Bytes from a peer.
    #[must_use]
    pub fn new(bytes: Bytes, peer: Peer) -> Self {
        Self {
            payload: Payload::inline(bytes),
            peer,
            metadata: Metadata::new(),
            remembers: None,
        }
    }
}

/// A message of which only the beginning is there.
#[derive(Clone)]
pub struct Partial {
    /// Its first bytes, capped by the source.
    pub first: Bytes,
    /// The bytes that have come so far.
    pub total: u64,
    /// Who sent it.
    pub peer: Peer,
    /// Why there is no more of it.
    pub why: NotTaken,
}

impl fmt::Debug for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partial({} bytes, {:?})", self.total, self.why)
    }
}

/// Why a message cannot be taken whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It is longer than a setting allows.
    TooLarge {
        /// The name of the setting.
        setting: &'static str,
        /// Its value.
        bytes_max: u64,
    },
    /// Its content cannot be written now.
    NotStored {
        /// What the file system said.
        cause: String,
    },
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { setting, bytes_max } => {
                write!(f, "the message exceeds `{setting}`, {bytes_max} bytes")
            }
            Self::NotStored { .. } => f.write_str("not stored; send it again"),
        }
    }
}

/// What became of a message, for the peer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What the engine decided.
    pub disposition: Disposition,
    /// The answer to send, if the format has answers and the peer wants one.
    pub answer: Option<Bytes>,
    /// Why not, for protocols whose answers are not the format's (an HTTP status text).
    pub reason: Option<String>,
    /// The id under which the message is found; none if it could not be recorded.
    pub message: Option<hilum_message::MessageId>,
}

/// The only door for messages.
#[derive(Clone)]
pub struct Intake {
    port: Arc<dyn IntakePort>,
}

impl Intake {
    /// A door to an engine.
    #[must_use]
    pub fn new(port: Arc<dyn IntakePort>) -> Self {
        Self { port }
    }

    /// Takes a message: parses, runs the steps, makes durable, and says what to answer.
    ///
    /// Waits while the engine is full, which is how a source holds its peer back. Arrivals of one
    /// connection must be handed over in order, each after the reply to the one before unless the
    /// protocol allows more under way.
    pub async fn take(&self, arrival: Arrival) -> Reply {
        self.port.take(arrival).await
    }

    /// Records bytes that are no message (junk before a frame), capped by the caller.
    pub async fn record_junk(&self, bytes: Bytes, total: u64, peer: Peer) {
        self.port.record_junk(bytes, total, peer).await;
    }

    /// Says no to a message that cannot be taken whole. What is too large is recorded with its
    /// first bytes; the answer is the format's, built from them, so that the peer finds its
    /// control id in it.
    pub async fn refuse(&self, partial: Partial) -> Reply {
        self.port.refuse(partial).await
    }

    /// A blob to stream large content to before its message is taken.
    pub async fn blob(&self) -> std::io::Result<Box<dyn BlobWriter>> {
        self.port.blob().await
    }

    /// A byte at which an attachment run ends in the channel's format.
    #[must_use]
    pub fn ends_attachment(&self, byte: u8) -> bool {
        self.port.ends_attachment(byte)
    }

    /// A value that the source keeps for itself between runs (a cursor); written durably.
    pub async fn remember(&self, key: &str, value: Bytes) -> std::io::Result<()> {
        self.port.remember(key, value).await
    }

    /// What [`Intake::remember`] keeps.
    pub async fn recall(&self, key: &str) -> Option<Bytes> {
        self.port.recall(key).await
    }

    /// The engine's time in Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.port.now_ms()
    }
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Intake")
    }
}

/// What the engine implements behind [`Intake`].
pub trait IntakePort: Send + Sync {
    /// See [`Intake::take`].
    fn take(&self, arrival: Arrival) -> BoxFuture<'_, Reply>;
    /// See [`Intake::record_junk`].
    fn record_junk(&self, bytes: Bytes, total: u64, peer: Peer) -> BoxFuture<'_, ()>;
    /// See [`Intake::refuse`].
    fn refuse(&self, partial: Partial) -> BoxFuture<'_, Reply>;
    /// See [`Intake::blob`].
    fn blob(&self) -> BoxFuture<'_, std::io::Result<Box<dyn BlobWriter>>>;
    /// See [`Intake::ends_attachment`].
    fn ends_attachment(&self, byte: u8) -> bool;
    /// See [`Intake::remember`].
    fn remember<'a>(&'a self, key: &'a str, value: Bytes) -> BoxFuture<'a, std::io::Result<()>>;
    /// See [`Intake::recall`].
    fn recall<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Bytes>>;
    /// See [`Intake::now_ms`].
    fn now_ms(&self) -> u64;
}

/// Large content on its way to disk.
pub trait BlobWriter: Send {
    /// Appends bytes.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, std::io::Result<()>>;

    /// The number of bytes written so far.
    fn written(&self) -> u64;

    /// Makes the blob durable. A blob that is dropped before is removed.
    fn finish(self: Box<Self>) -> BoxFuture<'static, std::io::Result<BlobRef>>;
}
