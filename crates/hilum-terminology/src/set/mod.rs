//! Value sets as they are defined.

mod filter;
mod read;

use std::collections::HashMap;
use std::sync::Arc;

use hilum_fhir::Resource;

use crate::system::Standing;
use crate::table::ValueKind;

pub use filter::{Filter, Operator, PATTERN_BYTES_MAX};

/// A value set in one version. It never changes.
#[derive(Clone, Debug)]
pub struct ValueSet {
    /// Its canonical URL.
    pub url: Option<Box<str>>,
    /// Its version.
    pub version: Option<Box<str>>,
    /// Its language.
    pub language: Option<Box<str>>,
    /// How far along it is.
    pub standing: Standing,
    /// It says what it is made of.
    pub is_composed: bool,
    /// Inactive concepts belong to it (`compose.inactive`).
    pub inactive: Option<bool>,
    /// What is in it.
    pub include: Vec<Part>,
    /// What is not, although it is in what is included.
    pub exclude: Vec<Part>,
    /// The codes of a stored expansion.
    pub expansion: Option<Vec<Listed>>,
    /// Codes of the stored expansion are missing in it.
    pub expansion_is_partial: bool,
    /// Supplements that it needs.
    pub supplements: Vec<Box<str>>,
    /// How it wants to be expanded, by name of parameter.
    pub parameters: Vec<(Box<str>, Box<str>)>,
    /// Value sets in it, by id.
    pub contained: HashMap<Box<str>, Arc<ValueSet>>,
    /// The resource, where it came from one.
    pub resource: Option<Arc<Resource>>,
}

/// An include or an exclude.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// The code system.
    pub system: Option<Box<str>>,
    /// Its version, or a pattern of one.
    pub version: Option<Box<str>>,
    /// The codes that it lists.
    pub concepts: Vec<Chosen>,
    /// Places in `concepts` in the order of codes.
    pub(crate) by_code: Vec<u32>,
    /// What its codes have to be.
    pub filters: Vec<Filter>,
    /// Value sets that its codes are in.
    pub value_sets: Vec<Box<str>>,
}

/// A code that an include lists.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// The code.
    pub code: Box<str>,
    /// What people read in this value set.
    pub display: Option<Box<str>>,
    /// Other names in this value set.
    pub designations: Vec<ChosenName>,
    /// What extensions say of it, by the URI of the property.
    pub(crate) said: Vec<(&'static str, ValueKind, Box<str>)>,
    /// Extensions that expansions repeat, as a JSON array.
    pub(crate) extensions: Option<Box<str>>,
    /// It is deprecated or withdrawn in this value set.
    pub discouraged: Option<Box<str>>,
}

/// Another name that a value set gives a code.
#[derive(Clone, Debug, Default)]
pub struct ChosenName {
    /// Its language.
    pub language: Option<Box<str>>,
    /// What it is for: system, code, display.
    pub usage: Option<[Box<str>; 3]>,
    /// The name.
    pub value: Box<str>,
    /// Extensions that expansions repeat, as a JSON array.
    pub(crate) extensions: Option<Box<str>>,
}

/// A code of a stored expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its system.
    pub system: Option<Box<str>>,
    /// The version of the system.
    pub version: Option<Box<str>>,
    /// The code.
    pub code: Box<str>,
    /// What people read.
    pub display: Option<Box<str>>,
    /// It only groups others.
    pub is_abstract: bool,
    /// It is not to be used any more.
    pub is_inactive: bool,
}

impl ValueSet {
    /// URL and version; for messages, so empty where it has no URL.
    #[must_use]
    pub fn canonical(&self) -> String {
        let url = self.url.as_deref().unwrap_or_default();
        crate::version::joined(url, self.version.as_deref())
    }

    /// Whether its codes include no inactive ones.
    #[must_use]
    pub fn excludes_inactive(&self) -> bool {
        self.inactive == Some(false)
    }
}

impl Part {
    /// The place of a code among those that it lists.
    #[must_use]
    pub fn listed(&self, code: &str) -> Option<&Chosen> {
        let order = |at: &u32| {
            let chosen = self.concepts.get(*at as usize);
            chosen.map_or("", |chosen| &*chosen.code).cmp(code)
        };
        let at = self.by_code.binary_search_by(order).ok()?;
        self.concepts.get(*self.by_code.get(at)? as usize)
    }

    /// It names neither codes nor filters.
    #[must_use]
    pub fn is_whole_system(&self) -> bool {
        self.concepts.is_empty() && self.filters.is_empty()
    }

    pub(crate) fn index(&mut self) {
        // A resource has fewer nodes than fit in a u32.
        let mut order: Vec<u32> = (0..self.concepts.len() as u32).collect();
        let code = |at: &u32| self.concepts.get(*at as usize).map(|chosen| &*chosen.code);
        order.sort_by(|a, b| code(a).cmp(&code(b)));
        self.by_code = order;
    }
}
