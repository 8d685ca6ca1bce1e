//! Putting a resource together, node by node.

use super::{Entry, GONE, NONE, PLACED, PLAIN, Resource, VALUE};
use crate::definitions::{ElementId, TypeId};

/// A resource in the making. Positions fit in 32 bits: the readers check the size first.
#[derive(Clone, Debug)]
pub(crate) struct Builder {
    pub(super) text: String,
    pub(super) read: u32,
    pub(super) entries: Vec<Entry>,
}

/// Nodes that stood one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// The number of the first.
    pub(crate) first: u32,
    pub(crate) entries: Vec<Entry>,
    /// Those right below what they were made for, in order.
    tops: Vec<u32>,
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
        // Room for what will be unescaped, so that the text is copied once; memory that is not used
        // is not taken.
        let mut text = String::with_capacity(read.len() + read.len() / 4);
        text.push_str(read);
        Self {
            text,
            read: narrow(read.len()),
            // Compact JSON has about thirty bytes for each node.
            entries: Vec::with_capacity(read.len() / 24 + 8),
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

/// What only an edit needs.
impl Builder {
    /// Starts from a resource.
    pub(crate) fn of(resource: &Resource) -> Self {
        Self {
            text: resource.text.clone(),
            read: resource.read,
            entries: resource.entries.clone(),
        }
    }

    /// Whether the text may grow by so many bytes.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.text.len().saturating_add(bytes) < u32::MAX as usize
    }

    /// Adds a node that was not read.
    pub(crate) fn push_new(&mut self, parent: u32, after: u32, kind: Kind) -> u32 {
        let index = self.push(parent, after, kind, 0);
        let flags = self.entry(parent).map_or(0, |parent| parent.flags & GONE);
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.flags = flags;
        }
        index
    }

    pub(crate) fn clear_value(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.flags &= !(VALUE | PLAIN | PLACED);
        }
    }

    /// The sibling in front of a node.
    pub(crate) fn sibling_before(&self, index: u32) -> u32 {
        let parent = self.entry(index).map_or(NONE, |entry| entry.parent);
        let mut siblings = self.children(parent);
        let before = siblings.find(|(_, entry)| entry.next == index);
        before.map_or(NONE, |(at, _)| at)
    }

    /// Takes a node out of the list of its parent's children.
    pub(crate) fn unlink(&mut self, index: u32) {
        let Some(entry) = self.entry(index).copied() else {
            return;
        };
        let before = self.sibling_before(index);
        let link = match before {
            NONE => self
                .entries
                .get_mut(entry.parent as usize)
                .map(|parent| &mut parent.first),
            before => self
                .entries
                .get_mut(before as usize)
                .map(|sibling| &mut sibling.next),
        };
        if let Some(link) = link.filter(|link| **link == index) {
            *link = entry.next;
        }
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.next = NONE;
        }
    }

    /// Puts a node that was taken out behind `after`, or as the first child.
    pub(crate) fn link(&mut self, parent: u32, after: u32, index: u32) {
        let link = match after {
            NONE => self
                .entries
                .get_mut(parent as usize)
                .map(|parent| &mut parent.first),
            after => self
                .entries
                .get_mut(after as usize)
                .map(|sibling| &mut sibling.next),
        };
        let next = link.map_or(NONE, |link| std::mem::replace(link, index));
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.next = next;
        }
    }

    /// The resource as it is now, its text included.
    pub(crate) fn with_whole<T>(&mut self, look: impl FnOnce(&Resource) -> T) -> T {
        let resource = Resource {
            text: std::mem::take(&mut self.text),
            read: self.read,
            entries: std::mem::take(&mut self.entries),
        };
        let answer = look(&resource);
        self.text = resource.text;
        self.entries = resource.entries;
        answer
    }

    /// A resource of this type without any content.
    pub(crate) fn empty(kind: Kind, nodes: usize, bytes: usize) -> Self {
        let mut builder = Self {
            text: String::with_capacity(bytes),
            read: 0,
            entries: Vec::with_capacity(nodes),
        };
        builder.push_new(NONE, NONE, kind);
        builder
    }

    /// The text of a node's value.
    pub(crate) fn value(&self, index: u32) -> Option<&str> {
        let entry = self.entry(index).filter(|entry| entry.flags & VALUE != 0)?;
        let start = entry.start as usize;
        self.text.get(start..start + entry.length as usize)
    }

    /// Notes that the value stands in a string of JSON as it is.
    pub(crate) fn set_plain(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.flags |= PLAIN;
        }
    }

    /// Takes a node out for good, with what is below it.
    pub(crate) fn drop_out(&mut self, index: u32) {
        self.unlink(index);
        self.mark_gone(index);
    }

    fn mark_gone(&mut self, index: u32) {
        let Some(entry) = self.entries.get_mut(index as usize) else {
            return;
        };
        entry.flags |= GONE;
        let mut next = entry.first;
        while next != NONE {
            self.mark_gone(next);
            next = self.entry(next).map_or(NONE, |entry| entry.next);
        }
    }

    /// A node that is in nothing.
    pub(crate) fn push_beside(&mut self, kind: Kind) -> u32 {
        let index = self.push_new(NONE, NONE, kind);
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.flags = GONE;
        }
        index
    }

    /// Copies value and children of a node to another one, which has none of them.
    pub(crate) fn copy_into(&mut self, from: u32, to: u32) -> bool {
        let (Some(source), Some(target)) = (self.entry(from).copied(), self.entry(to).copied())
        else {
            return false;
        };
        if source.flags & target.flags & VALUE != 0 {
            return false;
        }
        let has = |element| self.children(to).any(|(_, entry)| entry.element == element);
        if target.first != NONE && self.children(from).any(|(_, entry)| has(entry.element)) {
            return false;
        }
        if source.flags & VALUE != 0
            && let Some(entry) = self.entries.get_mut(to as usize)
        {
            entry.start = source.start;
            entry.length = source.length;
            entry.flags |= source.flags & (VALUE | PLAIN);
        }
        let mut before = NONE;
        let mut next = source.first;
        while let Some(entry) = self.entry(next).copied() {
            // Behind what stands in front of it in the target.
            let mut behind = match before {
                NONE => target.first,
                before => self.entry(before).map_or(NONE, |before| before.next),
            };
            while let Some(sibling) = self.entry(behind)
                && sibling.element < entry.element
            {
                (before, behind) = (behind, sibling.next);
            }
            before = self.copy_node(&entry, to, before);
            next = entry.next;
        }
        true
    }

    /// Copies a node with what is below it, behind `after`.
    fn copy_node(&mut self, entry: &Entry, parent: u32, after: u32) -> u32 {
        let kind = Kind {
            element: entry.element,
            ty: entry.ty,
            scope: entry.scope,
        };
        let index = self.push_new(parent, after, kind);
        if let Some(copy) = self.entries.get_mut(index as usize) {
            copy.start = entry.start;
            copy.length = entry.length;
            copy.flags |= entry.flags & !GONE;
        }
        let mut before = NONE;
        let mut next = entry.first;
        while let Some(child) = self.entry(next).copied() {
            before = self.copy_node(&child, index, before);
            next = child.next;
        }
        index
    }

    /// The nodes from a number on, and which of them are children of `top`.
    pub(crate) fn kept_since(&self, since: usize, top: u32) -> Kept {
        let entries = self.entries.get(since..).unwrap_or_default().to_vec();
        let mut tops = Vec::new();
        if !entries.is_empty() {
            let children = self.children(top).map(|(at, _)| at);
            tops.extend(children.filter(|at| *at as usize >= since));
        }
        Kept {
            first: narrow(since),
            entries,
            tops,
        }
    }

    /// Adds kept nodes once more, with `to` in the place of `top`; gives how far they were moved.
    /// They stand one after the other as they did, so each is found by adding that.
    pub(crate) fn make_again(&mut self, kept: &Kept, top: u32, to: u32) -> u32 {
        let by = narrow(self.entries.len()) - kept.first;
        if kept.entries.is_empty() {
            return by;
        }
        let end = kept.first + narrow(kept.entries.len());
        let inside = |at: u32| (kept.first..end).contains(&at);
        self.entries.extend(kept.entries.iter().map(|entry| {
            let within = inside(entry.parent);
            let moved = |at: u32| if inside(at) { at + by } else { NONE };
            Entry {
                parent: match entry.parent {
                    parent if within => parent + by,
                    parent if parent == top => to,
                    parent => parent,
                },
                first: moved(entry.first),
                // What stood in something else finds its place there below.
                next: if within { moved(entry.next) } else { NONE },
                ..*entry
            }
        }));
        let mut before = NONE;
        let mut next = self.entry(to).map_or(NONE, |to| to.first);
        for at in &kept.tops {
            let at = at + by;
            let element = self.entry(at).map(|entry| entry.element);
            while let Some(sibling) = self.entry(next)
                && Some(sibling.element) <= element
            {
                (before, next) = (next, sibling.next);
            }
            self.link(to, before, at);
            before = at;
        }
        by
    }

    /// For each node whether there is a value at it or below it. A node is made after its parent,
    /// so from the last to the first each is known before its parent is.
    pub(crate) fn content(&self, also: impl Fn(u32) -> bool) -> Vec<bool> {
        let mut content = vec![false; self.entries.len()];
        for (at, entry) in self.entries.iter().enumerate().rev() {
            let Some(own) = content.get_mut(at) else {
                continue;
            };
            *own |= entry.flags & VALUE != 0 || also(narrow(at));
            *own &= entry.flags & GONE == 0;
            if *own && let Some(above) = content.get_mut(entry.parent as usize) {
                *above = true;
            }
        }
        content
    }

    /// For each node how many nodes it is with those below it; none for what was taken out.
    pub(crate) fn sizes(&self) -> Vec<u32> {
        let mut sizes = vec![0_u32; self.entries.len()];
        for (at, entry) in self.entries.iter().enumerate().rev() {
            let Some(own) = sizes.get_mut(at).filter(|_| entry.flags & GONE == 0) else {
                continue;
            };
            *own = own.saturating_add(1);
            let own = *own;
            if let Some(above) = sizes.get_mut(entry.parent as usize) {
                *above = above.saturating_add(own);
            }
        }
        sizes
    }
}
