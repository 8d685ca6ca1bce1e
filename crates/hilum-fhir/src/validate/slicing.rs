//! Slices: which repetition is of which kind (FHIR R4 profiling.html#slicing).

use super::{Check, given, reference};
use crate::definitions::{BindingStrength, Definitions, Membership};
use crate::problem::IssueType;
use crate::profile::{
    Constraint, Discriminator, DiscriminatorKind, Fit, Profile, Slicing, SlicingRules, Step,
};
use crate::resource::Node;

impl Check<'_> {
    /// Checks the repetitions of a sliced element.
    pub(super) fn slices(
        &mut self,
        parent: Node<'_>,
        found: &[Node<'_>],
        asked: &Constraint,
        profile: &Profile,
    ) {
        let implied = implied(asked);
        let slicing = asked.slicing.as_ref().unwrap_or(&implied);
        let mut counts = vec![Some(0_usize); asked.slices.len()];
        let mut last = 0;
        let mut others_began = false;
        for node in found {
            let mut first = None;
            let mut doubtful = false;
            for ((at, slice), count) in asked.slices.iter().enumerate().zip(&mut counts) {
                match self.is_in(*node, slice, slicing) {
                    None => {
                        doubtful = true;
                        *count = None;
                    }
                    Some(false) => {}
                    Some(true) => {
                        first = first.or(Some(at));
                        *count = count.map(|count| count + 1);
                        self.constraint(*node, slice, profile);
                    }
                }
            }
            let place = format!("{} (profile {})", asked.name, profile.url);
            match first {
                None if doubtful => {}
                None => {
                    others_began = true;
                    if slicing.rules == SlicingRules::Closed {
                        let text = format!("in no slice of {place}, which is closed");
                        self.error(IssueType::Structure, *node, text);
                    }
                }
                Some(at) => {
                    let too_late = others_began && slicing.rules == SlicingRules::OpenAtEnd;
                    if too_late || (slicing.ordered && at < last) {
                        let text = format!("the slices are out of order: {place}");
                        self.error(IssueType::Structure, *node, text);
                    }
                    last = last.max(at);
                }
            }
        }
        for (slice, count) in asked.slices.iter().zip(counts) {
            if let Some(count) = count {
                self.count(parent, count, slice, profile);
            }
        }
    }

    /// Whether a repetition is in a slice; `None` where that cannot be told.
    fn is_in(&self, node: Node<'_>, slice: &Constraint, slicing: &Slicing) -> Option<bool> {
        // Without a discriminator a slice is told by its description only.
        if slicing.discriminators.is_empty() {
            return None;
        }
        let mut answer = Some(true);
        for one in &slicing.discriminators {
            match self.tells(node, slice, one) {
                Some(false) => return Some(false),
                Some(true) => {}
                None => answer = None,
            }
        }
        answer
    }

    fn tells(
        &self,
        node: Node<'_>,
        slice: &Constraint,
        discriminator: &Discriminator,
    ) -> Option<bool> {
        let path = discriminator.path.as_slice();
        let mut nodes = vec![node];
        for step in path {
            nodes = self.follow(&nodes, step);
        }
        let mut said = Vec::new();
        self.reach(slice, path, &mut said, 0);
        match discriminator.kind {
            DiscriminatorKind::Exists => {
                let forbidden = said.iter().any(|asked| asked.max == Some(0));
                Some(nodes.is_empty() == forbidden)
            }
            DiscriminatorKind::Value => self.tells_value(node, &nodes, slice, path, &said),
            DiscriminatorKind::Type => {
                let resolved = path.last() == Some(&Step::Resolve);
                let mut typed = nodes
                    .iter()
                    .flat_map(|node| said.iter().map(move |s| (node, s)));
                let found = typed.any(|(node, asked)| self.is_of_type(*node, asked, resolved));
                Some(found || self.unresolved_type(node, slice, path))
            }
            DiscriminatorKind::Profile => {
                let resolved = path.last() == Some(&Step::Resolve);
                self.tells_profile(&nodes, &said, resolved)
            }
        }
    }

    fn tells_value(
        &self,
        node: Node<'_>,
        nodes: &[Node<'_>],
        slice: &Constraint,
        path: &[Step],
        said: &[&Constraint],
    ) -> Option<bool> {
        if let Some(answer) = self.pattern_above(node, slice, path) {
            return Some(answer);
        }
        let telling =
            |asked: &&&Constraint| asked.given.is_some() || telling_binding(asked).is_some();
        let mut telling = said.iter().filter(telling).peekable();
        // A slice that says nothing there is not told apart by it.
        telling.peek()?;
        Some(telling.any(|asked| nodes.iter().any(|node| self.has_value(*node, asked))))
    }

    fn tells_profile(
        &self,
        nodes: &[Node<'_>],
        said: &[&Constraint],
        resolved: bool,
    ) -> Option<bool> {
        let limits = said.iter().flat_map(|asked| &asked.types);
        let urls: Vec<&String> = limits
            .flat_map(|limit| {
                if resolved {
                    &limit.targets
                } else {
                    &limit.profiles
                }
            })
            .collect();
        // A slice that names no profile there is not told apart by it.
        let mut answer = (!urls.is_empty()).then_some(false);
        for node in nodes {
            for url in &urls {
                match self.conforms(*node, url) {
                    Some(true) => return Some(true),
                    Some(false) => {}
                    None => answer = None,
                }
            }
        }
        answer
    }

    fn follow<'r>(&self, from: &[Node<'r>], step: &Step) -> Vec<Node<'r>> {
        let mut found = Vec::new();
        for node in from {
            match step {
                Step::Child(name) => found.extend(node.children_named(name)),
                Step::Extension(url) => {
                    let own = |extension: &Node<'_>| extension.child_text("url") == Some(url);
                    found.extend(node.children_named("extension").filter(own));
                }
                Step::OfType(name) => {
                    if node.type_name() == name {
                        found.push(*node);
                    }
                }
                Step::Resolve => {
                    let text = node.child_text("reference").or(node.text());
                    found.extend(text.and_then(|text| self.entries.inside(*node, text)));
                }
            }
        }
        found
    }

    /// What a slice says at the end of a path, through slices of what lies on the way.
    fn reach<'p>(
        &self,
        at: &'p Constraint,
        path: &[Step],
        into: &mut Vec<&'p Constraint>,
        depth: usize,
    ) {
        const DEPTH_MAX: usize = 20;
        if depth > DEPTH_MAX {
            return;
        }
        let Some((step, rest)) = path.split_first() else {
            into.push(at);
            into.extend(&at.slices);
            return;
        };
        match step {
            Step::Child(name) => {
                if let Some(child) = at.child(name) {
                    self.reach(child, rest, into, depth + 1);
                    for slice in &child.slices {
                        self.reach(slice, rest, into, depth + 1);
                    }
                }
            }
            Step::Extension(url) => {
                let extensions = at.child("extension");
                for slice in extensions.into_iter().flat_map(|e| &e.slices) {
                    let profiles = slice.types.iter().flat_map(|limit| &limit.profiles);
                    if profiles.into_iter().any(|own| own == url) || fixed_url(slice) == Some(url) {
                        self.reach(slice, rest, into, depth + 1);
                    }
                }
            }
            // What a reference leads to, and the type itself, is said where the path came from.
            Step::Resolve | Step::OfType(_) => self.reach(at, rest, into, depth + 1),
        }
    }

    /// Where a pattern stands above the end of the path, the whole pattern tells.
    fn pattern_above(&self, node: Node<'_>, slice: &Constraint, path: &[Step]) -> Option<bool> {
        let mut asked = slice;
        let mut nodes = vec![node];
        let mut last = None;
        for step in path {
            if let Some(given) = &asked.given {
                let given_here = crate::profile::Given {
                    fit: Fit::AtLeast,
                    value: given.value.clone(),
                };
                last = Some(nodes.iter().any(|node| given::matches(*node, &given_here)));
            }
            let Step::Child(name) = step else { break };
            nodes = self.follow(&nodes, step);
            match asked.child(name) {
                Some(child) => asked = child,
                None => break,
            }
        }
        last.or_else(|| self.url_of_profile(node, slice, path))
    }

    /// An extension is told by its URL, which its profile fixes.
    fn url_of_profile(&self, node: Node<'_>, slice: &Constraint, path: &[Step]) -> Option<bool> {
        if slice.name != "extension" && slice.name != "modifierExtension" {
            return None;
        }
        let [Step::Child(name)] = path else {
            return None;
        };
        if name != "url" || fixed_url(slice).is_some() {
            return None;
        }
        let mut profiles = slice
            .types
            .iter()
            .flat_map(|limit| &limit.profiles)
            .peekable();
        profiles.peek()?;
        let own = node.child_text("url");
        Some(profiles.any(|url| own == Some(url.split('|').next().unwrap_or(url))))
    }

    fn has_value(&self, node: Node<'_>, asked: &Constraint) -> bool {
        if let Some(given) = &asked.given {
            return given::matches(node, given);
        }
        let member = |value_set: &str| self.membership(node, value_set) == Membership::In;
        telling_binding(asked).is_some_and(member)
    }

    fn is_of_type(&self, node: Node<'_>, asked: &Constraint, resolved: bool) -> bool {
        let tables = Definitions::r4();
        asked.types.iter().any(|limit| {
            if resolved {
                let mut targets = limit.targets.iter();
                return targets.any(|url| self.conforms(node, url) == Some(true));
            }
            limit.ty.is_some_and(|ty| tables.is_a(node.type_id(), ty))
        })
    }

    /// A reference that leads out of the resource may still name its type.
    fn unresolved_type(&self, node: Node<'_>, slice: &Constraint, path: &[Step]) -> bool {
        let Some((Step::Resolve, before)) = path.split_last() else {
            return false;
        };
        let mut nodes = vec![node];
        for step in before {
            nodes = self.follow(&nodes, step);
        }
        let mut said = Vec::new();
        self.reach(slice, before, &mut said, 0);
        let limits = said.iter().flat_map(|asked| &asked.types);
        let tables = Definitions::r4();
        let wanted: Vec<_> = limits
            .flat_map(|limit| &limit.targets)
            .filter_map(|url| tables.type_at(url))
            .collect();
        nodes.iter().any(|node| {
            let named = node.child_text("reference").and_then(reference::named_type);
            named.is_some_and(|named| wanted.iter().any(|ty| tables.is_a(named, *ty)))
        })
    }
}

/// A required binding tells as well.
fn telling_binding(asked: &Constraint) -> Option<&str> {
    let (strength, url) = asked.binding.as_ref()?;
    (*strength == BindingStrength::Required).then_some(url.as_str())
}

fn fixed_url(slice: &Constraint) -> Option<&str> {
    slice.child("url")?.given.as_ref()?.value.node().text()
}

/// How slices are told apart that no slicing describes: extensions by URL, choices by type.
fn implied(asked: &Constraint) -> Slicing {
    let extension = asked.name == "extension" || asked.name == "modifierExtension";
    let discriminator = if extension {
        Discriminator {
            kind: DiscriminatorKind::Value,
            path: vec![Step::Child("url".to_owned())],
        }
    } else {
        Discriminator {
            kind: DiscriminatorKind::Type,
            path: Vec::new(),
        }
    };
    Slicing {
        discriminators: vec![discriminator],
        ..Slicing::default()
    }
}
