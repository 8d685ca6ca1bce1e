//! Quantities by what their units mean.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use hilum_ucum::Unit;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, ToPrimitive};

/// The system of UCUM.
const UCUM: &str = "http://unitsofmeasure.org";
/// Units remembered; a unit beyond that is analysed each time.
const UNITS_MAX: usize = 4096;

/// A unit and the base units it is measured in; `None` if it is no unit.
type Known = Option<(Unit, Unit)>;

static KNOWN: LazyLock<Mutex<HashMap<String, Known>>> = LazyLock::new(Mutex::default);

/// A quantity's values in base units.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Canonical {
    pub(crate) unit: String,
    pub(crate) values: Vec<f64>,
}

/// Converts values of a UCUM unit into base units, exactly until the last rounding, so that equal
/// amounts are equal numbers; `None` if it is no UCUM unit.
pub(crate) fn canonical(system: &str, code: &str, values: &[f64]) -> Option<Canonical> {
    if system != UCUM {
        return None;
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let looked_up = match known.get(code) {
        Some(found) => found.clone(),
        None => {
            let found = analyse(code);
            if known.len() < UNITS_MAX {
                known.insert(code.to_owned(), found.clone());
            }
            found
        }
    };
    drop(known);
    let (unit, base) = looked_up?;
    let convert = |value: &f64| -> Option<f64> {
        if value.is_infinite() {
            return Some(*value);
        }
        let converted = unit.convert(&exact(*value)?, &base).ok()?;
        converted.value.to_f64()
    };
    let values = values.iter().map(convert).collect::<Option<Vec<f64>>>()?;
    Some(Canonical {
        unit: base.code().to_owned(),
        values,
    })
}

fn analyse(code: &str) -> Known {
    let unit = Unit::parse(code).ok()?;
    let base = Unit::parse(&unit.canonical()).ok()?;
    Some((unit, base))
}

/// The decimal that a number was written as: the shortest one that reads back as the same.
fn exact(value: f64) -> Option<BigRational> {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: BigInt = format!("{whole}{after}").parse().ok()?;
    let exponent = exponent - i32::try_from(after.len()).ok()?;
    let ten = BigInt::from(10);
    let power = Pow::pow(&ten, exponent.unsigned_abs());
    Some(if exponent < 0 {
        BigRational::new(digits, power)
    } else {
        BigRational::from_integer(digits * power)
    })
}
