//! The v2 way of writing paths in expressions.

use std::sync::Arc;

use hilum_fhirpath::{Dialect, PathLiteral};

use super::{Path, Which, parse};

/// Path literals of HL7 v2 for [`hilum_fhirpath`].
#[derive(Clone, Copy, Debug, Default)]
pub struct V2Dialect;

impl Dialect for V2Dialect {
    fn name(&self) -> &str {
        "hl7v2"
    }

    fn literal(&self, text: &str) -> Option<(usize, PathLiteral)> {
        let (length, path) = parse::literal(text)?;
        let literal = PathLiteral {
            text: text.get(..length)?.to_owned(),
            repeats: path.repeats(),
            optional: is_optional(&path),
            compiled: Arc::new(path),
        };
        Some((length, literal))
    }
}

/// Only the fields of MSH that every version requires are always there; what else is required a
/// profile knows.
fn is_optional(path: &Path) -> bool {
    let Some(field) = path.field else { return true };
    let first = |which| matches!(which, Which::Unsaid | Which::Nth(1));
    !(path.groups.is_empty()
        && path.segment == "MSH"
        && first(path.occurrence)
        && first(field.repetition)
        && field.component <= 1
        && field.subcomponent <= 1
        && [1, 2, 9, 10, 11, 12].contains(&field.field))
}
