//! Message structures: trees of segments, groups and choices with cardinality.
//!
//! A structure is stored in preorder; a node knows how many nodes its subtree has, so that walking
//! over children or skipping a group is addition.

use super::table::{self, Entry};

/// What stands at a place of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A segment.
    Segment,
    /// A group whose children follow each other.
    Group,
    /// A group of which one child stands.
    Choice,
    /// Any segment.
    Any,
}

/// The structure of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Structure {
    id: u16,
    text: u16,
    place: u32,
}

impl Structure {
    pub(super) fn at(entry: Entry) -> Self {
        Self {
            id: entry.key,
            text: entry.text,
            place: entry.place,
        }
    }

    /// Its id, such as `ADT_A01`.
    #[must_use]
    pub fn id(self) -> &'static str {
        table::string(self.id)
    }

    /// What it is for; may be empty.
    #[must_use]
    pub fn description(self) -> &'static str {
        table::string(self.text)
    }

    /// The node that stands for the whole message.
    #[must_use]
    pub fn root(self) -> Node {
        Node {
            root: self.place,
            place: self.place,
        }
    }

    /// How many nodes there are, the root included.
    #[must_use]
    pub fn node_count(self) -> u16 {
        self.root().subtree_len()
    }

    /// The node at an index: 0 is the root, the others follow in the order of the standard.
    #[must_use]
    pub fn node(self, index: u16) -> Option<Node> {
        let found = Node {
            root: self.place,
            place: self.place + u32::from(index),
        };
        (index < self.node_count()).then_some(found)
    }
}

/// One place of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    root: u32,
    place: u32,
}

impl Node {
    /// The segment id, or the name of the group without the structure's.
    #[must_use]
    pub fn name(self) -> &'static str {
        table::string(table::node(self.place).0)
    }

    /// The bytes of [`Self::name`].
    #[must_use]
    pub fn name_bytes(self) -> &'static [u8] {
        table::string_bytes(table::node(self.place).0)
    }

    /// Its index in its structure.
    #[must_use]
    pub fn index(self) -> u16 {
        // A structure has at most u16::MAX nodes, since a subtree size is written as u16.
        (self.place - self.root) as u16
    }

    /// Segment, group, choice or any segment.
    #[must_use]
    pub fn kind(self) -> NodeKind {
        match table::node(self.place).3 {
            1 => NodeKind::Group,
            2 => NodeKind::Choice,
            3 => NodeKind::Any,
            _ => NodeKind::Segment,
        }
    }

    /// How often it must stand.
    #[must_use]
    pub fn min(self) -> u8 {
        table::node(self.place).1
    }

    /// How often it may stand; `None` is without limit.
    #[must_use]
    pub fn max(self) -> Option<u8> {
        let max = table::node(self.place).2;
        (max != 0).then_some(max)
    }

    /// How many nodes the subtree has, this one included.
    #[must_use]
    pub fn subtree_len(self) -> u16 {
        table::node(self.place).4
    }

    /// The children in order.
    #[must_use]
    pub fn children(self) -> Children {
        let end = self.place + u32::from(self.subtree_len());
        Children {
            root: self.root,
            place: self.place + 1,
            end,
        }
    }
}

/// Iterates over the children of a node.
#[derive(Debug, Clone)]
pub struct Children {
    root: u32,
    place: u32,
    end: u32,
}

impl Iterator for Children {
    type Item = Node;

    fn next(&mut self) -> Option<Node> {
        if self.place >= self.end {
            return None;
        }
        let node = Node {
            root: self.root,
            place: self.place,
        };
        // At least one, so that a damaged table cannot hold the iterator in place.
        self.place += u32::from(node.subtree_len()).max(1);
        Some(node)
    }
}
