//! Resources in JSON (FHIR R4 json.html).
//!
//! Reading is strict: an unknown property, a property twice, a value of the wrong kind or form, an
//! array where one value belongs, an empty object, array or string are problems, of which as many
//! as [`crate::Limits::problems_max`] are collected. One pass makes the resource; there is no tree
//! of JSON between.
//!
//! Cardinalities, bindings and invariants are not looked at; that is validation.

mod ahead;
mod lex;
mod parse;
mod primitive;
mod text;
mod write;

use crate::limits::Limits;
use crate::problem::Problems;
use crate::resource::Resource;

pub(crate) use text::unescape;
pub use write::{Selection, Style, write, write_node, write_selected, write_string};

/// Reads a resource.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Resource, Problems> {
    parse::parse(bytes, limits)
}
