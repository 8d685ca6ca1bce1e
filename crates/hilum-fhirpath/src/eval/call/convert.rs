//! Conversions. A text may be in the forms of FHIRPath or, for dates and times, of HL7 v2.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::{Called, Eval, Machine};
use crate::eval::compare::{UNITS_FUEL, operand};
use crate::eval::quantity;
use crate::syntax::Convert;
use crate::value::{
    CalendarUnit, Collection, Iso, Item, Moment, Quantity, Unit, Value, decimal, iso, iso_time,
    packed, packed_time,
};

impl<'t> Machine<'t> {
    pub(super) fn convert_call(
        &self,
        function: Convert,
        input: Collection<'t>,
        called: &Called<'_, 't>,
    ) -> Eval<Collection<'t>> {
        let item = self.single(input, called.call.name, called.span)?;
        let Some(item) = item else {
            return Ok(Collection::new());
        };
        Ok(Collection::maybe(self.converted(function, &item, called)?))
    }

    pub(super) fn converts_call(
        &self,
        function: Convert,
        input: Collection<'t>,
        called: &Called<'_, 't>,
    ) -> Eval<Collection<'t>> {
        let item = self.single(input, called.call.name, called.span)?;
        let Some(item) = item else {
            return Ok(Collection::new());
        };
        Ok(Collection::boolean(
            self.converted(function, &item, called)?.is_some(),
        ))
    }

    fn converted(
        &self,
        function: Convert,
        item: &Item<'t>,
        called: &Called<'_, 't>,
    ) -> Eval<Option<Value<'t>>> {
        if function == Convert::String {
            let text = item.text().or_else(|| operand(item).map(Value::into_text));
            return Ok(text.map(Value::String));
        }
        let Some(value) = operand(item) else {
            return Ok(None);
        };
        Ok(match function {
            Convert::Boolean => to_boolean(&value).map(Value::Boolean),
            Convert::Integer => to_integer(&value).map(Value::Integer),
            Convert::Decimal => to_decimal(&value).map(Value::Decimal),
            Convert::Date => to_date(&value).map(Value::Date),
            Convert::DateTime => to_date_time(&value).map(Value::DateTime),
            Convert::Time => match &value {
                Value::Time(time) => Some(Value::Time(*time)),
                Value::String(text) => iso_time(text)
                    .or_else(|| packed_time(text))
                    .map(Value::Time),
                _ => None,
            },
            Convert::Quantity => {
                self.spend(UNITS_FUEL)?;
                let Some(found) = to_quantity(&value) else {
                    return Ok(None);
                };
                let found = match self.text_arg(called, 0)? {
                    Some(unit) => quantity::convert(found, unit_of(unit)),
                    None => Some(found),
                };
                found.map(|q| Value::Quantity(Box::new(q)))
            }
            // Handled above: it needs no reading.
            Convert::String => None,
        })
    }
}

fn unit_of(text: Cow<'_, str>) -> Unit<'_> {
    match CalendarUnit::from_word(&text) {
        Some(unit) => Unit::Calendar(unit),
        None => Unit::Ucum(text),
    }
}

fn to_boolean(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Boolean(b) => Some(*b),
        Value::Integer(1) => Some(true),
        Value::Integer(0) => Some(false),
        Value::Decimal(d) if *d == Decimal::ONE => Some(true),
        Value::Decimal(d) if d.is_zero() => Some(false),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn to_integer(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Boolean(b) => Some(i64::from(*b)),
        Value::Integer(n) => Some(*n),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn to_decimal(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::Boolean(b) => Some(Decimal::new(if *b { 10 } else { 0 }, 1)),
        Value::Integer(n) => Some((*n).into()),
        Value::Decimal(d) => Some(*d),
        Value::String(text) if !text.contains(['e', 'E']) => decimal(text),
        _ => None,
    }
}

fn to_date(value: &Value<'_>) -> Option<Moment> {
    match value {
        Value::Date(m) => Some(*m),
        Value::DateTime(m) => Some(m.to_date()),
        Value::String(text) => read(text).map(|m| m.to_date()),
        _ => None,
    }
}

fn to_date_time(value: &Value<'_>) -> Option<Moment> {
    match value {
        Value::Date(m) | Value::DateTime(m) => Some(*m),
        Value::String(text) => read(text),
        _ => None,
    }
}

fn read(text: &str) -> Option<Moment> {
    match iso(text) {
        Some(Iso::Date(m) | Iso::DateTime(m)) => Some(m),
        None => packed(text),
    }
}

fn to_quantity<'t>(value: &Value<'t>) -> Option<Quantity<'t>> {
    match value {
        Value::Quantity(q) => Some((**q).clone()),
        Value::Boolean(b) => Some(quantity::from_number(Decimal::new(
            if *b { 10 } else { 0 },
            1,
        ))),
        Value::String(text) => quantity::from_text(text),
        _ => quantity::of_value(value),
    }
}
