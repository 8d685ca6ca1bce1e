//! The compiled expression and its doors: compile, test, evaluate.

use std::fmt;
use std::sync::Arc;

use crate::env::Env;
use crate::error::EvalError;
use crate::eval::{Machine, fold};
use crate::names::{Named, Shape, Shapes, named};
use crate::syntax::{CompileError, Parsed, Span, Warning, parse, warnings};
use crate::tree::{Dialect, NodeId, PathLiteral, Tree};
use crate::value::Collection;

/// What an expression may use.
#[derive(Clone, Copy, Default)]
pub struct Options<'o> {
    /// The format whose paths the expression may write.
    pub dialect: Option<&'o dyn Dialect>,
    /// Names of the caller's variables, without `%`.
    pub variables: &'o [&'o str],
    /// The format whose paths may follow such a variable (`%original.PID-3`).
    pub variable_dialect: Option<&'o dyn Dialect>,
    /// Namespaces of types besides `System` and `FHIR`.
    pub namespaces: &'o [&'o str],
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("dialect", &self.dialect.map(Dialect::name))
            .field("variables", &self.variables)
            .field(
                "variable_dialect",
                &self.variable_dialect.map(Dialect::name),
            )
            .field("namespaces", &self.namespaces)
            .finish()
    }
}

/// A path literal of the dialect, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Literal<'e> {
    /// What the dialect compiled.
    pub literal: &'e PathLiteral,
    /// The bytes of the expression's text.
    pub span: &'e Span,
}

/// What a condition came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The condition holds. An empty result does not.
    pub value: bool,
    /// Where the result was empty: the text of the first path that yielded nothing.
    pub empty_path: Option<String>,
}

/// A compiled expression, cheap to clone and shared between threads.
#[derive(Clone)]
pub struct Expression {
    inner: Arc<Inner>,
}

struct Inner {
    text: String,
    parsed: Parsed,
    warnings: Vec<Warning>,
}

impl Expression {
    /// Compiles a text.
    pub fn compile(text: &str, options: &Options<'_>) -> Result<Self, CompileError> {
        let mut parsed = parse(text, options)?;
        let warnings = warnings(&parsed.root, &parsed.literals);
        fold(&mut parsed.root);
        Ok(Self {
            inner: Arc::new(Inner {
                text: text.to_owned(),
                parsed,
                warnings,
            }),
        })
    }

    /// Holds its names against types, seen from `start`; no document is needed for that.
    pub fn named(&self, shapes: &dyn Shapes, start: &[Shape]) -> Named {
        named(&self.inner.parsed.root, shapes, start)
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// What is doubtful about it.
    pub fn warnings(&self) -> &[Warning] {
        &self.inner.warnings
    }

    /// The path literals that it uses, in the order of the text.
    pub fn literals(&self) -> impl Iterator<Item = Literal<'_>> {
        self.inner
            .parsed
            .literals
            .iter()
            .map(|(literal, span)| Literal { literal, span })
    }

    /// The path literal that is the whole expression, where it is nothing else.
    pub fn as_literal(&self) -> Option<&PathLiteral> {
        match self.inner.parsed.root.kind {
            crate::syntax::ast::Kind::Path(index) => self
                .inner
                .parsed
                .literals
                .get(index)
                .map(|(literal, _)| literal),
            _ => None,
        }
    }

    /// Evaluates it as a condition, seen from `focus`.
    ///
    /// A single value that is not a boolean holds; several values are an error.
    pub fn test(&self, tree: &dyn Tree, focus: NodeId, env: &Env<'_>) -> Result<Truth, EvalError> {
        let machine = Machine::new(&self.inner.parsed, tree, focus, *env);
        match machine.test()? {
            Some(value) => Ok(Truth {
                value,
                empty_path: None,
            }),
            None => {
                let path = machine
                    .empty_path()
                    .and_then(|span| self.inner.text.get(span));
                Ok(Truth {
                    value: false,
                    empty_path: path.map(str::to_owned),
                })
            }
        }
    }

    /// Whether the condition holds, without saying which path was empty: a little faster than
    /// [`Expression::test`] where that is often the case.
    pub fn holds(&self, tree: &dyn Tree, focus: NodeId, env: &Env<'_>) -> Result<bool, EvalError> {
        let machine = Machine::new(&self.inner.parsed, tree, focus, *env);
        Ok(machine.test()?.unwrap_or(false))
    }

    /// Evaluates it, seen from `focus`.
    pub fn evaluate<'t>(
        &'t self,
        tree: &'t dyn Tree,
        focus: NodeId,
        env: &Env<'t>,
    ) -> Result<Collection<'t>, EvalError> {
        Machine::new(&self.inner.parsed, tree, focus, *env).evaluate()
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.inner.text).finish()
    }
}
