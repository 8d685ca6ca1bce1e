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

    /// A code system by its canonical URL, `URL` or `URL|VERSION`.
    fn code_system(&self, canonical: &str) -> Result<Arc<dyn CodeSystem>, NotLoaded>;

    /// The codes of a value set, each once and in its order: all of them, or those with a name whose
    /// words begin with those of `filter`; at most `codes_max`.
    fn codes(
        &self,
        canonical: &str,
        filter: Option<&str>,
        codes_max: usize,
    ) -> Result<Vec<String>, NotListed>;
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

/// Why the codes of a value set are not listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotListed {
    /// Something that it is made of is not there.
    #[error(transparent)]
    NotLoaded(#[from] NotLoaded),
    /// There are more.
    #[error("{name} has more than {codes_max} codes")]
    TooMany {
        /// The value set.
        name: String,
        /// How many may be listed.
        codes_max: usize,
    },
    /// They cannot all be told: only a part of a code system is there, or it has a grammar.
    #[error("the codes of {name} cannot be listed: {why}")]
    Open {
        /// The value set.
        name: String,
        /// Why, as `$expand` says it.
        why: String,
    },
}

/// A code system.
pub trait CodeSystem: Send + Sync {
    /// Its canonical URL with its version.
    fn name(&self) -> &str;

    /// Its URL.
    fn url(&self) -> &str;

    /// Whether it has a code.
    fn holds(&self, code: &str) -> Held;

    /// What it says of a code, in its order; nothing where it does not have the code. `language`
    /// is a BCP 47 tag and counts for names, which there may be in several languages.
    fn look_up(&self, code: &str, fact: &Fact, language: Option<&str>) -> Vec<String>;

    /// Whether a property can be asked for: one that the system declares, or says of any of its
    /// codes.
    fn has_property(&self, name: &str) -> bool;

    /// Whether `above` is `code` or above it in the hierarchy; false where it has not both.
    fn subsumes(&self, above: &str, code: &str) -> bool;
}

/// What is asked of a code (FHIR R4 codesystem-operation-lookup.html).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// What people read; the one of the code system where there is none in the language.
    Display,
    /// What it means.
    Definition,
    /// Its other names; only those in the language, where one is named.
    Designations,
    /// The codes right above it.
    Parents,
    /// The codes right below it.
    Children,
    /// A property of the code system.
    Property(String),
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
