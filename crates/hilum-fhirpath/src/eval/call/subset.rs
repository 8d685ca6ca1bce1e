//! Functions that make a collection from a collection: filter, project, cut, combine, sort, fold.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::{Called, Eval, Machine};
use crate::error::EvalError;
use crate::eval::compare::{UNITS_FUEL, operand, order_values};
use crate::syntax::Subset;
use crate::value::{Collection, Item, Value};

impl<'t> Machine<'t> {
    pub(super) fn subset_call(
        &self,
        function: Subset,
        input: Collection<'t>,
        called: &Called<'_, 't>,
    ) -> Eval<Collection<'t>> {
        let items = |iter: &mut dyn Iterator<Item = Item<'t>>| Ok(iter.collect());
        match function {
            Subset::Where => self.filter(&input, called),
            Subset::Select => self.select(&input, called),
            Subset::Repeat => self.repeat(input, called, false),
            Subset::RepeatAll => self.repeat(input, called, true),
            Subset::Single => Ok(self
                .single(input, "single", called.span)?
                .into_iter()
                .collect()),
            Subset::First => items(&mut input.into_iter().take(1)),
            Subset::Last => Ok(input.items.last().cloned().into_iter().collect()),
            Subset::Tail => items(&mut input.into_iter().skip(1)),
            Subset::Skip => match self.integer_arg(called, 0)? {
                Some(n) => items(&mut input.into_iter().skip(usize::try_from(n).unwrap_or(0))),
                None => Ok(Collection::new()),
            },
            Subset::Take => match self.integer_arg(called, 0)? {
                Some(n) => items(&mut input.into_iter().take(usize::try_from(n).unwrap_or(0))),
                None => Ok(Collection::new()),
            },
            Subset::Intersect => {
                let other = self.arg(called, 0)?;
                let mut kept = Collection::new();
                for item in input {
                    if self.holds(other.items(), &item)? && !self.holds(kept.items(), &item)? {
                        kept.push(item);
                    }
                }
                Ok(kept)
            }
            Subset::Exclude => {
                let other = self.arg(called, 0)?;
                let mut kept = Collection::new();
                for item in input {
                    if !self.holds(other.items(), &item)? {
                        kept.push(item);
                    }
                }
                Ok(kept)
            }
            Subset::Distinct => self.union(input, Collection::new()),
            Subset::Union => {
                let other = self.arg(called, 0)?;
                self.union(input, other)
            }
            Subset::Combine => {
                let other = self.arg(called, 0)?;
                self.spend(other.len())?;
                items(&mut input.into_iter().chain(other))
            }
            Subset::Coalesce => {
                for index in 0..called.call.args.len() {
                    let value = self.arg(called, index)?;
                    if !value.is_empty() {
                        return Ok(value);
                    }
                }
                Ok(Collection::new())
            }
            Subset::Sort => self.sort(input, called),
            Subset::Aggregate => self.aggregate(&input, called),
        }
    }

    fn filter(&self, input: &Collection<'t>, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let Some(criterion) = called.call.args.first() else {
            return Ok(Collection::new());
        };
        let mut kept = Collection::new();
        self.each_truth(input, criterion, called.scope, &mut |item, value| {
            if value == Some(true) {
                kept.push(item.clone());
            }
            ControlFlow::Continue(())
        })?;
        Ok(kept)
    }

    fn select(&self, input: &Collection<'t>, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let Some(projection) = called.call.args.first() else {
            return Ok(Collection::new());
        };
        let mut found = Collection::new();
        for (index, item) in input.iter().enumerate() {
            let part = self.eval(projection, called.scope.of(item, index))?;
            self.spend(1 + part.len())?;
            found.items.extend(part);
        }
        Ok(found)
    }

    /// Projects again and again what was found until nothing new is; with `all`, nothing more.
    fn repeat(
        &self,
        input: Collection<'t>,
        called: &Called<'_, 't>,
        all: bool,
    ) -> Eval<Collection<'t>> {
        let Some(projection) = called.call.args.first() else {
            return Ok(Collection::new());
        };
        let mut queue: VecDeque<Item<'t>> = input.into_iter().collect();
        let mut found = Collection::new();
        while let Some(item) = queue.pop_front() {
            self.spend(1)?;
            for next in self.eval(projection, called.scope.of(&item, 0))? {
                // Fuel ends what would go on for ever, such as `repeatAll($this)`.
                self.spend(1)?;
                if all || !self.holds(found.items(), &next)? {
                    found.push(next.clone());
                    queue.push_back(next);
                }
            }
        }
        Ok(found)
    }

    fn aggregate(&self, input: &Collection<'t>, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let Some(step) = called.call.args.first() else {
            return Ok(Collection::new());
        };
        let mut total = self.arg(called, 1)?;
        for (index, item) in input.iter().enumerate() {
            self.spend(1 + total.len())?;
            let mut scope = called.scope.of(item, index);
            scope.total = Some(&total);
            total = self.eval(step, scope)?;
        }
        Ok(total)
    }

    /// Sorts by the keys in turn; what has no key comes first, in either direction.
    fn sort(&self, input: Collection<'t>, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let mut rows = Vec::with_capacity(input.len());
        for (index, item) in input.into_iter().enumerate() {
            self.spend(1)?;
            let mut keys: Vec<Option<Value<'t>>> = Vec::new();
            if called.call.args.is_empty() {
                keys.push(operand(&item));
            }
            for arg in &called.call.args {
                let key = self.eval(arg, called.scope.of(&item, index))?;
                let key = self.single(key, "sort", called.span)?;
                keys.push(key.and_then(|k| operand(&k)));
            }
            rows.push((keys, item));
        }
        let quantities = rows
            .iter()
            .flat_map(|(keys, _)| keys)
            .any(|key| matches!(key, Some(Value::Quantity(_))));
        let each = if quantities { UNITS_FUEL } else { 1 };
        let steps = rows.len().max(1).ilog2() as usize * rows.len();
        self.spend(steps * called.call.args.len().max(1) * each)?;
        let mut refused = None;
        let rows = merge_sort(rows, &mut |a, b| {
            for (index, (x, y)) in a.0.iter().zip(&b.0).enumerate() {
                let (Some(x), Some(y)) = (x, y) else {
                    match x.is_some().cmp(&y.is_some()) {
                        Ordering::Equal => continue,
                        unequal => return unequal,
                    }
                };
                let order = order_values(x, y).unwrap_or_else(|| {
                    refused = Some(format!("{} and {}", x.type_name(), y.type_name()));
                    None
                });
                let order = order.unwrap_or(Ordering::Equal);
                let descending = called.call.descending.get(index).copied();
                let order = if descending == Some(true) {
                    order.reverse()
                } else {
                    order
                };
                if order.is_ne() {
                    return order;
                }
            }
            Ordering::Equal
        });
        match refused {
            None => Ok(rows.into_iter().map(|(_, item)| item).collect()),
            Some(found) => Err(EvalError::Type {
                operation: "sort",
                expected: "keys of one type",
                found,
                span: called.span.clone(),
            }),
        }
    }
}

/// Sorts stably. The order need not be total: partial dates are neither before nor after each
/// other, and the sort of the standard library may panic on such.
fn merge_sort<T>(mut rows: Vec<T>, order: &mut dyn FnMut(&T, &T) -> Ordering) -> Vec<T> {
    if rows.len() < 2 {
        return rows;
    }
    let right = rows.split_off(rows.len() / 2);
    let mut left = merge_sort(rows, order).into_iter().peekable();
    let mut right = merge_sort(right, order).into_iter().peekable();
    let mut merged = Vec::with_capacity(left.len() + right.len());
    loop {
        let next = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) if order(a, b).is_gt() => right.next(),
            (Some(_), _) => left.next(),
            (None, _) => right.next(),
        };
        match next {
            Some(row) => merged.push(row),
            None => return merged,
        }
    }
}
