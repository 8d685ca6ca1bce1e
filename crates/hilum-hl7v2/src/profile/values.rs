//! Value sets of a profile, and how values are bound to them.

use std::collections::{HashMap, HashSet};

use regex::Regex;

use crate::message::Part;
use crate::xml::{Element, XmlError};

use super::path::first_leaf;
use super::statements::regex;

/// How a value relates to a value set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// In the set, or nothing to check.
    Inside,
    /// Not in the set.
    Outside,
    /// In the set, marked as not to be used.
    Excluded,
    /// In the set with another coding system.
    OtherSystem,
}

#[derive(Debug, Default)]
struct ValueSet {
    /// Code to its systems and whether it may be used.
    codes: HashMap<String, Vec<(String, bool)>>,
    patterns: Vec<Regex>,
    /// Codes beyond the listed ones are allowed.
    open: bool,
}

/// All value sets of a profile.
#[derive(Debug, Default)]
pub(crate) struct ValueSets {
    sets: HashMap<String, ValueSet>,
    /// Sets that are named and not to be checked.
    unchecked: HashSet<String>,
}

/// How strong a binding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strength {
    Required,
    Suggested,
    Undetermined,
}

/// A value bound to value sets.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) sets: Vec<String>,
    pub(crate) strength: Strength,
    /// Components that hold the code, any of which fits; the value itself where empty.
    pub(crate) locations: Vec<u16>,
    /// The component that holds the coding system.
    pub(crate) system: Option<u16>,
}

impl Strength {
    pub(crate) fn parse(text: Option<&str>) -> Self {
        match text {
            None | Some("R") => Self::Required,
            Some("S") => Self::Suggested,
            Some(_) => Self::Undetermined,
        }
    }
}

impl ValueSets {
    pub(crate) fn load(root: &Element, warnings: &mut Vec<String>) -> Result<Self, XmlError> {
        if root.name != "ValueSetLibrary" {
            return Err(XmlError::Root("ValueSetLibrary"));
        }
        let mut out = Self::default();
        for list in root.children_named("NoValidation") {
            let ids = list.children_named("BindingIdentifier");
            out.unchecked
                .extend(ids.map(|id| id.text.trim().to_owned()));
        }
        let groups = root.children_named("ValueSetDefinitions");
        for definition in groups.flat_map(|group| group.children_named("ValueSetDefinition")) {
            let id = definition.required("BindingIdentifier")?;
            let mut set = ValueSet {
                open: definition.attribute("Extensibility") == Some("Open"),
                ..ValueSet::default()
            };
            for element in definition.children_named("ValueElement") {
                let system = element
                    .attribute("CodeSystem")
                    .unwrap_or_default()
                    .to_owned();
                let usable = element.attribute("Usage") != Some("E");
                if let Some(pattern) = element.attribute("CodePattern") {
                    match regex(pattern) {
                        Some((matches, _)) => set.patterns.push(matches),
                        None => {
                            warnings.push(format!("value set {id}: a code pattern cannot be read"))
                        }
                    }
                } else if let Some(value) = element.attribute("Value") {
                    set.codes
                        .entry(value.to_owned())
                        .or_default()
                        .push((system, usable));
                }
            }
            out.sets.insert(id.to_owned(), set);
        }
        Ok(out)
    }

    /// `0396` of one file is `HL70396` of another.
    fn find(&self, id: &str) -> Option<&ValueSet> {
        if self.unchecked.contains(id) {
            return None;
        }
        let other = || match id.strip_prefix("HL7") {
            Some(number) => number.to_owned(),
            None => format!("HL7{id}"),
        };
        self.sets.get(id).or_else(|| {
            let other = other();
            self.sets
                .get(&other)
                .filter(|_| !self.unchecked.contains(&other))
        })
    }

    /// Whether a set can be checked: known, not exempt, and with content.
    pub(crate) fn is_known(&self, id: &str) -> bool {
        self.find(id).is_some()
            || self.unchecked.contains(id)
            || self.unchecked.contains(&format!("HL7{id}"))
    }

    /// Looks a value up: the code is at one of the locations, or the value itself.
    pub(crate) fn verdict(
        &self,
        id: &str,
        part: Part<'_>,
        locations: &[u16],
        system: Option<u16>,
    ) -> Verdict {
        let Some(set) = self.find(id).filter(|set| !set.is_empty()) else {
            return Verdict::Inside;
        };
        let at = |location: &u16| part.nth(u32::from(*location)).map(leaf);
        let values: Vec<String> = match locations {
            [] => vec![leaf(part)],
            locations => locations.iter().filter_map(at).collect(),
        };
        let system = system
            .and_then(|location| at(&location))
            .filter(|system| !system.is_empty());
        let mut worst = Verdict::Inside;
        for value in values.iter().filter(|value| !value.is_empty()) {
            match set.look_up(value, system.as_deref()) {
                Verdict::Inside => return Verdict::Inside,
                other => worst = other,
            }
        }
        worst
    }
}

impl ValueSet {
    fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.patterns.is_empty()
    }

    fn look_up(&self, code: &str, system: Option<&str>) -> Verdict {
        let Some(rows) = self.codes.get(code) else {
            let matched = self.open || self.patterns.iter().any(|pattern| pattern.is_match(code));
            return if matched {
                Verdict::Inside
            } else {
                Verdict::Outside
            };
        };
        if !rows.iter().any(|(_, usable)| *usable) {
            return Verdict::Excluded;
        }
        match system {
            Some(system)
                if !rows
                    .iter()
                    .any(|(known, _)| known.is_empty() || known == system) =>
            {
                Verdict::OtherSystem
            }
            _ => Verdict::Inside,
        }
    }
}

fn leaf(part: Part<'_>) -> String {
    first_leaf(part).text().into_owned()
}
