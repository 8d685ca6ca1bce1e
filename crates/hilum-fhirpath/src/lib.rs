//! FHIRPath over a small tree trait.
//!
//! The language of FHIR R4 (FHIRPath N1 with what its test file uses), compiled once and evaluated
//! on any document that implements [`Tree`]. A format may bring a [`Dialect`], its own way of
//! writing paths, which then stands wherever a path of FHIRPath may stand.
//!
//! - Numbers are exact decimals; dates and times keep their precision, and a comparison that needs
//!   a part that is not known is empty.
//! - No text and no document makes it panic, recurse without bound or run without end: length and
//!   nesting of the text, depth of comparison and [`Env::fuel`] are limited by name.
//! - There is no clock and no input or output here: the caller says what time it is, and a
//!   [`Host`] answers what needs the world.
//! - Errors name types, counts and places, never content.

mod env;
mod error;
mod eval;
mod expression;
mod syntax;
pub mod tree;
mod value;

pub use env::{Env, FUEL_DEFAULT, Host, HostError, NoHost, NoVariables, Variables};
pub use error::EvalError;
pub use eval::{COMPARE_DEPTH_MAX, PATTERN_BYTES_MAX};
pub use expression::{Expression, Literal, Options, Truth};
pub use syntax::{
    CompileError, EXPRESSION_BYTES_MAX, NESTING_MAX, Span, Warning, WarningKind, functions,
};
pub use tree::{Dialect, NodeId, PathLiteral, Scalar, Tree, Visit};
pub use value::{
    CalendarUnit, Collection, Item, Moment, Node, Precision, Quantity, Time, TypeInfo, Unit, Value,
};
