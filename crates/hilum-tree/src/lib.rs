//! XML, JSON and delimited text as trees that expressions walk over and steps edit.
//!
//! A document keeps the bytes it was read from and an index of them. Untouched it is written back
//! byte for byte; an edit changes the bytes of what was edited and of nothing else, white space,
//! order of keys, quoting and number formats included.
//!
//! Names in paths:
//! - JSON: the properties of the root object; an array is the repetition of its property. Items
//!   that have no property of their own (of a root array, of an array in an array) are called
//!   `item`. `null` counts as absent.
//! - XML: the root element is the first name. A name matches elements by local name, or by the
//!   whole name where it holds a colon (`` `v3:id` ``). An attribute is `` `@name` ``; text
//!   between elements is `` `#text` ``.
//! - Delimited text: `row`, and below it the columns by their header, or `c1`, `c2` and so on.
//!
//! Invariants: no input makes this crate panic; every limit of [`Limits`] is checked before
//! memory is taken; XML with a document type declaration is refused, so nothing is ever expanded
//! or fetched; errors hold positions, never content.
//!
//! It does not validate against schemas and does not resolve XML namespaces.
//!
//! ```
//! use hilum_tree::{Editable, JsonDocument, Limits, Path};
//!
//! let received = r#"{ "id": 1.50,  "name": [ {"family": "Ames"} ] }"#;
//! let mut document = JsonDocument::parse(&received.into(), &Limits::default())?;
//! assert_eq!(document.write(), received, "untouched, it is what was received");
//!
//! let family = Path::parse("name[0].family")?;
//! document.set(&family, &["Mason".to_owned()])?;
//! assert_eq!(document.write(), received.replace("Ames", "Mason"), "nothing else changed");
//!
//! let open = JsonDocument::parse(&"{".into(), &Limits::default());
//! assert!(open.is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod arena;
mod delimited;
mod error;
pub mod fuzz_bodies;
mod json;
mod limits;
mod path;
mod places;
mod xml;

pub use delimited::{DelimitedDocument, DelimitedOptions, RowEnd};
pub use error::{EditError, ParseError};
pub use json::{JsonDocument, JsonKind};
pub use limits::Limits;
pub use path::{Index, Path, PathError, Step};
pub use places::Editable;
pub use xml::XmlDocument;
