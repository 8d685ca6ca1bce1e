//! What a program answers from beside what its users store.

use std::sync::{Arc, PoisonError, RwLock};

use crate::shipped::Shipped;
use crate::source::Source;
use crate::standard::Standard;

/// What was loaded, what ships, and what is of the standard, in this order. What is loaded may
/// change while questions are answered: each question sees what was there when it began.
#[derive(Debug)]
pub struct Shelf {
    sources: RwLock<Arc<[Arc<dyn Source>]>>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            sources: RwLock::new(with(Vec::new())),
        }
    }
}

fn with(mut sources: Vec<Arc<dyn Source>>) -> Arc<[Arc<dyn Source>]> {
    sources.push(Shipped::all());
    sources.push(Standard::r4());
    sources.into()
}

impl Shelf {
    /// What is there now, first ones first.
    #[must_use]
    pub fn now(&self) -> Arc<[Arc<dyn Source>]> {
        Arc::clone(&self.sources.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts this in the place of what was loaded.
    pub fn put(&self, loaded: Vec<Arc<dyn Source>>) {
        let sources = with(loaded);
        *self.sources.write().unwrap_or_else(PoisonError::into_inner) = sources;
    }
}
