//! Which nodes conform to which profiles, asked once.
//!
//! Resources that refer to each other make a profile on the target of a reference ask for itself
//! again. While a question is open it is taken to hold, as profiles that refer to each other do
//! unless something speaks against them; so the work of a validation stays below the number of
//! nodes times the number of profiles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A node by number and a profile by its URL.
pub(super) type Question = (u32, Box<str>);

#[derive(Clone, Default)]
pub(super) struct Answers {
    known: Arc<Mutex<HashMap<Question, bool>>>,
}

impl Answers {
    /// The answer, if there is one; otherwise the question is open from here on, and assumed.
    pub(super) fn known_or_assumed(&self, question: &Question) -> Option<bool> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known.get(question) {
            return Some(*answer);
        }
        known.insert(question.clone(), true);
        None
    }

    pub(super) fn set(&self, question: Question, answer: bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(question, answer);
    }
}
