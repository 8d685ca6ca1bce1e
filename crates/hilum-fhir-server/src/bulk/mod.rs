//! Much at once, out of the store and into it: `$export`, `$import`, and their files.

pub(crate) mod export;
mod files;
pub(crate) mod import;
mod parameters;

pub(crate) use export::{belongs, compartment, criterion};
pub(crate) use files::Parts;
pub(crate) use parameters::pairs;

use crate::route::Entry;

/// The media type of files (<http://ndjson.org>, Bulk Data Access IG 2.0.0).
pub(crate) const NDJSON: &str = "application/fhir+ndjson";

pub(crate) fn routes() -> Vec<Entry> {
    let mut routes = export::routes();
    routes.extend(import::routes());
    routes.push(files::route());
    routes
}
