//! What a program answers from beside what its users store.

use std::sync::{Arc, PoisonError, RwLock};

use crate::installed::Loaded;
use crate::shipped::Shipped;
use crate::source::Source;
use crate::standard::Standard;

/// What was loaded, what ships, and what is of the standard, in this order. What is loaded may
/// change while questions are answered: each question sees what was there when it began.
#[derive(Debug)]
pub struct Shelf {
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    sources: Arc<[Arc<dyn Source>]>,
    state: String,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            held: RwLock::new(Held {
                sources: with(Vec::new()),
                state: String::new(),
            }),
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
        self.now_with_state().0
    }

    /// The same with the state that was put with it ([`crate::installed::Opened::state`]).
    #[must_use]
    pub fn now_with_state(&self) -> (Arc<[Arc<dyn Source>]>, String) {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&held.sources), held.state.clone())
    }

    /// Puts this in the place of what was loaded.
    pub fn put(&self, loads: Vec<Arc<Loaded>>, state: String) {
        let loads = loads.into_iter().map(|load| load as Arc<dyn Source>);
        let sources = with(loads.collect());
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Held { sources, state };
    }
}
