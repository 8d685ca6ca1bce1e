//! Putting a resource together, node by node.

use super::{Entry, NONE, PLACED, PLAIN, Resource, VALUE};
use crate::definitions::{ElementId, TypeId};

/// A resource in the making. Positions fit in 32 bits: the readers check the size first.
#[derive(Clone, Debug)]
pub(crate) struct Builder {
    text: String,
    read: u32,
    entries: Vec<Entry>,
}

/// What a node is in the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) element: ElementId,
    pub(crate) ty: TypeId,
    pub(crate) scope: ElementId,
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "documents are bounded far below 4 GB"
)]
pub(crate) const fn narrow(at: usize) -> u32 {
    at as u32
}

impl Builder {
    /// A resource over a text that was read.
    pub(crate) fn new(read: &str) -> Self {
        Self {
            text: read.to_owned(),
            read: narrow(read.len()),
            // Pretty JSON has about forty bytes for each node.
            entries: Vec::with_capacity(read.len() / 40 + 8),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds a node below `parent`, behind `after` or as the first child.
    pub(crate) fn push(&mut self, parent: u32, after: u32, kind: Kind, place: usize) -> u32 {
        let index = narrow(self.entries.len());
        let link = match after {
            NONE => self.entries.get_mut(parent as usize).map(|p| &mut p.first),
            after => self.entries.get_mut(after as usize).map(|s| &mut s.next),
        };
        let next = link.map_or(NONE, |link| std::mem::replace(link, index));
        self.entries.push(Entry {
            parent,
            first: NONE,
            next,
            element: kind.element,
            scope: kind.scope,
            start: narrow(place),
            length: 0,
            ty: kind.ty,
            flags: PLACED,
        });
        index
    }

    pub(crate) fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)
    }

    /// The value of a node is a part of what was read.
    pub(crate) fn set_span(&mut self, index: u32, start: usize, end: usize, plain: bool) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.start = narrow(start);
            entry.length = narrow(end - start);
            entry.flags |= VALUE | PLACED;
            if plain {
                entry.flags |= PLAIN;
            }
        }
    }

    /// The value of a node is this text.
    pub(crate) fn set_text(&mut self, index: u32, text: &str) {
        let start = narrow(self.text.len());
        self.text.push_str(text);
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.start = start;
            entry.length = narrow(text.len());
            entry.flags = (entry.flags | VALUE) & !(PLACED | PLAIN);
        }
    }

    /// The children of a node, in order.
    pub(crate) fn children(&self, parent: u32) -> impl Iterator<Item = (u32, &Entry)> {
        let first = self.entry(parent).map_or(NONE, |entry| entry.first);
        let pair = |index: u32| Some((index, self.entry(index)?));
        std::iter::successors(pair(first), move |(_, entry)| pair(entry.next))
    }

    pub(crate) fn finish(self) -> Resource {
        Resource {
            text: self.text,
            read: self.read,
            entries: self.entries,
        }
    }

    /// The place of a node as [`super::Node::path`] gives it.
    pub(crate) fn with_resource<T>(&mut self, look: impl FnOnce(&Resource) -> T) -> T {
        let resource = Resource {
            text: String::new(),
            read: 0,
            entries: std::mem::take(&mut self.entries),
        };
        let answer = look(&resource);
        self.entries = resource.entries;
        answer
    }
}
