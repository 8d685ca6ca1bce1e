//! The system of a code that was given without one.

use std::collections::BTreeSet;
use std::sync::Arc;

use hilum_fhir::IssueType;

use super::{Check, Coding, Found, Verdict};
use crate::issue::{Failure, Issue};
use crate::set::ValueSet;

impl Check<'_> {
    /// The system of a code that was given without one: the only one of the value set that has it.
    pub(super) fn infer(
        &mut self,
        set: &Arc<ValueSet>,
        code: &str,
    ) -> Result<Option<String>, Failure> {
        let mut systems: BTreeSet<String> = BTreeSet::new();
        self.systems_with(set, code, &mut systems, 0)?;
        let name = set.canonical();
        let (id, text) = match systems.len() {
            1 => {
                self.implied = systems.into_iter().next();
                return Ok(self.implied.clone());
            }
            0 => (
                "UNABLE_TO_INFER_CODESYSTEM",
                format!(
                    "The System URI could not be determined for the code '{code}' in the ValueSet '{name}'{}",
                    looked_in(set)
                ),
            ),
            _ => (
                "Unable_to_resolve_system__value_set_has_multiple_matches",
                format!(
                    "The System URI could not be determined for the code '{code}' in the ValueSet '{name}': value set expansion has multiple matches: [{}]",
                    systems.into_iter().collect::<Vec<_>>().join(", ")
                ),
            ),
        };
        self.tell(Issue::error(IssueType::NotFound, "cannot-infer", id, text).at("code"));
        Ok(None)
    }

    fn systems_with(
        &self,
        set: &Arc<ValueSet>,
        code: &str,
        systems: &mut BTreeSet<String>,
        depth: usize,
    ) -> Result<(), Failure> {
        if depth > crate::engine::IMPORTS_MAX {
            return Ok(());
        }
        let listed = set.expansion.iter().flatten();
        let listed = listed.filter(|one| !set.is_composed && *one.code == *code);
        systems.extend(listed.filter_map(|one| one.system.as_deref().map(str::to_owned)));
        for part in &set.include {
            let mut own: BTreeSet<String> = BTreeSet::new();
            own.extend(part.system.as_deref().map(str::to_owned));
            for canonical in &part.value_sets {
                let import = self.imported(set, canonical)?;
                self.systems_with(&import, code, &mut own, depth + 1)?;
            }
            for system in own {
                let as_coding = Coding {
                    system: Some(system.clone()),
                    code: Some(code.to_owned()),
                    ..Coding::default()
                };
                let mut apart = Check::new(self.engine);
                let verdict = apart.member(set, "", &as_coding, &mut Found::default())?;
                let fragment = apart
                    .issues
                    .iter()
                    .any(|one| one.about == Some("invalid-code"));
                if verdict == Verdict::In && !fragment {
                    systems.insert(system);
                }
            }
        }
        Ok(())
    }
}

/// The code systems that a value set names, for a message.
fn looked_in(set: &ValueSet) -> String {
    let named: BTreeSet<&str> = set
        .include
        .iter()
        .filter_map(|part| part.system.as_deref())
        .collect();
    if named.is_empty() {
        return String::new();
    }
    let named: Vec<&str> = named.into_iter().collect();
    format!(" (looked in {})", named.join(", "))
}
