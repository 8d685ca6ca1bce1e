//! A code system as steps see it.

use std::sync::Arc;

use hilum_component::{CodeSystem, Fact, Held};

use crate::language::{Languages, covers};
use crate::system::{Content, System};
use crate::table::At;

/// A code system of a snapshot.
pub(super) struct Known {
    name: String,
    system: Arc<System>,
}

impl Known {
    pub(super) fn new(system: Arc<System>) -> Self {
        let name = system.canonical();
        Self { name, system }
    }

    fn codes(&self, all: impl Iterator<Item = At>) -> Vec<String> {
        let table = self.system.table();
        let code = |at| table.map(|table| table.code(at).to_owned());
        all.filter_map(code).collect()
    }
}

impl CodeSystem for Known {
    fn name(&self) -> &str {
        &self.name
    }

    fn url(&self) -> &str {
        &self.system.url
    }

    fn holds(&self, code: &str) -> Held {
        match self.system.find(code) {
            Some(_) => Held::In,
            None if self.system.content == Content::Complete => Held::Out,
            None => Held::Unknown,
        }
    }

    fn look_up(&self, code: &str, fact: &Fact, language: Option<&str>) -> Vec<String> {
        let Some(concept) = self.system.find(code) else {
            return Vec::new();
        };
        let placed = self.system.table().zip(concept.at());
        match fact {
            Fact::Display => {
                let languages = language.and_then(|tag| Languages::parse(tag).ok());
                let display = concept.display_for(languages.as_ref());
                display.map(str::to_owned).into_iter().collect()
            }
            Fact::Definition => {
                let definition = concept.definition();
                definition.map(str::to_owned).into_iter().collect()
            }
            Fact::Designations => {
                let speaks = |own: Option<&str>| {
                    language.is_none_or(|wanted| own.is_some_and(|own| covers(wanted, own)))
                };
                let names = concept.names();
                names
                    .filter(|name| !name.is_display && !name.is_withdrawn())
                    .filter(|name| speaks(name.language))
                    .map(|name| name.value.to_owned())
                    .collect()
            }
            Fact::Parents => {
                let parents = placed.map(|(table, at)| table.parents(at));
                self.codes(parents.into_iter().flatten())
            }
            Fact::Children => {
                let children = placed.map(|(table, at)| table.children(at));
                self.codes(children.into_iter().flatten())
            }
            Fact::Property(name) => {
                let said: Vec<String> = concept
                    .properties()
                    .filter(|(_, property)| property.name == name)
                    .map(|(_, property)| property.value.to_owned())
                    .collect();
                // Every code is one or the other, whether its system says so or not.
                if said.is_empty() && name == INACTIVE {
                    return vec![concept.is_inactive().to_string()];
                }
                said
            }
        }
    }

    fn has_property(&self, name: &str) -> bool {
        if name == INACTIVE || self.system.declared(name).is_some() {
            return true;
        }
        let Some(table) = self.system.table() else {
            return false;
        };
        table.has_property(name)
    }

    fn subsumes(&self, above: &str, code: &str) -> bool {
        let found = self.system.find(above).zip(self.system.find(code));
        let Some((above, below)) = found else {
            return false;
        };
        if above.code() == below.code() {
            return true;
        }
        let places = above.at().zip(below.at());
        match (self.system.table(), places) {
            (Some(table), Some((above, below))) => table.is_above(above, below),
            _ => false,
        }
    }
}

/// The property that every code has (FHIR R4 codesystem-concept-properties).
const INACTIVE: &str = "inactive";
