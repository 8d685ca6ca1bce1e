//! What is known of a code, and which of two codes is above the other
//! (FHIR R4 codesystem-operation-lookup.html, codesystem-operation-subsumes.html).

use std::sync::Arc;

use hilum_fhir::IssueType;

use crate::engine::Engine;
use crate::issue::{Failure, Issue};
use crate::system::{Concept, System};

/// How two codes of a system stand to each other
/// (FHIR R4 valueset-concept-subsumption-outcome.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsumption {
    /// They are the same.
    Equivalent,
    /// The first is above the second.
    Subsumes,
    /// The first is below the second.
    SubsumedBy,
    /// Neither is above the other.
    NotSubsumed,
}

impl Subsumption {
    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Equivalent => "equivalent",
            Self::Subsumes => "subsumes",
            Self::SubsumedBy => "subsumed-by",
            Self::NotSubsumed => "not-subsumed",
        }
    }
}

impl Engine<'_> {
    /// A code system that has to be known.
    pub fn needed_system(&self, url: &str, version: Option<&str>) -> Result<Arc<System>, Failure> {
        if let Some(found) = self.system(url, version)? {
            return Ok(found);
        }
        let asked = self.options.version(url, version);
        let known = self.terminology.versions(url)?;
        Err(Failure::refused(crate::issue::unknown_system(
            url, asked, &known,
        )))
    }

    /// A concept that has to be known.
    pub fn needed_concept(&self, system: &Arc<System>, code: &str) -> Result<Concept, Failure> {
        self.concept(system, code).ok_or_else(|| {
            let text = format!("Unable to find code '{code}' in {}", system.canonical());
            let issue = Issue::error(
                IssueType::NotFound,
                "invalid-code",
                "UNKNOWN_CODE_IN_VERSION",
                text,
            );
            Failure::refused(issue)
        })
    }

    /// How two codes of a system stand to each other.
    pub fn subsumes(&self, system: &Arc<System>, a: &str, b: &str) -> Result<Subsumption, Failure> {
        let (a, b) = (
            self.needed_concept(system, a)?,
            self.needed_concept(system, b)?,
        );
        if a.code() == b.code() {
            return Ok(Subsumption::Equivalent);
        }
        let (Some(table), Some(a), Some(b)) = (system.table(), a.at(), b.at()) else {
            return Ok(Subsumption::NotSubsumed);
        };
        Ok(if table.is_above(a, b) {
            Subsumption::Subsumes
        } else if table.is_above(b, a) {
            Subsumption::SubsumedBy
        } else {
            Subsumption::NotSubsumed
        })
    }
}
