//! Questions about codes, with everything that is needed to answer them.

use std::sync::Arc;

use crate::issue::{Failure, Issue};
use crate::options::Options;
use crate::set::{Part, ValueSet};
use crate::source::Terminology;
use crate::system::{Concept, Content, System};
use crate::version;

/// Value sets within value sets.
pub const IMPORTS_MAX: usize = 32;

/// Answers the questions of one request.
#[derive(Clone, Debug)]
pub struct Engine<'e> {
    /// The definitions.
    pub terminology: &'e Terminology,
    /// What the request says.
    pub options: &'e Options,
    /// What of `options` counts together with what a value set says of itself.
    supplements: Vec<Arc<System>>,
}

impl<'e> Engine<'e> {
    /// Answers with these definitions.
    #[must_use]
    pub const fn new(terminology: &'e Terminology, options: &'e Options) -> Self {
        Self {
            terminology,
            options,
            supplements: Vec::new(),
        }
    }

    /// The same with the supplements that the request and a value set need; an error where one is
    /// not known.
    pub fn with_supplements<'n>(
        &self,
        needed: impl Iterator<Item = &'n str>,
    ) -> Result<Self, Failure>
    where
        'e: 'n,
    {
        let own = self.options.supplements.iter().map(String::as_str);
        let mut found: Vec<Arc<System>> = Vec::new();
        let mut missing: Vec<String> = Vec::new();
        for canonical in own.chain(needed) {
            let (url, asked) = version::split(canonical);
            let is_supplement = |system: &System| system.content == Content::Supplement;
            match self.terminology.system_that(url, asked, is_supplement)? {
                Some(known) if found.iter().any(|one| Arc::ptr_eq(one, &known)) => {}
                Some(known) => found.push(known),
                None => missing.push(canonical.to_owned()),
            }
        }
        if !missing.is_empty() {
            missing.dedup();
            return Err(Failure::refused(crate::issue::missing_supplements(
                &missing,
            )));
        }
        Ok(Self {
            supplements: found,
            ..self.clone()
        })
    }

    /// The supplements that are in use for a system.
    #[must_use]
    pub fn supplements_of(&self, system: &System) -> Vec<Arc<System>> {
        let fitting = self.supplements.iter();
        fitting
            .filter(|one| one.is_for(&system.url, system.version.as_deref()))
            .cloned()
            .collect()
    }

    /// Supplements that are needed and are for none of the systems of a value set.
    pub(crate) fn idle_supplements(&self, set: &ValueSet) -> Vec<String> {
        let parts = set.include.iter().chain(&set.exclude);
        let used: Vec<&str> = parts.filter_map(|part| part.system.as_deref()).collect();
        let imports = set.include.iter().any(|part| !part.value_sets.is_empty());
        let idle = self.supplements.iter().filter(|one| {
            let of = one.supplements.as_deref().unwrap_or_default();
            !imports && !used.contains(&version::split(of).0)
        });
        idle.map(|one| one.url.to_string()).collect()
    }

    /// The system of a URL in the version that counts where this one is named.
    pub fn system(&self, url: &str, named: Option<&str>) -> Result<Option<Arc<System>>, Failure> {
        let asked = self.options.version(url, named);
        Ok(self.terminology.system(url, asked)?)
    }

    /// The concept with a code, supplements included.
    #[must_use]
    pub fn concept(&self, system: &Arc<System>, code: &str) -> Option<Concept> {
        let concept = system.find(code)?;
        if self.supplements.is_empty() {
            return Some(concept);
        }
        Some(concept.with(&self.supplements_of(system)))
    }

    /// A value set that another names: one in it (`#id`), or one with a canonical URL.
    pub(crate) fn import(
        &self,
        from: &ValueSet,
        canonical: &str,
    ) -> Result<Result<Arc<ValueSet>, String>, Failure> {
        if let Some(id) = canonical.strip_prefix('#') {
            let known = from.contained.get(id).cloned();
            return Ok(known.ok_or_else(|| canonical.to_owned()));
        }
        let pinned = self.options.pinned(canonical);
        let found = self.terminology.value_set(&pinned)?;
        Ok(found.ok_or(pinned))
    }

    /// Refuses a version of a system that the request does not allow.
    pub(crate) fn allowed(&self, system: &System) -> Result<(), Issue> {
        let version = system.version.as_deref();
        match self.options.disallows(&system.url, version) {
            None => Ok(()),
            Some(required) => Err(crate::issue::version_not_allowed(
                &system.url,
                version.unwrap_or_default(),
                required,
            )),
        }
    }
}

/// The includes of a value set, newest versions of a system first.
pub(crate) fn includes(set: &ValueSet) -> Vec<(usize, &Part)> {
    let mut parts: Vec<(usize, &Part)> = set.include.iter().enumerate().collect();
    // Only runs of one system with versions are put in order; everything else stays.
    for at in 1..parts.len() {
        let mut at = at;
        while let Some(before) = at.checked_sub(1) {
            let (Some((_, older)), Some((_, newer))) = (parts.get(before), parts.get(at)) else {
                break;
            };
            let versions = older.version.as_deref().zip(newer.version.as_deref());
            let behind = versions.is_some_and(|(a, b)| version::order(a, b).is_lt());
            if older.system != newer.system || !behind {
                break;
            }
            parts.swap(before, at);
            at = before;
        }
    }
    parts
}
