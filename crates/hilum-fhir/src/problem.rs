//! What is wrong with a resource or a request, in the terms of OperationOutcome.
//!
//! A problem names the place and the rule. Its text holds no content of a resource: no names,
//! identifiers or free text.

use std::borrow::Cow;
use std::fmt;

/// How bad it is (FHIR R4 valueset-issue-severity.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing could be done.
    Fatal,
    /// Refused.
    Error,
    /// Accepted, though likely wrong.
    Warning,
    /// Nothing is wrong.
    Information,
}

impl Severity {
    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

macro_rules! issue_types {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The kind of problem (FHIR R4 valueset-issue-type.html).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum IssueType {
            $($(#[$doc])* $name,)*
        }

        impl IssueType {
            /// The code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

issue_types! {
    /// Content that is invalid in another way than the kinds below.
    Invalid = "invalid",
    /// The structure: unknown elements, wrong order, wrong form.
    Structure = "structure",
    /// A required element is missing.
    Required = "required",
    /// A value is not of its type or not allowed.
    Value = "value",
    /// A rule of the definition does not hold.
    Invariant = "invariant",
    /// Security in general.
    Security = "security",
    /// The client has to say who it is.
    Login = "login",
    /// The caller is not known.
    Unknown = "unknown",
    /// The session has ended.
    Expired = "expired",
    /// The caller may not do this.
    Forbidden = "forbidden",
    /// Something was left out for privacy.
    Suppressed = "suppressed",
    /// Processing in general.
    Processing = "processing",
    /// The server does not support it.
    NotSupported = "not-supported",
    /// It exists already.
    Duplicate = "duplicate",
    /// Several match where one is needed.
    MultipleMatches = "multiple-matches",
    /// There is none.
    NotFound = "not-found",
    /// There is none any more.
    Deleted = "deleted",
    /// Larger or longer than is allowed.
    TooLong = "too-long",
    /// A code is not valid in its code system or value set.
    CodeInvalid = "code-invalid",
    /// An extension that is not known or not allowed here.
    Extension = "extension",
    /// It would cost too much.
    TooCostly = "too-costly",
    /// A rule of this server.
    BusinessRule = "business-rule",
    /// The content changed meanwhile.
    Conflict = "conflict",
    /// May succeed when it is tried again.
    Transient = "transient",
    /// Somebody else holds a lock.
    LockError = "lock-error",
    /// The store is not available.
    NoStore = "no-store",
    /// An internal error.
    Exception = "exception",
    /// It took too long.
    Timeout = "timeout",
    /// Not all of the data could be found.
    Incomplete = "incomplete",
    /// The server is too busy.
    Throttled = "throttled",
    /// No problem at all.
    Informational = "informational",
}

/// A place in the text that was read, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character in the line.
    pub column: u32,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The kind.
    pub code: IssueType,
    /// The place as a simple FHIRPath (`Patient.name[0].given[1]`), where one can be told.
    pub expression: Option<String>,
    /// The place in the text, where there was one.
    pub position: Option<Position>,
    /// The rule that is broken, for people; no content.
    pub text: Cow<'static, str>,
    /// A code for machines that is finer than [`Problem::code`] (the key of an invariant).
    pub details: Option<Cow<'static, str>>,
}

impl Problem {
    /// An error without a place.
    pub fn error(code: IssueType, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            expression: None,
            position: None,
            text: text.into(),
            details: None,
        }
    }

    /// A warning without a place.
    pub fn warning(code: IssueType, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, text)
        }
    }

    /// With this severity.
    #[must_use]
    pub fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// At this element.
    #[must_use]
    pub fn at(self, expression: impl Into<String>) -> Self {
        Self {
            expression: Some(expression.into()),
            ..self
        }
    }

    /// At this place of the text.
    #[must_use]
    pub fn in_text(self, position: Option<Position>) -> Self {
        Self { position, ..self }
    }

    /// With a finer code.
    #[must_use]
    pub fn with_details(self, details: impl Into<Cow<'static, str>>) -> Self {
        Self {
            details: Some(details.into()),
            ..self
        }
    }

    /// Whether it stands in the way.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity <= Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(f, "line {} column {}: ", position.line, position.column)?;
        }
        if let Some(expression) = &self.expression {
            write!(f, "{expression}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// Why bytes are no resource: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else {
            return f.write_str("no problem");
        };
        write!(f, "{first}")?;
        match self.0.len() {
            1 => Ok(()),
            count => write!(f, " (and {} more)", count - 1),
        }
    }
}

impl std::error::Error for Problems {}

/// Finds lines and columns, fastest where it is asked in the order of the text.
pub(crate) struct Lines<'s> {
    source: &'s [u8],
    offset: usize,
    position: Position,
}

impl<'s> Lines<'s> {
    pub(crate) const fn new(source: &'s [u8]) -> Self {
        Self {
            source,
            offset: 0,
            position: Position { line: 1, column: 1 },
        }
    }

    /// The position of a byte.
    pub(crate) fn position(&mut self, offset: usize) -> Position {
        if offset < self.offset {
            *self = Self::new(self.source);
        }
        let between = self.source.get(self.offset..offset).unwrap_or_default();
        for byte in between {
            match byte {
                b'\n' => {
                    self.position.line = self.position.line.saturating_add(1);
                    self.position.column = 1;
                }
                // Bytes that continue a character are not counted.
                0x80..=0xBF => {}
                _ => self.position.column = self.position.column.saturating_add(1),
            }
        }
        self.offset = offset.min(self.source.len());
        self.position
    }
}
