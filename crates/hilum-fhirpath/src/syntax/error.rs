//! What is wrong, or doubtful, in the text of an expression, and where.

use std::ops::Range;

/// A range of bytes of the expression's text.
pub type Span = Range<usize>;

/// Why a text is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// The bytes of the text that are wrong.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl CompileError {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The kind of a [`Warning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// Indexes counting from one and from zero stand in one expression.
    MixedIndexes,
    /// `=` or `!=` compares a path that may yield several values.
    EqualsOverRepeating,
    /// `!=` compares a path that may yield nothing; the condition then is false.
    NotEqualsOverOptional,
    /// A lone name is compared, where a text was likely meant.
    NameForText,
}

/// An expression that compiles but likely does not mean what its author meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which rule it falls under.
    pub kind: WarningKind,
    /// The bytes of the text that it is about.
    pub span: Span,
    /// What is doubtful.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}
