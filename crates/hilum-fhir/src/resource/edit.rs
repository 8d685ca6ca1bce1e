//! Making a resource from another one: nodes added, replaced, moved, taken out.
//!
//! An [`Editor`] knows the places of the resource it was made from by their [`NodeId`]; they stay
//! what they are until [`Editor::finish`]. It keeps to the tables: names, types, forms of values,
//! and lists where lists are. What is left without value and children is gone in the end.

use hilum_fhirpath::NodeId;

use super::build::{Builder, Kind};
use super::{Entry, NONE, Node, Resource, definitions};
use crate::definitions::{Child, ElementId};
use crate::lexical;
use crate::limits::Limits;
use crate::problem::{IssueType, Problem};

/// Why an edit is not possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot change {path}: {reason}")]
pub struct EditError {
    /// The place.
    pub path: String,
    /// The reason, without content.
    pub reason: &'static str,
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        Self::error(IssueType::Processing, error.reason).at(error.path)
    }
}

/// A resource being changed.
#[derive(Debug)]
pub struct Editor {
    builder: Builder,
    depth_max: usize,
    nodes_max: usize,
}

type Edit<T> = Result<T, EditError>;

const NOWHERE: u32 = NONE;

fn index_of(id: NodeId) -> u32 {
    u32::try_from(id.lo).unwrap_or(NOWHERE)
}

const fn id_of(index: u32) -> NodeId {
    NodeId {
        hi: 0,
        lo: index as u64,
    }
}

impl Editor {
    /// Starts from a resource.
    #[must_use]
    pub fn new(resource: &Resource) -> Self {
        let Limits {
            depth_max,
            nodes_max,
            ..
        } = Limits::default();
        Self {
            builder: Builder::of(resource),
            depth_max,
            nodes_max,
        }
    }

    /// The whole resource.
    #[must_use]
    pub fn root(&self) -> NodeId {
        id_of(0)
    }

    /// The changed resource as it is now. Its nodes are where the editor has them, so what an
    /// expression finds in it can be given back to the editor.
    pub fn look<T>(&mut self, look: impl FnOnce(&Resource) -> T) -> T {
        self.builder.with_whole(look)
    }

    /// The changed resource.
    #[must_use]
    pub fn finish(self) -> Resource {
        self.builder.compact()
    }

    fn refuse<T>(&mut self, at: u32, reason: &'static str) -> Edit<T> {
        let known = self.builder.entry(at).is_some();
        let path = if known {
            self.builder
                .with_resource(|resource| Node::new(resource, at).path())
        } else {
            String::new()
        };
        Err(EditError { path, reason })
    }

    fn entry(&mut self, at: u32) -> Edit<Entry> {
        match self.builder.entry(at) {
            Some(entry) => Ok(*entry),
            None => self.refuse(at, "there is no such place"),
        }
    }

    /// Gives a primitive this value; its `id` and extensions stay.
    pub fn set_text(&mut self, at: NodeId, text: &str) -> Edit<()> {
        let at = index_of(at);
        let entry = self.entry(at)?;
        let Some(kind) = definitions().type_def(entry.ty).primitive() else {
            return self.refuse(at, "only a primitive has a value");
        };
        if let Some(fault) = lexical::fault(kind, text) {
            return self.refuse(at, fault);
        }
        if !self.builder.has_room(text.len()) {
            return self.refuse(at, "the resource becomes too large");
        }
        self.builder.set_text(at, text);
        Ok(())
    }

    /// Gives the single primitive child of this name this value, and adds it if there is none.
    pub fn put(&mut self, parent: NodeId, json_name: &str, text: &str) -> Edit<NodeId> {
        let index = index_of(parent);
        let scope = self.entry(index)?.scope;
        let known = definitions().child(scope, json_name);
        let mut children = self.builder.children(index);
        let found = known.and_then(|child| {
            let same = |entry: &Entry| entry.element == child.element && entry.ty == child.ty;
            children.find(|(_, entry)| same(entry)).map(|(at, _)| at)
        });
        drop(children);
        let at = match found {
            Some(at) => id_of(at),
            None => self.add(parent, json_name)?,
        };
        self.set_text(at, text)?;
        Ok(at)
    }

    /// Adds an element without content: the last of its list, or one that is not there yet.
    pub fn add(&mut self, parent: NodeId, json_name: &str) -> Edit<NodeId> {
        let index = index_of(parent);
        let child = self.child(index, json_name)?;
        let count = self.repetitions(index, child.element).len();
        self.place(index, child, count).map(id_of)
    }

    /// Adds an element without content to a list, so that it is the one with this index.
    pub fn insert(&mut self, parent: NodeId, json_name: &str, at: usize) -> Edit<NodeId> {
        let index = index_of(parent);
        let child = self.child(index, json_name)?;
        self.place(index, child, at).map(id_of)
    }

    /// Takes an element out, with everything in it.
    pub fn delete(&mut self, at: NodeId) -> Edit<()> {
        let at = index_of(at);
        let entry = self.entry(at)?;
        if entry.parent == NONE {
            return self.refuse(at, "a resource cannot be taken out of itself");
        }
        self.builder.unlink(at);
        Ok(())
    }

    /// Moves one element of a list: `from` and `to` are its index before and after.
    pub fn shift(&mut self, parent: NodeId, name: &str, from: usize, to: usize) -> Edit<()> {
        let index = index_of(parent);
        let child = self.child(index, name)?;
        let mut list = self.repetitions(index, child.element);
        if from >= list.len() || to >= list.len() {
            return self.refuse(index, "the list has no such index");
        }
        let before = self.before(index, child.element);
        let moved = list.remove(from);
        list.insert(to, moved);
        for at in &list {
            self.builder.unlink(*at);
        }
        let mut after = before;
        for at in list {
            self.builder.link(index, after, at);
            after = at;
        }
        Ok(())
    }

    /// Replaces what an element holds by what an element of another resource holds. Both have the
    /// same type, or both are primitives and the value has the form of this one.
    pub fn fill(&mut self, at: NodeId, from: Node<'_>) -> Edit<()> {
        let at = index_of(at);
        let entry = self.entry(at)?;
        let tables = definitions();
        let primitive = tables.type_def(entry.ty).primitive();
        if entry.ty != from.type_id() && (primitive.is_none() || !from.is_primitive()) {
            return self.refuse(at, "the value has another type");
        }
        let children: Vec<u32> = self.builder.children(at).map(|(child, _)| child).collect();
        for child in children {
            self.builder.unlink(child);
        }
        self.builder.clear_value(at);
        if let Some(text) = from.text() {
            self.set_text(id_of(at), text)?;
        }
        let depth = self.depth(at);
        self.copy_children(at, from, depth)
    }

    /// Adds a resource inside this one (`contained`, `resource`).
    pub fn add_resource(&mut self, parent: NodeId, name: &str, from: Node<'_>) -> Edit<NodeId> {
        let index = index_of(parent);
        let child = self.child(index, name)?;
        if child.ty != definitions().known().resource || !from.is_resource() {
            return self.refuse(index, "no resource belongs there");
        }
        let child = Child {
            ty: from.type_id(),
            scope: definitions().type_def(from.type_id()).root,
            ..child
        };
        let count = self.repetitions(index, child.element).len();
        let at = self.place(index, child, count)?;
        let depth = self.depth(at);
        self.copy_children(at, from, depth)?;
        Ok(id_of(at))
    }

    fn copy_children(&mut self, at: u32, from: Node<'_>, depth: usize) -> Edit<()> {
        if depth > self.depth_max {
            return self.refuse(at, "the resource becomes too deep");
        }
        let tables = definitions();
        let mut last = NONE;
        for child in from.children() {
            let scope = self.entry(at)?.scope;
            let Some(mut known) = tables.child(scope, child.json_name()) else {
                return self.refuse(at, "the value has an element that does not belong there");
            };
            if child.is_resource() {
                known.ty = child.type_id();
                known.scope = child.scope();
            }
            let node = self.push(at, last, known)?;
            last = node;
            if let Some(text) = child.text() {
                self.set_text(id_of(node), text)?;
            }
            self.copy_children(node, child, depth + 1)?;
        }
        Ok(())
    }

    fn depth(&self, mut at: u32) -> usize {
        let mut depth = 1;
        while let Some(entry) = self.builder.entry(at).filter(|entry| entry.parent != NONE) {
            at = entry.parent;
            depth += 1;
        }
        depth
    }

    fn child(&mut self, parent: u32, json_name: &str) -> Edit<Child> {
        let scope = self.entry(parent)?.scope;
        match definitions().child(scope, json_name) {
            Some(child) => Ok(child),
            None => self.refuse(parent, "it has no element of this name"),
        }
    }

    fn repetitions(&self, parent: u32, element: ElementId) -> Vec<u32> {
        let children = self.builder.children(parent);
        let same = children.filter(|(_, entry)| entry.element == element);
        same.map(|(at, _)| at).collect()
    }

    /// The child behind which an element that is not there yet belongs.
    fn before(&self, parent: u32, element: ElementId) -> u32 {
        let children = self.builder.children(parent);
        let before = children.filter(|(_, entry)| entry.element < element);
        before.last().map_or(NONE, |(at, _)| at)
    }

    fn place(&mut self, parent: u32, child: Child, at: usize) -> Edit<u32> {
        let list = self.repetitions(parent, child.element);
        if !list.is_empty() && !definitions().element(child.element).is_list() {
            return self.refuse(parent, "the element is there already");
        }
        if at > list.len() {
            return self.refuse(parent, "the list has no such index");
        }
        let after = match at.checked_sub(1).and_then(|before| list.get(before)) {
            Some(before) => *before,
            None => match list.first() {
                Some(first) => self.builder.sibling_before(*first),
                None => self.before(parent, child.element),
            },
        };
        self.push(parent, after, child)
    }

    fn push(&mut self, parent: u32, after: u32, child: Child) -> Edit<u32> {
        if self.builder.len() >= self.nodes_max {
            return self.refuse(parent, "the resource gets too many elements");
        }
        let kind = Kind {
            element: child.element,
            ty: child.ty,
            scope: child.scope,
        };
        Ok(self.builder.push_new(parent, after, kind))
    }
}
