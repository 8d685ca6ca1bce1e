//! Terminology for the validator of `hilum-fhir`: bindings against the value sets of a snapshot.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use hilum_fhir::definitions::Membership;
use hilum_fhir::validate as fhir;

use crate::check::{Coding, Given};
use crate::engine::Engine;
use crate::issue::Failure;
use crate::options::Options;
use crate::source::{Terminology, Wanted};

/// Answers the validator by the value sets of a snapshot, and asks another where it has no such
/// value set. What would have to be loaded first is remembered: load it and validate again.
pub struct Bindings<'b> {
    sets: &'b Terminology,
    terminology: &'b Terminology,
    options: Options,
    other: &'b dyn fhir::Terminology,
    missing: Mutex<BTreeSet<Wanted>>,
}

impl std::fmt::Debug for Bindings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bindings")
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

impl<'b> Bindings<'b> {
    /// Answers by the value sets of one snapshot and what another knows of their codes, then from
    /// another source.
    #[must_use]
    pub fn new(
        sets: &'b Terminology,
        terminology: &'b Terminology,
        other: &'b dyn fhir::Terminology,
    ) -> Self {
        Self {
            sets,
            terminology,
            options: Options {
                infer_system: true,
                ..Options::default()
            },
            other,
            missing: Mutex::default(),
        }
    }

    /// What has to be loaded before the answers are right.
    #[must_use]
    pub fn missing(self) -> Vec<Wanted> {
        let missing = self.missing.into_inner();
        let missing = missing.unwrap_or_else(PoisonError::into_inner);
        missing.into_iter().collect()
    }

    fn note(&self, wanted: Wanted) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.insert(wanted);
    }

    fn asked(
        &self,
        value_set: &str,
        system: Option<&str>,
        code: &str,
    ) -> Result<Option<Membership>, Failure> {
        let Some(set) = self.sets.value_set(value_set)? else {
            return Ok(None);
        };
        let engine = Engine::new(self.terminology, &self.options);
        let coding = Coding {
            system: system.map(str::to_owned),
            code: Some(code.to_owned()),
            ..Coding::default()
        };
        let checked = engine.check(&set, Given::Code, &[coding])?;
        let fragment = checked
            .issues
            .iter()
            .any(|one| one.about == Some("invalid-code") && !one.is_error());
        Ok(Some(match checked.result {
            true if fragment => Membership::Unknown,
            true => Membership::In,
            false if checked.is_open => Membership::Unknown,
            // What the set is made of may be known to nobody.
            false if !checked.unknown_systems.is_empty() => Membership::Unknown,
            false => Membership::Out,
        }))
    }
}

impl fhir::Terminology for Bindings<'_> {
    fn member(&self, value_set: &str, system: Option<&str>, code: &str) -> Membership {
        match self.asked(value_set, system, code) {
            Ok(Some(told)) => told,
            Ok(None) => self.other.member(value_set, system, code),
            Err(Failure::Missing(wanted)) => {
                self.note(wanted);
                Membership::Unknown
            }
            // A value set that cannot be worked out binds nothing.
            Err(Failure::Refused(_) | Failure::Unresolved(_)) => Membership::Unknown,
        }
    }

    fn display(&self, system: &str, code: &str) -> Option<&str> {
        self.other.display(system, code)
    }
}
