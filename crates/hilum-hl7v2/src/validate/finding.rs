//! What validation reports: where, which rule, how bad; never what the message says.

use std::borrow::Cow;
use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Against the standard or profile, usually harmless.
    Warning,
    /// Against the standard or profile; a receiver may refuse the message.
    Error,
}

impl Severity {
    /// The stable spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// The rules that a message can break; the codes are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Rule {
            /// Every rule, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable spelling.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// What the rule asks, one line.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self {
                    $(Self::$name => {
                        const TEXT: &[&str] = &[$($doc),+];
                        match TEXT { [first, ..] => first.trim_ascii(), [] => "" }
                    })+
                }
            }
        }
    };
}

rules! {
    /// The structure of the message is not known.
    StructureUnknown = "structure-unknown",
    /// A required segment is missing.
    SegmentMissing = "segment-missing",
    /// A segment stands more often than it may.
    SegmentExcess = "segment-excess",
    /// A segment stands where the structure does not have it.
    SegmentOrder = "segment-order",
    /// A segment that the structure does not have.
    SegmentUnexpected = "segment-unexpected",
    /// A segment that must not be used.
    SegmentNotSupported = "segment-not-supported",
    /// A required group is missing.
    GroupMissing = "group-missing",
    /// A group stands more often than it may.
    GroupExcess = "group-excess",
    /// A required field has no value.
    FieldMissing = "field-missing",
    /// A field repeats more often than it may.
    FieldExcess = "field-excess",
    /// A field behind the last one that the segment defines.
    FieldUnexpected = "field-unexpected",
    /// A field that must not be used, or was withdrawn.
    FieldNotSupported = "field-not-supported",
    /// A required component has no value.
    ComponentMissing = "component-missing",
    /// A component behind the last one that the data type defines.
    ComponentUnexpected = "component-unexpected",
    /// A component that must not be used, or was withdrawn.
    ComponentNotSupported = "component-not-supported",
    /// A value is longer or shorter than it may be.
    Length = "length",
    /// A value does not have the form of its data type.
    DataType = "data-type",
    /// A code is not in the table that the field is bound to.
    Table = "table",
    /// A code is not in the value set that the profile binds.
    ValueSet = "value-set",
    /// A statement of the profile about the content does not hold.
    Constraint = "constraint",
    /// There are more findings than are listed.
    TooManyFindings = "too-many-findings",
}

/// One thing that is not as the standard or the profile has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where: a path that can be read with, or the place of what is missing.
    pub path: String,
    /// Which rule.
    pub rule: Rule,
    /// How bad.
    pub severity: Severity,
    /// One line for people; names, codes of tables and limits, never content of the message.
    pub text: Cow<'static, str>,
    /// The profile's name for the rule, where it has one.
    pub id: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (severity, rule) = (self.severity.as_str(), self.rule.as_str());
        write!(f, "{} {severity} {rule}: {}", self.path, self.text)
    }
}

/// Collects findings up to a limit.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) list: Vec<Finding>,
    max: usize,
    full: bool,
}

impl Findings {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            list: Vec::new(),
            max,
            full: false,
        }
    }

    pub(crate) fn add(
        &mut self,
        path: impl FnOnce() -> String,
        rule: Rule,
        severity: Severity,
        text: impl Into<Cow<'static, str>>,
    ) {
        self.push(|| Finding {
            path: path(),
            rule,
            severity,
            text: text.into(),
            id: None,
        });
    }

    pub(crate) fn push(&mut self, make: impl FnOnce() -> Finding) {
        if self.list.len() < self.max {
            self.list.push(make());
        } else if !self.full {
            self.full = true;
            self.list.push(Finding {
                path: String::new(),
                rule: Rule::TooManyFindings,
                severity: Severity::Error,
                text: Cow::Borrowed("more findings than the limit; the rest is not listed"),
                id: None,
            });
        }
    }

    /// Nothing more is listed.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }
}
