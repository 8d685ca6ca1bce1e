//! What a validator asks about codes, and the answer from the tables alone.

use std::sync::OnceLock;

use crate::definitions::{Concept, Definitions, Membership};

/// Answers questions about codes. It must not wait for the network.
pub trait Terminology: Send + Sync {
    /// Whether a code is in a value set. A value set with the system unknown takes any of its
    /// systems where `system` is `None` (elements of type `code`).
    fn member(&self, value_set: &str, system: Option<&str>, code: &str) -> Membership;

    /// What people read for a code, where that is known and the only one.
    fn display(&self, _system: &str, _code: &str) -> Option<&str> {
        None
    }
}

/// Every listed code once, sorted by system and code; those with several displays left out.
fn displays() -> &'static [Concept] {
    static DISPLAYS: OnceLock<Vec<Concept>> = OnceLock::new();
    DISPLAYS.get_or_init(|| {
        let sets = Definitions::r4().value_sets().iter();
        let mut all: Vec<Concept> = sets.flat_map(|set| set.concepts.iter().copied()).collect();
        all.sort_by_key(|one| (one.system, one.code, one.display));
        all.dedup();
        let same =
            |one: &Concept, other: &Concept| (one.system, one.code) == (other.system, other.code);
        let groups = all.chunk_by(same).filter(|group| group.len() == 1);
        groups.flatten().copied().collect()
    })
}

/// Answers from the value sets that the tables of R4 list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListedCodes;

impl Terminology for ListedCodes {
    fn member(&self, value_set: &str, system: Option<&str>, code: &str) -> Membership {
        match Definitions::r4().value_set(value_set) {
            Some(set) => set.contains(system, code),
            None => Membership::Unknown,
        }
    }

    fn display(&self, system: &str, code: &str) -> Option<&str> {
        Self::known_display(system, code)
    }
}

impl ListedCodes {
    pub(super) fn known_display(system: &str, code: &str) -> Option<&'static str> {
        let known = displays();
        let at = known.binary_search_by(|one| (one.system, one.code).cmp(&(system, code)));
        let found = known.get(at.ok()?)?;
        (!found.display.is_empty()).then_some(found.display)
    }
}
