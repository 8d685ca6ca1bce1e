//! The unit and what can be done with it.

use std::collections::HashSet;
use std::fmt;
use std::sync::{OnceLock, PoisonError, RwLock};

use num_rational::BigRational;
use num_traits::Zero as _;

use crate::canonical::Canonical;
use crate::error::{ConvertError, UnitError};
use crate::essence::table;
use crate::parse::{Analysis, analyse};

/// A unit, analysed.
#[derive(Clone, Debug)]
pub struct Unit {
    code: String,
    name: String,
    analysis: Analysis,
}

/// An amount in another unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The amount.
    pub value: BigRational,
    /// Whether every digit counts; otherwise about fifteen do.
    pub exact: bool,
}

/// Codes that were found good and are remembered; the units of a hospital are some hundreds.
const KNOWN_MAX: usize = 4_096;

/// Whether a code is a unit. The factor of a unit costs far more than to look at its code again, so
/// good codes are remembered.
pub fn is_unit(code: &str) -> bool {
    static KNOWN: OnceLock<RwLock<HashSet<Box<str>>>> = OnceLock::new();
    let known = KNOWN.get_or_init(RwLock::default);
    let found = |set: &HashSet<Box<str>>| set.contains(code);
    if found(&known.read().unwrap_or_else(PoisonError::into_inner)) {
        return true;
    }
    let good = Unit::parse(code).is_ok();
    if good {
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < KNOWN_MAX {
            known.insert(code.into());
        }
    }
    good
}

impl Unit {
    /// Reads a code. The empty code is the unit one.
    pub fn parse(code: &str) -> Result<Self, UnitError> {
        let (analysis, name) = analyse(table(), code)?;
        Ok(Self {
            code: code.to_owned(),
            name,
            analysis,
        })
    }

    /// The code as written.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The unit in words: `(kilogram) / (meter ^ 3)`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The base units that it comes down to: `g.m-1.s-2`, or `1`.
    pub fn canonical(&self) -> String {
        self.analysis.canonical.to_string()
    }

    /// The amount of [`Unit::canonical`] that one of this unit is; none for special units.
    pub fn factor(&self) -> Option<&BigRational> {
        self.analysis
            .special
            .is_none()
            .then_some(&self.analysis.canonical.factor)
    }

    /// Whether amounts become amounts of the canonical unit by more than a factor.
    pub fn is_special(&self) -> bool {
        self.analysis.special.is_some()
    }

    /// Whether both measure the same.
    pub fn commensurable(&self, other: &Self) -> bool {
        self.analysis.canonical.powers == other.analysis.canonical.powers
    }

    /// The amount of the canonical unit.
    fn base_amount(&self, value: &BigRational) -> Option<BigRational> {
        let Analysis { canonical, special } = &self.analysis;
        match special {
            None => Some(value * &canonical.factor),
            Some((function, scale)) => Some(function.plain(&(value * scale))? * &canonical.factor),
        }
    }

    fn own_amount(&self, value: &BigRational) -> Option<BigRational> {
        let Analysis { canonical, special } = &self.analysis;
        if canonical.factor.is_zero() {
            return None;
        }
        let plain = value / &canonical.factor;
        match special {
            None => Some(plain),
            Some((function, scale)) => Some(function.special(&plain)? / scale),
        }
    }

    fn exact(&self) -> bool {
        self.analysis
            .special
            .as_ref()
            .is_none_or(|(function, _)| function.exact())
    }

    /// The same amount in another unit.
    pub fn convert(&self, value: &BigRational, to: &Self) -> Result<Converted, ConvertError> {
        let (from_code, to_code) = (self.code.clone(), to.code.clone());
        if !self.commensurable(to) {
            return Err(ConvertError::Incommensurable {
                from: from_code,
                to: to_code,
            });
        }
        if self.code == to.code {
            return Ok(Converted {
                value: value.clone(),
                exact: true,
            });
        }
        self.base_amount(value)
            .and_then(|canonical| to.own_amount(&canonical))
            .map(|value| Converted {
                value,
                exact: self.exact() && to.exact(),
            })
            .ok_or(ConvertError::OutOfRange {
                from: from_code,
                to: to_code,
            })
    }

    /// The unit of a product.
    pub fn times(&self, other: &Self) -> Result<Self, UnitError> {
        match (self.is_one(), other.is_one()) {
            (_, true) => Ok(self.clone()),
            (true, false) => Ok(other.clone()),
            (false, false) => Self::parse(&format!("{}.{}", self.code, enclosed(&other.code))),
        }
    }

    /// The unit of a quotient.
    pub fn over(&self, other: &Self) -> Result<Self, UnitError> {
        if other.is_one() {
            return Ok(self.clone());
        }
        if self.code == other.code {
            return Self::parse("1");
        }
        let dividend = if self.is_one() {
            ""
        } else {
            self.code.as_str()
        };
        Self::parse(&format!("{dividend}/{}", enclosed(&other.code)))
    }

    /// Whether the code is `1` or empty.
    fn is_one(&self) -> bool {
        matches!(self.code.as_str(), "" | "1") && self.analysis.canonical == Canonical::one()
    }
}

/// A code as one component of a term.
fn enclosed(code: &str) -> String {
    if code.contains(['.', '/']) {
        format!("({code})")
    } else {
        code.to_owned()
    }
}

/// Units are equal when they measure the same in the same amounts, whatever their codes.
impl PartialEq for Unit {
    fn eq(&self, other: &Self) -> bool {
        self.analysis.canonical == other.analysis.canonical
            && self.analysis.special == other.analysis.special
    }
}

impl Eq for Unit {}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
    }
}
