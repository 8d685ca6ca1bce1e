//! Paths into a message: `PID-3[2].4.1`, `PATIENT_RESULT/ORDER_OBSERVATION[2]/OBR-4.1`.
//!
//! `(GROUP([n])?/)* SEG([n])? (- field([n])? (.component(.subcomponent)?)?)?`; every number counts
//! from 1. A segment that is not three capitals and digits stands in backticks. Reading, a path
//! without `[n]` means all occurrences; writing, it means the first, and `[*]` means each.
//! The first group of a path may lie anywhere, each further group directly in the one before, the
//! segment directly in the last.

mod dialect;
mod parse;
mod select;

use std::fmt;
use std::str::FromStr;

pub use dialect::V2Dialect;
pub use parse::PathError;
pub use select::Scope;
pub(crate) use select::descend;

use crate::message::{GroupStep, segment_key};

/// The highest field, component, subcomponent or repetition number a path may name.
pub const PATH_NUMBER_MAX: u32 = 9_999;

/// Which occurrences of a segment or repetition are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Which {
    /// Nothing written: all when reading, the first when writing.
    #[default]
    Unsaid,
    /// `[n]`, from 1.
    Nth(u32),
    /// `[*]`.
    All,
}

/// A place, or several, in a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    pub(crate) groups: Vec<GroupStep>,
    pub(crate) segment: String,
    pub(crate) key: u32,
    pub(crate) occurrence: Which,
    pub(crate) field: Option<FieldPath>,
}

/// The part of a path below the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath {
    /// The field.
    pub field: u32,
    /// Which repetitions.
    pub repetition: Which,
    /// The component, 0 if the path ends at the field.
    pub component: u32,
    /// The subcomponent, 0 if the path ends above.
    pub subcomponent: u32,
}

impl Path {
    /// Reads a path; the whole text must be one.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        parse::whole(text)
    }

    /// The groups before the segment.
    pub fn groups(&self) -> &[GroupStep] {
        &self.groups
    }

    /// The segment's id.
    pub fn segment(&self) -> &str {
        &self.segment
    }

    /// Which of the segments.
    pub fn occurrence(&self) -> Which {
        self.occurrence
    }

    /// The part below the segment.
    pub fn field(&self) -> Option<FieldPath> {
        self.field
    }

    /// The same path to other occurrences of its segment.
    #[must_use]
    pub fn with_occurrence(mut self, occurrence: Which) -> Self {
        self.occurrence = occurrence;
        self
    }

    /// The same path to other repetitions of its field.
    #[must_use]
    pub fn with_repetition(mut self, repetition: Which) -> Self {
        self.field = self.field.map(|field| FieldPath {
            repetition,
            ..field
        });
        self
    }

    /// The path to the whole repetition, without component and subcomponent.
    #[must_use]
    pub fn without_component(mut self) -> Self {
        self.field = self.field.map(|field| FieldPath {
            component: 0,
            subcomponent: 0,
            ..field
        });
        self
    }

    /// Whether reading it may yield more than one value.
    pub fn repeats(&self) -> bool {
        let several = |which| !matches!(which, Which::Nth(_));
        several(self.occurrence)
            || self.groups.iter().any(|step| step.index.is_none())
            || self.field.is_some_and(|field| several(field.repetition))
    }

    /// MSH-18, or its first repetition or component.
    pub(crate) fn names_charset(&self) -> bool {
        let first = |which| matches!(which, Which::Unsaid | Which::Nth(1));
        self.key == segment_key(b"MSH")
            && first(self.occurrence)
            && self.field.is_some_and(|f| {
                f.field == 18 && first(f.repetition) && f.component <= 1 && f.subcomponent <= 1
            })
    }

    pub(crate) fn new(
        groups: Vec<GroupStep>,
        segment: String,
        occurrence: Which,
        field: Option<FieldPath>,
    ) -> Self {
        let key = segment_key(segment.as_bytes());
        Self {
            groups,
            segment,
            key,
            occurrence,
            field,
        }
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsaid => Ok(()),
            Self::Nth(n) => write!(f, "[{n}]"),
            Self::All => f.write_str("[*]"),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.groups {
            f.write_str(&step.name)?;
            if let Some(n) = step.index {
                write!(f, "[{n}]")?;
            }
            f.write_str("/")?;
        }
        if parse::is_plain_segment(&self.segment) {
            f.write_str(&self.segment)?;
        } else {
            write!(f, "`{}`", self.segment)?;
        }
        write!(f, "{}", self.occurrence)?;
        let Some(field) = self.field else {
            return Ok(());
        };
        write!(f, "-{}{}", field.field, field.repetition)?;
        if field.component > 0 {
            write!(f, ".{}", field.component)?;
        }
        if field.subcomponent > 0 {
            write!(f, ".{}", field.subcomponent)?;
        }
        Ok(())
    }
}
