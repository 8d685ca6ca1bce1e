//! `iif`, `trace` and the clock of the caller.

use super::{Called, Eval, Machine};
use crate::eval::wrong_type;
use crate::syntax::Utility;
use crate::tree::Scalar;
use crate::value::{Collection, Item, Value};

impl<'t> Machine<'t> {
    pub(super) fn utility_call(
        &self,
        function: Utility,
        input: Collection<'t>,
        called: &Called<'_, 't>,
    ) -> Eval<Collection<'t>> {
        match function {
            Utility::Iif => self.iif(input, called),
            Utility::Trace => {
                let name = self.text_arg(called, 0)?.unwrap_or_default();
                match called.call.args.get(1) {
                    None => self.env.host.trace(&name, &input),
                    Some(projection) => {
                        let mut seen = Collection::new();
                        for (index, item) in input.iter().enumerate() {
                            let part = self.eval(projection, called.scope.of(item, index))?;
                            self.spend(1 + part.len())?;
                            seen.items.extend(part);
                        }
                        self.env.host.trace(&name, &seen);
                    }
                }
                Ok(input)
            }
            Utility::Now => Ok(Collection::one(Value::DateTime(self.env.now))),
            Utility::Today => Ok(Collection::one(Value::Date(self.env.now.to_date()))),
            Utility::TimeOfDay => Ok(Collection::maybe(self.env.now.to_time().map(Value::Time))),
        }
    }

    /// Evaluates the chosen branch only. Behind a dot, `$this` is the input.
    fn iif(&self, input: Collection<'t>, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let item = self.single(input, "iif", called.span)?;
        let scope = match &item {
            Some(item) => called.scope.of(item, called.scope.index),
            None => called.scope,
        };
        let Some(criterion) = called.call.args.first() else {
            return Ok(Collection::new());
        };
        let value = self.eval(criterion, scope)?;
        let holds = match self.single(value, "iif", called.span)? {
            None => false,
            Some(Item::Value(Value::Boolean(value))) => value,
            Some(item) => match &item {
                Item::Node(node) => match node.tree.value(node.id) {
                    Some(Scalar::Boolean(value)) => value,
                    _ => true,
                },
                Item::Value(_) => {
                    return Err(wrong_type("iif", "a condition", &item, called.span));
                }
            },
        };
        match called.call.args.get(if holds { 1 } else { 2 }) {
            Some(branch) => self.eval(branch, scope),
            None => Ok(Collection::new()),
        }
    }
}
