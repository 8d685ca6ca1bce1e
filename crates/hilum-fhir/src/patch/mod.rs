//! Changing a resource by a list of changes: FHIRPath Patch (FHIR R4 fhirpatch.html) and JSON Patch
//! (RFC 6902).
//!
//! All changes of a patch are made, or none. The result has the structure of its type; whether it
//! is valid beyond that is for the validator, and whether its id may change for the server.

mod document;
mod fhirpath;
mod json;

use crate::limits::Limits;
use crate::problem::{IssueType, Problem, Problems};
use crate::resource::Resource;

/// Changes of one patch.
pub const OPERATIONS_MAX: usize = 1_000;

/// Applies a FHIRPath Patch, a Parameters resource.
pub fn apply_fhirpath(resource: &Resource, patch: &Resource) -> Result<Resource, Problems> {
    fhirpath::apply(resource, patch).map_err(Problems::from)
}

/// Applies a JSON Patch to a resource.
pub fn apply_json(
    resource: &Resource,
    patch: &[u8],
    limits: &Limits,
) -> Result<Resource, Problems> {
    let mut document = Vec::new();
    crate::json::write(resource, crate::json::Style::Compact, &mut document);
    let patched = json::apply(&document, patch, limits)?;
    crate::json::parse(&patched, limits)
}

/// Applies a JSON Patch to any JSON.
pub fn apply_json_to(document: &[u8], patch: &[u8], limits: &Limits) -> Result<Vec<u8>, Problem> {
    json::apply(document, patch, limits)
}

fn refused(
    code: IssueType,
    operation: &str,
    text: impl Into<std::borrow::Cow<'static, str>>,
) -> Problem {
    Problem::error(code, text).at(operation)
}
