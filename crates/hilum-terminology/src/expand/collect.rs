//! Finding every code of a value set.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::text::Wanted;
use super::{Expansion, Request, Value, too_costly};
use crate::check::{circular, remark, too_deep};
use crate::engine::{Engine, IMPORTS_MAX, includes};
use crate::issue::Failure;
use crate::set::{Chosen, Part, ValueSet};
use crate::system::{Concept, Standing, System};
use crate::table::At;
use crate::version;

/// A system that codes are from, with the supplements in use.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) system: Arc<System>,
    pub(super) supplements: Vec<Arc<System>>,
}

/// Where a code comes from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A concept of a slot's table.
    Listed(u32, At),
    /// A concept of a slot that is in no table.
    Made(u32, Concept),
    /// A code of a stored expansion of which nothing more is known: its place there.
    Stored(Arc<ValueSet>, usize),
    /// A code that a part lists of a system that does not have it or is not known: the place of the
    /// part, and that of the code in it.
    Named(Arc<ValueSet>, Side, usize, usize),
}

/// The two kinds of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Include,
    Exclude,
}

impl Side {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Exclude => "exclude",
        }
    }
}

/// What becomes of codes that a value set lists by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListedCodes {
    /// They have to be codes of a system that is known.
    Known,
    /// They are in it, whatever is known of their system.
    AsGiven,
}

/// A code that a part of a value set lists, with the part.
fn named(set: &ValueSet, side: Side, at: usize, row: usize) -> Option<(&Part, &Chosen)> {
    let parts = match side {
        Side::Include => &set.include,
        Side::Exclude => &set.exclude,
    };
    let part = parts.get(at)?;
    Some((part, part.concepts.get(row)?))
}

/// A code that was found.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) origin: Origin,
    /// The value set, include and concept that list it by name.
    pub(super) chosen: Option<(Arc<ValueSet>, usize, usize)>,
    /// The hit above it.
    pub(super) parent: Option<u32>,
}

impl Hit {
    pub(super) fn slot<'s>(&self, slots: &'s [Slot]) -> Option<&'s Slot> {
        match &self.origin {
            Origin::Listed(slot, _) | Origin::Made(slot, _) => slots.get(*slot as usize),
            Origin::Stored(..) | Origin::Named(..) => None,
        }
    }

    pub(super) fn system<'s>(&'s self, slots: &'s [Slot]) -> &'s str {
        match &self.origin {
            Origin::Stored(set, at) => {
                let listed = set.expansion.as_ref().and_then(|all| all.get(*at));
                listed
                    .and_then(|one| one.system.as_deref())
                    .unwrap_or_default()
            }
            Origin::Named(set, side, at, row) => {
                let named = named(set, *side, *at, *row);
                let system = named.and_then(|(part, _)| part.system.as_deref());
                system.unwrap_or_default()
            }
            Origin::Listed(..) | Origin::Made(..) => {
                self.slot(slots).map_or("", |slot| &*slot.system.url)
            }
        }
    }

    pub(super) fn version<'s>(&'s self, slots: &'s [Slot]) -> Option<&'s str> {
        match &self.origin {
            Origin::Stored(set, at) => {
                let listed = set.expansion.as_ref().and_then(|all| all.get(*at));
                listed.and_then(|one| one.version.as_deref())
            }
            Origin::Named(set, side, at, row) => {
                named(set, *side, *at, *row).and_then(|(part, _)| part.version.as_deref())
            }
            Origin::Listed(..) | Origin::Made(..) => self
                .slot(slots)
                .and_then(|slot| slot.system.version.as_deref()),
        }
    }

    pub(super) fn code<'s>(&'s self, slots: &'s [Slot]) -> &'s str {
        match &self.origin {
            Origin::Listed(_, at) => {
                let table = self.slot(slots).and_then(|slot| slot.system.table());
                table.map_or("", |table| table.code(*at))
            }
            Origin::Made(_, concept) => concept.code(),
            Origin::Stored(set, at) => {
                let listed = set.expansion.as_ref().and_then(|all| all.get(*at));
                listed.map_or("", |one| &one.code)
            }
            Origin::Named(set, side, at, row) => {
                named(set, *side, *at, *row).map_or("", |(_, chosen)| &*chosen.code)
            }
        }
    }
}

/// The codes of one value set.
#[derive(Debug, Default)]
pub(super) struct Hits {
    pub(super) hits: Vec<Hit>,
    /// They can be shown as a tree.
    pub(super) nests: bool,
    /// Several versions of a system are in it.
    pub(super) versions: bool,
}

/// Systems and codes: of a whole value set, or of what is left out of one.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// By system, with its version where versions count.
    codes: HashMap<Box<str>, HashSet<Box<str>>>,
    systems: HashSet<Box<str>>,
}

impl Keys {
    pub(super) fn add(&mut self, system: &str, code: &str) -> bool {
        if let Some(known) = self.codes.get_mut(system) {
            return !known.contains(code) && known.insert(code.into());
        }
        self.codes
            .insert(system.into(), HashSet::from([code.into()]));
        true
    }

    pub(super) fn add_system(&mut self, system: &str) {
        self.systems.insert(system.into());
    }

    pub(super) fn has(&self, system: &str, code: &str) -> bool {
        self.systems.contains(system)
            || self
                .codes
                .get(system)
                .is_some_and(|codes| codes.contains(code))
    }

    fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.systems.is_empty()
    }
}

/// Finds codes; what a request says and what was found out stand beside.
#[derive(Debug)]
pub(super) struct Collector<'c> {
    pub(super) engine: &'c Engine<'c>,
    pub(super) request: &'c Request,
    pub(super) text: Option<Wanted>,
    pub(super) expansion: &'c mut Expansion,
    pub(super) slots: Vec<Slot>,
    pub(super) listed_codes: ListedCodes,
    way: Vec<String>,
    work: usize,
}

/// The state of one value set while its parts are gone through.
#[derive(Debug, Default)]
pub(super) struct Making {
    pub(super) found: Hits,
    /// Codes that are there, where one could come twice.
    seen: Option<Keys>,
    out: Keys,
    /// Versions of a system are told apart.
    by_version: bool,
}

impl<'c> Collector<'c> {
    pub(super) fn new(
        engine: &'c Engine<'c>,
        request: &'c Request,
        expansion: &'c mut Expansion,
    ) -> Self {
        Self {
            engine,
            request,
            text: request.filter.as_deref().map(Wanted::new),
            expansion,
            slots: Vec::new(),
            listed_codes: ListedCodes::Known,
            way: Vec::new(),
            work: 0,
        }
    }

    /// Counts codes that were looked at.
    pub(super) fn worked(&mut self, set: &ValueSet, codes: usize) -> Result<(), Failure> {
        self.work = self.work.saturating_add(codes);
        if self.work > self.request.work_max {
            return Err(too_costly(set, self.request.work_max));
        }
        Ok(())
    }

    /// The slot of a system.
    pub(super) fn slot(&mut self, system: &Arc<System>) -> u32 {
        let known = self
            .slots
            .iter()
            .position(|slot| Arc::ptr_eq(&slot.system, system));
        let at = known.unwrap_or_else(|| {
            self.slots.push(Slot {
                system: Arc::clone(system),
                supplements: self.engine.supplements_of(system),
            });
            self.slots.len() - 1
        });
        // There are as many as a request has includes.
        at as u32
    }

    /// Every code of a value set.
    pub(super) fn of(&mut self, set: &Arc<ValueSet>) -> Result<Hits, Failure> {
        let name = set.canonical();
        if !name.is_empty() && self.way.contains(&name) {
            return Err(Failure::refused(circular(&name, &self.way)));
        }
        if self.way.len() >= IMPORTS_MAX {
            return Err(Failure::refused(too_deep(&name)));
        }
        self.way.push(name.clone());
        self.remark(&name, &set.standing, &set.standing);
        let hits = if set.is_composed {
            self.composed(set)
        } else {
            self.stored(set)
        };
        self.way.pop();
        hits
    }

    fn composed(&mut self, set: &Arc<ValueSet>) -> Result<Hits, Failure> {
        let simple = set.include.len() == 1 && set.exclude.is_empty();
        let several = several_versions(set);
        let mut making = Making {
            seen: (!simple).then(Keys::default),
            by_version: several && !self.versions_match(set),
            ..Making::default()
        };
        making.found.nests = true;
        making.found.versions = several;
        for (at, part) in set.exclude.iter().enumerate() {
            self.exclude(set, at, part, &mut making)?;
        }
        for (at, part) in includes(set) {
            self.include(set, at, part, &mut making)?;
        }
        Ok(making.found)
    }

    /// One code in two versions is one: it is said so, or codes of one version are to be left out
    /// of another.
    fn versions_match(&mut self, set: &ValueSet) -> bool {
        if let Some(told) = self.request.versions_match {
            return told;
        }
        let parts = || set.include.iter().chain(&set.exclude);
        let mut systems = parts().map(|part| (part.system.as_deref(), part.version.is_some()));
        let Some((Some(first), _)) = systems.next() else {
            return false;
        };
        let one_system =
            parts().all(|part| part.system.as_deref() == Some(first) && part.version.is_some());
        let apart = !set.exclude.is_empty()
            && !set.include.iter().any(|part| {
                let mut excluded = set.exclude.iter();
                excluded.any(|other| other.version == part.version)
            });
        let matches = one_system && apart;
        if matches {
            self.expansion.note("versionsMatch", Value::Flag(true));
        }
        matches
    }

    fn stored(&mut self, set: &Arc<ValueSet>) -> Result<Hits, Failure> {
        let listed = set.expansion.iter().flatten();
        let mut found = Hits::default();
        self.worked(set, listed.clone().count())?;
        if set.expansion_is_partial || set.expansion.is_none() {
            let why = "only a part of its codes is stored".to_owned();
            self.expansion.unclosed.get_or_insert(why);
        }
        for (at, one) in listed.enumerate() {
            if one.is_inactive && self.engine.options.active_only == Some(true) {
                continue;
            }
            let text = [Some(&*one.code), one.display.as_deref()];
            if !self.takes_text(text.into_iter().flatten()) {
                continue;
            }
            let system = match one.system.as_deref() {
                Some(url) => self.engine.system(url, one.version.as_deref())?,
                None => None,
            };
            let concept = system.as_ref().and_then(|system| system.find(&one.code));
            let origin = match (system, concept) {
                (Some(system), Some(concept)) => self.origin(&system, concept),
                _ => Origin::Stored(Arc::clone(set), at),
            };
            found.hits.push(Hit {
                origin,
                chosen: None,
                parent: None,
            });
        }
        Ok(found)
    }

    pub(super) fn origin(&mut self, system: &Arc<System>, concept: Concept) -> Origin {
        let slot = self.slot(system);
        match concept.at() {
            Some(at) => Origin::Listed(slot, at),
            None => Origin::Made(slot, concept),
        }
    }

    /// Adds a code unless it is there, is left out, or is inactive and that does not count. Gives
    /// its place if it was added.
    pub(super) fn add(&self, set: &ValueSet, making: &mut Making, hit: Hit) -> Option<u32> {
        let options = self.engine.options;
        let concept = self.concept(&hit);
        if let Some(concept) = &concept {
            let hidden = set.excludes_inactive() || options.active_only == Some(true);
            if concept.is_inactive() && hidden {
                return None;
            }
            if concept.is_abstract() && self.request.exclude_not_for_ui == Some(true) {
                return None;
            }
        }
        let code = hit.code(&self.slots);
        if !making.out.is_empty() || making.seen.is_some() {
            let key = self.key(&hit, making.by_version);
            let plain = hit.system(&self.slots);
            if making.out.has(&key, code) || making.out.has(plain, code) {
                return None;
            }
            if let Some(seen) = &mut making.seen
                && !seen.add(&key, code)
            {
                making.found.nests = false;
                return None;
            }
        }
        making.found.hits.push(hit);
        u32::try_from(making.found.hits.len() - 1).ok()
    }

    /// The system of a hit, with its version where that counts.
    fn key(&self, hit: &Hit, by_version: bool) -> Box<str> {
        let system = hit.system(&self.slots);
        if by_version {
            version::joined(system, hit.version(&self.slots)).into()
        } else {
            system.into()
        }
    }

    /// Leaves a code out.
    pub(super) fn leave(&self, making: &mut Making, hit: &Hit) {
        let key = self.key(hit, making.by_version);
        let code = hit.code(&self.slots);
        making.out.add(&key, code);
    }

    pub(super) fn concept(&self, hit: &Hit) -> Option<Concept> {
        match &hit.origin {
            Origin::Listed(_, at) => {
                let slot = hit.slot(&self.slots)?;
                Some(Concept::listed(&slot.system, *at))
            }
            Origin::Made(_, concept) => Some(concept.clone()),
            Origin::Stored(..) | Origin::Named(..) => None,
        }
    }

    /// Says what a definition is that is not meant for use.
    pub(super) fn remark(&mut self, name: &str, standing: &Standing, of: &Standing) {
        let Some((_, word)) = remark(standing, of) else {
            return;
        };
        let parameter = match word {
            "deprecated" => "warning-deprecated",
            "withdrawn" => "warning-withdrawn",
            "retired" => "warning-retired",
            "experimental" => "warning-experimental",
            _ => "warning-draft",
        };
        self.expansion.note(parameter, Value::Uri(name.to_owned()));
    }
}

/// Whether includes and excludes name a system in several versions.
fn several_versions(set: &ValueSet) -> bool {
    let mut known: HashMap<&str, Option<&str>> = HashMap::new();
    let parts = set.include.iter().chain(&set.exclude);
    let named =
        parts.filter_map(|part: &Part| Some((part.system.as_deref()?, part.version.as_deref())));
    for (system, version) in named {
        match known.get(system) {
            Some(first) if *first != version => return true,
            Some(_) => {}
            None => {
                known.insert(system, version);
            }
        }
    }
    false
}

impl Making {
    /// Leaves out every code of a system.
    pub(super) fn leave_system(&mut self, system: &str) {
        self.out.add_system(system);
    }
}
