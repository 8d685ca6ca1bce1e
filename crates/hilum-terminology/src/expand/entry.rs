//! A code of an expansion, looked at closely.

use std::sync::Arc;

use super::collect::{Hit, Origin, Slot};
use super::{Entry, EntryName, EntryProperty, Request};
use crate::engine::Engine;
use crate::names;
use crate::set::{Chosen, ValueSet};
use crate::system::{Concept, Name, PREFERRED, preferred};
use crate::table::{Use, ValueKind};

/// How codes are shown.
pub(super) struct Shown<'s> {
    pub(super) engine: &'s Engine<'s>,
    pub(super) request: &'s Request,
    pub(super) set: &'s Arc<ValueSet>,
    pub(super) slots: &'s [Slot],
    pub(super) shows_versions: bool,
    /// The properties that were given, with their URIs.
    pub(super) properties: Vec<(Box<str>, Option<Box<str>>)>,
}

fn boxed(usage: Use<'_>) -> [Box<str>; 3] {
    [usage.system.into(), usage.code.into(), usage.display.into()]
}

impl Shown<'_> {
    pub(super) fn entry(&mut self, hit: &Hit) -> Entry {
        let concept = match &hit.origin {
            Origin::Stored(set, at) => return stored(set, *at),
            // Only where every code is asked for are codes taken that nobody knows.
            Origin::Named(..) => None,
            Origin::Made(_, concept) => Some(concept.clone()),
            Origin::Listed(_, at) => hit
                .slot(self.slots)
                .map(|slot| Concept::listed(&slot.system, *at)),
        };
        let (Some(concept), Some(slot)) = (concept, hit.slot(self.slots)) else {
            return Entry::default();
        };
        let concept = concept.with(&slot.supplements);
        let place = hit.chosen.as_ref();
        let chosen = place.and_then(|(set, at, row)| set.include.get(*at)?.concepts.get(*row));
        let language = place.and_then(|(set, ..)| set.language.as_deref());
        let mut entry = Entry {
            system: Some(concept.system().url.clone()),
            version: concept
                .system()
                .version
                .clone()
                .filter(|_| self.shows_versions),
            code: concept.code().into(),
            is_abstract: concept.is_abstract(),
            is_inactive: concept.is_inactive(),
            ..Entry::default()
        };
        if let Some(chosen) = chosen {
            // A code as the value set writes it.
            entry.code = chosen.code.clone();
        }
        self.name(&mut entry, &concept, chosen, language);
        self.properties(&mut entry, &concept, chosen);
        entry.extensions = concept.extensions().map(Into::into).collect();
        entry
            .extensions
            .extend(chosen.and_then(|chosen| chosen.extensions.clone()));
        entry
    }

    fn name(
        &self,
        entry: &mut Entry,
        concept: &Concept,
        chosen: Option<&Chosen>,
        language: Option<&str>,
    ) {
        let own = chosen.and_then(|chosen| chosen.display.as_deref());
        // What the value set shows stands before what the system does.
        let mut names: Vec<Name<'_>> = Vec::new();
        names.extend(own.map(|value| Name {
            language: language.or(concept.system().language.as_deref()),
            usage: None,
            value,
            is_display: true,
            source: None,
            extensions: None,
        }));
        names.extend(concept.names().map(|name| Name {
            is_display: name.is_display && own.is_none(),
            ..name
        }));
        names.extend(chosen.into_iter().flat_map(|chosen| {
            chosen.designations.iter().map(|of| Name {
                language: of.language.as_deref(),
                usage: of.usage.as_ref().map(|[system, code, display]| Use {
                    system,
                    code,
                    display,
                }),
                value: &of.value,
                is_display: false,
                source: None,
                extensions: of.extensions.as_deref(),
            })
        }));
        let best = preferred(&names, self.engine.options.languages());
        entry.display = best.map(|name| name.value.into());
        if self.request.include_designations != Some(true) {
            return;
        }
        for name in &names {
            let is_shown = best.is_some_and(|best| std::ptr::eq(best, name));
            let is_same = name.language.is_none()
                && name.usage.is_none()
                && best.is_some_and(|best| best.value == name.value);
            if is_shown || is_same || !self.wants(name) {
                continue;
            }
            let usage = if name.is_display {
                Some(PREFERRED)
            } else {
                name.usage
            };
            entry.designations.push(EntryName {
                language: name.language.map(Into::into),
                usage: usage.map(boxed),
                value: name.value.into(),
                extensions: name.extensions.map(Into::into),
            });
        }
    }

    /// Whether a name is one of those that were asked for.
    fn wants(&self, name: &Name<'_>) -> bool {
        let asked = &self.request.designations;
        asked.is_empty()
            || asked.iter().any(|one| {
                let (system, code) = one.split_once('|').unwrap_or((one, ""));
                let by_use = name
                    .usage
                    .is_some_and(|of| of.system == system && of.code == code);
                by_use || system == "urn:ietf:bcp:47" && name.language == Some(code)
            })
    }

    fn properties(&mut self, entry: &mut Entry, concept: &Concept, chosen: Option<&Chosen>) {
        let status = concept
            .status()
            .filter(|status| !status.eq_ignore_ascii_case("active"));
        if let Some(status) = status {
            self.give(
                entry,
                "status",
                Some(names::STATUS),
                ValueKind::Code,
                status,
            );
        }
        for (code, uri, kind) in [
            ("label", names::LABEL, ValueKind::String),
            ("order", names::ORDER, ValueKind::Decimal),
            ("weight", names::WEIGHT, ValueKind::Decimal),
        ] {
            let own = chosen.and_then(|chosen| {
                let said = chosen.said.iter().find(|(name, ..)| *name == uri);
                said.map(|(_, _, value)| &**value)
            });
            if let Some(value) = own.or_else(|| concept.said(uri)) {
                self.give(entry, code, Some(uri), kind, value);
            }
        }
        if self.request.properties.is_empty() {
            return;
        }
        let all = self.request.properties.iter().any(|name| name == "*");
        let asked = |name: &str| all || self.request.properties.iter().any(|one| one == name);
        let mut given: Vec<(EntryProperty, Option<Box<str>>)> = Vec::new();
        if asked("definition")
            && let Some(definition) = concept.definition()
        {
            let uri = Some(names::DEFINITION.into());
            given.push((
                ("definition".into(), ValueKind::String, definition.into()),
                uri,
            ));
        }
        for (system, property) in concept.properties() {
            if asked(property.name) && !property.name.starts_with("http") {
                let uri = system
                    .declared(property.name)
                    .and_then(|def| def.uri.clone());
                let own = (property.name.into(), property.kind, property.value.into());
                given.push((own, uri));
            }
        }
        for ((code, kind, value), uri) in given {
            if entry
                .properties
                .iter()
                .any(|(known, _, own)| *known == code && *own == value)
            {
                continue;
            }
            self.give(entry, &code, uri.as_deref(), kind, &value);
        }
    }

    fn give(
        &mut self,
        entry: &mut Entry,
        code: &str,
        uri: Option<&str>,
        kind: ValueKind,
        value: &str,
    ) {
        let same = |known: &&(Box<str>, Option<Box<str>>)| {
            *known.0 == *code || uri.is_some() && known.1.as_deref() == uri
        };
        let code: Box<str> = match self.properties.iter().find(same) {
            Some((known, _)) => known.clone(),
            None => {
                let declared = (code.into(), uri.map(Into::into));
                self.properties.push(declared);
                code.into()
            }
        };
        entry.properties.push((code, kind, value.into()));
    }
}

/// A code of a stored expansion of which nothing else is known.
fn stored(set: &ValueSet, at: usize) -> Entry {
    let listed = set.expansion.as_ref().and_then(|all| all.get(at));
    listed.map_or_else(Entry::default, |one| Entry {
        system: one.system.clone(),
        version: one.version.clone(),
        code: one.code.clone(),
        display: one.display.clone(),
        is_abstract: one.is_abstract,
        is_inactive: one.is_inactive,
        ..Entry::default()
    })
}

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown")
            .field("set", &self.set.canonical())
            .finish_non_exhaustive()
    }
}
