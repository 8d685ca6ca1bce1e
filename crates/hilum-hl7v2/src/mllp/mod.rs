//! MLLP release 1 and 2 framing as a state machine: bytes in, events out, no socket.
//!
//! A frame is VT, content, FS, CR. Any split of the stream gives the same events. What is not
//! framed is skipped, counted and sampled (the first 4 kB), never kept. A frame that grows beyond
//! its limit is reported once and then dropped as it comes.
//!
//! FS ends a frame only before CR, LF, VT or another FS, because a bare FS inside broken content
//! must not make half a message look whole; a peer that never sends the CR is told apart by
//! [`Decoder::awaiting_end`]. VT inside a frame begins a new one only before a header segment,
//! because word processors leave VT in report text.

mod decoder;

use bytes::{Bytes, BytesMut};

pub use decoder::{Decoder, DecoderOptions, StartByte};

/// Begins a frame.
pub const START: u8 = 0x0B;
/// First byte of the end of a frame.
pub const END: u8 = 0x1C;
/// Second byte of the end of a frame.
pub const CR: u8 = 0x0D;
/// How much of skipped bytes is kept for the record.
pub const SKIPPED_KEPT_MAX: usize = 4_096;
/// The longest frame unless configured otherwise.
pub const FRAME_BYTES_MAX: u64 = 128 << 20;

/// What the stream brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A complete frame.
    Frame(Frame),
    /// A commit acknowledgement of MLLP release 2.
    Commit(Commit),
    /// Bytes that belong to no complete frame.
    Skipped(Skipped),
    /// A tolerated deviation of the frame before.
    Deviation(Deviation),
}

/// A complete frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The content, or what remained of it after [`Decoder::take_partial`].
    pub bytes: Bytes,
    /// How many bytes of the content were taken before.
    pub taken: u64,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("bytes", &self.bytes.len())
            .field("taken", &self.taken)
            .finish()
    }
}

/// Acknowledgement that bytes were stored, MLLP release 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Stored (0x06).
    Ack,
    /// Not stored (0x15).
    Nak,
}

/// Bytes that were dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Why.
    pub reason: SkipReason,
    /// How many.
    pub count: u64,
    /// The first of them, at most [`SKIPPED_KEPT_MAX`]; may hold patient data.
    pub first: Bytes,
}

impl std::fmt::Debug for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Skipped")
            .field("reason", &self.reason)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// Why bytes were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Not within a frame.
    Unframed,
    /// A frame that never ended.
    Unclosed,
    /// A frame beyond the limit. The count is one more than the limit; the rest is dropped unseen.
    TooLarge,
}

/// A deviation that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// FS without the CR.
    NoCr,
    /// LF after the frame.
    LineFeed,
    /// More than one FS.
    ExtraEnd,
    /// No VT before the header segment; only in lenient mode.
    NoStart,
}

impl Deviation {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoCr => "mllp-no-cr",
            Self::LineFeed => "mllp-lf-after-frame",
            Self::ExtraEnd => "mllp-extra-fs",
            Self::NoStart => "mllp-no-vt",
        }
    }
}

/// The content holds a byte that would end its frame early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content holds the end byte of MLLP at {0}")]
pub struct Unframeable(pub usize);

/// A frame around content.
pub fn encode(content: &[u8]) -> Result<Bytes, Unframeable> {
    if let Some(at) = memchr::memchr(END, content) {
        return Err(Unframeable(at));
    }
    let mut out = BytesMut::with_capacity(content.len().saturating_add(3));
    out.extend_from_slice(&[START]);
    out.extend_from_slice(content);
    out.extend_from_slice(&[END, CR]);
    Ok(out.freeze())
}

/// The frame of a commit acknowledgement.
pub fn encode_commit(commit: Commit) -> [u8; 4] {
    let byte = match commit {
        Commit::Ack => 0x06,
        Commit::Nak => 0x15,
    };
    [START, byte, END, CR]
}
