//! Compiled definitions of a tenant, kept until one is written.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hilum_terminology::map::ConceptMap;
use hilum_terminology::{
    Library, Missing, Shelf, Source, System, Terminology, ValueSet, Versions, Wanted,
};

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
    all: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    systems: HashMap<Box<str>, Versions<System>>,
    value_sets: HashMap<Box<str>, Versions<ValueSet>>,
    maps: HashMap<Wanted, Versions<ConceptMap>>,
}

impl Known {
    pub(crate) fn put(&self, wanted: Wanted, loaded: Loaded) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.systems.len() + all.value_sets.len() + all.maps.len() >= KEPT_MAX {
            *all = Kept::default();
        }
        match (wanted, loaded) {
            (Wanted::Systems(url), Loaded::Systems(found)) => {
                all.systems.insert(url, found);
            }
            (Wanted::ValueSets(url), Loaded::ValueSets(found)) => {
                all.value_sets.insert(url, found);
            }
            (wanted, Loaded::Maps(found)) => {
                all.maps.insert(wanted, found);
            }
            (_, Loaded::Systems(_) | Loaded::ValueSets(_)) => {}
        }
    }

    fn all(&self) -> RwLockReadGuard<'_, Kept> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Known {
    fn systems(&self, url: &str) -> Result<Versions<System>, Missing> {
        let found = self.all().systems.get(url).cloned();
        found.ok_or_else(|| Missing(Wanted::Systems(url.into())))
    }

    fn value_sets(&self, url: &str) -> Result<Versions<ValueSet>, Missing> {
        let found = self.all().value_sets.get(url).cloned();
        found.ok_or_else(|| Missing(Wanted::ValueSets(url.into())))
    }

    fn maps(&self, wanted: &Wanted) -> Result<Versions<ConceptMap>, Missing> {
        let found = self.all().maps.get(wanted).cloned();
        found.ok_or_else(|| Missing(wanted.clone()))
    }
}

/// The definitions of a tenant. What a request got stays as it was to its end.
pub(crate) struct Codes {
    now: RwLock<Arc<Known>>,
    /// Others write the same store.
    shared: bool,
    /// Where else definitions come from, behind what is stored.
    behind: Arc<Shelf>,
    clock: crate::time::Clock,
    since_ms: AtomicI64,
}

impl Codes {
    pub(crate) fn new(shared: bool, behind: &Arc<Shelf>, clock: crate::time::Clock) -> Self {
        Self {
            now: RwLock::default(),
            shared,
            behind: Arc::clone(behind),
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

    /// Everything that there is beside: what a request brings along first, what is stored next,
    /// what is of the standard last.
    pub(crate) fn all(&self, own: Option<Arc<Library>>, known: &Arc<Known>) -> Terminology {
        let behind = self.behind.now();
        let mut sources: Vec<Arc<dyn Source>> = Vec::with_capacity(2 + behind.len());
        if let Some(own) = own {
            sources.push(own);
        }
        sources.push(Arc::clone(known) as Arc<dyn Source>);
        sources.extend(behind.iter().cloned());
        Terminology::new(sources)
    }

    /// What answers behind what is stored.
    pub(crate) fn behind(&self) -> Arc<[Arc<dyn Source>]> {
        self.behind.now()
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
