//! What a conversion did not carry over as it stands: places and rules, never content.

use std::fmt;

/// A place of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The id of the segment.
    pub segment: [u8; 3],
    /// Which segment of this id, from 1.
    pub ordinal: u32,
    /// The field; 0 for the whole segment.
    pub field: u32,
    /// The repetition, from 1; 0 for all.
    pub repetition: u32,
    /// The component; 0 for the whole repetition.
    pub component: u32,
    /// The subcomponent; 0 for the whole component.
    pub subcomponent: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.segment {
            let c = char::from(byte);
            write!(f, "{}", if c.is_ascii_alphanumeric() { c } else { '?' })?;
        }
        if self.ordinal > 1 {
            write!(f, "[{}]", self.ordinal)?;
        }
        if self.field == 0 {
            return Ok(());
        }
        write!(f, "-{}", self.field)?;
        if self.repetition > 1 {
            write!(f, "[{}]", self.repetition)?;
        }
        for part in [self.component, self.subcomponent] {
            if part != 0 {
                write!(f, ".{part}")?;
            }
        }
        Ok(())
    }
}

/// What kind of finding it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingCode {
    /// No rows for the structure that MSH-9 names.
    UnknownStructure,
    /// A segment where its structure does not have it.
    MisplacedSegment,
    /// A value that has not the form of its target.
    ValueRefused,
    /// A time without an offset, and no zone was set: its date was written.
    TimeWithoutZone,
    /// A time without an offset that the clock shows twice or never: its date was written.
    TimeInClockChange,
    /// A flag (OBX-8) that says something else than the value and its own range (OBX-7).
    FlagAgainstRange,
    /// What a document is said to be (ED.2, ED.3) and how its bytes begin differ.
    AttachmentType,
    /// A code without a row in its table.
    UnmappedCode,
    /// A repetition for which the target has no room.
    RepetitionDropped,
    /// Several resources could be meant where there is room for a reference to one: none was written.
    AmbiguousReference,
    /// The element has a value of another type already.
    ChoiceTaken,
    /// An element that FHIR requires and the message does not have.
    RequiredAbsent,
    /// Somebody who has the number of somebody else of the message, and another name, birth date or
    /// sex: they became one.
    IdentityConflict,
    /// The explicit null `""`: nothing was written.
    ExplicitNull,
    /// Rows within rows beyond the limit, or more resources than one message may become.
    LimitReached,
}

impl FindingCode {
    /// Its name, as it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownStructure => "unknown-structure",
            Self::MisplacedSegment => "misplaced-segment",
            Self::ValueRefused => "value-refused",
            Self::TimeWithoutZone => "time-without-zone",
            Self::TimeInClockChange => "time-in-clock-change",
            Self::FlagAgainstRange => "flag-against-range",
            Self::AttachmentType => "attachment-type",
            Self::UnmappedCode => "unmapped-code",
            Self::RepetitionDropped => "repetition-dropped",
            Self::AmbiguousReference => "ambiguous-reference",
            Self::ChoiceTaken => "choice-taken",
            Self::RequiredAbsent => "required-absent",
            Self::IdentityConflict => "identity-conflict",
            Self::ExplicitNull => "explicit-null",
            Self::LimitReached => "limit-reached",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The kind.
    pub code: FindingCode,
    /// Where.
    pub place: Location,
    /// The rule or the table, without content.
    pub detail: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.as_str(), self.place)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}
