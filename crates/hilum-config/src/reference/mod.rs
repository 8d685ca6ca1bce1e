//! What editors and readers see of the files of a site: JSON schemas, and pages of the reference.
//!
//! Both are made from the structs of this crate and the specs of the components, never written by
//! hand.

mod pages;
mod schema;

pub use pages::pages;
pub use schema::{SCHEMA_FILES, schema};
