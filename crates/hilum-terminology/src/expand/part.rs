//! The codes of one include or exclude.

use std::sync::Arc;

use super::Value;
use super::collect::{Collector, Hit, Keys, ListedCodes, Making, Origin, Side};
use crate::issue::{Failure, Issue};
use crate::options::RuleKind;
use crate::select;
use crate::set::{Part, ValueSet};
use crate::system::{Content, System};
use crate::table::{At, Places, Table};
use crate::version;

use hilum_fhir::IssueType;

/// What a part of a value set takes its codes from.
struct From {
    system: Arc<System>,
    imports: Vec<Keys>,
}

impl Collector<'_> {
    pub(super) fn include(
        &mut self,
        set: &Arc<ValueSet>,
        at: usize,
        part: &Part,
        making: &mut Making,
    ) -> Result<(), Failure> {
        if part.system.is_none() {
            making.found.nests = false;
            return self.imported(set, part, making);
        }
        let Some(from) = self.begin(set, (Side::Include, at), part, making)? else {
            return Ok(());
        };
        if part.is_whole_system() {
            self.whole(set, &from, making)?;
        }
        for (row, chosen) in part.concepts.iter().enumerate() {
            let Some(concept) = from.system.find(&chosen.code) else {
                continue;
            };
            self.worked(set, 1)?;
            if !passes(&from, &chosen.code) {
                continue;
            }
            let concept = concept.with(&self.engine.supplements_of(&from.system));
            let own = chosen.designations.iter().map(|name| &*name.value);
            let own = own.chain(chosen.display.as_deref());
            let names = concept.names().map(|name| name.value);
            if !self.takes_text(names.chain(own).chain([&*chosen.code])) {
                continue;
            }
            let hit = Hit {
                origin: self.origin(&from.system, concept.clone()),
                chosen: Some((Arc::clone(set), at, row)),
                parent: None,
            };
            self.add(set, making, hit);
        }
        if !part.filters.is_empty() {
            self.filtered(set, part, &from, making)?;
        }
        Ok(())
    }

    /// What a part takes its codes from; `None` where there is nothing left to be done with it.
    fn begin(
        &mut self,
        set: &Arc<ValueSet>,
        (side, at): (Side, usize),
        part: &Part,
        making: &mut Making,
    ) -> Result<Option<From>, Failure> {
        let plain =
            part.value_sets.is_empty() && part.concepts.is_empty() && part.filters.len() < 2;
        making.found.nests &= plain;
        let lists = !part.concepts.is_empty() && part.filters.is_empty();
        if lists && self.listed_codes == ListedCodes::AsGiven {
            self.as_given(set, (side, at), part, making)?;
            return Ok(None);
        }
        let place = format!("ValueSet.compose.{}[{at}]", side.word());
        self.from(set, part, &place, side)
    }

    /// The codes that a part lists, whether or not their system has them.
    fn as_given(
        &mut self,
        set: &Arc<ValueSet>,
        (side, at): (Side, usize),
        part: &Part,
        making: &mut Making,
    ) -> Result<(), Failure> {
        self.worked(set, part.concepts.len())?;
        let url = part.system.as_deref().unwrap_or_default();
        let system = self.engine.system(url, part.version.as_deref())?;
        let imports = self.imports(set, part)?;
        for (row, chosen) in part.concepts.iter().enumerate() {
            if !imports.iter().all(|keys| keys.has(url, &chosen.code)) {
                continue;
            }
            let concept = system.as_ref().and_then(|system| system.find(&chosen.code));
            let origin = match (&system, concept) {
                (Some(system), Some(concept)) => self.origin(system, concept),
                _ => Origin::Named(Arc::clone(set), side, at, row),
            };
            let hit = Hit {
                origin,
                chosen: None,
                parent: None,
            };
            match side {
                Side::Include => drop(self.add(set, making, hit)),
                Side::Exclude => self.leave(making, &hit),
            }
        }
        Ok(())
    }

    /// The codes of each value set that a part names.
    fn imports(&mut self, set: &ValueSet, part: &Part) -> Result<Vec<Keys>, Failure> {
        let mut imports = Vec::new();
        for canonical in &part.value_sets {
            let import = self.import(set, canonical)?;
            let hits = self.of(&import)?;
            imports.push(self.keys(&hits.hits));
        }
        Ok(imports)
    }

    /// Codes of value sets that are in each of them.
    fn imported(
        &mut self,
        set: &Arc<ValueSet>,
        part: &Part,
        making: &mut Making,
    ) -> Result<(), Failure> {
        let mut first = None;
        let mut others = Vec::new();
        for canonical in &part.value_sets {
            let import = self.import(set, canonical)?;
            let hits = self.of(&import)?;
            if first.is_none() {
                first = Some((import, hits));
            } else {
                others.push(self.keys(&hits.hits));
            }
        }
        let Some((_, first)) = first else {
            return Ok(());
        };
        making.found.nests = false;
        making.found.versions |= first.versions;
        for hit in first.hits {
            let (system, code) = (hit.system(&self.slots), hit.code(&self.slots));
            if others.iter().all(|keys| keys.has(system, code)) {
                let flat = Hit {
                    parent: None,
                    ..hit
                };
                self.add(set, making, flat);
            }
        }
        Ok(())
    }

    fn keys(&self, hits: &[Hit]) -> Keys {
        let mut keys = Keys::default();
        for hit in hits {
            keys.add(hit.system(&self.slots), hit.code(&self.slots));
        }
        keys
    }

    fn import(&mut self, set: &ValueSet, canonical: &str) -> Result<Arc<ValueSet>, Failure> {
        let found = self.engine.import(set, canonical)?;
        let pinned = self.engine.options.pinned(canonical);
        if pinned != canonical && !canonical.starts_with('#') {
            let value = Value::Uri(pinned.clone());
            self.expansion.note("default-valueset-version", value);
        }
        match found {
            Ok(found) => {
                if !canonical.starts_with('#') {
                    let name = Value::Uri(found.canonical());
                    self.expansion.note("used-valueset", name);
                }
                Ok(found)
            }
            Err(name) => Err(Failure::refused(unknown_import(&name))),
        }
    }

    /// The system and the imports of a part; `None` where the system of an exclude is not known.
    fn from(
        &mut self,
        set: &Arc<ValueSet>,
        part: &Part,
        place: &str,
        side: Side,
    ) -> Result<Option<From>, Failure> {
        let url = part.system.as_deref().unwrap_or_default();
        let named = part.version.as_deref();
        let asked = self.engine.options.version(url, named).map(str::to_owned);
        self.note_rule(url, named);
        let Some(system) = self.engine.system(url, named)? else {
            if side == Side::Exclude {
                return Ok(None);
            }
            let known = self.engine.terminology.versions(url)?;
            let issue = crate::issue::unknown_system_of_expansion(url, asked.as_deref(), &known);
            return Err(Failure::refused(issue));
        };
        self.engine.allowed(&system).map_err(Failure::refused)?;
        let name = system.canonical();
        if system.content == Content::Fragment {
            self.expansion
                .note("used-fragment", Value::Uri(name.clone()));
            let why = format!("This extension is based on a fragment of the code system {url}");
            self.expansion.unclosed.get_or_insert(why);
        }
        self.remark(&name, &system.standing, &set.standing);
        self.expansion.note("used-codesystem", Value::Uri(name));
        for supplement in self.engine.supplements_of(&system) {
            let name = Value::Uri(supplement.canonical());
            self.expansion.note("used-supplement", name);
        }
        select::check(&part.filters, &system, place, &set.canonical()).map_err(Failure::refused)?;
        let imports = self.imports(set, part)?;
        Ok(Some(From { system, imports }))
    }

    /// Says which rule of the request decided on the version.
    fn note_rule(&mut self, url: &str, named: Option<&str>) {
        let rules = &self.engine.options.rules;
        let of = |kind: RuleKind| {
            rules
                .iter()
                .find(|rule| rule.kind == kind && rule.url == url)
        };
        let decided = match (of(RuleKind::Force), named) {
            (Some(rule), _) => Some(("force-system-version", rule)),
            (None, Some(_)) => None,
            (None, None) => of(RuleKind::Default)
                .map(|rule| ("system-version", rule))
                .or_else(|| of(RuleKind::Check).map(|rule| ("check-system-version", rule))),
        };
        if let Some((name, rule)) = decided {
            self.expansion.note(name, Value::Uri(rule.canonical()));
        }
    }

    fn listed(&mut self, from: &From) -> Result<Arc<Table>, Failure> {
        from.system.table().cloned().ok_or_else(|| {
            let text = format!(
                "The code system {} has a grammar, and cannot be enumerated directly",
                from.system.url
            );
            let issue = Issue::error(
                IssueType::NotSupported,
                "vs-invalid",
                "CODESYSTEM_NOT_ENUMERABLE",
                text,
            );
            Failure::refused(issue)
        })
    }

    /// Every code of a system, each behind what it is below.
    fn whole(
        &mut self,
        set: &Arc<ValueSet>,
        from: &From,
        making: &mut Making,
    ) -> Result<(), Failure> {
        let table = self.listed(from)?;
        self.worked(set, table.len())?;
        let slot = self.slot(&from.system);
        let searched = self.request.filter.is_some();
        making.found.nests &= !searched;
        let several = table.all().any(|at| table.parents(at).len() > 1);
        making.found.nests &= !several;
        let mut places: Vec<Option<u32>> = vec![None; if several { 0 } else { table.len() }];
        for at in table.all() {
            // What is left out stands between its parent and its children and hides neither.
            let parent = table.parents(at).next();
            let above = parent.and_then(|of| places.get(of.index()).copied().flatten());
            let mut own = above;
            if self.takes_concept(from, &table, at) {
                let hit = Hit {
                    origin: Origin::Listed(slot, at),
                    chosen: None,
                    parent: above,
                };
                own = self.add(set, making, hit).or(above);
            }
            if let Some(place) = places.get_mut(at.index()) {
                *place = own;
            }
        }
        Ok(())
    }

    /// Whether a concept passes the text and the value sets.
    fn takes_concept(&self, from: &From, table: &Table, at: At) -> bool {
        if !passes(from, table.code(at)) {
            return false;
        }
        if self.request.filter.is_none() {
            return true;
        }
        let supplements = self.engine.supplements_of(&from.system);
        let concept = crate::system::Concept::listed(&from.system, at).with(&supplements);
        let names = concept.names().map(|name| name.value);
        self.takes_text(names.chain([table.code(at)]))
    }

    /// The codes of a system that pass the filters of a part.
    fn filtered(
        &mut self,
        set: &Arc<ValueSet>,
        part: &Part,
        from: &From,
        making: &mut Making,
    ) -> Result<(), Failure> {
        let table = self.listed(from)?;
        self.worked(set, table.len())?;
        let slot = self.slot(&from.system);
        let kept = self.places(part, from, &table);
        let mut known: Vec<Option<u32>> = Vec::new();
        let nests = making.found.nests && table.has_hierarchy();
        making.found.nests = nests;
        if nests {
            known.resize(table.len(), None);
        }
        for at in kept.iter() {
            if !self.takes_concept(from, &table, at) {
                continue;
            }
            let mut parents = table.parents(at);
            let parent = parents.next();
            let above = parent.and_then(|of| known.get(of.index()).copied().flatten());
            let hit = Hit {
                origin: Origin::Listed(slot, at),
                chosen: None,
                parent: above,
            };
            let added = self.add(set, making, hit);
            if parents.next().is_some() {
                making.found.nests = false;
            }
            if let Some(place) = known.get_mut(at.index()) {
                *place = added;
            }
        }
        Ok(())
    }

    fn places(&self, part: &Part, from: &From, table: &Table) -> Places {
        let supplements = self.engine.supplements_of(&from.system);
        select::places(&part.filters, &from.system, table, &supplements)
    }

    pub(super) fn exclude(
        &mut self,
        set: &Arc<ValueSet>,
        at: usize,
        part: &Part,
        making: &mut Making,
    ) -> Result<(), Failure> {
        if part.system.is_none() {
            making.found.nests = false;
            return self.exclude_imported(set, part, making);
        }
        let Some(from) = self.begin(set, (Side::Exclude, at), part, making)? else {
            return Ok(());
        };
        let slot = self.slot(&from.system);
        let of = |at: At| Hit {
            origin: Origin::Listed(slot, at),
            chosen: None,
            parent: None,
        };
        if part.is_whole_system() {
            match from.system.table() {
                Some(table) => {
                    self.worked(set, table.len())?;
                    for at in table.all().filter(|at| passes(&from, table.code(*at))) {
                        self.leave(making, &of(at));
                    }
                }
                None if from.imports.is_empty() => making.leave_system(&from.system.url),
                None => {}
            }
        }
        for chosen in &part.concepts {
            if passes(&from, &chosen.code)
                && let Some(concept) = from.system.find(&chosen.code)
            {
                let origin = self.origin(&from.system, concept);
                let hit = Hit {
                    origin,
                    chosen: None,
                    parent: None,
                };
                self.leave(making, &hit);
            }
        }
        if !part.filters.is_empty() {
            let table = self.listed(&from)?;
            self.worked(set, table.len())?;
            let kept = self.places(part, &from, &table);
            for at in kept.iter().filter(|at| passes(&from, table.code(*at))) {
                self.leave(making, &of(at));
            }
        }
        Ok(())
    }

    fn exclude_imported(
        &mut self,
        set: &Arc<ValueSet>,
        part: &Part,
        making: &mut Making,
    ) -> Result<(), Failure> {
        let mut all = Vec::new();
        for canonical in &part.value_sets {
            let import = self.import(set, canonical)?;
            all.push(self.of(&import)?.hits);
        }
        let Some((first, others)) = all.split_first() else {
            return Ok(());
        };
        let others: Vec<Keys> = others.iter().map(|hits| self.keys(hits)).collect();
        for hit in first {
            let (system, code) = (hit.system(&self.slots), hit.code(&self.slots));
            if others.iter().all(|keys| keys.has(system, code)) {
                self.leave(making, hit);
            }
        }
        Ok(())
    }

    /// Whether one of these names fits the text that is asked for.
    pub(super) fn takes_text<'n>(&self, names: impl Iterator<Item = &'n str>) -> bool {
        self.text.as_ref().is_none_or(|text| text.takes(names))
    }
}

fn passes(from: &From, code: &str) -> bool {
    let mut imports = from.imports.iter();
    imports.all(|keys| keys.has(&from.system.url, code))
}

/// A value set that another is made of is not known.
fn unknown_import(name: &str) -> Issue {
    let (url, asked) = version::split(name);
    match asked {
        Some(asked) => Issue::error(
            IssueType::NotFound,
            "not-found",
            "VS_EXP_IMPORT_UNK_PINNED",
            format!("Unable to find included value set '{url}' version '{asked}'"),
        ),
        None => Issue::error(
            IssueType::NotFound,
            "unknown",
            "VS_EXP_IMPORT_UNK",
            format!("Unable to find included value set '{url}'"),
        ),
    }
}
