//! Messages in XML (HL7 v2.xml encoding), both ways.
//!
//! [`write`] gives the standard's encoding by the dictionary; [`read`] takes it, and the flat form
//! of Mirth Connect. Neither validates: what the dictionary does not know is carried by position.
//! No document types, entities or external references are ever followed.

mod element;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use element::Element;
pub use element::{XML_BYTES_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX, XmlError};
pub use read::{XML_POSITION_MAX, read};
pub use write::{NAMESPACE, write};
