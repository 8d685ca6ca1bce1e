//! Special units: amounts that become amounts of a plain unit by a function, not a factor.
//!
//! Temperatures are exact. Logarithms, powers and angles go through floating point and give about
//! fifteen digits.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{FromPrimitive as _, ToPrimitive as _};

/// The functions of the table, by what an amount `x` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// `x + 273.15`.
    Celsius,
    /// `x + 459.67`.
    Fahrenheit,
    /// `x + 218.52`, of 5/4 kelvin each.
    Reaumur,
    /// `arctan(x / 100)`.
    Tan,
    /// `arctan(x / 100)`, in degrees.
    Slope,
    /// A base to the power of `-x`.
    Dilution(u32),
    /// A base to the power of `x`.
    Exponential(u32),
    /// `e` to the power of `x`.
    Natural,
    /// Ten to the power of `x / 2`.
    Level,
    /// `x` squared.
    Root,
}

impl Function {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "Cel" => Self::Celsius,
            "degF" => Self::Fahrenheit,
            "degRe" => Self::Reaumur,
            "tanTimes100" => Self::Tan,
            "100tan" => Self::Slope,
            "hpX" | "pH" => Self::Dilution(10),
            "hpC" => Self::Dilution(100),
            "hpM" => Self::Dilution(1000),
            "hpQ" => Self::Dilution(50_000),
            "ln" => Self::Natural,
            "lg" => Self::Exponential(10),
            "ld" => Self::Exponential(2),
            "lgTimes2" => Self::Level,
            "sqrt" => Self::Root,
            _ => return None,
        })
    }

    /// Whether the function is a shift, which fractions hold exactly.
    pub(crate) fn exact(self) -> bool {
        matches!(self, Self::Celsius | Self::Fahrenheit | Self::Reaumur)
    }

    /// The amount of the plain unit.
    pub(crate) fn plain(self, x: &BigRational) -> Option<BigRational> {
        match self {
            Self::Celsius | Self::Fahrenheit | Self::Reaumur => Some(x + self.shift()),
            Self::Root => Some(x * x),
            Self::Tan => float(x, |x| (x / 100.0).atan()),
            Self::Slope => float(x, |x| (x / 100.0).atan().to_degrees()),
            Self::Dilution(base) => float(x, |x| f64::from(base).powf(-x)),
            Self::Exponential(base) => float(x, |x| f64::from(base).powf(x)),
            Self::Natural => float(x, f64::exp),
            Self::Level => float(x, |x| 10_f64.powf(x / 2.0)),
        }
    }

    /// The amount of the special unit.
    pub(crate) fn special(self, x: &BigRational) -> Option<BigRational> {
        match self {
            Self::Celsius | Self::Fahrenheit | Self::Reaumur => Some(x - self.shift()),
            Self::Root => float(x, f64::sqrt),
            Self::Tan => float(x, |x| x.tan() * 100.0),
            Self::Slope => float(x, |x| x.to_radians().tan() * 100.0),
            Self::Dilution(base) => float(x, |x| -x.ln() / f64::from(base).ln()),
            Self::Exponential(10) => float(x, f64::log10),
            Self::Exponential(base) => float(x, |x| x.log(f64::from(base))),
            Self::Natural => float(x, f64::ln),
            Self::Level => float(x, |x| x.log10() * 2.0),
        }
    }

    fn shift(self) -> BigRational {
        let hundredths = match self {
            Self::Fahrenheit => 45_967,
            Self::Reaumur => 21_852,
            _ => 27_315,
        };
        BigRational::new(BigInt::from(hundredths), BigInt::from(100))
    }
}

fn float(x: &BigRational, f: impl Fn(f64) -> f64) -> Option<BigRational> {
    let y = f(x.to_f64()?);
    if !y.is_finite() {
        return None;
    }
    // Fifteen digits are what the function gives; the rest would be noise.
    let text = format!("{y:.14e}");
    crate::canonical::rational(&text).or_else(|| BigRational::from_f64(y))
}
