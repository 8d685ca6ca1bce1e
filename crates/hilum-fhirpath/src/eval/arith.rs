//! Operators: arithmetic, concatenation, membership, union.
//!
//! What overflows or divides by zero is empty, as the specification has it.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::compare::{equal_values, number, operand};
use super::{Eval, Machine, quantity, wrong_type};
use crate::error::EvalError;
use crate::syntax::Span;
use crate::syntax::ast::Operator;
use crate::value::{CalendarUnit, Collection, Item, Quantity, Unit, Value};

impl<'t> Machine<'t> {
    pub(super) fn binary(
        &self,
        operator: Operator,
        left: Collection<'t>,
        right: Collection<'t>,
        span: &Span,
    ) -> Eval<Collection<'t>> {
        let symbol = operator.symbol();
        let truth = |answer: Option<bool>| Collection::maybe(answer.map(Value::Boolean));
        let ordered = |wanted: fn(Ordering) -> bool, left, right| {
            Ok(truth(self.order(left, right, symbol, span)?.map(wanted)))
        };
        match operator {
            Operator::Equal => Ok(truth(self.equal(&left, &right)?)),
            Operator::NotEqual => Ok(truth(self.equal(&left, &right)?.map(|b| !b))),
            Operator::Equivalent => Ok(Collection::boolean(self.equivalent(&left, &right)?)),
            Operator::NotEquivalent => Ok(Collection::boolean(!self.equivalent(&left, &right)?)),
            Operator::Less => ordered(Ordering::is_lt, left, right),
            Operator::LessOrEqual => ordered(Ordering::is_le, left, right),
            Operator::Greater => ordered(Ordering::is_gt, left, right),
            Operator::GreaterOrEqual => ordered(Ordering::is_ge, left, right),
            Operator::In => self.member(left, &right, symbol, span),
            Operator::Contains => self.member(right, &left, symbol, span),
            Operator::Union => self.union(left, right),
            Operator::Concatenate => self.concatenate(left, right, span),
            Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Divide
            | Operator::Div
            | Operator::Mod => self.arithmetic(operator, left, right, span),
            // Logic and types are evaluated where they are met.
            Operator::And
            | Operator::Or
            | Operator::Xor
            | Operator::Implies
            | Operator::Is
            | Operator::As => Ok(Collection::new()),
        }
    }

    fn member(
        &self,
        item: Collection<'t>,
        of: &Collection<'t>,
        symbol: &'static str,
        span: &Span,
    ) -> Eval<Collection<'t>> {
        match self.single(item, symbol, span)? {
            Some(item) => Ok(Collection::boolean(self.holds(of.items(), &item)?)),
            None => Ok(Collection::new()),
        }
    }

    /// `in` a list that stands in the text.
    pub(super) fn among(
        &self,
        item: Collection<'t>,
        values: &'t [Value<'static>],
        span: &Span,
    ) -> Eval<Collection<'t>> {
        let Some(item) = self.single(item, Operator::In.symbol(), span)? else {
            return Ok(Collection::new());
        };
        let Some(wanted) = operand(&item) else {
            return Ok(Collection::boolean(false));
        };
        self.spend(values.len())?;
        let found = values
            .iter()
            .any(|v| equal_values(&wanted, v) == Some(true));
        Ok(Collection::boolean(found))
    }

    /// Both collections without duplicates.
    pub(super) fn union(
        &self,
        left: Collection<'t>,
        right: Collection<'t>,
    ) -> Eval<Collection<'t>> {
        let mut merged = Collection::new();
        for item in left.into_iter().chain(right) {
            if !self.holds(merged.items(), &item)? {
                merged.push(item);
            }
        }
        Ok(merged)
    }

    /// `&`: an absent side is the empty text.
    fn concatenate(
        &self,
        left: Collection<'t>,
        right: Collection<'t>,
        span: &Span,
    ) -> Eval<Collection<'t>> {
        let side = |items| match self.single(items, "&", span)? {
            None => Ok(None),
            Some(item) => match item.text() {
                Some(text) => Ok(Some(text)),
                None => Err(wrong_type("&", "texts", &item, span)),
            },
        };
        let text = match (side(left)?, side(right)?) {
            (None, None) => "".into(),
            (Some(text), None) | (None, Some(text)) => text,
            (Some(left), Some(right)) => {
                self.spend_bytes(left.len() + right.len())?;
                (left.into_owned() + &right).into()
            }
        };
        Ok(Collection::one(Value::String(text)))
    }

    fn arithmetic(
        &self,
        operator: Operator,
        left: Collection<'t>,
        right: Collection<'t>,
        span: &Span,
    ) -> Eval<Collection<'t>> {
        let symbol = operator.symbol();
        let (Some(a), Some(b)) = (
            self.single(left, symbol, span)?,
            self.single(right, symbol, span)?,
        ) else {
            return Ok(Collection::new());
        };
        let Some(x) = operand(&a) else {
            return Err(wrong_type(symbol, "numbers", &a, span));
        };
        let Some(y) = operand(&b) else {
            return Err(wrong_type(symbol, "numbers", &b, span));
        };
        self.spend_units(&x, &y)?;
        let value = match (&x, &y) {
            (Value::Integer(m), Value::Integer(n)) => whole(operator, *m, *n),
            (Value::String(m), Value::String(n)) if operator == Operator::Add => {
                self.spend_bytes(m.len() + n.len())?;
                Some(Value::String(format!("{m}{n}").into()))
            }
            (Value::Date(_) | Value::DateTime(_) | Value::Time(_), Value::Quantity(by))
                if matches!(operator, Operator::Add | Operator::Subtract) =>
            {
                shift(operator, &x, by).map_err(|()| {
                    let found = "another unit".to_owned();
                    let expected = "a duration of the calendar";
                    EvalError::Type {
                        operation: symbol,
                        expected,
                        found,
                        span: span.clone(),
                    }
                })?
            }
            (Value::Quantity(_), _) | (_, Value::Quantity(_)) => {
                match (quantity::of_value(&x), quantity::of_value(&y)) {
                    (Some(m), Some(n)) => {
                        quantity::compute(operator, m, n).map(|q| Value::Quantity(Box::new(q)))
                    }
                    _ => return Err(mixed(symbol, &x, &y, span)),
                }
            }
            _ => match (number(&x), number(&y)) {
                (Some(m), Some(n)) => decimal(operator, m, n),
                _ => return Err(mixed(symbol, &x, &y, span)),
            },
        };
        Ok(Collection::maybe(value))
    }

    /// A sign before a number or a quantity.
    pub(super) fn sign(
        &self,
        negative: bool,
        operand: Collection<'t>,
        span: &Span,
    ) -> Eval<Collection<'t>> {
        let symbol = if negative { "-" } else { "+" };
        let Some(item) = self.single(operand, symbol, span)? else {
            return Ok(Collection::new());
        };
        let value = match super::compare::operand(&item) {
            Some(Value::Integer(n)) => {
                if negative { n.checked_neg() } else { Some(n) }.map(Value::Integer)
            }
            Some(Value::Decimal(d)) => Some(Value::Decimal(if negative { -d } else { d })),
            Some(Value::Quantity(q)) => {
                let value = if negative { -q.value } else { q.value };
                Some(Value::Quantity(Box::new(Quantity {
                    value,
                    unit: q.unit,
                })))
            }
            _ => return Err(wrong_type(symbol, "a number", &item, span)),
        };
        Ok(Collection::maybe(value))
    }
}

fn mixed(operation: &'static str, x: &Value<'_>, y: &Value<'_>, span: &Span) -> EvalError {
    let found = format!("{} and {}", x.type_name(), y.type_name());
    EvalError::Type {
        operation,
        expected: "two numbers",
        found,
        span: span.clone(),
    }
}

fn whole<'t>(operator: Operator, m: i64, n: i64) -> Option<Value<'t>> {
    let result = match operator {
        Operator::Add => m.checked_add(n),
        Operator::Subtract => m.checked_sub(n),
        Operator::Multiply => m.checked_mul(n),
        Operator::Div => m.checked_div(n),
        Operator::Mod => m.checked_rem(n),
        _ => return decimal(operator, m.into(), n.into()),
    };
    result.map(Value::Integer)
}

fn decimal<'t>(operator: Operator, m: Decimal, n: Decimal) -> Option<Value<'t>> {
    let result = match operator {
        Operator::Add => m.checked_add(n),
        Operator::Subtract => m.checked_sub(n),
        Operator::Multiply => m.checked_mul(n),
        Operator::Divide => m.checked_div(n).map(|d| d.normalize()),
        Operator::Mod => m.checked_rem(n),
        Operator::Div => {
            return m.checked_div(n)?.trunc().to_i64().map(Value::Integer);
        }
        _ => None,
    };
    result.map(Value::Decimal)
}

/// Moves a date or time by a quantity. `Err` where the unit is no duration of the calendar.
fn shift<'t>(
    operator: Operator,
    value: &Value<'t>,
    by: &Quantity<'_>,
) -> Result<Option<Value<'t>>, ()> {
    let unit = match &by.unit {
        Unit::Calendar(unit) => *unit,
        // A mean year or month has no day to arrive at; the fixed ones do.
        Unit::Ucum(code) => match code.as_ref() {
            "wk" => CalendarUnit::Week,
            "d" => CalendarUnit::Day,
            "h" => CalendarUnit::Hour,
            "min" => CalendarUnit::Minute,
            "s" => CalendarUnit::Second,
            "ms" => CalendarUnit::Millisecond,
            word => CalendarUnit::from_word(word).ok_or(())?,
        },
    };
    // The fraction of an amount does not count. For seconds the specification would let it; the
    // official suite and the reference implementation do not.
    let Some(amount) = by.value.trunc().to_i64() else {
        return Ok(None);
    };
    let amount = if operator == Operator::Subtract {
        amount.saturating_neg()
    } else {
        amount
    };
    Ok(match value {
        Value::Date(m) => m.add(amount, unit).map(Value::Date),
        Value::DateTime(m) => m.add(amount, unit).map(Value::DateTime),
        Value::Time(t) => {
            if unit < CalendarUnit::Hour {
                return Err(());
            }
            t.add(amount, unit).map(Value::Time)
        }
        _ => None,
    })
}

/// Whether an item is a computed boolean, for the tests of a whole collection.
pub(super) fn boolean(item: &Item<'_>) -> Option<bool> {
    match operand(item) {
        Some(Value::Boolean(value)) => Some(value),
        _ => None,
    }
}
