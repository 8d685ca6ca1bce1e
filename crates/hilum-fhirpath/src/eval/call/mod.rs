//! The functions, a module per family.

mod boundary;
mod convert;
mod encode;
mod existence;
mod math;
mod navigate;
mod subset;
mod text;
mod utility;

use std::borrow::Cow;

use super::{Eval, Machine, Scope, wrong_type};
use crate::syntax::ast::Call;
use crate::syntax::{Family, Span};
use crate::value::{Collection, Item};

pub use text::PATTERN_BYTES_MAX;
pub(crate) use text::compile_pattern;

/// A call in the course of evaluation.
pub(super) struct Called<'s, 't> {
    call: &'t Call,
    span: &'t Span,
    scope: Scope<'s, 't>,
}

impl<'t> Machine<'t> {
    pub(super) fn call(
        &self,
        call: &'t Call,
        span: &'t Span,
        input: Collection<'t>,
        scope: Scope<'_, 't>,
    ) -> Eval<Collection<'t>> {
        let called = Called { call, span, scope };
        match call.family {
            Family::Existence(function) => self.existence_call(function, input, &called),
            Family::Subset(function) => self.subset_call(function, input, &called),
            Family::Navigate(function) => self.navigate_call(function, input, &called),
            Family::Convert(function) => self.convert_call(function, input, &called),
            Family::Converts(function) => self.converts_call(function, input, &called),
            Family::Text(function) => self.text_call(function, input, &called),
            Family::Math(function) => self.math_call(function, input, &called),
            Family::Utility(function) => self.utility_call(function, input, &called),
        }
    }

    /// An argument, evaluated where the call stands. Empty where it was left out.
    fn arg(&self, called: &Called<'_, 't>, index: usize) -> Eval<Collection<'t>> {
        match called.call.args.get(index) {
            Some(arg) => self.eval(arg, called.scope),
            None => Ok(Collection::new()),
        }
    }

    /// An argument that is one whole number or empty.
    fn integer_arg(&self, called: &Called<'_, 't>, index: usize) -> Eval<Option<i64>> {
        let arg = self.arg(called, index)?;
        self.integer(arg, called.call.name, called.span)
    }

    /// An argument that is one text or empty.
    fn text_arg(&self, called: &Called<'_, 't>, index: usize) -> Eval<Option<Cow<'t, str>>> {
        let arg = self.arg(called, index)?;
        self.one_text(arg, called)
    }

    /// The input as one text, or none. Any value with a text form will do.
    fn one_text(
        &self,
        items: Collection<'t>,
        called: &Called<'_, 't>,
    ) -> Eval<Option<Cow<'t, str>>> {
        let Some(item) = self.single(items, called.call.name, called.span)? else {
            return Ok(None);
        };
        match item.text() {
            Some(text) => Ok(Some(text)),
            None => Err(self.refuse(called, "a text", &item)),
        }
    }

    /// The error for an item that the function does not take.
    fn refuse(
        &self,
        called: &Called<'_, 't>,
        expected: &'static str,
        item: &Item<'t>,
    ) -> crate::error::EvalError {
        wrong_type(called.call.name, expected, item, called.span)
    }
}
