//! A resource as a tree of small nodes over one text.
//!
//! Every element is a [`Node`]; a repetition is one sibling after the other. A primitive has the
//! text of its value as it was written (a decimal keeps its digits, xhtml stays verbatim) and may
//! have children: `id` and `extension`.
//!
//! Invariants: every node has its element in the tables of R4; the children of a node with one
//! name are neighbours; a resource that was read obeys the structure of its type (names, forms,
//! types), though not its cardinalities, bindings and invariants, which the validator checks.
//! A resource does not change: an edit makes a new one.
//!
//! `Debug` shows type and size, never content.

mod build;
mod compact;
mod draft;
mod edit;
mod node;
mod tree;

use std::fmt;

use crate::definitions::{Definitions, ElementId, TypeId};
use crate::problem::{Lines, Position};

pub(crate) use build::{Builder, Kind};
pub use draft::{At, Draft, Moved, Stretch};
pub use edit::{EditError, Editor};
pub use node::{Ancestors, Children, Node};

/// No node.
pub(crate) const NONE: u32 = u32::MAX;

/// One element: 28 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) parent: u32,
    pub(crate) first: u32,
    pub(crate) next: u32,
    pub(crate) element: ElementId,
    pub(crate) scope: ElementId,
    /// Where the value starts in the text; for a node without value where it was read.
    pub(crate) start: u32,
    /// Bytes of the value.
    pub(crate) length: u32,
    pub(crate) ty: TypeId,
    pub(crate) flags: u16,
}

impl Entry {
    /// It has neither value nor children.
    pub(crate) const fn is_empty(&self) -> bool {
        self.flags & VALUE == 0 && self.first == NONE
    }

    /// The value stands in a string of JSON as it is.
    pub(crate) const fn is_plain(&self) -> bool {
        self.flags & PLAIN != 0
    }
}

/// The node has a value.
const VALUE: u16 = 1;
/// The value stands in a string of JSON as it is.
const PLAIN: u16 = 2;
/// `start` is a place of the document that was read.
const PLACED: u16 = 4;
/// The node was taken out of a draft.
const GONE: u16 = 8;

/// A resource of FHIR R4.
#[derive(Clone)]
pub struct Resource {
    /// What was read, and behind it the values that do not stand there as they are.
    text: String,
    /// How much of the text was read.
    read: u32,
    /// The root first.
    entries: Vec<Entry>,
}

impl Resource {
    /// The whole resource.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node::new(self, 0)
    }

    /// The type of the resource.
    #[must_use]
    pub fn type_id(&self) -> TypeId {
        self.entry(0).ty
    }

    /// The name of its type: `Patient`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.root().type_name()
    }

    /// Its logical id, where it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.root().child("id")?.text()
    }

    /// How many nodes it has.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.entries.len()
    }

    /// Every node, a parent before its children, in no other order that means anything.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        (0..self.entries.len()).map(|index| Node::new(self, index as u32))
    }

    /// Where the node stood in the text that was read.
    #[must_use]
    pub fn position(&self, node: Node<'_>) -> Option<Position> {
        Some(self.lines()?.position(self.offset(node)?))
    }

    /// The byte where the node, or what is around it, stood in the text that was read.
    pub(crate) fn offset(&self, node: Node<'_>) -> Option<usize> {
        let placed = |node: Node<'_>| {
            let entry = self.entry(node.index());
            (entry.flags & PLACED != 0).then_some(entry.start as usize)
        };
        std::iter::once(node)
            .chain(node.ancestors())
            .find_map(placed)
    }

    /// Lines and columns of the text that was read.
    pub(crate) fn lines(&self) -> Option<Lines<'_>> {
        let read = self.text.as_bytes().get(..self.read as usize)?;
        Some(Lines::new(read))
    }

    #[expect(
        clippy::expect_used,
        reason = "indexes come from this resource, which has a root and never shrinks"
    )]
    pub(crate) fn entry(&self, index: u32) -> &Entry {
        self.entries
            .get(index as usize)
            .expect("the index is of this resource")
    }

    /// The entry with a number; `None` for [`NONE`].
    pub(crate) fn get(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)
    }

    pub(crate) fn value(&self, index: u32) -> Option<&str> {
        self.value_of(self.entry(index))
    }

    /// The value of an entry of this resource.
    pub(crate) fn value_of(&self, entry: &Entry) -> Option<&str> {
        if entry.flags & VALUE == 0 {
            return None;
        }
        let start = entry.start as usize;
        self.text.get(start..start + entry.length as usize)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource")
            .field("type", &self.type_name())
            .field("nodes", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// The tables.
pub(crate) fn definitions() -> &'static Definitions {
    Definitions::r4()
}
