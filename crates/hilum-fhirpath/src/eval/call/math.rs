//! Functions on numbers. Results that are no number, or too large a one, are empty.

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

use super::{Called, Eval, Machine, boundary};
use crate::eval::compare::{number, operand, round};
use crate::eval::quantity;
use crate::syntax::Math;
use crate::value::{Collection, Quantity, Value};

/// Largest exponent that is computed by exact multiplication.
const EXACT_EXPONENT_MAX: u32 = 1024;

/// Most digits behind the point that a decimal holds.
const SCALE_MAX: u32 = 28;

impl<'t> Machine<'t> {
    pub(super) fn math_call(
        &self,
        function: Math,
        input: Collection<'t>,
        called: &Called<'_, 't>,
    ) -> Eval<Collection<'t>> {
        let Some(item) = self.single(input, called.call.name, called.span)? else {
            return Ok(Collection::new());
        };
        let Some(value) = operand(&item) else {
            return Err(self.refuse(called, "a number", &item));
        };
        match function {
            Math::LowBoundary | Math::HighBoundary => {
                let end = match function {
                    Math::LowBoundary => boundary::End::Low,
                    _ => boundary::End::High,
                };
                let digits = self.integer_arg(called, 0)?;
                if digits.is_none() && !called.call.args.is_empty() {
                    return Ok(Collection::new());
                }
                return Ok(Collection::maybe(boundary::boundary(&value, end, digits)));
            }
            Math::Precision => {
                let digits = boundary::precision(&value);
                return Ok(Collection::maybe(digits.map(Value::Integer)));
            }
            Math::Comparable => {
                let other = self.arg(called, 0)?;
                let other = self.single(other, called.call.name, called.span)?;
                let other = other.as_ref().and_then(operand);
                let pair = (
                    quantity::of_value(&value),
                    other.as_ref().and_then(quantity::of_value),
                );
                return Ok(match pair {
                    (Some(a), Some(b)) => Collection::boolean(quantity::comparable(&a, &b)),
                    _ => Collection::new(),
                });
            }
            Math::Abs => {
                if let Value::Quantity(q) = value {
                    let q = Quantity {
                        value: q.value.abs(),
                        unit: q.unit,
                    };
                    return Ok(Collection::one(Value::Quantity(Box::new(q))));
                }
            }
            _ => {}
        }
        let Some(x) = number(&value) else {
            return Err(self.refuse(called, "a number", &item));
        };
        let whole = matches!(value, Value::Integer(_));
        Ok(Collection::maybe(
            self.number_call(function, x, whole, called)?,
        ))
    }

    fn number_call(
        &self,
        function: Math,
        x: Decimal,
        whole: bool,
        called: &Called<'_, 't>,
    ) -> Eval<Option<Value<'t>>> {
        let integer = |d: Decimal| d.to_i64().map(Value::Integer);
        let float = |f: fn(f64) -> f64| {
            x.to_f64()
                .map(f)
                .and_then(Decimal::from_f64)
                .map(Value::Decimal)
        };
        Ok(match function {
            Math::Abs if whole => integer(x.abs()),
            Math::Abs => Some(Value::Decimal(x.abs())),
            Math::Ceiling => integer(x.ceil()),
            Math::Floor => integer(x.floor()),
            Math::Truncate => integer(x.trunc()),
            Math::Exp => float(f64::exp),
            Math::Ln => float(f64::ln),
            Math::Sqrt => sqrt(x).map(Value::Decimal),
            Math::Log => {
                let Some(base) = self.number_arg(called)? else {
                    return Ok(None);
                };
                let result = x.to_f64().zip(base.to_f64()).map(|(x, b)| x.log(b));
                result.and_then(Decimal::from_f64).map(Value::Decimal)
            }
            Math::Power => {
                let Some(exponent) = self.number_arg(called)? else {
                    return Ok(None);
                };
                let result = power(x, exponent);
                let keep_whole = whole && exponent.is_integer() && !exponent.is_sign_negative();
                if keep_whole {
                    result.and_then(integer)
                } else {
                    result.map(Value::Decimal)
                }
            }
            Math::Round => {
                let digits = self.integer_arg(called, 0)?.unwrap_or(0);
                match u32::try_from(digits) {
                    Ok(digits) => Some(Value::Decimal(round(x, digits.min(SCALE_MAX)))),
                    Err(_) => None,
                }
            }
            Math::LowBoundary | Math::HighBoundary | Math::Precision | Math::Comparable => None,
        })
    }

    /// The first argument as one number, or none.
    fn number_arg(&self, called: &Called<'_, 't>) -> Eval<Option<Decimal>> {
        let arg = self.arg(called, 0)?;
        let Some(item) = self.single(arg, called.call.name, called.span)? else {
            return Ok(None);
        };
        match operand(&item).as_ref().and_then(number) {
            Some(number) => Ok(Some(number)),
            None => Err(self.refuse(called, "a number", &item)),
        }
    }
}

/// The square root, exact where it is a decimal of the same kind.
fn sqrt(x: Decimal) -> Option<Decimal> {
    if x.is_sign_negative() && !x.is_zero() {
        return None;
    }
    let guess = Decimal::from_f64(x.to_f64()?.sqrt())?;
    if guess.is_zero() {
        return Some(guess);
    }
    // One step of Newton's method brings the fifteen digits of the guess to all that fit.
    let better = x
        .checked_div(guess)?
        .checked_add(guess)?
        .checked_div(Decimal::TWO)?;
    Some(better.normalize())
}

fn power(x: Decimal, exponent: Decimal) -> Option<Decimal> {
    let exact = exponent
        .to_u32()
        .filter(|n| exponent.is_integer() && *n <= EXACT_EXPONENT_MAX);
    let Some(mut n) = exact else {
        return Decimal::from_f64(x.to_f64()?.powf(exponent.to_f64()?));
    };
    let (mut result, mut base) = (Decimal::ONE, x);
    while n > 0 {
        if n % 2 == 1 {
            result = result.checked_mul(base)?;
        }
        n /= 2;
        if n > 0 {
            base = base.checked_mul(base)?;
        }
    }
    Some(result)
}
