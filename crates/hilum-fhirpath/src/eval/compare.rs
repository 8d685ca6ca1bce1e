//! Equality, equivalence and order.
//!
//! Equality of values of different types is false, not an error; order between them is an error.
//! Where the answer needs a part of a date or time that is not known, there is none.

use std::cmp::Ordering;

use rust_decimal::Decimal;

use super::quantity::{self, Compared};
use super::{Eval, Machine, wrong_type};
use crate::error::EvalError;
use crate::syntax::Span;
use crate::tree::NodeId;
use crate::value::{Collection, Item, Node, Value};

/// Deepest nesting of two nodes that are compared with each other.
pub const COMPARE_DEPTH_MAX: usize = 128;

/// Fuel for an operation on two quantities: units are read from their codes each time.
pub(super) const UNITS_FUEL: usize = 32;

impl<'t> Machine<'t> {
    /// Takes the fuel for reading and converting units, where two values have some.
    pub(super) fn spend_units(&self, a: &Value<'_>, b: &Value<'_>) -> Eval<()> {
        match (a, b) {
            (Value::Quantity(_), _) | (_, Value::Quantity(_)) => self.spend(UNITS_FUEL),
            _ => Ok(()),
        }
    }

    /// `=` on collections.
    pub(super) fn equal(&self, a: &Collection<'t>, b: &Collection<'t>) -> Eval<Option<bool>> {
        if a.is_empty() || b.is_empty() {
            return Ok(None);
        }
        if a.len() != b.len() {
            return Ok(Some(false));
        }
        let mut answer = Some(true);
        for (x, y) in a.iter().zip(b.iter()) {
            match self.equal_items(x, y)? {
                Some(false) => return Ok(Some(false)),
                None => answer = None,
                Some(true) => {}
            }
        }
        Ok(answer)
    }

    /// `=` on two items.
    pub(super) fn equal_items(&self, a: &Item<'t>, b: &Item<'t>) -> Eval<Option<bool>> {
        self.spend(1)?;
        if let (Item::Node(x), Item::Node(y)) = (a, b) {
            if x.same(y) {
                return Ok(Some(true));
            }
            return self.equal_nodes(x, y, COMPARE_DEPTH_MAX);
        }
        match (operand(a), operand(b)) {
            (Some(x), Some(y)) => {
                self.spend_units(&x, &y)?;
                Ok(equal_values(&x, &y))
            }
            _ => Ok(Some(false)),
        }
    }

    fn equal_nodes(&self, a: &Node<'t>, b: &Node<'t>, depth: usize) -> Eval<Option<bool>> {
        match (a.value(), b.value()) {
            (Some(x), Some(y)) => return Ok(equal_values(&x, &y)),
            (None, None) => {}
            _ => return Ok(Some(false)),
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Err(EvalError::Depth {
                limit: COMPARE_DEPTH_MAX,
            });
        };
        let (mine, theirs) = (all_children(a), all_children(b));
        self.spend(mine.len() + theirs.len())?;
        if mine.len() != theirs.len() {
            return Ok(Some(false));
        }
        let mut answer = Some(true);
        for (x, y) in mine.iter().zip(&theirs) {
            let (x, y) = (Node { id: *x, ..*a }, Node { id: *y, ..*b });
            if x.tree.name(x.id) != y.tree.name(y.id) {
                return Ok(Some(false));
            }
            match self.equal_nodes(&x, &y, depth)? {
                Some(false) => return Ok(Some(false)),
                None => answer = None,
                Some(true) => {}
            }
        }
        Ok(answer)
    }

    /// `~` on collections: the same members in any order.
    pub(super) fn equivalent(&self, a: &Collection<'t>, b: &Collection<'t>) -> Eval<bool> {
        if a.len() != b.len() {
            return Ok(false);
        }
        let mut left: Vec<&Item<'t>> = b.iter().collect();
        for x in a.iter() {
            let mut found = None;
            for (index, y) in left.iter().enumerate() {
                if self.equivalent_items(x, y)? {
                    found = Some(index);
                    break;
                }
            }
            match found {
                Some(index) => left.swap_remove(index),
                None => return Ok(false),
            };
        }
        Ok(true)
    }

    fn equivalent_items(&self, a: &Item<'t>, b: &Item<'t>) -> Eval<bool> {
        self.spend(1)?;
        if let (Item::Node(x), Item::Node(y)) = (a, b) {
            return if x.same(y) {
                Ok(true)
            } else {
                self.equivalent_nodes(x, y, COMPARE_DEPTH_MAX)
            };
        }
        match (operand(a), operand(b)) {
            (Some(x), Some(y)) => {
                self.spend_units(&x, &y)?;
                Ok(equivalent_values(&x, &y))
            }
            _ => Ok(false),
        }
    }

    fn equivalent_nodes(&self, a: &Node<'t>, b: &Node<'t>, depth: usize) -> Eval<bool> {
        self.spend(1)?;
        match (operand_node(a), operand_node(b)) {
            (Some(x), Some(y)) => {
                self.spend_units(&x, &y)?;
                return Ok(equivalent_values(&x, &y));
            }
            (None, None) => {}
            _ => return Ok(false),
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Err(EvalError::Depth {
                limit: COMPARE_DEPTH_MAX,
            });
        };
        let (mine, mut theirs) = (all_children(a), all_children(b));
        self.spend(mine.len() + theirs.len())?;
        if mine.len() != theirs.len() {
            return Ok(false);
        }
        for x in mine {
            let x = Node { id: x, ..*a };
            let mut found = None;
            for (index, y) in theirs.iter().enumerate() {
                let y = Node { id: *y, ..*b };
                if x.tree.name(x.id) == y.tree.name(y.id) && self.equivalent_nodes(&x, &y, depth)? {
                    found = Some(index);
                    break;
                }
            }
            match found {
                Some(index) => theirs.swap_remove(index),
                None => return Ok(false),
            };
        }
        Ok(true)
    }

    /// Whether a collection holds an equal item.
    pub(super) fn holds(&self, items: &[Item<'t>], wanted: &Item<'t>) -> Eval<bool> {
        for item in items {
            if self.equal_items(item, wanted)? == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `<` and its relatives.
    pub(super) fn order(
        &self,
        a: Collection<'t>,
        b: Collection<'t>,
        operation: &'static str,
        span: &Span,
    ) -> Eval<Option<Ordering>> {
        let (Some(a), Some(b)) = (
            self.single(a, operation, span)?,
            self.single(b, operation, span)?,
        ) else {
            return Ok(None);
        };
        let expected = "two numbers, texts, dates, times or quantities";
        let Some(x) = operand(&a) else {
            return Err(wrong_type(operation, expected, &a, span));
        };
        let Some(y) = operand(&b) else {
            return Err(wrong_type(operation, expected, &b, span));
        };
        self.spend_units(&x, &y)?;
        match order_values(&x, &y) {
            Some(answer) => Ok(answer),
            None => Err(EvalError::Type {
                operation,
                expected,
                found: format!("{} and {}", x.type_name(), y.type_name()),
                span: span.clone(),
            }),
        }
    }
}

/// The item's value, quantities of FHIR included.
pub(super) fn operand<'t>(item: &Item<'t>) -> Option<Value<'t>> {
    match item {
        Item::Value(value) => Some(value.clone()),
        Item::Node(node) => operand_node(node),
    }
}

fn operand_node<'t>(node: &Node<'t>) -> Option<Value<'t>> {
    node.value()
        .or_else(|| quantity::from_node(node).map(|q| Value::Quantity(Box::new(q))))
}

fn all_children(node: &Node<'_>) -> Vec<NodeId> {
    let mut found = Vec::new();
    node.tree.all_children(node.id, &mut |id| found.push(id));
    found
}

pub(super) fn equal_values(a: &Value<'_>, b: &Value<'_>) -> Option<bool> {
    match (a, b) {
        (Value::Boolean(x), Value::Boolean(y)) => Some(x == y),
        (Value::String(x), Value::String(y)) => Some(x == y),
        (Value::Type(x), Value::Type(y)) => Some(x == y),
        (Value::Quantity(_), _) | (_, Value::Quantity(_)) => {
            let (Some(x), Some(y)) = (quantity::of_value(a), quantity::of_value(b)) else {
                return Some(false);
            };
            match quantity::compare(&x, &y) {
                Compared::Known(order) => Some(order.is_eq()),
                Compared::Incomparable => Some(false),
                Compared::Unknown => None,
            }
        }
        _ => match order_values(a, b) {
            Some(order) => order.map(Ordering::is_eq),
            None => Some(false),
        },
    }
}

fn equivalent_values(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::String(x), Value::String(y)) => same_words(x, y),
        (Value::Integer(_) | Value::Decimal(_), Value::Integer(_) | Value::Decimal(_)) => {
            match (number(a), number(b)) {
                (Some(x), Some(y)) => same_rounded(x, y),
                _ => false,
            }
        }
        (Value::Date(x) | Value::DateTime(x), Value::Date(y) | Value::DateTime(y)) => {
            x.precision() == y.precision() && x.compare(y) == Some(Ordering::Equal)
        }
        (Value::Quantity(_), _) | (_, Value::Quantity(_)) => {
            match (quantity::of_value(a), quantity::of_value(b)) {
                (Some(x), Some(y)) => quantity::equivalent(&x, &y),
                _ => false,
            }
        }
        _ => equal_values(a, b) == Some(true),
    }
}

/// Equal after rounding to the lesser precision; trailing zeros are no precision.
pub(super) fn same_rounded(x: Decimal, y: Decimal) -> bool {
    let (x, y) = (x.normalize(), y.normalize());
    let scale = x.scale().min(y.scale());
    round(x, scale) == round(y, scale)
}

/// Rounds half away from zero.
pub(super) fn round(value: Decimal, scale: u32) -> Decimal {
    value.round_dp_with_strategy(scale, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
}

/// Equal but for case and the kind and amount of white space.
fn same_words(x: &str, y: &str) -> bool {
    let fold = |s: &str| -> Vec<String> { s.split_whitespace().map(str::to_lowercase).collect() };
    x == y || fold(x) == fold(y)
}

pub(super) fn number(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::Integer(n) => Some((*n).into()),
        Value::Decimal(d) => Some(*d),
        _ => None,
    }
}

/// The order of two values; the outer `None` for types without one, the inner for unknown parts.
pub(super) fn order_values(a: &Value<'_>, b: &Value<'_>) -> Option<Option<Ordering>> {
    match (a, b) {
        (Value::Integer(x), Value::Integer(y)) => Some(Some(x.cmp(y))),
        (Value::String(x), Value::String(y)) => Some(Some(x.cmp(y))),
        (Value::Date(x) | Value::DateTime(x), Value::Date(y) | Value::DateTime(y)) => {
            Some(x.compare(y))
        }
        (Value::Time(x), Value::Time(y)) => Some(x.compare(y)),
        (Value::Quantity(_), _) | (_, Value::Quantity(_)) => {
            let (x, y) = (quantity::of_value(a)?, quantity::of_value(b)?);
            Some(match quantity::compare(&x, &y) {
                Compared::Known(order) => Some(order),
                Compared::Incomparable | Compared::Unknown => None,
            })
        }
        _ => Some(Some(number(a)?.cmp(&number(b)?))),
    }
}
