//! The v2 way of writing paths in expressions.

use std::sync::Arc;

use hilum_fhirpath::{Dialect, PathLiteral};

use super::{Path, Which, parse};
use crate::dictionary::Dictionary;

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
            repeats: may_repeat(&path),
            optional: is_optional(&path),
            compiled: Arc::new(path),
        };
        Some((length, literal))
    }

    fn doubt(&self, literal: &PathLiteral) -> Option<String> {
        let path = literal.compiled.downcast_ref::<Path>()?;
        let id = path.segment.as_str();
        // Segments of one's own begin with Z; those of batches are no part of messages.
        if id.starts_with('Z') || ["FHS", "FTS", "BHS", "BTS"].contains(&id) {
            return None;
        }
        let versions = Dictionary::get().versions();
        let counts = versions.filter_map(|version| Some(version.segment(id)?.field_count()));
        let Some(most) = counts.max() else {
            return Some(format!("HL7 v2 has no segment `{id}`"));
        };
        let field = path.field?.field;
        (field > u32::from(most))
            .then(|| format!("{id} has {most} fields in HL7 v2, and no {field}"))
    }
}

/// Segments of which a message of any structure has one that is outside of a group, or that is
/// the only one that people mean when they write it without an index.
const ONCE: [&str; 8] = ["MSH", "EVN", "PID", "PD1", "PV1", "PV2", "MSA", "QAK"];
/// The version whose dictionary says whether a field repeats.
const VERSION: &str = "2.5.1";

/// A path yields all occurrences and repetitions; that there may be several is known where the
/// dictionary does not exclude it.
fn may_repeat(path: &Path) -> bool {
    let Some(field) = path.field else {
        return path.repeats();
    };
    let once = match path.occurrence {
        Which::Nth(_) => true,
        Which::Unsaid => path.groups.is_empty() && ONCE.contains(&path.segment.as_str()),
        Which::All => false,
    };
    let single = match field.repetition {
        Which::Nth(_) => true,
        Which::Unsaid => {
            let segment = Dictionary::get().nearest(VERSION).segment(&path.segment);
            let position = u16::try_from(field.field).ok();
            let known = segment.and_then(|segment| segment.field(position?));
            known.is_some_and(|known| known.repetitions_max() == Some(1))
        }
        Which::All => false,
    };
    path.repeats() && !(once && single)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_the_standard_does_not_know_is_doubted() {
        for (text, doubt) in [
            ("PID-3.1", None),
            ("ZPI-300", None),
            ("BHS-4", None),
            ("PATIENT_RESULT/OBX[*]-5", None),
            ("PV9-3", Some("HL7 v2 has no segment `PV9`")),
            ("EVN-70", Some("EVN has 7 fields in HL7 v2, and no 70")),
        ] {
            let (_, literal) = V2Dialect.literal(text).expect("a path");
            assert_eq!(V2Dialect.doubt(&literal).as_deref(), doubt, "{text}");
        }
    }

    #[test]
    fn only_what_may_yield_several_values_repeats() {
        for (text, repeats) in [
            ("MSH-9.1", false),
            ("PV1-2", false),
            ("PID-3", true),
            ("PID-3[1].1", false),
            ("PID-8", false),
            ("OBX-8", true),
            ("OBX[1]-3", false),
            ("OBX[1]-5", true),
            ("MSH[*]-9", true),
            ("ZZZ[1]-1", true),
        ] {
            let (_, literal) = V2Dialect.literal(text).expect("a path");
            assert_eq!(literal.repeats, repeats, "{text}");
        }
    }
}
