//! UCUM: the official cases, and tables of our own.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod suite;
mod units;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed as _, Zero as _};

/// Reads a decimal exactly.
pub(crate) fn number(text: &str) -> BigRational {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().unwrap();
    let scale = exponent.parse::<i32>().unwrap() - i32::try_from(fraction.len()).unwrap();
    let ten = BigRational::from(BigInt::from(10));
    BigRational::from(digits) * num_traits::pow::Pow::pow(ten, scale)
}

/// Whether a value rounds to `expected`, to as many significant digits as that has.
pub(crate) fn rounds_to(value: &BigRational, expected: &str) -> bool {
    let wanted = number(expected);
    if wanted.is_zero() {
        return value.is_zero();
    }
    let mantissa = expected.split('e').next().unwrap();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let significant = digits.trim_start_matches('0').len();
    // Half a unit of the last significant digit.
    let mut unit = number("1");
    let ten = number("10");
    while (&unit * &ten) <= wanted.abs() {
        unit *= &ten;
    }
    while unit > wanted.abs() {
        unit /= &ten;
    }
    for _ in 1..significant {
        unit /= &ten;
    }
    (value - &wanted).abs() * number("2") <= unit
}
