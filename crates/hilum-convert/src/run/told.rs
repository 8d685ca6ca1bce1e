//! What of a message is known by the same number and yet is not the same.
//!
//! Two results, reports or orders of one message may come with one number: the lines of a text under
//! one OBX-21, two reports under one order. Were they made one, what the second says would be lost.

use std::collections::HashMap;

use hilum_fhir::definitions::{Definitions, TypeId};

use super::Run;
use super::known::DERIVED;

/// What a resource says, as numbers.
pub(super) type Says = (u64, u64);

/// Under which keys the message has told what.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<(TypeId, String, String), Under>);

#[derive(Debug)]
struct Under {
    says: Says,
    count: u32,
}

/// What a resource is known by.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// System and value.
    pub(super) key: Option<(String, String)>,
    /// Keys of it under which the message has told something else.
    pub(super) taken: Vec<(String, String)>,
}

impl Told {
    /// The key of a resource: the first under which nothing else was told, or a new one.
    pub(super) fn key(
        &mut self,
        ty: TypeId,
        keys: Vec<(String, String)>,
        says: Option<Says>,
    ) -> Found {
        let mut found = Found::default();
        let Some(says) = says else {
            found.key = keys.into_iter().next();
            return found;
        };
        let mut counted = None;
        for (system, value) in keys {
            let key = (ty, system, value);
            let fresh = Under { says, count: 1 };
            let under = self.0.entry(key.clone()).or_insert(fresh);
            let (_, system, value) = key;
            if under.says == says {
                found.key = Some((system, value));
                return found;
            }
            counted = counted.or_else(|| {
                under.count += 1;
                Some(match system == DERIVED {
                    true => format!("{value}|{}", under.count),
                    false => format!("{system}|{value}|{}", under.count),
                })
            });
            found.taken.push((system, value));
        }
        found.key = counted.map(|value| (DERIVED.to_owned(), value));
        found
    }
}

impl Run<'_, '_> {
    /// What must be the same in two resources of a message that have the same number; `None` where
    /// the number alone tells, as for people and places.
    pub(super) fn says(&self, made: u32, refers: &[u32]) -> Option<Says> {
        let made = self.made.get(made as usize).filter(|made| made.is_role)?;
        let ty = self.draft.type_id(made.node)?;
        let ty = Definitions::r4().type_def(ty);
        match ty.name {
            "AllergyIntolerance"
            | "ChargeItem"
            | "Condition"
            | "DiagnosticReport"
            | "Immunization"
            | "MedicationAdministration"
            | "MedicationDispense"
            | "Observation"
            | "Procedure" => Some(self.digest(made.node, refers)),
            // An order is told once more with each of its results; only what is ordered counts.
            "ServiceRequest" => {
                let code = Definitions::r4().child(ty.root, "code")?;
                let code = self.draft.child(made.node, code);
                Some(code.map_or((0, 0), |code| self.digest(code, refers)))
            }
            _ => None,
        }
    }
}
