//! Putting a table together.

use std::collections::HashMap;

use super::strings::{Runs, Strings};
use super::{At, BETWEEN, Case, Flags, NONE, Names, Table, Use, ValueKind, fold};

/// A table cannot hold more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the code system is larger than a table can be ({0})")]
pub struct Full(&'static str);

#[derive(Debug, Default)]
pub(super) struct Numbered {
    pub(super) names: Strings,
    known: HashMap<Box<str>, u16>,
}

impl Numbered {
    /// Those that had numbers before.
    pub(super) fn of(names: Strings) -> Self {
        let numbers = (0..names.len()).filter_map(|at| u16::try_from(at).ok());
        let known = numbers.map(|at| (names.get(u32::from(at)).into(), at));
        Self {
            known: known.collect(),
            names,
        }
    }

    fn number(&mut self, name: &str) -> Result<u16, Full> {
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let full = Full("65,534 languages, uses or properties");
        let at = self.names.push(name).ok_or(full)?;
        let at = u16::try_from(at)
            .ok()
            .filter(|at| *at != NONE)
            .ok_or(full)?;
        self.known.insert(name.into(), at);
        Ok(at)
    }
}

/// A table in the making. Rows of a concept may be added at any time after it.
#[derive(Debug, Default)]
pub struct TableBuilder {
    pub(super) case: Case,
    pub(super) codes: Strings,
    pub(super) places: HashMap<Box<str>, u32>,
    pub(super) displays: Strings,
    pub(super) definitions: Strings,
    pub(super) flags: Vec<u8>,
    pub(super) edges: Vec<(u32, u32)>,
    pub(super) languages: Numbered,
    pub(super) uses: Numbered,
    pub(super) designation_of: Vec<u32>,
    pub(super) designation_language: Vec<u16>,
    pub(super) designation_use: Vec<u16>,
    pub(super) designation_text: Strings,
    pub(super) designation_extensions: Vec<(u32, Box<str>)>,
    pub(super) property_names: Numbered,
    pub(super) property_of: Vec<u32>,
    pub(super) property_name: Vec<u16>,
    pub(super) property_kind: Vec<u8>,
    pub(super) property_value: Vec<u32>,
    pub(super) values: Strings,
    pub(super) known_values: HashMap<Box<str>, u32>,
    pub(super) extensions: Vec<(u32, Box<str>)>,
}

const TEXT: Full = Full("4 GB of text of one kind");

impl TableBuilder {
    /// An empty one.
    #[must_use]
    pub fn new(case: Case) -> Self {
        Self {
            case,
            ..Self::default()
        }
    }

    /// Adds a concept. Of two with one code the first stays, and this gives its place.
    pub fn concept(
        &mut self,
        code: &str,
        display: Option<&str>,
        definition: Option<&str>,
    ) -> Result<At, Full> {
        let key: Box<str> = match self.case {
            Case::Sensitive => code.into(),
            Case::Insensitive => fold(code).into(),
        };
        if let Some(known) = self.places.get(&key) {
            return Ok(At(*known));
        }
        let at = self.codes.push(code).ok_or(TEXT)?;
        self.displays
            .push(display.unwrap_or_default())
            .ok_or(TEXT)?;
        self.definitions
            .push(definition.unwrap_or_default())
            .ok_or(TEXT)?;
        self.flags.push(0);
        self.places.insert(key, at);
        Ok(At(at))
    }

    /// Puts these in the place of the displays of all concepts, in the order of the concepts; those
    /// for which there is none have no display.
    pub fn displays(&mut self, texts: impl Iterator<Item = Box<str>>) -> Result<(), Full> {
        let mut displays = Strings::default();
        for text in texts.take(self.codes.len()) {
            displays.push(&text).ok_or(TEXT)?;
        }
        while displays.len() < self.codes.len() {
            displays.push("").ok_or(TEXT)?;
        }
        self.displays = displays;
        Ok(())
    }

    /// The concept with a code, as far as concepts were added.
    #[must_use]
    pub fn find(&self, code: &str) -> Option<At> {
        let found = match self.case {
            Case::Sensitive => self.places.get(code),
            Case::Insensitive => self.places.get(&*fold(code)),
        };
        found.copied().map(At)
    }

    /// Sets flags of a concept beside those that are set.
    pub fn flag(&mut self, at: At, flags: Flags) {
        if let Some(known) = self.flags.get_mut(at.index()) {
            *known |= flags.0;
        }
    }

    /// Says that one concept is right below another.
    pub fn place(&mut self, child: At, parent: At) {
        self.edges.push((child.0, parent.0));
    }

    /// Adds another name.
    pub fn designation(
        &mut self,
        at: At,
        language: Option<&str>,
        usage: Option<Use<'_>>,
        value: &str,
        extensions: Option<&str>,
    ) -> Result<(), Full> {
        let language = match language {
            Some(language) => self.languages.number(language)?,
            None => NONE,
        };
        let usage = match usage {
            Some(of) => {
                let joined = [of.system, of.code, of.display].join(&BETWEEN.to_string());
                self.uses.number(&joined)?
            }
            None => NONE,
        };
        let row = self.designation_text.push(value).ok_or(TEXT)?;
        self.designation_of.push(at.0);
        self.designation_language.push(language);
        self.designation_use.push(usage);
        if let Some(extensions) = extensions {
            self.designation_extensions.push((row, extensions.into()));
        }
        Ok(())
    }

    /// Adds a property.
    pub fn property(
        &mut self,
        at: At,
        name: &str,
        kind: ValueKind,
        value: &str,
    ) -> Result<(), Full> {
        let name = self.property_names.number(name)?;
        let value = match self.known_values.get(value) {
            Some(known) => *known,
            None => {
                let added = self.values.push(value).ok_or(TEXT)?;
                self.known_values.insert(value.into(), added);
                added
            }
        };
        self.property_of.push(at.0);
        self.property_name.push(name);
        self.property_kind.push(kind as u8);
        self.property_value.push(value);
        Ok(())
    }

    /// Keeps extensions of a concept, as a JSON array.
    pub fn extensions(&mut self, at: At, json: &str) {
        self.extensions.push((at.0, json.into()));
    }

    /// The table.
    #[must_use]
    pub fn finish(mut self) -> Table {
        let concepts = self.codes.len();
        // As many as fit in a u32: each was pushed with a number.
        let mut by_code: Vec<u32> = (0..concepts as u32).collect();
        match self.case {
            Case::Sensitive => by_code.sort_by(|a, b| self.codes.get(*a).cmp(self.codes.get(*b))),
            Case::Insensitive => by_code.sort_by_cached_key(|at| fold(self.codes.get(*at))),
        }
        let mut known = std::collections::HashSet::new();
        self.edges.retain(|edge| known.insert(*edge));
        let children: Vec<u32> = self.edges.iter().map(|(child, _)| *child).collect();
        let parents: Vec<u32> = self.edges.iter().map(|(_, parent)| *parent).collect();
        let (parent_runs, order) = Runs::of(&children, concepts);
        let parent_rows = ordered(&parents, &order);
        let (child_runs, order) = Runs::of(&parents, concepts);
        let child_rows = ordered(&children, &order);
        let (designations, order) = Runs::of(&self.designation_of, concepts);
        let mut designation_values = Strings::default();
        let mut designation_extensions = Vec::new();
        for (new, old) in order.iter().enumerate() {
            // It fitted before.
            let _same = designation_values.push(self.designation_text.get(*old));
            let known = self
                .designation_extensions
                .binary_search_by_key(old, |(row, _)| *row);
            if let Some((_, text)) = known
                .ok()
                .and_then(|at| self.designation_extensions.get(at))
            {
                designation_extensions.push((new as u32, text.clone()));
            }
        }
        let designation_language = ordered(&self.designation_language, &order);
        let designation_use = ordered(&self.designation_use, &order);
        let (properties, order) = Runs::of(&self.property_of, concepts);
        self.extensions.sort_by_key(|(at, _)| *at);
        for texts in [
            &mut self.codes,
            &mut self.displays,
            &mut self.definitions,
            &mut self.values,
            &mut designation_values,
        ] {
            texts.shrink();
        }
        Table {
            case: self.case,
            codes: self.codes,
            by_code,
            displays: self.displays,
            definitions: self.definitions,
            flags: self.flags,
            parents: parent_runs,
            parent_rows,
            children: child_runs,
            child_rows,
            designations,
            languages: Names {
                all: self.languages.names,
            },
            uses: Names {
                all: self.uses.names,
            },
            designation_language,
            designation_use,
            designation_values,
            properties,
            property_names: Names {
                all: self.property_names.names,
            },
            property_name: ordered(&self.property_name, &order),
            property_kind: ordered(&self.property_kind, &order),
            property_value: ordered(&self.property_value, &order),
            values: self.values,
            extensions: self.extensions,
            designation_extensions,
        }
    }
}

fn ordered<T: Copy>(rows: &[T], order: &[u32]) -> Vec<T> {
    let row = |at: &u32| rows.get(*at as usize).copied();
    order.iter().filter_map(row).collect()
}
