//! XML: reading it safely.

mod element;

pub(crate) use element::Element;
pub use element::{XML_BYTES_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX, XmlError};
