//! Quantities by what their units mean.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use hilum_ucum::Unit;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, ToPrimitive, Zero};

/// The system of UCUM.
const UCUM: &str = "http://unitsofmeasure.org";
/// Units remembered; a unit beyond that is analysed each time.
const UNITS_MAX: usize = 4096;

/// How amounts of a unit become amounts of base units.
#[derive(Clone, Debug)]
struct Known {
    /// The base units.
    base: Arc<str>,
    how: Arc<How>,
}

#[derive(Debug)]
enum How {
    Factor(BigRational),
    /// Such as degrees Celsius.
    Special(Box<(Unit, Unit)>),
}

/// `None` for what is no unit.
static KNOWN: LazyLock<Mutex<HashMap<String, Option<Known>>>> = LazyLock::new(Mutex::default);

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
    let looked_up: Option<Known> = match known.get(code) {
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
    let Known { base, how } = looked_up?;
    let values = values.iter().map(|value| how.convert(*value));
    Some(Canonical {
        unit: base.to_string(),
        values: values.collect::<Option<Vec<f64>>>()?,
    })
}

fn analyse(code: &str) -> Option<Known> {
    let unit = Unit::parse(code).ok()?;
    let base = Unit::parse(&unit.canonical()).ok()?;
    let code = Arc::from(base.code());
    let how = match (unit.factor(), base.factor()) {
        (Some(unit), Some(base)) if !base.is_zero() => How::Factor(unit / base),
        _ => How::Special(Box::new((unit, base))),
    };
    Some(Known {
        base: code,
        how: Arc::new(how),
    })
}

impl How {
    fn convert(&self, value: f64) -> Option<f64> {
        if value.is_infinite() {
            return Some(value);
        }
        let value = exact(value)?;
        match self {
            // Reducing the fraction would cost more than everything else.
            Self::Factor(factor) => {
                let numer = value.numer() * factor.numer();
                let denom = value.denom() * factor.denom();
                BigRational::new_raw(numer, denom).to_f64()
            }
            Self::Special(units) => units.0.convert(&value, &units.1).ok()?.value.to_f64(),
        }
    }
}

/// The decimal that a number was written as, the shortest one that reads back as the same, as a
/// fraction that is not reduced.
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
        BigRational::new_raw(digits, power)
    } else {
        BigRational::from_integer(digits * power)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reduced at every step, as a check on the way that reduces at none.
    fn slowly(code: &str, value: f64) -> f64 {
        let unit = Unit::parse(code).unwrap();
        let base = Unit::parse(&unit.canonical()).unwrap();
        let fraction = exact(value).unwrap();
        let (numer, denom) = fraction.into_raw();
        let value = BigRational::new(numer, denom);
        unit.convert(&value, &base).unwrap().value.to_f64().unwrap()
    }

    proptest::proptest! {
        #[test]
        fn amounts_are_converted_exactly(whole in -100_000_i64..100_000, places in 0..6_i32) {
            let value: f64 = format!("{whole}e-{places}").parse().unwrap();
            for code in ["mg/dL", "mmol/L", "mm[Hg]", "kg", "/min", "Cel", "[lb_av]", "%"] {
                let found = canonical(UCUM, code, &[value]).unwrap();
                let found = found.values.first().copied().unwrap();
                proptest::prop_assert_eq!(found.to_bits(), slowly(code, value).to_bits());
            }
        }
    }
}
