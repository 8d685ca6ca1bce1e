//! A structure made ready for matching: one row per node, segment ids packed, all in preorder.
//!
//! Made from a dictionary structure or from a profile; matching knows neither.

use crate::dictionary::{Node, NodeKind, Structure};
use crate::message::segment_key;

/// Nesting of groups that is followed; deeper ones are treated as if they were not there.
pub(crate) const GROUP_DEPTH_MAX: usize = 32;

/// A node of a [`Grammar`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Packed segment id; 0 for a group or a segment whose id has not three letters.
    pub(crate) key: u32,
    pub(crate) name: String,
    pub(crate) kind: NodeKind,
    pub(crate) min: u16,
    /// 0 is unbounded.
    pub(crate) max: u16,
    /// Nodes in the subtree, this one included.
    pub(crate) size: u16,
    pub(crate) parent: u16,
}

/// A structure made ready for matching; node 0 is the message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Grammar {
    rules: Vec<Rule>,
    /// Some place takes any segment.
    has_any: bool,
}

impl Grammar {
    /// From the dictionary.
    pub(crate) fn of(structure: Structure) -> Self {
        let mut grammar = Self::default();
        grammar.add(structure.root(), 0);
        grammar
    }

    fn add(&mut self, node: Node, parent: u16) {
        let at = self.open(
            node.name(),
            node.kind(),
            u16::from(node.min()),
            node.max().map(u16::from),
            parent,
        );
        for child in node.children() {
            self.add(child, at);
        }
        self.close(at);
    }

    /// Adds a node; its children follow, then [`Self::close`].
    pub(crate) fn open(
        &mut self,
        name: &str,
        kind: NodeKind,
        min: u16,
        max: Option<u16>,
        parent: u16,
    ) -> u16 {
        let at = u16::try_from(self.rules.len()).unwrap_or(u16::MAX);
        let key = match kind {
            NodeKind::Segment => segment_key(name.as_bytes()),
            NodeKind::Group | NodeKind::Choice | NodeKind::Any => 0,
        };
        self.has_any |= kind == NodeKind::Any;
        let max = max.unwrap_or(0);
        self.rules.push(Rule {
            key,
            name: name.to_owned(),
            kind,
            min,
            max,
            size: 1,
            parent,
        });
        at
    }

    /// Ends the subtree of a node.
    pub(crate) fn close(&mut self, at: u16) {
        let size = self.rules.len().saturating_sub(usize::from(at));
        if let Some(rule) = self.rules.get_mut(usize::from(at)) {
            rule.size = u16::try_from(size).unwrap_or(u16::MAX);
        }
    }

    pub(crate) fn rule(&self, at: u16) -> Option<&Rule> {
        self.rules.get(usize::from(at))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> u16 {
        u16::try_from(self.rules.len()).unwrap_or(u16::MAX)
    }

    /// Whether a segment has a place of its own anywhere.
    pub(crate) fn knows(&self, key: u32) -> bool {
        key != 0 && self.rules.iter().any(|rule| rule.key == key)
    }

    /// Whether some place takes any segment.
    pub(crate) fn has_any(&self) -> bool {
        self.has_any
    }

    /// The children of a node in order.
    pub(crate) fn children(&self, of: u16) -> impl Iterator<Item = (u16, &Rule)> {
        let size = self.rule(of).map_or(0, |rule| rule.size);
        let end = of.saturating_add(size);
        let mut next = of.saturating_add(1);
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let at = next;
            let rule = self.rule(at)?;
            next = next.saturating_add(rule.size.max(1));
            Some((at, rule))
        })
    }

    /// The first node of a subtree, the top aside, that is this segment.
    pub(crate) fn find_within(&self, top: u16, key: u32) -> Option<u16> {
        let size = self.rule(top)?.size;
        (top.saturating_add(1)..top.saturating_add(size))
            .find(|at| self.rule(*at).is_some_and(|rule| rule.key == key))
    }

    /// Whether a segment can be the first of a group when nothing required is left out.
    pub(crate) fn begins(&self, group: u16, key: u32) -> Option<u16> {
        self.begins_within(group, key, 0).0
    }

    /// The node where the segment begins the group, and whether the group can be empty.
    fn begins_within(&self, group: u16, key: u32, depth: usize) -> (Option<u16>, bool) {
        if depth >= GROUP_DEPTH_MAX {
            return (None, false);
        }
        let choice = self
            .rule(group)
            .is_some_and(|rule| rule.kind == NodeKind::Choice);
        for (at, rule) in self.children(group) {
            let (found, empty) = match rule.kind {
                NodeKind::Segment => ((rule.key == key).then_some(at), rule.min == 0),
                NodeKind::Any => (None, rule.min == 0),
                NodeKind::Group | NodeKind::Choice => {
                    let (found, empty) = self.begins_within(at, key, depth + 1);
                    (found, empty || rule.min == 0)
                }
            };
            if found.is_some() {
                return (found, false);
            }
            if !empty && !choice {
                return (None, false);
            }
        }
        (None, true)
    }

    /// Whether the name is a technical one that no path names.
    pub(crate) fn is_transparent(&self, at: u16) -> bool {
        self.rule(at)
            .is_some_and(|rule| rule.name.ends_with("_SUPPGRP"))
    }
}
