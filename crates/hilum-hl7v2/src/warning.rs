//! What the parser noticed and went on, and the few things it cannot go on from.
//!
//! Texts name positions, codes and counts, never content of the message.

use std::borrow::Cow;
use std::fmt;

/// A deviation that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which deviation.
    pub code: WarningCode,
    /// One line for people.
    pub text: Cow<'static, str>,
    /// Index of the segment concerned, where there is one.
    pub segment: Option<usize>,
}

impl Warning {
    pub(crate) fn new(code: WarningCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            text: text.into(),
            segment: None,
        }
    }

    pub(crate) fn at(mut self, segment: usize) -> Self {
        self.segment = Some(segment);
        self
    }
}

macro_rules! warning_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// The kinds of accepted deviations; the codes are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum WarningCode {
            $($(#[doc = $doc])+ $name,)+
        }

        impl WarningCode {
            /// Every code, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable spelling.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }
    };
}

warning_codes! {
    /// Segments end in LF.
    TerminatorLf = "terminator-lf",
    /// Segments end in CR LF.
    TerminatorCrLf = "terminator-crlf",
    /// Segments end in more than one way.
    TerminatorMixed = "terminator-mixed",
    /// LF inside a field of a message whose segments end in CR.
    LfInField = "lf-in-field",
    /// White space or framing bytes before MSH.
    LeadingBytes = "leading-bytes",
    /// A byte order mark before MSH.
    ByteOrderMark = "byte-order-mark",
    /// An empty line between segments.
    BlankSegment = "blank-segment",
    /// MSH-2 has fewer than four characters.
    EncodingCharactersShort = "msh-2-short",
    /// MSH-2 has more than five characters.
    EncodingCharactersLong = "msh-2-long",
    /// MSH-2 repeats a separator or uses letters or digits.
    EncodingCharactersAmbiguous = "msh-2-ambiguous",
    /// MSH-9 has no trigger event.
    TriggerMissing = "msh-9-no-trigger",
    /// MSH-9 is missing.
    MessageTypeMissing = "msh-9-missing",
    /// MSH-10 is empty.
    ControlIdMissing = "msh-10-empty",
    /// MSH-12 is missing.
    VersionMissing = "msh-12-missing",
    /// MSH-18 names a character set that table 0211 and this program do not know.
    CharsetUnknown = "charset-unknown",
    /// The bytes are valid UTF-8 although MSH-18 says otherwise.
    CharsetMismatch = "charset-mismatch",
    /// The bytes are neither valid UTF-8 nor covered by MSH-18: read with the channel's default.
    CharsetFallback = "charset-fallback",
    /// Bytes that the character set does not define.
    CharsetInvalidBytes = "charset-invalid-bytes",
    /// A segment id in lower case.
    SegmentIdLowerCase = "segment-id-lower-case",
    /// A segment id that is not three characters long.
    SegmentIdLength = "segment-id-length",
    /// A line that does not start with a segment id.
    SegmentIdInvalid = "segment-id-invalid",
    /// OBX-5 is present while OBX-2 is not.
    ObservationTypeMissing = "obx-2-missing",
    /// An escape sequence that is unknown or has no end; it stays text.
    EscapeUnknown = "escape-unknown",
    /// A segment where its structure does not expect it.
    SegmentOrder = "segment-order",
    /// Several messages in one payload without a batch around them.
    SeveralMessages = "several-messages",
    /// Bytes between messages that belong to none.
    JunkBetweenMessages = "junk-between-messages",
    /// BTS-1 or FTS-1 differs from what was found.
    BatchCount = "batch-count",
    /// A batch or file header without its trailer, or a trailer without its header.
    BatchUnclosed = "batch-unclosed",
    /// Two messages of one payload have the same MSH-10.
    ControlIdRepeated = "msh-10-repeated",
}

impl fmt::Display for WarningCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// Nothing, or nothing but white space.
    #[error("empty")]
    Empty,
    /// The bytes do not start with an MSH segment.
    #[error("no MSH")]
    NoHeader,
    /// The byte after MSH cannot separate fields.
    #[error("MSH-1 is not a separator")]
    BadSeparator,
    /// The bytes start with a batch or file header: split them first.
    #[error("a batch, not a message")]
    Batch,
    /// More bytes than the index can address.
    #[error("longer than 4 GB")]
    TooLarge,
}

impl Reject {
    /// The stable spelling.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoHeader => "no-msh",
            Self::BadSeparator => "msh-1-invalid",
            Self::Batch => "batch",
            Self::TooLarge => "too-large",
        }
    }
}
