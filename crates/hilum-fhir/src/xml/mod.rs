//! Resources in XML (FHIR R4 xml.html).
//!
//! Reading is as strict as that of JSON, and elements must come in the order of the standard.
//! A document type declaration, an entity that XML does not define by itself and a processing
//! instruction are refused, so nothing is ever expanded or fetched; XInclude is an unknown element.
//! Narrative is kept verbatim. Comments elsewhere are dropped.

mod lex;
mod namespace;
mod parse;
mod write;

use crate::limits::Limits;
use crate::problem::Problems;
use crate::resource::Resource;

pub(crate) use lex::{Event, Lexer, attribute_value};
pub use write::write;

/// The namespace of FHIR.
pub(crate) const FHIR: &str = "http://hl7.org/fhir";
/// The namespace of narrative.
pub(crate) const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// Reads a resource.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Resource, Problems> {
    parse::parse(bytes, limits)
}
