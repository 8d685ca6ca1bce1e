//! Nodes of one document, linked in document order, and the texts that edits brought.
//!
//! Removed nodes stay linked and carry a mark, so that whoever writes the document knows which
//! bytes to leave out.

use hilum_fhirpath::NodeId;

/// No node.
pub(crate) const NONE: u32 = u32::MAX;

/// Where a node stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    pub(crate) parent: u32,
    pub(crate) prev: u32,
    pub(crate) next: u32,
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// It or something below it was changed.
    pub(crate) dirty: bool,
    pub(crate) removed: bool,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            parent: NONE,
            prev: NONE,
            next: NONE,
            first: NONE,
            last: NONE,
            dirty: false,
            removed: false,
        }
    }
}

/// The place of a node that expressions know.
pub(crate) fn index_of(node: NodeId) -> u32 {
    u32::try_from(node.hi).unwrap_or(NONE)
}

/// A node as expressions know it.
pub(crate) const fn node_of(index: u32) -> NodeId {
    NodeId {
        hi: index as u64,
        lo: 0,
    }
}

/// A node as an arena needs to know it.
pub(crate) trait Linked: Default {
    fn links(&self) -> &Links;
    fn links_mut(&mut self) -> &mut Links;
}

/// All nodes of a document; the first is the root.
#[derive(Clone, Debug)]
pub(crate) struct Arena<N> {
    nodes: Vec<N>,
    blank: N,
    texts: Vec<String>,
}

impl<N: Linked> Arena<N> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            blank: N::default(),
            texts: Vec::new(),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A node; a blank one for an index that is none.
    pub(crate) fn at(&self, index: u32) -> &N {
        self.nodes.get(index as usize).unwrap_or(&self.blank)
    }

    pub(crate) fn edit(&mut self, index: u32, change: impl FnOnce(&mut N)) {
        if let Some(node) = self.nodes.get_mut(index as usize) {
            change(node);
        }
    }

    /// Adds a node as the last child of `parent`.
    pub(crate) fn push(&mut self, parent: u32, node: N) -> u32 {
        let last = if parent == NONE {
            NONE
        } else {
            self.at(parent).links().last
        };
        self.insert(parent, last, node)
    }

    /// Adds a node as a child of `parent` after its child `after`, or as the first one.
    pub(crate) fn insert(&mut self, parent: u32, after: u32, mut node: N) -> u32 {
        let index = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        let next = match (parent, after) {
            (NONE, _) => NONE,
            (_, NONE) => self.at(parent).links().first,
            _ => self.at(after).links().next,
        };
        *node.links_mut() = Links {
            parent,
            prev: after,
            next,
            ..Links::default()
        };
        self.nodes.push(node);
        self.edit(after, |node| node.links_mut().next = index);
        self.edit(next, |node| node.links_mut().prev = index);
        self.edit(parent, |node| {
            let links = node.links_mut();
            if after == NONE {
                links.first = index;
            }
            if next == NONE {
                links.last = index;
            }
        });
        index
    }

    /// Adds a node that did not come from the source.
    pub(crate) fn add(&mut self, parent: u32, after: u32, node: N) -> u32 {
        let index = self.insert(parent, after, node);
        self.touch(index);
        index
    }

    /// Marks a node as removed, and nothing else.
    pub(crate) fn hide(&mut self, index: u32) {
        self.edit(index, |node| node.links_mut().removed = true);
    }

    /// Removes a node with all below it.
    pub(crate) fn remove(&mut self, index: u32) {
        self.hide(index);
        self.touch(self.at(index).links().parent);
    }

    /// Keeps a text that an edit brought.
    pub(crate) fn keep(&mut self, text: String) -> u32 {
        let index = u32::try_from(self.texts.len()).unwrap_or(NONE);
        self.texts.push(text);
        index
    }

    /// A text that was kept.
    pub(crate) fn text(&self, index: u32) -> Option<&str> {
        self.texts.get(index as usize).map(String::as_str)
    }

    /// Something was changed since the document was read.
    pub(crate) fn touched(&self) -> bool {
        self.at(0).links().dirty
    }

    /// Children in document order, without those that were removed.
    pub(crate) fn live(&self, of: u32) -> impl Iterator<Item = (u32, &N)> {
        self.children(of)
            .map(move |index| (index, self.at(index)))
            .filter(|(_, node)| !node.links().removed)
    }

    /// Children in document order, removed ones included.
    pub(crate) fn children(&self, of: u32) -> Children<'_, N> {
        Children {
            arena: self,
            at: self.at(of).links().first,
        }
    }

    /// Marks a node and all above it as changed.
    pub(crate) fn touch(&mut self, index: u32) {
        let mut at = index;
        while at != NONE && !self.at(at).links().dirty {
            self.edit(at, |node| node.links_mut().dirty = true);
            at = self.at(at).links().parent;
        }
    }
}

/// Walks over the children of one node.
pub(crate) struct Children<'a, N> {
    arena: &'a Arena<N>,
    at: u32,
}

impl<N: Linked> Iterator for Children<'_, N> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.at == NONE {
            return None;
        }
        let index = self.at;
        self.at = self.arena.at(index).links().next;
        Some(index)
    }
}
