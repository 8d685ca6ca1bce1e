//! Groups: which segment of a message belongs where in its structure.
//!
//! [`DictionaryStructures`] answers the message model's questions (which groups do the segments
//! form, where does a missing segment go) from the dictionary. Disorder never refuses a message:
//! it is a finding of validation, see [`crate::validate`].

mod assign;
mod grammar;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

pub(crate) use assign::{Assignment, Fit, assign};
pub(crate) use grammar::{GROUP_DEPTH_MAX, Grammar};

use crate::dictionary::{Dictionary, Structure, Version};
use crate::message::{Group, GroupStep, Grouping, Groups, Message, Placement, segment_key};

/// The structures of the dictionary, for [`Message::set_structures`]. One serves all messages.
///
/// The structure is the one of MSH-9 in the version of MSH-12 or the nearest one; a message without
/// a known structure has no groups.
#[derive(Debug, Default)]
pub struct DictionaryStructures {
    /// Grammars made so far; bounded by the number of structures in the dictionary.
    grammars: RwLock<HashMap<(Version, Structure), Arc<Grammar>>>,
}

impl DictionaryStructures {
    /// Nothing is made ready before it is used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where each segment of a message belongs.
    pub(crate) fn assign(&self, message: &Message) -> Option<(Arc<Grammar>, Assignment)> {
        let (version, structure) = structure_of(message)?;
        let grammar = self.grammar(version, structure);
        let assignment = assign(&grammar, keys(message));
        Some((grammar, assignment))
    }

    /// Indexes of the segments that the structure knows, but not where they stand.
    #[must_use]
    pub fn out_of_order(&self, message: &Message) -> Vec<usize> {
        let Some((_, assignment)) = self.assign(message) else {
            return Vec::new();
        };
        let places = assignment.places.iter().enumerate();
        places
            .filter(|(_, place)| place.fit == Fit::OutOfOrder)
            .map(|(index, _)| index)
            .collect()
    }

    pub(crate) fn grammar(&self, version: Version, structure: Structure) -> Arc<Grammar> {
        let key = (version, structure);
        // A grammar is stored whole, so that a poisoned lock holds nothing half made.
        let found = self
            .grammars
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        found.unwrap_or_else(|| {
            let made = Arc::new(Grammar::of(structure));
            let mut grammars = self
                .grammars
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(grammars.entry(key).or_insert(made))
        })
    }
}

/// Where the segments of a message belong in the newest form of its structure.
#[derive(Debug, Clone)]
pub struct Arrangement {
    structure: Structure,
    assignment: Assignment,
}

impl Arrangement {
    /// The structure.
    #[must_use]
    pub const fn structure(&self) -> Structure {
        self.structure
    }

    /// The innermost group that a segment lies in, as a number; 0 is the message.
    #[must_use]
    pub fn group(&self, segment: usize) -> u32 {
        let place = self.assignment.places.get(segment);
        place.map_or(0, |place| place.occurrence)
    }

    /// The node of a segment; `None` where the structure does not know it there.
    #[must_use]
    pub fn node(&self, segment: usize) -> Option<u16> {
        self.assignment.places.get(segment)?.node
    }

    /// Whether a segment stands where the structure has it.
    #[must_use]
    pub fn is_in_order(&self, segment: usize) -> bool {
        let place = self.assignment.places.get(segment);
        place.is_some_and(|place| place.fit == Fit::InOrder)
    }

    /// Which group of the structure a group is an occurrence of, as a number.
    #[must_use]
    pub fn kind(&self, group: u32) -> Option<u16> {
        let found = self.assignment.occurrences.get(group as usize);
        found.map(|found| found.node)
    }

    /// The group around a group; that of the message is the message.
    #[must_use]
    pub fn parent(&self, group: u32) -> u32 {
        let found = self.assignment.occurrences.get(group as usize);
        found.map_or(0, |found| found.parent)
    }
}

impl DictionaryStructures {
    /// Where the segments belong in the newest form of the structure that the message names,
    /// whatever its version is: the names of groups changed over the years, and a newer form
    /// knows the segments of the older ones.
    #[must_use]
    pub fn arrange(&self, message: &Message) -> Option<Arrangement> {
        let code = message.component("MSH", 9, 1)?;
        let trigger = message.component("MSH", 9, 2);
        let trigger = trigger.as_deref().unwrap_or("");
        let id = message.component("MSH", 9, 3);
        let mut versions = Dictionary::get().versions().rev();
        let (version, structure) = versions.find_map(|version| {
            let found = version.structure_for(&code, trigger, id.as_deref())?;
            // An event may name a structure that a younger version no longer has.
            Some((version, found))
        })?;
        let grammar = self.grammar(version, structure);
        let assignment = assign(&grammar, keys(message));
        Some(Arrangement {
            structure,
            assignment,
        })
    }
}

/// The version and structure that a message names, as far as the dictionary knows them.
#[must_use]
pub fn structure_of(message: &Message) -> Option<(Version, Structure)> {
    let version = version_of(message);
    let code = message.component("MSH", 9, 1)?;
    let trigger = message.component("MSH", 9, 2);
    let id = message.component("MSH", 9, 3);
    let structure =
        version.structure_for(&code, trigger.as_deref().unwrap_or(""), id.as_deref())?;
    Some((version, structure))
}

/// The dictionary's version for a message: that of MSH-12, or the nearest one.
#[must_use]
pub fn version_of(message: &Message) -> Version {
    let named = message.component("MSH", 12, 1);
    Dictionary::get().nearest(named.as_deref().unwrap_or(""))
}

/// The packed ids of the segments.
pub(crate) fn keys(message: &Message) -> impl Iterator<Item = u32> {
    message.segs.iter().map(|seg| seg.key)
}

impl Grouping for DictionaryStructures {
    fn groups(&self, message: &Message) -> Groups {
        match self.assign(message) {
            Some((grammar, assignment)) => groups(&grammar, &assignment),
            None => Groups {
                groups: Vec::new(),
                of_segment: vec![None; message.segment_count()],
            },
        }
    }
}

/// The groups as the message model has them: the message itself and technical groups left out.
pub(crate) fn groups(grammar: &Grammar, assignment: &Assignment) -> Groups {
    let mut out = Groups::default();
    let mut ids: Vec<Option<usize>> = Vec::with_capacity(assignment.occurrences.len());
    for (number, occurrence) in assignment.occurrences.iter().enumerate() {
        let parent = ids.get(occurrence.parent as usize).copied().flatten();
        if number == 0 || grammar.is_transparent(occurrence.node) {
            ids.push(parent);
            continue;
        }
        ids.push(Some(out.groups.len()));
        let name = grammar
            .rule(occurrence.node)
            .map_or(String::new(), |rule| rule.name.clone());
        out.groups.push(Group { name, parent });
    }
    let of = |place: &assign::Place| ids.get(place.occurrence as usize).copied().flatten();
    out.of_segment = assignment.places.iter().map(of).collect();
    out
}

impl Placement for DictionaryStructures {
    fn place(&self, message: &Message, groups: &[GroupStep], id: &str) -> Option<usize> {
        let (grammar, assignment) = self.assign(message)?;
        place(&grammar, &assignment, groups, segment_key(id.as_bytes()))
    }
}

/// Where a segment that is missing goes: behind everything that the structure has before it.
pub(crate) fn place(
    grammar: &Grammar,
    assignment: &Assignment,
    steps: &[GroupStep],
    key: u32,
) -> Option<usize> {
    let mut occurrence = named(grammar, assignment, steps);
    // Up to a group that knows the segment, then down as far as its groups exist.
    let target = loop {
        let node = assignment.occurrences.get(occurrence as usize)?.node;
        if let Some(target) = grammar.find_within(node, key) {
            break target;
        }
        if occurrence == 0 {
            return None;
        }
        occurrence = assignment.occurrences.get(occurrence as usize)?.parent;
    };
    loop {
        let node = assignment.occurrences.get(occurrence as usize)?.node;
        let child = child_towards(grammar, node, target)?;
        let inner = assignment
            .occurrences
            .iter()
            .enumerate()
            .skip(1)
            .find(|(_, inner)| inner.parent == occurrence && inner.node == child);
        match inner.and_then(|(number, _)| u32::try_from(number).ok()) {
            Some(inner) if child != target => occurrence = inner,
            _ => return Some(behind(grammar, assignment, occurrence, child)),
        }
    }
}

/// The occurrence that a chain of group steps names, as far as it exists.
fn named(grammar: &Grammar, assignment: &Assignment, steps: &[GroupStep]) -> u32 {
    let mut at = 0;
    for step in steps {
        let wanted = step.index.unwrap_or(1);
        let mut seen = 0;
        let found =
            assignment
                .occurrences
                .iter()
                .enumerate()
                .skip(1)
                .find(|(number, occurrence)| {
                    let name = grammar
                        .rule(occurrence.node)
                        .is_some_and(|rule| rule.name == step.name);
                    let inside = is_within(assignment, *number, at);
                    seen += u32::from(name && inside);
                    name && inside && seen == wanted
                });
        match found.and_then(|(number, _)| u32::try_from(number).ok()) {
            Some(number) => at = number,
            None => break,
        }
    }
    at
}

fn is_within(assignment: &Assignment, inner: usize, outer: u32) -> bool {
    let mut at = inner;
    for _ in 0..GROUP_DEPTH_MAX {
        if at == outer as usize {
            return true;
        }
        match assignment.occurrences.get(at) {
            Some(occurrence) if at != 0 => at = occurrence.parent as usize,
            _ => return false,
        }
    }
    false
}

/// The child of `node` that is `target` or holds it.
fn child_towards(grammar: &Grammar, node: u16, target: u16) -> Option<u16> {
    let mut children = grammar.children(node);
    children
        .find(|(at, rule)| (*at..at.saturating_add(rule.size.max(1))).contains(&target))
        .map(|(at, _)| at)
}

/// The index behind the last segment of an occurrence that stands at or before `child`.
fn behind(grammar: &Grammar, assignment: &Assignment, occurrence: u32, child: u16) -> usize {
    let (mut first, mut last) = (None, None);
    for (index, place) in assignment.places.iter().enumerate() {
        if !is_within(assignment, place.occurrence as usize, occurrence) {
            continue;
        }
        first = first.or(Some(index));
        let node = assignment
            .occurrences
            .get(occurrence as usize)
            .map_or(0, |found| found.node);
        let stands = place.node.and_then(|at| child_towards(grammar, node, at));
        if place.fit == Fit::InOrder && stands.is_some_and(|at| at <= child) {
            last = Some(index);
        }
    }
    match (last, first) {
        (Some(last), _) => last.saturating_add(1),
        (None, Some(first)) => first,
        (None, None) => assignment.places.len(),
    }
}
