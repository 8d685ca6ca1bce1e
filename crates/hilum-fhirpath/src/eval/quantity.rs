//! Quantities: reading them from nodes, comparing and computing with units.

use std::borrow::Cow;
use std::cmp::Ordering;

use hilum_ucum as ucum;
use num_bigint::BigInt;
use num_rational::BigRational;
use rust_decimal::Decimal;

use super::compare::same_rounded;
use crate::syntax::ast::Operator;
use crate::tree::Scalar;
use crate::value::{CalendarUnit, Node, Quantity, Unit, Value, decimal};

/// The code of the unit one.
pub(super) const UNITY: &str = "1";
/// Most digits behind the point that a decimal holds.
const DECIMAL_SCALE_MAX: u32 = 28;
const UCUM_SYSTEM: &str = "http://unitsofmeasure.org";

/// What comparing two quantities comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// The same dimension.
    Known(Ordering),
    /// Units that measure different things.
    Incomparable,
    /// Years or months against UCUM's mean years or months, or a unit that UCUM does not know.
    Unknown,
}

/// Reads a node of a quantity type of FHIR; the code counts where its system is UCUM.
pub(super) fn from_node<'t>(node: &Node<'t>) -> Option<Quantity<'t>> {
    let (namespace, name) = node.tree.type_of(node.id)?;
    let quantity = matches!(
        name.as_ref(),
        "Quantity" | "Age" | "Count" | "Distance" | "Duration" | "Money" | "SimpleQuantity"
    );
    if namespace != "FHIR" || !quantity {
        return None;
    }
    let child = |name: &str| {
        let mut found = None;
        node.tree
            .children(node.id, name, &mut |id| found = found.or(Some(id)));
        found.and_then(|id| node.tree.value(id))
    };
    let value = match child("value")? {
        Scalar::Integer(n) => n.into(),
        Scalar::Decimal(text) | Scalar::String(text) => decimal(&text)?,
        _ => return None,
    };
    let text = |scalar: Option<Scalar<'t>>| match scalar {
        Some(Scalar::String(text)) => Some(text),
        _ => None,
    };
    let system = text(child("system"));
    let code = text(child("code")).filter(|_| system.is_none_or(|s| s == UCUM_SYSTEM));
    let unit = code
        .or_else(|| text(child("unit")))
        .unwrap_or(Cow::Borrowed(UNITY));
    Some(Quantity {
        value,
        unit: Unit::Ucum(unit),
    })
}

/// A plain number is a quantity of the unit one.
pub(super) fn from_number<'t>(value: Decimal) -> Quantity<'t> {
    Quantity {
        value,
        unit: Unit::Ucum(Cow::Borrowed(UNITY)),
    }
}

/// Reads `4`, `4 days`, `4 'mg'`.
pub(super) fn from_text<'t>(text: &str) -> Option<Quantity<'t>> {
    let body = text.trim();
    let ok = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-');
    let end = body.find(|c| !ok(c)).unwrap_or(body.len());
    let (number, rest) = body.split_at_checked(end)?;
    let value = decimal(number)?;
    let rest = rest.trim_start();
    let unit = if rest.is_empty() {
        Unit::Ucum(Cow::Borrowed(UNITY))
    } else if let Some(code) = rest.strip_prefix('\'') {
        let code = code.strip_suffix('\'')?;
        if code.is_empty() || code.contains('\'') {
            return None;
        }
        Unit::Ucum(Cow::Owned(code.to_owned()))
    } else {
        Unit::Calendar(CalendarUnit::from_word(rest)?)
    };
    Some(Quantity { value, unit })
}

/// The code under which UCUM knows the unit; years and months of the calendar have none.
fn code<'q>(unit: &'q Unit<'_>) -> Option<&'q str> {
    match unit {
        Unit::Calendar(CalendarUnit::Year | CalendarUnit::Month) => None,
        Unit::Calendar(unit) => Some(unit.ucum()),
        Unit::Ucum(code) => Some(code),
    }
}

/// Months in a calendar unit that counts months.
fn months(unit: &Unit<'_>) -> Option<i64> {
    match unit {
        Unit::Calendar(CalendarUnit::Year) => Some(12),
        Unit::Calendar(CalendarUnit::Month) => Some(1),
        Unit::Calendar(_) | Unit::Ucum(_) => None,
    }
}

/// Compares exactly.
pub(super) fn compare(a: &Quantity<'_>, b: &Quantity<'_>) -> Compared {
    if a.unit == b.unit {
        return Compared::Known(a.value.cmp(&b.value));
    }
    if let (Some(x), Some(y)) = (months(&a.unit), months(&b.unit)) {
        let scaled = (a.value.checked_mul(x.into()), b.value.checked_mul(y.into()));
        return match scaled {
            (Some(x), Some(y)) => Compared::Known(x.cmp(&y)),
            _ => Compared::Unknown,
        };
    }
    let (Some(x), Some(y)) = (code(&a.unit), code(&b.unit)) else {
        return Compared::Unknown;
    };
    if x == y {
        return Compared::Known(a.value.cmp(&b.value));
    }
    let (Ok(from), Ok(to)) = (ucum::Unit::parse(x), ucum::Unit::parse(y)) else {
        return Compared::Unknown;
    };
    match from.convert(&fraction(a.value), &to) {
        Ok(converted) => Compared::Known(converted.value.cmp(&fraction(b.value))),
        Err(ucum::ConvertError::Incommensurable { .. }) => Compared::Incomparable,
        Err(_) => Compared::Unknown,
    }
}

/// A decimal as a fraction.
fn fraction(value: Decimal) -> BigRational {
    let scale = BigInt::from(10).pow(value.scale());
    BigRational::new(BigInt::from(value.mantissa()), scale)
}

/// A fraction as a decimal, with as many digits as fit.
fn rounded(value: &BigRational) -> Option<Decimal> {
    (0..=DECIMAL_SCALE_MAX).rev().find_map(|scale| {
        let scaled = (value * BigInt::from(10).pow(scale)).round().to_integer();
        let mantissa = i128::try_from(scaled).ok()?;
        Decimal::try_from_i128_with_scale(mantissa, scale)
            .ok()
            .map(|d| d.normalize())
    })
}

/// A value as a quantity, where it is one or a number.
pub(super) fn of_value<'t>(value: &Value<'t>) -> Option<Quantity<'t>> {
    match value {
        Value::Quantity(q) => Some((**q).clone()),
        Value::Integer(n) => Some(from_number((*n).into())),
        Value::Decimal(d) => Some(from_number(*d)),
        _ => None,
    }
}

/// Equal after rounding to the lesser precision, in the larger unit; a year is a mean year here.
pub(super) fn equivalent(a: &Quantity<'_>, b: &Quantity<'_>) -> bool {
    let (x, y) = (mean_code(&a.unit), mean_code(&b.unit));
    if a.unit == b.unit || x == y {
        return same_rounded(a.value, b.value);
    }
    let (Ok(x), Ok(y)) = (ucum::Unit::parse(x), ucum::Unit::parse(y)) else {
        return false;
    };
    let a_larger = x.factor().zip(y.factor()).is_some_and(|(x, y)| x > y);
    let (large, small, to, from) = if a_larger {
        (a.value, b.value, &x, &y)
    } else {
        (b.value, a.value, &y, &x)
    };
    let converted = from.convert(&fraction(small), to).ok();
    converted
        .and_then(|c| rounded(&c.value))
        .is_some_and(|small| same_rounded(large, small))
}

fn mean_code<'q>(unit: &'q Unit<'_>) -> &'q str {
    match unit {
        Unit::Calendar(unit) => unit.ucum(),
        Unit::Ucum(code) => code,
    }
}

/// Computes with two quantities; `None` where the units do not allow it or the result overflows.
pub(super) fn compute<'t>(
    operator: Operator,
    a: Quantity<'t>,
    b: Quantity<'t>,
) -> Option<Quantity<'t>> {
    match operator {
        Operator::Add => {
            let b = convert(b, a.unit.clone())?;
            Some(Quantity {
                value: a.value.checked_add(b.value)?,
                unit: a.unit,
            })
        }
        Operator::Subtract => {
            let b = convert(b, a.unit.clone())?;
            Some(Quantity {
                value: a.value.checked_sub(b.value)?,
                unit: a.unit,
            })
        }
        Operator::Multiply => {
            let value = a.value.checked_mul(b.value)?;
            let unit = match (is_one(&a.unit), is_one(&b.unit)) {
                (_, true) => a.unit,
                (true, false) => b.unit,
                (false, false) => {
                    let (x, y) = (parsed(&a.unit)?, parsed(&b.unit)?);
                    ucum_unit(x.times(&y).ok()?.code())
                }
            };
            Some(Quantity { value, unit })
        }
        Operator::Divide => {
            let value = a.value.checked_div(b.value)?.normalize();
            let unit = if is_one(&b.unit) {
                a.unit
            } else if a.unit == b.unit {
                ucum_unit(UNITY)
            } else {
                ucum_unit(parsed(&a.unit)?.over(&parsed(&b.unit)?).ok()?.code())
            };
            Some(Quantity { value, unit })
        }
        _ => None,
    }
}

fn is_one(unit: &Unit<'_>) -> bool {
    matches!(unit, Unit::Ucum(code) if code == UNITY)
}

fn parsed(unit: &Unit<'_>) -> Option<ucum::Unit> {
    ucum::Unit::parse(code(unit)?).ok()
}

fn ucum_unit<'t>(code: &str) -> Unit<'t> {
    Unit::Ucum(Cow::Owned(code.to_owned()))
}

/// The same amount in another unit; `None` where there is no way.
pub(super) fn convert<'t>(from: Quantity<'t>, to: Unit<'t>) -> Option<Quantity<'t>> {
    if from.unit == to {
        return Some(from);
    }
    let value = match (months(&from.unit), months(&to)) {
        (Some(x), Some(y)) => from.value.checked_mul(x.into())?.checked_div(y.into())?,
        _ => {
            let (x, y) = (parsed(&from.unit)?, parsed(&to)?);
            rounded(&x.convert(&fraction(from.value), &y).ok()?.value)?
        }
    };
    Some(Quantity { value, unit: to })
}

/// Whether the units measure the same.
pub(super) fn comparable(a: &Quantity<'_>, b: &Quantity<'_>) -> bool {
    matches!(compare(a, b), Compared::Known(_))
}
