//! A code system that is stored or of the standard: its codes, and which of them subsume which.

use std::collections::{BTreeSet, HashMap};

use hilum_fhir::definitions::code_system;
use hilum_fhir::{Node, Resource};

/// Which way from a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Toward {
    /// What subsumes it.
    Above,
    /// What it subsumes.
    Below,
}

/// The codes of a code system.
#[derive(Debug, Default)]
pub(super) struct System {
    /// All of its codes are here.
    pub(super) complete: bool,
    codes: Vec<String>,
    places: HashMap<String, usize>,
    /// The codes right above each, and right below.
    parents: Vec<Vec<usize>>,
    children: Vec<Vec<usize>>,
}

impl System {
    /// Reads a CodeSystem. Concepts within concepts are subsumed unless `hierarchyMeaning` says
    /// that they are something else; the properties `parent` and `child` say the same
    /// (FHIR R4 codesystem.html#hierarchy, #defined-props).
    pub(super) fn new(resource: &Resource) -> Self {
        let root = resource.root();
        let mut system = Self {
            complete: root.child_text("content") == Some("complete"),
            ..Self::default()
        };
        let meaning = root.child_text("hierarchyMeaning").unwrap_or("is-a");
        let mut named: Vec<(usize, usize)> = Vec::new();
        let mut told: Vec<(usize, bool, String)> = Vec::new();
        for concept in root.children_named("concept") {
            system.add(concept, None, &mut named, &mut told);
        }
        if meaning == "is-a" {
            for (parent, child) in named {
                system.link(parent, child);
            }
        }
        for (at, is_parent, other) in told {
            if let Some(other) = system.places.get(&other).copied() {
                let (parent, child) = if is_parent { (other, at) } else { (at, other) };
                system.link(parent, child);
            }
        }
        system
    }

    /// A code system of FHIR R4, if all of its codes are at hand.
    pub(super) fn of_standard(url: &str) -> Option<Self> {
        let placed = code_system(url)?;
        let mut system = Self {
            complete: true,
            ..Self::default()
        };
        // The places of the code before and of those above it.
        let mut above: Vec<usize> = Vec::new();
        let mut named = Vec::new();
        for of in placed {
            let at = system.push(of.code);
            above.truncate(of.level.saturating_sub(1));
            if let Some(parent) = above.last().copied() {
                system.link(parent, at);
            }
            above.push(at);
            named.extend(of.also_below().map(|child| (at, child)));
        }
        for (parent, child) in named {
            if let Some(child) = system.places.get(child).copied() {
                system.link(parent, child);
            }
        }
        Some(system)
    }

    fn push(&mut self, code: &str) -> usize {
        let at = self.codes.len();
        self.codes.push(code.to_owned());
        self.places.insert(code.to_owned(), at);
        self.parents.push(Vec::new());
        self.children.push(Vec::new());
        at
    }

    // The depth of a resource is bounded where it is read.
    fn add(
        &mut self,
        concept: Node<'_>,
        parent: Option<usize>,
        named: &mut Vec<(usize, usize)>,
        told: &mut Vec<(usize, bool, String)>,
    ) {
        let Some(code) = concept.child_text("code") else {
            return;
        };
        let at = self.push(code);
        named.extend(parent.map(|parent| (parent, at)));
        for property in concept.children_named("property") {
            let is_parent = match property.child_text("code") {
                Some("parent" | "subsumedBy") => true,
                Some("child") => false,
                _ => continue,
            };
            let other = property.child("value").and_then(Node::text);
            told.extend(other.map(|other| (at, is_parent, other.to_owned())));
        }
        for inner in concept.children_named("concept") {
            self.add(inner, Some(at), named, told);
        }
    }

    fn link(&mut self, parent: usize, child: usize) {
        if let Some(children) = self.children.get_mut(parent) {
            children.push(child);
        }
        if let Some(parents) = self.parents.get_mut(child) {
            parents.push(parent);
        }
    }

    /// Every code.
    pub(super) fn all(&self) -> BTreeSet<&str> {
        self.codes.iter().map(String::as_str).collect()
    }

    pub(super) fn has(&self, code: &str) -> bool {
        self.places.contains_key(code)
    }

    /// The codes right below a code.
    pub(super) fn children(&self, code: &str) -> BTreeSet<&str> {
        let at = self.places.get(code);
        let children = at.and_then(|at| self.children.get(*at));
        let codes = children.into_iter().flatten();
        codes
            .filter_map(|at| Some(self.codes.get(*at)?.as_str()))
            .collect()
    }

    /// A code and everything above or below it; nothing if the system does not have it.
    pub(super) fn reach(&self, code: &str, toward: Toward) -> BTreeSet<&str> {
        let edges = match toward {
            Toward::Above => &self.parents,
            Toward::Below => &self.children,
        };
        let mut seen = vec![false; self.codes.len()];
        let mut open: Vec<usize> = self.places.get(code).copied().into_iter().collect();
        let mut found = BTreeSet::new();
        while let Some(at) = open.pop() {
            // Codes may be above one another in a circle.
            let Some(seen) = seen.get_mut(at).filter(|seen| !**seen) else {
                continue;
            };
            *seen = true;
            found.extend(self.codes.get(at).map(String::as_str));
            open.extend(edges.get(at).into_iter().flatten());
        }
        found
    }
}
