//! The code systems, value sets and concept maps of one moment, as steps see them.
//!
//! A step takes what it needs while it is built, so that a value set that is not there is found when
//! the site is checked. What it gets never changes and never waits; another release that is
//! activated is another state, and with it another plan.

use std::fmt;
use std::sync::Arc;

/// What is loaded and what ships, at one moment.
pub trait Terminology: Send + Sync {
    /// What is active: the same text means the same answers of the same program.
    fn state(&self) -> &str;

    /// A value set by its canonical URL, `URL` or `URL|VERSION`. The error says what is not there,
    /// which may be a code system that it is made of.
    fn value_set(&self, canonical: &str) -> Result<Arc<dyn CodeSet>, NotLoaded>;

    /// A concept map by its canonical URL, `URL` or `URL|VERSION`.
    fn concept_map(&self, canonical: &str) -> Result<Arc<dyn CodeMap>, NotLoaded>;
}

impl fmt::Debug for dyn Terminology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Terminology({:?})", self.state())
    }
}

/// Something that a step needs is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is neither loaded nor shipped")]
pub struct NotLoaded {
    /// What: `the value set http://…`.
    pub what: String,
}

/// A value set.
pub trait CodeSet: Send + Sync {
    /// Its canonical URL with its version.
    fn name(&self) -> &str;

    /// Whether it has a code; where no system is given, that of any of its systems.
    fn holds(&self, system: Option<&str>, code: &str) -> Held;
}

/// Whether a value set has a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It has.
    In,
    /// It does not have it.
    Out,
    /// Something that decides is not known: a code system of which only a part is there.
    Unknown,
}

/// A concept map.
pub trait CodeMap: Send + Sync {
    /// Its canonical URL with its version.
    fn name(&self) -> &str;

    /// What people should know before it is used; `None` for a map that is active.
    fn warning(&self) -> Option<String>;

    /// What a code is translated to, best ones first; where no system is given, by any of its
    /// groups. What the map says to have no counterpart is not among them.
    fn translate(&self, system: Option<&str>, code: &str) -> Vec<Mapped>;
}

/// A translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its code system.
    pub system: Option<String>,
    /// The code.
    pub code: String,
    /// Its text, where the map or the code system has one.
    pub display: Option<String>,
    /// How far both mean the same (FHIR R4 concept-map-equivalence).
    pub equivalence: &'static str,
}
