//! UCUM units with exact numbers.
//!
//! A [`Unit`] is read from its code, analysed to the seven base units once, and then compared,
//! converted, multiplied and named. Factors are exact fractions; only the logarithmic and
//! trigonometric special units go through floating point, and [`Converted::exact`] says so.
//!
//! The definitions are the official table, `ucum-essence.xml` version 2.2, embedded unmodified and
//! read once at first use (see `generated/PROVENANCE.md` for where it comes from and its notice).
//!
//! - Codes are case sensitive (the `c/s` form of UCUM).
//! - Arbitrary units (`[iU]`) measure nothing but themselves.
//! - Special units (`Cel`, `[pH]`) stand alone: UCUM §21 lets them take part in no product.
//! - Length of a code, nesting, exponents and the size of factors are limited by name, so no code
//!   costs more than about a millisecond.
//!
//! ```
//! use hilum_ucum::Unit;
//! use num_rational::BigRational;
//!
//! let (from, to) = (Unit::parse("mmol/L")?, Unit::parse("umol/dL")?);
//! let converted = from.convert(&BigRational::from_integer(5.into()), &to)?;
//! assert_eq!(converted.value, BigRational::from_integer(500.into()));
//! assert!(converted.exact);
//!
//! assert!(!from.commensurable(&Unit::parse("mg/dL")?), "a mass is no amount of substance");
//! assert!(Unit::parse("mg//dL").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod canonical;
mod error;
mod essence;
mod parse;
mod result;
mod special;
mod unit;

pub use canonical::FACTOR_BITS_MAX;
pub use error::{ConvertError, UnitError, UnitProblem};
pub use parse::{CODE_BYTES_MAX, EXPONENT_MAX, NESTING_MAX};
pub use result::{Conversion, NUMBER_BYTES_MAX, NoConversion, Results};
pub use unit::{Converted, Unit, is_unit};
