//! The canonical form: an exact factor times powers of base units.

use std::fmt;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Zero};

use crate::error::UnitProblem;

/// Most bits of the two parts of a factor together; the largest of the table takes about 500.
pub const FACTOR_BITS_MAX: u64 = 8192;

/// A factor and powers of base units, sorted by symbol, no power zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Canonical {
    pub(crate) factor: BigRational,
    /// Symbol of a base or arbitrary unit, and its power.
    pub(crate) powers: Vec<(&'static str, i32)>,
}

impl Canonical {
    pub(crate) fn one() -> Self {
        Self::number(BigRational::one())
    }

    pub(crate) fn number(factor: BigRational) -> Self {
        Self {
            factor,
            powers: Vec::new(),
        }
    }

    pub(crate) fn base(symbol: &'static str) -> Self {
        Self {
            factor: BigRational::one(),
            powers: vec![(symbol, 1)],
        }
    }

    pub(crate) fn times(&self, other: &Self) -> Result<Self, UnitProblem> {
        let mut powers = self.powers.clone();
        for &(symbol, power) in &other.powers {
            match powers.binary_search_by_key(&symbol, |p| p.0) {
                Ok(at) => {
                    if let Some(entry) = powers.get_mut(at) {
                        entry.1 = entry.1.saturating_add(power);
                    }
                }
                Err(at) => powers.insert(at, (symbol, power)),
            }
        }
        powers.retain(|p| p.1 != 0);
        bounded(Self {
            factor: &self.factor * &other.factor,
            powers,
        })
    }

    /// The reciprocal. A factor of zero has none.
    pub(crate) fn inverse(&self) -> Option<Self> {
        if self.factor.is_zero() {
            return None;
        }
        let powers = self
            .powers
            .iter()
            .map(|&(symbol, power)| (symbol, -power))
            .collect();
        Some(Self {
            factor: self.factor.recip(),
            powers,
        })
    }

    /// A whole power.
    pub(crate) fn power(&self, exponent: i32) -> Result<Self, UnitProblem> {
        let base = if exponent < 0 {
            self.inverse()
        } else {
            Some(self.clone())
        };
        let Some(mut base) = base else {
            return Ok(self.clone());
        };
        let (mut left, mut result) = (exponent.unsigned_abs(), Self::one());
        while left > 0 {
            if left % 2 == 1 {
                result = result.times(&base)?;
            }
            left /= 2;
            if left > 0 {
                base = base.times(&base)?;
            }
        }
        Ok(result)
    }
}

fn bounded(canonical: Canonical) -> Result<Canonical, UnitProblem> {
    let bits = canonical.factor.numer().bits() + canonical.factor.denom().bits();
    if bits > FACTOR_BITS_MAX {
        return Err(UnitProblem::TooLarge {
            what: "bits of its factor",
            limit: FACTOR_BITS_MAX,
        });
    }
    Ok(canonical)
}

impl fmt::Display for Canonical {
    /// The base units: `g.m-1.s-2`, or `1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (symbol, power)) in self.powers.iter().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            match power {
                1 => write!(f, "{dot}{symbol}")?,
                _ => write!(f, "{dot}{symbol}{power}")?,
            }
        }
        if self.powers.is_empty() {
            f.write_str("1")
        } else {
            Ok(())
        }
    }
}

/// Reads `1`, `0.0254`, `1e-24` exactly.
pub(crate) fn rational(text: &str) -> Option<BigRational> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().ok()?;
    let scale = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let ten = BigInt::from(10).pow(scale.unsigned_abs());
    Some(if scale < 0 {
        BigRational::new(digits, ten)
    } else {
        BigRational::from(digits * ten)
    })
}
