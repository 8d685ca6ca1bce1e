//! Nodes of one document, linked in document order.
//!
//! Removed nodes stay linked and carry a mark, so that whoever writes the document knows which
//! bytes to leave out.

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
}

impl Default for Links {
    fn default() -> Self {
        Self {
            parent: NONE,
            prev: NONE,
            next: NONE,
            first: NONE,
            last: NONE,
        }
    }
}

/// A node as an arena needs to know it.
pub(crate) trait Linked: Default {
    fn links(&self) -> &Links;
    fn links_mut(&mut self) -> &mut Links;
    fn is_dirty(&self) -> bool;
    fn mark_dirty(&mut self);
}

/// All nodes of a document; the first is the root.
#[derive(Clone, Debug)]
pub(crate) struct Arena<N> {
    nodes: Vec<N>,
    blank: N,
}

impl<N: Linked> Arena<N> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            blank: N::default(),
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
            first: NONE,
            last: NONE,
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
        while at != NONE && !self.at(at).is_dirty() {
            self.edit(at, Linked::mark_dirty);
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
