//! By what a resource is known again: its identifiers, else texts of the message joined to one.

use std::collections::HashMap;

use hilum_fhir::At;
use hilum_fhir::definitions::{Child, Definitions, TypeId};

use super::names::names;
use super::told::Told;
use super::{Made, Run};
use crate::plan::{Joined, KeyDef, Src};
use crate::text::How;

/// The system of identifiers that derive from texts of a message.
pub(super) const DERIVED: &str = "urn:hilum:derived";

/// Places within places that a number is told with.
const PARTS_MAX: usize = 8;

/// By what a resource is known.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) system: String,
    pub(super) value: String,
    pub(super) how: How,
}

/// How often each joined key was met.
pub(super) type Joins = HashMap<(TypeId, String), u32>;

/// A key with its number where the message has it more than once: ten lines of text with one test
/// code are ten results.
fn numbered(joins: &mut Joins, ty: TypeId, value: String) -> String {
    let count = joins.entry((ty, value.clone())).or_default();
    *count += 1;
    match *count {
        1 => value,
        count => format!("{value}|{count}"),
    }
}

impl Run<'_, '_> {
    /// By what a resource is known again, as the rows of the identity say.
    pub(super) fn known(
        &mut self,
        made: u32,
        refers: &[u32],
        joins: &mut Joins,
        told: &mut Told,
    ) -> Option<Known> {
        let Made { node, segment, .. } = *self.made.get(made as usize)?;
        let ty = self.draft.type_id(node)?;
        let plan = self.plan;
        for row in plan.identity.iter().filter(|row| row.ty == ty) {
            if let Some(condition) = &row.condition {
                let scope = super::condition::Scope::of_segment(segment);
                if self.holds(condition, &scope) != Some(true) {
                    continue;
                }
            }
            let found = match &row.key {
                // Of what says something it is asked when the others are known.
                KeyDef::None | KeyDef::Content => None,
                KeyDef::Element(way, kind) => {
                    let mut keys = self.identifiers(node, way, kind.as_deref());
                    // What has no system is the sender's own: another hospital has a bed 1 too.
                    if let Some((system, value)) = keys.first()
                        && system.is_empty()
                    {
                        let local = self.local(made, way, value);
                        keys = local
                            .map(|value| (DERIVED.to_owned(), value))
                            .into_iter()
                            .collect();
                    }
                    let says = match keys.is_empty() {
                        true => None,
                        false => self.says(made, refers),
                    };
                    let found = told.key(ty, keys, says);
                    for (system, value) in &found.taken {
                        self.lend(node, way, system, value);
                    }
                    found.key.map(|(system, value)| match system == DERIVED {
                        true => self.derive(node, value),
                        false => (system, value),
                    })
                }
                KeyDef::Join(parts) => self.join_key(segment, parts).map(|value| {
                    let value = numbered(joins, ty, value);
                    self.derive(node, value)
                }),
            };
            if let Some((system, value)) = found {
                return Some(Known {
                    system,
                    value,
                    how: row.how,
                });
            }
        }
        None
    }

    /// The texts of a joined key. It is one only for what the segment of its first path made, and
    /// where its first and its last path are valued: else it would name somebody else's.
    fn join_key(&self, segment: u32, parts: &[Joined]) -> Option<String> {
        let mut paths = parts.iter().filter_map(|part| match part {
            Joined::Path(src) => Some(src),
            Joined::Text(_) => None,
        });
        let first = paths.next()?;
        let last = paths.next_back().unwrap_or(first);
        if let Src::Field { segment: of, .. } = first
            && self.segment_of(segment, *of) != Some(segment)
        {
            return None;
        }
        for src in [first, last] {
            let value = self.first_value(segment, None, None, src)?;
            if self.text_of(&value).trim().is_empty() {
                return None;
            }
        }
        Some(self.joined(segment, None, None, parts))
    }

    /// The number that a sender gives something, with the sender in front; of a place also those
    /// of what it is part of.
    fn local(&self, made: u32, way: &[Child], own: &str) -> Option<String> {
        let mut values = vec![own.to_owned()];
        let mut at = Some(made);
        while let Some(next) = at.filter(|_| values.len() < PARTS_MAX) {
            let node = self.made.get(next as usize)?.node;
            let ty = self.draft.type_id(node);
            if next != made
                && let Some((_, value)) = self.identifier(node, way)
            {
                values.push(value);
            }
            let above = self.pending.iter().filter(|pending| pending.parent == node);
            at = above.map(|pending| pending.made).find(|above| {
                let above = self.made.get(*above as usize);
                ty == Some(names().location)
                    && above.and_then(|above| self.draft.type_id(above.node)) == ty
            });
        }
        // Whose name the site declares is the same whoever says it; all else is the sender's own.
        let declared = values
            .last()
            .and_then(|of| self.settings.authorities.get(of));
        match declared.cloned() {
            Some(uri) => {
                values.pop();
                values.push(uri);
            }
            None => {
                let sender = self.sender.get_or_init(|| self.named_sender());
                values.push(sender.clone()?);
            }
        }
        values.reverse();
        Some(values.join("|"))
    }

    /// The facility or application that sent the message.
    pub(super) fn named_sender(&self) -> Option<String> {
        let sender = |field| {
            let text = self.message.component("MSH", field, 1)?;
            Some(text.into_owned()).filter(|text| !text.trim().is_empty())
        };
        sender(4).or_else(|| sender(3))
    }

    /// Writes an identifier that derives from texts of the message.
    pub(super) fn derive(&mut self, node: At, value: String) -> (String, String) {
        self.add_identifier(node, DERIVED, &value);
        (DERIVED.to_owned(), value)
    }

    /// The first identifier with a value on a way of elements; one with a system first.
    fn identifier(&self, node: At, way: &[Child]) -> Option<(String, String)> {
        let mut plain = None;
        let found = self.identifier_below(node, way, &mut plain);
        found.or_else(|| plain.map(|value| (String::new(), value.to_owned())))
    }

    /// The first identifier with a system; in `plain` the first value that stands without one.
    fn identifier_below<'r>(
        &'r self,
        at: At,
        way: &[Child],
        plain: &mut Option<&'r str>,
    ) -> Option<(String, String)> {
        let Some((step, behind)) = way.split_first() else {
            let names = names();
            let text = |child: Child| {
                let at = self.draft.child(at, child)?;
                self.draft.text(at)
            };
            let value = text(names.value)?;
            let system = text(names.system);
            *plain = plain.or(Some(value));
            return system.map(|system| (system.to_owned(), value.to_owned()));
        };
        let mut children = self.draft.children(at);
        children.find_map(|(at, element, ty)| {
            (element == step.element && ty == step.ty)
                .then(|| self.identifier_below(at, behind, plain))
                .flatten()
        })
    }

    /// The identifiers with a value on a way of elements, of one type where only that will do: those
    /// with a system, else one without.
    fn identifiers(&self, node: At, way: &[Child], kind: Option<&str>) -> Vec<(String, String)> {
        let names = names();
        let text = |at: At, child: Child| {
            self.draft
                .child(at, child)
                .and_then(|at| self.draft.text(at))
        };
        let is_kind = |at: At| match kind {
            None => true,
            Some(kind) => self
                .ends(at, &[names.kind, names.coding])
                .any(|coding| text(coding, names.code) == Some(kind)),
        };
        let mut found = Vec::new();
        let mut plain = None;
        for at in self.ends(node, way).filter(|at| is_kind(*at)) {
            let Some(value) = text(at, names.value) else {
                continue;
            };
            match text(at, names.system) {
                Some(system) => found.push((system.to_owned(), value.to_owned())),
                None => plain = plain.or(Some((String::new(), value.to_owned()))),
            }
        }
        if found.is_empty() {
            found.extend(plain);
        }
        found
    }

    /// Takes the system away from an identifier by which something else is known already: were both
    /// found by it, the next message could change neither.
    fn lend(&mut self, node: At, way: &[Child], system: &str, value: &str) {
        let names = names();
        for at in self.ends(node, way) {
            let is = |child: Child, text: &str| {
                let at = self.draft.child(at, child)?;
                (self.draft.text(at) == Some(text)).then_some(at)
            };
            if is(names.value, value).is_some()
                && let Some(at) = is(names.system, system)
            {
                self.draft.remove(at);
            }
        }
    }

    /// The elements that a way leads to.
    fn ends(&self, node: At, way: &[Child]) -> impl Iterator<Item = At> + use<> {
        let mut open = vec![node];
        for step in way {
            let next = open.iter().flat_map(|at| {
                let children = self.draft.children(*at);
                children
                    .filter(|(_, element, ty)| *element == step.element && *ty == step.ty)
                    .map(|(at, ..)| at)
            });
            open = next.collect();
        }
        open.into_iter()
    }

    pub(super) fn add_identifier(&mut self, node: At, system: &str, value: &str) {
        let names = names();
        let ty = self.draft.type_id(node);
        let scope = ty.map(|ty| Definitions::r4().type_def(ty).root);
        let child = scope.and_then(|scope| Definitions::r4().child(scope, "identifier"));
        let Some(child) = child.filter(|child| child.ty == names.identifier) else {
            return;
        };
        let list = Definitions::r4().element(child.element).is_list();
        let at = if list {
            Some(self.draft.append(node, child))
        } else {
            self.draft.single(node, child)
        };
        if let Some(at) = at {
            if !system.is_empty() {
                self.put(at, names.system, system);
            }
            self.put(at, names.value, value);
        }
    }
}
