//! Results in another unit: numbers as texts, with the digits that they were measured to.
//!
//! UCUM counts: a mole is a number of things, so `mmol/L` and `10*9/L` measure the same for it, and
//! so do a mole, an equivalent and an osmole. For results they do not. Here each of the three is a
//! kind of its own, and only a molar mass leads from an amount of substance to a mass.

use std::cmp::Ordering;
use std::sync::OnceLock;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One as _, Signed as _, Zero as _};

use crate::canonical::{Canonical, rational};
use crate::error::UnitError;
use crate::essence::{Table, read};
use crate::parse::{Analysis, analyse};

/// What UCUM derives from a count and results keep apart.
const KINDS: [&str; 3] = ["mol", "eq", "osm"];

/// Digits that a result has at least where the exact one has them: one digit of `5 mmol/L` would be up
/// to a tenth of the result.
const VALUE_DIGITS_MIN: usize = 2;

/// Digits that a limit has at least where the exact one has them: limits are not measured.
const LIMIT_DIGITS_MIN: usize = 3;

/// Digits that are added so that a result lies on the side of a limit where it was.
const EXTRA_DIGITS_MAX: usize = 6;

/// Longest number, in bytes.
pub const NUMBER_BYTES_MAX: usize = 64;

/// Why results of one unit are not given in another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoConversion {
    /// A code that is no unit.
    #[error("no unit of UCUM")]
    NoUnit(#[source] UnitError),
    /// They measure different things.
    #[error("the units measure different things")]
    Different,
    /// One is an amount of substance and the other a mass, and no molar mass is given.
    #[error(
        "one unit is of an amount of substance and the other of a mass, and no molar mass is given"
    )]
    MolarMassMissing,
    /// The molar mass is no number above zero.
    #[error("the molar mass is no number above zero")]
    MolarMass,
    /// Logarithms have no exact numbers.
    #[error("a unit is logarithmic")]
    Logarithmic,
}

/// From results in one unit to results in another: times a factor, plus a shift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    factor: BigRational,
    shift: BigRational,
}

/// A result and its limits in the other unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Results {
    /// The numbers of the result.
    pub values: Vec<String>,
    /// Its limits.
    pub limits: Vec<String>,
}

/// The table in which the kinds are bases.
fn kinds() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::build_with(read(), &KINDS))
}

impl Conversion {
    /// From one unit to another; `molar_mass` is that of the analyte, in grams for a mole.
    ///
    /// # Errors
    /// Where results of the one are none of the other.
    pub fn new(from: &str, to: &str, molar_mass: Option<&str>) -> Result<Self, NoConversion> {
        let of = |code| {
            let (unit, _) = analyse(kinds(), code).map_err(NoConversion::NoUnit)?;
            Ok(unit)
        };
        let (from, to) = (of(from)?, of(to)?);
        let by = if from.canonical.powers == to.canonical.powers {
            BigRational::one()
        } else {
            molar(&from.canonical, &to.canonical, molar_mass)?
        };
        let (of_from, of_to) = (line(&from)?, line(&to)?);
        if of_to.0.is_zero() {
            return Err(NoConversion::Different);
        }
        Ok(Self {
            factor: of_from.0 * &by / &of_to.0,
            shift: (of_from.1 * by - of_to.1) / of_to.0,
        })
    }

    /// Whether a result is the same number in both.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.factor.is_one() && self.shift.is_zero()
    }

    fn apply(&self, number: &BigRational) -> BigRational {
        number * &self.factor + &self.shift
    }

    /// The numbers of a result and its limits, written in decimals. Each has as many significant
    /// digits as it had, one more where its last place would otherwise be coarser than it was, a result at least two and a limit at least three where the exact number has
    /// them, and more where a result would otherwise come to lie on another side of a limit. `None`
    /// where a text is no number, or is longer than [`NUMBER_BYTES_MAX`].
    #[must_use]
    pub fn results(&self, values: &[&str], limits: &[&str]) -> Option<Results> {
        let read = |texts: &[&str]| -> Option<Vec<Number>> {
            texts.iter().map(|text| Number::read(text)).collect()
        };
        let (values, limits) = (read(values)?, read(limits)?);
        for extra in 0..=EXTRA_DIGITS_MAX {
            let write = |numbers: &[Number], min: usize| -> Vec<String> {
                let written = numbers.iter().map(|number| self.write(number, min, extra));
                written.collect()
            };
            let mut found = Results {
                values: write(&values, VALUE_DIGITS_MIN),
                limits: write(&limits, LIMIT_DIGITS_MIN),
            };
            // A result on a limit stays on it.
            for (value, written) in values.iter().zip(&mut found.values) {
                let on = limits.iter().position(|limit| limit.is == value.is);
                if let Some(limit) = on.and_then(|on| found.limits.get(on)) {
                    written.clone_from(limit);
                }
            }
            if self.is_in_order(&values, &limits, &found) {
                return Some(found);
            }
        }
        None
    }

    /// Whether each result lies on the side of each limit where it did.
    fn is_in_order(&self, values: &[Number], limits: &[Number], found: &Results) -> bool {
        values.iter().zip(&found.values).all(|(value, written)| {
            limits
                .iter()
                .zip(&found.limits)
                .all(|(limit, limit_written)| {
                    let was = value.is.cmp(&limit.is);
                    let was = if self.factor.is_negative() {
                        was.reverse()
                    } else {
                        was
                    };
                    let is = rational(written).zip(rational(limit_written));
                    is.map(|(value, limit)| value.cmp(&limit)) == Some(was)
                })
        })
    }

    fn write(&self, number: &Number, digits_min: usize, extra: usize) -> String {
        let exact = self.apply(&number.is);
        if exact.is_zero() {
            return "0".to_owned();
        }
        // What the last place is worth, as the nearest power of ten: 5/9 of a tenth are nearer to a
        // tenth than to a hundredth.
        let step = self.factor.abs() * power_of_ten(-number.decimals);
        let mut decimals = -magnitude(&step);
        if &step * &step > power_of_ten(1 - 2 * decimals) {
            decimals -= 1;
        }
        if !self.shift.is_zero() {
            // A shift may move the first digit anywhere.
            return rounded(&exact, decimals.max(0) + extra as i64);
        }
        // As many digits, and never coarser than it was: 6.0 may become 108 and not 110.
        let as_fine = usize::try_from(magnitude(&exact) + 1 + decimals).unwrap_or(0);
        let mut digits = number.digits.max(as_fine);
        while digits < digits_min && to_digits(&exact, digits).1 != exact {
            digits += 1;
        }
        to_digits(&exact, digits + extra).0
    }
}

/// A number as it was written.
struct Number {
    is: BigRational,
    /// Significant digits, trailing zeros counted.
    digits: usize,
    /// Digits behind the point; below zero with an exponent.
    decimals: i64,
}

impl Number {
    fn read(text: &str) -> Option<Self> {
        if text.len() > NUMBER_BYTES_MAX {
            return None;
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().ok().filter(|e: &i64| e.abs() < 1000)?;
        let fraction = mantissa
            .split_once('.')
            .map_or("", |(_, fraction)| fraction);
        let digits = mantissa.bytes().filter(u8::is_ascii_digit);
        let digits = digits.skip_while(|digit| *digit == b'0').count();
        Some(Self {
            is: rational(text)?,
            digits: digits.max(1),
            decimals: i64::try_from(fraction.len()).ok()? - exponent,
        })
    }
}

/// What an amount of the canonical unit is: a factor and a shift.
fn line(unit: &Analysis) -> Result<(BigRational, BigRational), NoConversion> {
    let factor = &unit.canonical.factor;
    let Some((function, scale)) = &unit.special else {
        return Ok((factor.clone(), BigRational::zero()));
    };
    let zero = function.plain(&BigRational::zero());
    let zero = zero
        .filter(|_| function.exact())
        .ok_or(NoConversion::Logarithmic)?;
    Ok((scale * factor, zero * factor))
}

/// The factor from an amount of substance to a mass, or back.
fn molar(
    from: &Canonical,
    to: &Canonical,
    molar_mass: Option<&str>,
) -> Result<BigRational, NoConversion> {
    let grams_per_mole = |power: i32| {
        let grams = Canonical::base("g").power(power);
        let moles = Canonical::base("mol").power(-power);
        grams.and_then(|grams| grams.times(&moles?)).ok()
    };
    let leads = |power| {
        let through = grams_per_mole(power).and_then(|by| from.times(&by).ok());
        through.is_some_and(|through| through.powers == to.powers)
    };
    let to_mass = leads(1);
    if !to_mass && !leads(-1) {
        return Err(NoConversion::Different);
    }
    let mass = molar_mass.ok_or(NoConversion::MolarMassMissing)?;
    let mass = rational(mass).filter(BigRational::is_positive);
    let mass = mass.ok_or(NoConversion::MolarMass)?;
    Ok(if to_mass { mass } else { mass.recip() })
}

fn power_of_ten(exponent: i64) -> BigRational {
    let ten = BigInt::from(10).pow(u32::try_from(exponent.unsigned_abs()).unwrap_or(u32::MAX));
    if exponent < 0 {
        BigRational::new(BigInt::one(), ten)
    } else {
        BigRational::from(ten)
    }
}

/// The exponent of the first digit of a number that is not zero.
fn magnitude(number: &BigRational) -> i64 {
    let number = number.abs();
    let lengths = [number.numer(), number.denom()].map(|part| part.to_string().len() as i64);
    let [above, below] = lengths;
    // One too high at most, as 3/4 has a digit in both.
    let guess = above - below;
    match number.cmp(&power_of_ten(guess)) {
        Ordering::Less => guess - 1,
        Ordering::Equal | Ordering::Greater => guess,
    }
}

/// A number with so many digits behind the point, a half away from zero.
fn rounded(number: &BigRational, decimals: i64) -> String {
    let scaled = (number * power_of_ten(decimals)).round().to_integer();
    let sign = if scaled.is_negative() { "-" } else { "" };
    let digits = scaled.abs().to_string();
    let Ok(decimals) = usize::try_from(decimals) else {
        let zeros = if scaled.is_zero() {
            0
        } else {
            decimals.unsigned_abs() as usize
        };
        return format!("{sign}{digits}{}", "0".repeat(zeros));
    };
    if decimals == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded
        .split_at_checked(padded.len() - decimals)
        .unwrap_or((&padded, ""));
    format!("{sign}{whole}.{fraction}")
}

/// A number that is not zero with so many significant digits, and what that is worth.
fn to_digits(number: &BigRational, digits: usize) -> (String, BigRational) {
    let digits = i64::try_from(digits).unwrap_or(i64::MAX);
    let decimals = digits - 1 - magnitude(number);
    let text = rounded(number, decimals);
    let worth = rational(&text).unwrap_or_else(BigRational::zero);
    // 9.96 with two digits is 10 and not 10.0.
    if !worth.is_zero() && magnitude(&worth) > magnitude(number) {
        let text = rounded(number, decimals - 1);
        return (text, worth);
    }
    (text, worth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, mass: Option<&str>, value: &str, expected: &str) {
        let conversion = Conversion::new(from, to, mass).expect(from);
        let found = conversion.results(&[value], &[]).expect(value);
        assert_eq!(found.values, [expected], "{value} {from} in {to}");
    }

    #[test]
    fn digits_stay() {
        check("mg/dL", "g/L", None, "95.0", "0.950");
        check("g/L", "g/dL", None, "142", "14.2");
        check("g/L", "g/dL", None, "5", "0.5");
        check("10*3/uL", "10*9/L", None, "4.50", "4.50");
        check("ug/L", "mg/L", None, "-3", "-0.003");
        check("m", "km", None, "100", "0.100");
        check("min", "s", None, "0.0", "0");
        check("h", "min", None, "1.5e0", "90");
        check("[lb_av]", "kg", None, "150", "68.0");
        check("g", "[oz_av]", None, "996", "35.1");
        check("U/L", "ukat/L", None, "60", "1.00");
        check("mmol/L", "mg/dL", Some("180.156"), "6.0", "108");
        check("Cel", "[degF]", None, "37.0", "98.6");
        check("Cel", "[degF]", None, "0", "32");
        check("[degF]", "Cel", None, "98.6", "37.0");
        check("K", "Cel", None, "310.2", "37.1");
    }

    #[test]
    fn a_molar_mass_leads_to_a_mass_and_back() {
        let glucose = Some("180.156");
        check("mmol/L", "mg/dL", glucose, "5.40", "97.3");
        check("mg/dL", "mmol/L", glucose, "97", "5.4");
        check("mmol/L", "mg/dL", glucose, "5", "90");
        check("mg/dL", "umol/L", Some("113.12"), "1.1", "97");
        let none = |from, to, mass| Conversion::new(from, to, mass).expect_err(from);
        assert_eq!(
            none("mmol/L", "mg/dL", None),
            NoConversion::MolarMassMissing
        );
        assert_eq!(none("mmol/L", "mg/dL", Some("0")), NoConversion::MolarMass);
        assert_eq!(none("mmol/L", "mg/dL", Some("x")), NoConversion::MolarMass);
        assert_eq!(none("mmol/L", "mg", glucose), NoConversion::Different);
    }

    #[test]
    fn what_measures_something_else_is_not_converted() {
        for (from, to) in [
            ("mmol/L", "mmol"),
            // The same for UCUM, and not for results.
            ("mmol/L", "10*9/L"),
            ("meq/L", "mmol/L"),
            ("mosm/L", "mmol/L"),
            ("[iU]/L", "U/L"),
            ("[iU]/L", "ug/L"),
            ("Cel", "mmol/L"),
        ] {
            assert_eq!(
                Conversion::new(from, to, None),
                Err(NoConversion::Different),
                "{from}"
            );
        }
        assert!(matches!(
            Conversion::new("mmol", "tbl", None),
            Err(NoConversion::NoUnit(_))
        ));
        assert_eq!(
            Conversion::new("[pH]", "mol/L", None),
            Err(NoConversion::Logarithmic)
        );
        assert!(
            Conversion::new("mmol/l", "mmol/L", None)
                .expect("units")
                .is_same()
        );
    }

    #[test]
    fn a_result_stays_on_its_side_of_a_limit() {
        let check = |value: &str, limits: &[&str], expected: (&str, &[&str])| {
            let glucose = Conversion::new("mmol/L", "mg/dL", Some("180.156")).expect("units");
            let found = glucose.results(&[value], limits).expect(value);
            assert_eq!(
                (found.values, found.limits),
                (
                    vec![expected.0.to_owned()],
                    expected.1.iter().map(|text| (*text).to_owned()).collect()
                )
            );
        };
        check("5.40", &["3.9", "5.6"], ("97.3", &["70.3", "101"]));
        // With two digits it would be 100, below the limit that it is above.
        check("5.6", &["5.58"], ("101", &["100.5"]));
        check("4", &["4", "6"], ("72.1", &["72.1", "108"]));
        check("5.5", &[], ("99", &[]));
    }

    #[test]
    fn numbers_have_a_limit() {
        let same = Conversion::new("g/L", "g/dL", None).expect("units");
        let long = "1".repeat(NUMBER_BYTES_MAX + 1);
        assert_eq!(same.results(&[&long], &[]), None);
        let fits = "1".repeat(NUMBER_BYTES_MAX);
        assert!(same.results(&[&fits], &[]).is_some());
        assert_eq!(same.results(&["1e1000"], &[]), None);
        assert_eq!(same.results(&["four"], &[]), None);
    }
}
