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
