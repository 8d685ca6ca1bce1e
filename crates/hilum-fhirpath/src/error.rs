//! Why an evaluation failed.

use crate::env::HostError;
use crate::syntax::Span;

/// Why an evaluation failed. Texts name operations, types and counts, never content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// Several values where one is needed.
    #[error("`{operation}` needs one value and got {count}")]
    NotSingle {
        /// Function or operator.
        operation: &'static str,
        /// How many values there were.
        count: usize,
        /// The bytes of the expression's text.
        span: Span,
    },
    /// Values of a type that the operation does not take.
    #[error("`{operation}` takes {expected} and got {found}")]
    Type {
        /// Function or operator.
        operation: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it got: the name of a type.
        found: String,
        /// The bytes of the expression's text.
        span: Span,
    },
    /// An argument with a value that the function does not know.
    #[error("`{operation}` does not know this {what}")]
    Argument {
        /// The function.
        operation: &'static str,
        /// Which argument.
        what: &'static str,
        /// The bytes of the expression's text.
        span: Span,
    },
    /// A computed pattern that is not a pattern, or too large a one.
    #[error("`{operation}` got a text that is not a valid pattern")]
    Pattern {
        /// The function.
        operation: &'static str,
        /// The bytes of the expression's text.
        span: Span,
    },
    /// The caller defined no such variable.
    #[error("variable `%{name}` has no value here")]
    Variable {
        /// The variable's name.
        name: String,
        /// The bytes of the expression's text.
        span: Span,
    },
    /// The host could not answer.
    #[error("`{operation}` could not be answered")]
    Host {
        /// The function.
        operation: &'static str,
        /// The bytes of the expression's text.
        span: Span,
        /// Why.
        source: HostError,
    },
    /// The evaluation used up its fuel.
    #[error("evaluation takes more than its {limit} steps")]
    Fuel {
        /// The fuel that the caller gave.
        limit: u64,
    },
    /// Two nodes to compare nest too deeply.
    #[error("nodes to compare nest deeper than {limit} levels")]
    Depth {
        /// The deepest nesting.
        limit: usize,
    },
}

impl EvalError {
    /// The bytes of the expression's text that the error is about, where there are some.
    pub fn span(&self) -> Option<&Span> {
        match self {
            Self::NotSingle { span, .. }
            | Self::Type { span, .. }
            | Self::Argument { span, .. }
            | Self::Pattern { span, .. }
            | Self::Variable { span, .. }
            | Self::Host { span, .. } => Some(span),
            Self::Fuel { .. } | Self::Depth { .. } => None,
        }
    }

    /// What the author of the expression can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotSingle { .. } => {
                Some("choose one value with first(), an index or where(), or test with exists()")
            }
            Self::Type {
                found, expected, ..
            } if found == "String" && expected.contains("number") => {
                Some("convert the text with toDecimal() or toInteger()")
            }
            Self::Type { found, .. } if found.contains("String") => {
                Some("convert the text with toDecimal(), toDate() or toDateTime()")
            }
            Self::Type { .. } => Some("convert one side, for example with toString()"),
            Self::Fuel { .. } => Some("select less before repeating, or raise the limit"),
            Self::Argument { .. }
            | Self::Pattern { .. }
            | Self::Variable { .. }
            | Self::Host { .. }
            | Self::Depth { .. } => None,
        }
    }
}
