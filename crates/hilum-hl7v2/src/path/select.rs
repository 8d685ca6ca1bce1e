//! Finding what a path names in a message.

use std::borrow::Cow;
use std::sync::Arc;

use super::{FieldPath, Path, Which};
use crate::message::{GroupId, GroupStep, Groups, Message, Part};

/// From where a path is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scope {
    /// The whole message.
    #[default]
    Message,
    /// One group: its own segments.
    Group(GroupId),
    /// One segment, for paths that name its id.
    Segment(usize),
}

impl Message {
    /// The first value that a path names; a composite is given as written. Empty is `None`.
    pub fn get(&self, path: &Path) -> Option<Cow<'_, str>> {
        self.parts(path).into_iter().next().map(|part| part.text())
    }

    /// All values that a path names.
    pub fn get_all(&self, path: &Path) -> Vec<Cow<'_, str>> {
        self.parts(path)
            .into_iter()
            .map(|part| part.text())
            .collect()
    }

    /// All parts that a path names, empty ones left out.
    pub fn parts(&self, path: &Path) -> Vec<Part<'_>> {
        let mut found = Vec::new();
        self.select(path, Scope::Message, &mut |part| found.push(part));
        found
    }

    /// Visits the parts that a path names, in document order, empty ones left out.
    pub fn select<'m>(&'m self, path: &Path, scope: Scope, visit: &mut dyn FnMut(Part<'m>)) {
        let Some(field) = path.field else { return };
        self.select_segments(path, scope, &mut |index| {
            if let Some(part) = self
                .segment(index)
                .and_then(|segment| segment.field(field.field))
            {
                self.select_in_field(part, &field, visit);
            }
        });
    }

    fn select_in_field<'m>(
        &self,
        part: Part<'m>,
        path: &FieldPath,
        visit: &mut dyn FnMut(Part<'m>),
    ) {
        match path.repetition {
            Which::Nth(n) => descend(part.nth(n), path, visit),
            Which::Unsaid | Which::All => {
                for repetition in part.children() {
                    descend(Some(repetition), path, visit);
                }
            }
        }
    }

    /// Visits the indexes of the segments that a path names.
    pub fn select_segments(&self, path: &Path, scope: Scope, visit: &mut dyn FnMut(usize)) {
        let id = path.segment.as_bytes();
        if let Scope::Segment(index) = scope
            && path.groups.is_empty()
            && self
                .segment(index)
                .is_some_and(|segment| segment.is(path.key, id))
        {
            visit(index);
            return;
        }
        if !path.groups.is_empty() {
            let within = match scope {
                Scope::Group(id) => Some(id),
                Scope::Message | Scope::Segment(_) => None,
            };
            let Some(groups) = self.grouped() else { return };
            for group in walk(&groups, &path.groups, within) {
                self.segments_in(&groups, group, path, visit);
            }
            return;
        }
        if let Scope::Group(group) = scope {
            let Some(groups) = self.grouped() else { return };
            self.segments_in(&groups, group, path, visit);
            return;
        }
        let mut seen = 0_u32;
        for segment in self.segments().filter(|segment| segment.is(path.key, id)) {
            seen = seen.saturating_add(1);
            match path.occurrence {
                Which::Nth(n) if seen == n => return visit(segment.index()),
                Which::Nth(_) => {}
                Which::Unsaid | Which::All => visit(segment.index()),
            }
        }
    }

    fn segments_in(
        &self,
        groups: &Groups,
        group: GroupId,
        path: &Path,
        visit: &mut dyn FnMut(usize),
    ) {
        let mut seen = 0_u32;
        for (index, of) in groups.of_segment.iter().enumerate() {
            let named = *of == Some(group)
                && self
                    .segment(index)
                    .is_some_and(|s| s.is(path.key, path.segment.as_bytes()));
            if !named {
                continue;
            }
            seen = seen.saturating_add(1);
            match path.occurrence {
                Which::Nth(n) if seen != n => {}
                Which::Nth(_) | Which::Unsaid | Which::All => visit(index),
            }
        }
    }

    /// The groups of the segments as they are now, where structures are known.
    pub fn grouped(&self) -> Option<Arc<Groups>> {
        let structures = self.structures.as_ref()?;
        Some(Arc::clone(
            self.groups
                .get_or_init(|| Arc::new(structures.groups(self))),
        ))
    }

    /// The groups that a chain of steps names, in document order.
    pub(crate) fn walk_groups(&self, steps: &[GroupStep]) -> Vec<GroupId> {
        self.grouped()
            .map(|groups| walk(&groups, steps, None))
            .unwrap_or_default()
    }
}

/// The first step is looked for at any depth, the others directly below the one before.
fn walk(groups: &Groups, steps: &[GroupStep], within: Option<GroupId>) -> Vec<GroupId> {
    let Some((first, rest)) = steps.split_first() else {
        return Vec::new();
    };
    let below = |id: GroupId| within.is_none_or(|top| has_ancestor(groups, id, top));
    let mut found = pick(groups, first, below);
    for step in rest {
        found = found
            .into_iter()
            .flat_map(|parent| {
                pick(groups, step, |id| {
                    groups
                        .groups
                        .get(id)
                        .is_some_and(|group| group.parent == Some(parent))
                })
            })
            .collect();
    }
    found
}

fn has_ancestor(groups: &Groups, id: GroupId, ancestor: GroupId) -> bool {
    let mut at = groups.groups.get(id).and_then(|group| group.parent);
    // Parents come before children, so that this ends.
    while let Some(parent) = at {
        if parent == ancestor {
            return true;
        }
        at = groups
            .groups
            .get(parent)
            .and_then(|group| group.parent)
            .filter(|up| *up < parent);
    }
    false
}

fn pick(groups: &Groups, step: &GroupStep, accept: impl Fn(GroupId) -> bool) -> Vec<GroupId> {
    let named = groups.groups.iter().enumerate();
    let mut named = named
        .filter(|(id, group)| group.name == step.name && accept(*id))
        .map(|(id, _)| id);
    match step.index {
        Some(n) => named
            .nth((n as usize).saturating_sub(1))
            .into_iter()
            .collect(),
        None => named.collect(),
    }
}

pub(crate) fn descend<'m>(
    part: Option<Part<'m>>,
    path: &FieldPath,
    visit: &mut dyn FnMut(Part<'m>),
) {
    let mut part = part;
    if path.component > 0 {
        part = part.and_then(|part| part.nth(path.component));
    }
    if path.subcomponent > 0 {
        part = part.and_then(|part| part.nth(path.subcomponent));
    }
    if let Some(part) = part.filter(|part| !part.is_blank()) {
        visit(part);
    }
}
