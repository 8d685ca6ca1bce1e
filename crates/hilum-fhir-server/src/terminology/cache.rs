//! Compiled definitions of a tenant, kept until one is written.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hilum_terminology::map::ConceptMap;
use hilum_terminology::{Missing, Source, System, ValueSet, Versions, Wanted};

/// Definitions that are kept at once; beyond it they are read again.
pub(crate) const KEPT_MAX: usize = 20_000;
/// Other programs may write the same schema of PostgreSQL without telling: what was read from one
/// is used for so long.
pub(crate) const SHARED_MS: i64 = 2_000;

/// What was found of something that is wanted.
#[derive(Clone, Debug)]
pub(crate) enum Loaded {
    Systems(Versions<System>),
    ValueSets(Versions<ValueSet>),
    Maps(Versions<ConceptMap>),
}

/// What is known since the last change.
#[derive(Debug, Default)]
pub(crate) struct Known {
    all: RwLock<HashMap<Wanted, Loaded>>,
}

impl Known {
    pub(crate) fn put(&self, wanted: Wanted, loaded: Loaded) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT_MAX {
            all.clear();
        }
        all.insert(wanted, loaded);
    }

    fn get<T>(
        &self,
        wanted: Wanted,
        of: impl Fn(&Loaded) -> Option<Versions<T>>,
    ) -> Result<Versions<T>, Missing> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(&wanted).and_then(of);
        drop(all);
        found.ok_or(Missing(wanted))
    }
}

impl Source for Known {
    fn systems(&self, url: &str) -> Result<Versions<System>, Missing> {
        self.get(Wanted::Systems(url.into()), |loaded| match loaded {
            Loaded::Systems(found) => Some(found.clone()),
            Loaded::ValueSets(_) | Loaded::Maps(_) => None,
        })
    }

    fn value_sets(&self, url: &str) -> Result<Versions<ValueSet>, Missing> {
        self.get(Wanted::ValueSets(url.into()), |loaded| match loaded {
            Loaded::ValueSets(found) => Some(found.clone()),
            Loaded::Systems(_) | Loaded::Maps(_) => None,
        })
    }

    fn maps(&self, wanted: &Wanted) -> Result<Versions<ConceptMap>, Missing> {
        self.get(wanted.clone(), |loaded| match loaded {
            Loaded::Maps(found) => Some(found.clone()),
            Loaded::Systems(_) | Loaded::ValueSets(_) => None,
        })
    }
}

/// The definitions of a tenant. What a request got stays as it was to its end.
pub(crate) struct Codes {
    now: RwLock<Arc<Known>>,
    /// Others write the same store.
    shared: bool,
    clock: crate::time::Clock,
    since_ms: AtomicI64,
}

impl Codes {
    pub(crate) fn new(shared: bool, clock: crate::time::Clock) -> Self {
        Self {
            now: RwLock::default(),
            shared,
            clock,
            since_ms: AtomicI64::new(0),
        }
    }

    /// What is known, for one request.
    pub(crate) fn now(&self) -> Arc<Known> {
        if self.shared {
            let now_ms = (self.clock)();
            if now_ms - self.since_ms.load(Ordering::Relaxed) > SHARED_MS {
                self.since_ms.store(now_ms, Ordering::Relaxed);
                self.forget();
            }
        }
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&now)
    }

    /// A definition was written.
    pub(crate) fn forget(&self) {
        let fresh = Arc::default();
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }
}

impl std::fmt::Debug for Codes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codes")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}
