//! Functions that answer yes or no about a collection, and `count()`.

use std::ops::ControlFlow;

use super::{Called, Eval, Machine};
use crate::eval::arith::boolean;
use crate::syntax::Existence;
use crate::value::{Collection, Item, Value};

/// The text by which HL7 v2 says that a value is deleted (HL7 v2.5.1 §2.5.3).
const V2_NULL: &str = "\"\"";

impl<'t> Machine<'t> {
    pub(super) fn existence_call(
        &self,
        function: Existence,
        input: Collection<'t>,
        called: &Called<'_, 't>,
    ) -> Eval<Collection<'t>> {
        let answer = match function {
            Existence::Empty => input.is_empty(),
            Existence::Exists => self.exists(&input, called)?,
            Existence::Not => {
                let truth = self.as_truth(input, "not", called.span)?;
                return Ok(Collection::maybe(truth.map(|b| Value::Boolean(!b))));
            }
            Existence::All => self.all(&input, called)?,
            Existence::AllTrue => self.booleans(&input, called)?.iter().all(|b| *b),
            Existence::AnyTrue => self.booleans(&input, called)?.iter().any(|b| *b),
            Existence::AllFalse => !self.booleans(&input, called)?.iter().any(|b| *b),
            Existence::AnyFalse => !self.booleans(&input, called)?.iter().all(|b| *b),
            Existence::SubsetOf => {
                let other = self.arg(called, 0)?;
                self.within(&input, &other)?
            }
            Existence::SupersetOf => {
                let other = self.arg(called, 0)?;
                self.within(&other, &input)?
            }
            Existence::Count => {
                return Ok(Collection::one(Value::Integer(input.len() as i64)));
            }
            Existence::IsDistinct => {
                let mut seen = Collection::new();
                for item in input {
                    if self.holds(seen.items(), &item)? {
                        return Ok(Collection::boolean(false));
                    }
                    seen.push(item);
                }
                true
            }
            Existence::HasValue => {
                matches!(input.items(), [item] if item.value().is_some())
            }
            Existence::IsNull => {
                let item = self.single(input, "isNull", called.span)?;
                item.and_then(|i| i.text()).is_some_and(|t| t == V2_NULL)
            }
        };
        Ok(Collection::boolean(answer))
    }

    fn exists(&self, input: &Collection<'t>, called: &Called<'_, 't>) -> Eval<bool> {
        let Some(criterion) = called.call.args.first() else {
            return Ok(!input.is_empty());
        };
        let mut found = false;
        self.each_truth(input, criterion, called.scope, &mut |_, value| {
            found = value == Some(true);
            if found {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        Ok(found)
    }

    fn all(&self, input: &Collection<'t>, called: &Called<'_, 't>) -> Eval<bool> {
        let Some(criterion) = called.call.args.first() else {
            return Ok(true);
        };
        let mut all = true;
        self.each_truth(input, criterion, called.scope, &mut |_, value| {
            all = value == Some(true);
            if all {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        Ok(all)
    }

    fn booleans(&self, input: &Collection<'t>, called: &Called<'_, 't>) -> Eval<Vec<bool>> {
        input
            .iter()
            .map(|item| boolean(item).ok_or_else(|| self.refuse(called, "booleans", item)))
            .collect()
    }

    fn within(&self, inner: &Collection<'t>, outer: &Collection<'t>) -> Eval<bool> {
        let missing = |item: &Item<'t>| self.holds(outer.items(), item).map(|held| !held);
        for item in inner.iter() {
            if missing(item)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
