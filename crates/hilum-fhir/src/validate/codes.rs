//! Codes of value sets and code systems that a caller loaded, beside those of the standard.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use super::{ListedCodes, Terminology};
use crate::definitions::{Definitions, Membership};
use crate::resource::{Node, Resource};

/// Levels of value sets within value sets, and of concepts within concepts.
const DEPTH_MAX: usize = 20;

/// Value sets and code systems by URL.
#[derive(Default)]
pub struct LoadedCodes {
    value_sets: HashMap<String, Resource>,
    systems: HashMap<String, HashSet<String>>,
}

impl LoadedCodes {
    /// Without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a ValueSet or a complete CodeSystem; anything else is left out.
    pub fn add(&mut self, resource: Resource) {
        let root = resource.root();
        let Some(url) = root.child_text("url").map(str::to_owned) else {
            return;
        };
        match resource.type_name() {
            "CodeSystem" if root.child_text("content") == Some("complete") => {
                let mut codes = HashSet::new();
                gather(root, &mut codes, DEPTH_MAX);
                self.systems.insert(url, codes);
            }
            "ValueSet" => {
                self.value_sets.insert(url, resource);
            }
            _ => {}
        }
    }

    fn find(&self, url: &str, system: Option<&str>, code: &str, depth: usize) -> Membership {
        let url = url.split('|').next().unwrap_or(url);
        let Some(set) = self.value_sets.get(url).filter(|_| depth > 0) else {
            return ListedCodes.member(url, system, code);
        };
        let root = set.root();
        if let Some(expansion) = root.child("expansion") {
            return told(is_expanded(expansion, system, code, DEPTH_MAX));
        }
        let Some(compose) = root.child("compose") else {
            return Membership::Unknown;
        };
        let excluded = compose.children_named("exclude");
        for part in excluded {
            if self.part(part, system, code, depth) == Membership::In {
                return Membership::Out;
            }
        }
        let mut answer = Membership::Out;
        for part in compose.children_named("include") {
            match self.part(part, system, code, depth) {
                Membership::In => return Membership::In,
                Membership::Unknown => answer = Membership::Unknown,
                Membership::Out => {}
            }
        }
        answer
    }

    /// Whether a code is in one include.
    fn part(&self, part: Node<'_>, system: Option<&str>, code: &str, depth: usize) -> Membership {
        let mut answer = Membership::In;
        for url in part.children_named("valueSet").filter_map(Node::text) {
            match self.find(url, system, code, depth - 1) {
                Membership::Out => return Membership::Out,
                Membership::Unknown => answer = Membership::Unknown,
                Membership::In => {}
            }
        }
        let Some(own) = part.child_text("system") else {
            return answer;
        };
        if system.is_some_and(|system| system != own) {
            return Membership::Out;
        }
        if part.child("filter").is_some() {
            return Membership::Unknown;
        }
        let mut concepts = part.children_named("concept").peekable();
        if concepts.peek().is_some() {
            let listed = concepts.any(|concept| concept.child_text("code") == Some(code));
            return if listed { answer } else { Membership::Out };
        }
        match self.systems.get(own) {
            Some(codes) if codes.contains(code) => answer,
            Some(_) => Membership::Out,
            None => standard_system(own, code),
        }
    }
}

impl Terminology for LoadedCodes {
    fn member(&self, value_set: &str, system: Option<&str>, code: &str) -> Membership {
        self.find(value_set, system, code, DEPTH_MAX)
    }

    fn display(&self, system: &str, code: &str) -> Option<&str> {
        ListedCodes::known_display(system, code)
    }
}

impl fmt::Debug for LoadedCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedCodes")
            .field("value_sets", &self.value_sets.len())
            .field("systems", &self.systems.len())
            .finish()
    }
}

fn told(is_in: bool) -> Membership {
    if is_in {
        Membership::In
    } else {
        Membership::Out
    }
}

/// A system of the standard: a code that some value set lists is one of it.
fn standard_system(system: &str, code: &str) -> Membership {
    static KNOWN: std::sync::OnceLock<BTreeSet<(&'static str, &'static str)>> =
        std::sync::OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let sets = Definitions::r4().value_sets().iter();
        let concepts = sets.flat_map(|set| &set.concepts);
        concepts
            .map(|concept| (concept.system, concept.code))
            .collect()
    });
    if known.contains(&(system, code)) {
        Membership::In
    } else {
        Membership::Unknown
    }
}

fn gather(node: Node<'_>, into: &mut HashSet<String>, depth: usize) {
    if depth == 0 {
        return;
    }
    for concept in node.children_named("concept") {
        into.extend(concept.child_text("code").map(str::to_owned));
        gather(concept, into, depth - 1);
    }
}

fn is_expanded(node: Node<'_>, system: Option<&str>, code: &str, depth: usize) -> bool {
    depth > 0
        && node.children_named("contains").any(|one| {
            let same = one.child_text("code") == Some(code)
                && system.is_none_or(|system| one.child_text("system") == Some(system));
            same || is_expanded(one, system, code, depth - 1)
        })
}
