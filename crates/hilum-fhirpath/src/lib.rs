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
//!
//! ```
//! use std::borrow::Cow;
//! use hilum_fhirpath::{Env, Expression, Moment, NodeId, Options, Scalar, Tree, Visit};
//!
//! /// The smallest document: names and their values.
//! struct Pairs(Vec<(&'static str, &'static str)>);
//!
//! impl Tree for Pairs {
//!     fn root(&self) -> NodeId {
//!         NodeId::default()
//!     }
//!     fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>) {
//!         for (at, (own, _)) in self.0.iter().enumerate() {
//!             if of.lo == 0 && *own == name {
//!                 visit(NodeId { hi: 0, lo: at as u64 + 1 });
//!             }
//!         }
//!     }
//!     fn all_children(&self, of: NodeId, visit: &mut Visit<'_>) {
//!         (0..self.0.len()).filter(|_| of.lo == 0).for_each(|at| visit(NodeId { hi: 0, lo: at as u64 + 1 }));
//!     }
//!     fn name(&self, node: NodeId) -> Cow<'_, str> {
//!         self.0.get(node.lo as usize - 1).map_or("".into(), |(name, _)| (*name).into())
//!     }
//!     fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
//!         let (_, value) = self.0.get((node.lo as usize).checked_sub(1)?)?;
//!         Some(Scalar::String((*value).into()))
//!     }
//!     fn location(&self, node: NodeId) -> String {
//!         self.name(node).into_owned()
//!     }
//! }
//!
//! let document = Pairs(vec![("given", "Ann"), ("given", "Mae"), ("birth", "2001-02-28")]);
//! let env = Env::new(Moment::from_unix_millis(1_767_225_600_000, 0));
//! let text = "given.where(startsWith('M')).single() & ', ' & birth.substring(0, 4)";
//! let expression = Expression::compile(text, &Options::default())?;
//! let found = expression.evaluate(&document, document.root(), &env)?;
//! assert_eq!(found.items()[0].text().as_deref(), Some("Mae, 2001"));
//!
//! let condition = Expression::compile("given.count() = 2", &Options::default())?;
//! assert!(condition.holds(&document, document.root(), &env)?);
//! assert!(Expression::compile("given.count( = 2", &Options::default()).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod env;
mod error;
mod eval;
mod expression;
mod names;
mod syntax;
pub mod tree;
mod value;

pub use env::{Env, FUEL_DEFAULT, Host, HostError, NoHost, NoVariables, Variables};
pub use error::EvalError;
pub use eval::{COMPARE_DEPTH_MAX, PATTERN_BYTES_MAX};
pub use expression::{Expression, Literal, Options, Truth};
pub use names::{Misnamed, NameProblem, Named, Shape, Shapes};
pub use syntax::{
    CompileError, EXPRESSION_BYTES_MAX, NESTING_MAX, Span, Warning, WarningKind, functions,
};
pub use tree::{Dialect, NodeId, PathLiteral, Scalar, Tree, Visit};
pub use value::{
    CalendarUnit, Collection, Item, Moment, Node, Precision, Quantity, Time, TypeInfo, Unit, Value,
};
