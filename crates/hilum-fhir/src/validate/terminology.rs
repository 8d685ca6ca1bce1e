//! What a validator asks about codes, and the answer from the tables alone.

use crate::definitions::{Definitions, Membership};

/// Answers questions about codes. It must not wait for the network.
pub trait Terminology: Send + Sync {
    /// Whether a code is in a value set. A value set with the system unknown takes any of its
    /// systems where `system` is `None` (elements of type `code`).
    fn member(&self, value_set: &str, system: Option<&str>, code: &str) -> Membership;
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
}
