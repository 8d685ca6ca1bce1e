//! Compiled expressions as components use them.

use std::borrow::Cow;
use std::fmt;

use hilum_fhirpath::{Dialect, Env, Expression, NodeId, Options, Tree};

use crate::process::{META, ORIGINAL};
use crate::{Document, Format};

/// An expression that was compiled in the dialect of a channel's format.
#[derive(Clone)]
pub struct Rule(Expression);

impl Rule {
    /// Compiles `text`.
    pub fn compile(text: &str, dialect: Option<&dyn Dialect>) -> Result<Self, RuleError> {
        Self::of_reply(text, dialect, None)
    }

    /// Compiles `text` for replies: `%original` is the message that asked, of that format.
    pub fn of_reply(
        text: &str,
        dialect: Option<&dyn Dialect>,
        original: Option<&dyn Format>,
    ) -> Result<Self, RuleError> {
        Expression::compile(text, &reply_options(dialect, original))
            .map(Self)
            .map_err(RuleError::from)
    }

    /// The expression as written.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// The compiled expression.
    #[must_use]
    pub const fn expression(&self) -> &Expression {
        &self.0
    }

    /// Whether the condition holds; a condition that ends empty does not.
    ///
    /// The error says what could not be evaluated, without content.
    pub fn test(&self, document: &dyn Document, env: &Env<'_>) -> Result<bool, String> {
        let tree = document.tree();
        self.0
            .test(tree, tree.root(), env)
            .map(|truth| truth.value)
            .map_err(|e| e.to_string())
    }

    /// All values as text, in order.
    pub fn strings(&self, document: &dyn Document, env: &Env<'_>) -> Result<Vec<String>, String> {
        let tree = document.tree();
        self.strings_at(tree, tree.root(), env)
    }

    /// All values as text, seen from `focus`.
    pub fn strings_at(
        &self,
        tree: &dyn Tree,
        focus: NodeId,
        env: &Env<'_>,
    ) -> Result<Vec<String>, String> {
        let found = self
            .0
            .evaluate(tree, focus, env)
            .map_err(|e| e.to_string())?;
        Ok(found.strings().into_iter().map(Cow::into_owned).collect())
    }

    /// The first value as text.
    pub fn first(&self, document: &dyn Document, env: &Env<'_>) -> Result<Option<String>, String> {
        let tree = document.tree();
        let found = self
            .0
            .evaluate(tree, tree.root(), env)
            .map_err(|e| e.to_string())?;
        Ok(found.first_string().map(Cow::into_owned))
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({})", self.text())
    }
}

/// What an expression may use: `%meta`, and `%original` where replies to messages of the format
/// `original` are worked on.
#[must_use]
pub fn reply_options<'o>(
    dialect: Option<&'o dyn Dialect>,
    original: Option<&'o dyn Format>,
) -> Options<'o> {
    Options {
        dialect,
        variables: if original.is_some() {
            &[META, ORIGINAL]
        } else {
            &[META]
        },
        variable_dialect: original.and_then(Format::dialect),
        ..Options::default()
    }
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuleError {
    /// What is wrong.
    pub message: String,
    /// Where in the text, as a range of bytes.
    pub span: std::ops::Range<usize>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl From<hilum_fhirpath::CompileError> for RuleError {
    fn from(error: hilum_fhirpath::CompileError) -> Self {
        Self {
            message: error.message,
            span: error.span,
            hint: error.hint,
        }
    }
}
