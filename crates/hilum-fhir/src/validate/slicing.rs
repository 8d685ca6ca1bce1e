//! Slices: which repetition is of which kind (FHIR R4 profiling.html#slicing).

use super::{Check, given, reference};
use crate::definitions::{BindingStrength, Definitions, Membership};
use crate::problem::IssueType;
use crate::profile::{
    Constraint, Discriminator, DiscriminatorKind, Fit, Profile, Slicing, SlicingRules, Step,
};
use crate::resource::Node;

/// Constraints that one discriminator looks at.
const LOOKS_MAX: usize = 500;

/// Repetitions with the slicing that tells them apart.
struct Sliced<'s> {
    found: &'s [Node<'s>],
    asked: &'s Constraint,
    slicing: &'s Slicing,
}

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
        let sliced = Sliced {
            found,
            asked,
            slicing,
        };
        self.sliced(parent, &sliced, profile);
    }

    fn sliced(&mut self, parent: Node<'_>, sliced: &Sliced<'_>, profile: &Profile) {
        let Sliced {
            found,
            asked,
            slicing,
        } = sliced;
        // The repetitions of each slice; `None` where they cannot be told.
        let mut inside: Vec<Option<Vec<Node<'_>>>> = vec![Some(Vec::new()); asked.slices.len()];
        let mut last = 0;
        let mut others_began = false;
        for node in *found {
            let mut first = None;
            let mut doubtful = false;
            for ((at, slice), inside) in asked.slices.iter().enumerate().zip(&mut inside) {
                match self.is_in(*node, slice, slicing) {
                    None => {
                        doubtful = true;
                        *inside = None;
                    }
                    Some(false) => {}
                    Some(true) => {
                        first = first.or(Some(at));
                        if let Some(inside) = inside {
                            inside.push(*node);
                        }
                        self.constraint(*node, slice, profile);
                    }
                }
            }
            let name = asked.slice.as_ref().unwrap_or(&asked.name);
            match first {
                None if doubtful => {}
                None => {
                    others_began = true;
                    if slicing.rules == SlicingRules::Closed {
                        let place = format!("{name} (profile {})", profile.url);
                        let text = format!("in no slice of {place}, which is closed");
                        self.error(IssueType::Structure, *node, text);
                    }
                }
                Some(at) => {
                    let too_late = others_began && slicing.rules == SlicingRules::OpenAtEnd;
                    if too_late || (slicing.ordered && at < last) {
                        let place = format!("{name} (profile {})", profile.url);
                        let text = format!("the slices are out of order: {place}");
                        self.error(IssueType::Structure, *node, text);
                    }
                    last = last.max(at);
                }
            }
        }
        for (slice, inside) in asked.slices.iter().zip(inside) {
            let Some(inside) = inside else { continue };
            self.count(parent, inside.len(), slice, profile);
            if !slice.slices.is_empty() {
                // Without a slicing of its own it is sliced on as it was.
                let again = Sliced {
                    found: &inside,
                    asked: slice,
                    slicing: slice.slicing.as_ref().unwrap_or(slicing),
                };
                self.sliced(parent, &again, profile);
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
        match discriminator.kind {
            DiscriminatorKind::Exists => {
                let (mut forbidden, mut demanded) = (false, false);
                self.reach(slice, path, &mut |asked| {
                    forbidden |= asked.max == Some(0);
                    demanded |= asked.min.is_some_and(|min| min > 0);
                });
                (forbidden || demanded).then_some(nodes.is_empty() == forbidden)
            }
            DiscriminatorKind::Value => self.tells_value(node, &nodes, slice, path),
            DiscriminatorKind::Type => {
                let resolved = path.last() == Some(&Step::Resolve);
                let mut found = false;
                self.reach(slice, path, &mut |asked| {
                    let fits = |node: &Node<'_>| self.is_of_type(*node, asked, resolved);
                    found |= nodes.iter().any(fits);
                });
                Some(found || self.unresolved_type(node, slice, path))
            }
            DiscriminatorKind::Profile => {
                let resolved = path.last() == Some(&Step::Resolve);
                self.tells_profile(&nodes, slice, path, resolved)
            }
            DiscriminatorKind::Unknown => None,
        }
    }

    fn tells_value(
        &self,
        node: Node<'_>,
        nodes: &[Node<'_>],
        slice: &Constraint,
        path: &[Step],
    ) -> Option<bool> {
        if let Some(answer) = self.pattern_above(node, slice, path) {
            return Some(answer);
        }
        // A slice that says nothing there is not told apart by it.
        let mut answer = None;
        let mut look = |asked: &Constraint| {
            if asked.given.is_some() || telling_binding(asked).is_some() {
                let has =
                    answer == Some(true) || nodes.iter().any(|node| self.has_value(*node, asked));
                answer = Some(has);
            }
        };
        self.reach(slice, path, &mut look);
        if answer.is_none() {
            let mut looks = LOOKS_MAX;
            self.reach_on(slice, path, &mut looks, &mut |asked, rest| {
                if rest.is_empty() && (asked.given.is_some() || telling_binding(asked).is_some()) {
                    let has = answer == Some(true)
                        || nodes.iter().any(|node| self.has_value(*node, asked));
                    answer = Some(has);
                }
            });
        }
        answer
    }

    fn tells_profile(
        &self,
        nodes: &[Node<'_>],
        slice: &Constraint,
        path: &[Step],
        resolved: bool,
    ) -> Option<bool> {
        let mut urls: Vec<String> = Vec::new();
        self.reach(slice, path, &mut |asked| {
            for limit in &asked.types {
                let named = if resolved {
                    &limit.targets
                } else {
                    &limit.profiles
                };
                urls.extend(named.iter().cloned());
            }
        });
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

    /// What a slice says itself at the end of a path, through slices of what lies on the way.
    fn reach(&self, slice: &Constraint, path: &[Step], look: &mut dyn FnMut(&Constraint)) {
        let mut looks = LOOKS_MAX;
        reach(slice, path, &mut looks, &mut |asked, rest| {
            if rest.is_empty() {
                look(asked);
            }
        });
    }

    /// As [`Self::reach`], and on through the profiles of the types on the way, and of what
    /// references lead to.
    fn reach_on(
        &self,
        at: &Constraint,
        path: &[Step],
        looks: &mut usize,
        look: &mut dyn FnMut(&Constraint, &[Step]),
    ) {
        let mut further: Vec<(String, Vec<Step>)> = Vec::new();
        reach(at, path, looks, &mut |asked, rest| {
            look(asked, rest);
            for limit in &asked.types {
                let on = limit
                    .profiles
                    .iter()
                    .map(|url| (url.clone(), rest.to_vec()));
                further.extend(on);
                if let Some((Step::Resolve, rest)) = rest.split_first() {
                    let on = limit.targets.iter().map(|url| (url.clone(), rest.to_vec()));
                    further.extend(on);
                }
            }
        });
        for (url, rest) in further {
            let Some(left) = looks.checked_sub(1) else {
                return;
            };
            *looks = left;
            if let Some(profile) = self.request.profiles.get(&url) {
                self.reach_on(&profile.root, &rest, looks, look);
            }
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
        let tables = Definitions::r4();
        let mut wanted = Vec::new();
        self.reach(slice, before, &mut |asked| {
            let targets = asked.types.iter().flat_map(|limit| &limit.targets);
            wanted.extend(targets.filter_map(|url| tables.type_at(url)));
        });
        nodes.iter().any(|node| {
            let named = node.child_text("reference").and_then(reference::named_type);
            named.is_some_and(|named| wanted.iter().any(|ty| tables.is_a(named, *ty)))
        })
    }
}

/// Shows every constraint on the way down a path, each with the rest of the path.
fn reach(
    at: &Constraint,
    path: &[Step],
    looks: &mut usize,
    look: &mut dyn FnMut(&Constraint, &[Step]),
) {
    let Some(left) = looks.checked_sub(1) else {
        return;
    };
    *looks = left;
    look(at, path);
    let Some((step, rest)) = path.split_first() else {
        at.slices.iter().for_each(|slice| look(slice, path));
        return;
    };
    match step {
        Step::Child(name) => {
            let child = at.child(name);
            let slices = child.into_iter().flat_map(|child| &child.slices);
            for asked in child.into_iter().chain(slices) {
                reach(asked, rest, looks, look);
            }
        }
        Step::Extension(url) => {
            let extensions = at.child("extension");
            for slice in extensions.into_iter().flat_map(|e| &e.slices) {
                let profiles = slice.types.iter().flat_map(|limit| &limit.profiles);
                if profiles.into_iter().any(|own| own == url) || fixed_url(slice) == Some(url) {
                    reach(slice, rest, looks, look);
                }
            }
        }
        // What a reference leads to, and the type itself, is said where the path came from.
        Step::Resolve | Step::OfType(_) => reach(at, rest, looks, look),
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

/// How slices are told apart that no slicing describes: extensions by URL, choices by type, others
/// not at all.
fn implied(asked: &Constraint) -> Slicing {
    let extension = asked.name == "extension" || asked.name == "modifierExtension";
    let typed = asked.slices.iter().all(|slice| !slice.types.is_empty());
    let discriminator = if extension {
        Some(Discriminator {
            kind: DiscriminatorKind::Value,
            path: vec![Step::Child("url".to_owned())],
        })
    } else {
        typed.then(|| Discriminator {
            kind: DiscriminatorKind::Type,
            path: Vec::new(),
        })
    };
    Slicing {
        discriminators: discriminator.into_iter().collect(),
        ..Slicing::default()
    }
}
