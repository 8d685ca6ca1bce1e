//! Assigns the segments of a message to the places of a structure, tolerant of disorder.
//!
//! Every segment keeps its position and gets exactly one place: a node of the structure within an
//! occurrence of its group. A segment that the structure does not know stays in the group that is
//! open. A segment out of order goes to the innermost open group that knows it, and does not move
//! the reading position. The work per segment is bounded by the size of the structure; it does not
//! grow with the message.
//!
//! Where a structure is ambiguous (a second ORC of an OML^O21 may begin a prior result or the
//! next order), a segment that began an open group begins that group again, unless the group being
//! read still lacks something required that the segment would begin.

use std::collections::HashMap;

use super::grammar::{GROUP_DEPTH_MAX, Grammar};
use crate::dictionary::NodeKind;

/// One occurrence of a group; occurrence 0 is the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Occurrence {
    /// The group's node.
    pub(crate) node: u16,
    /// The occurrence that it lies in; its own for the message.
    pub(crate) parent: u32,
    /// Which one of its node within the parent, from 1.
    pub(crate) ordinal: u32,
}

/// How a segment came to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Where the structure has it.
    InOrder,
    /// Known to the structure, but not here.
    OutOfOrder,
    /// Not known to the structure.
    Unknown,
}

/// Where a segment belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The innermost occurrence it lies in.
    pub(crate) occurrence: u32,
    /// Its node; `None` where the structure does not know it.
    pub(crate) node: Option<u16>,
    pub(crate) fit: Fit,
}

/// The places of all segments of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) occurrences: Vec<Occurrence>,
    pub(crate) places: Vec<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    node: u16,
    occurrence: u32,
    /// The child that was matched last; the group's own node before the first.
    cursor: u16,
    /// The segment that opened the occurrence.
    opener: u32,
}

struct Assigner<'g> {
    grammar: &'g Grammar,
    stack: Vec<Frame>,
    /// Groups opened for a segment out of order; following segments that fit directly join it.
    aside: Option<Frame>,
    out: Assignment,
    last: HashMap<(u32, u16), u32>,
}

/// Assigns segments, given as packed ids, to a structure.
pub(crate) fn assign(grammar: &Grammar, keys: impl Iterator<Item = u32>) -> Assignment {
    let root = Frame {
        node: 0,
        occurrence: 0,
        cursor: 0,
        opener: 0,
    };
    let mut assigner = Assigner {
        grammar,
        stack: vec![root],
        aside: None,
        out: Assignment {
            occurrences: vec![Occurrence {
                node: 0,
                parent: 0,
                ordinal: 1,
            }],
            places: Vec::new(),
        },
        last: HashMap::new(),
    };
    for key in keys {
        let place = assigner.place(key);
        assigner.out.places.push(place);
    }
    assigner.out
}

impl Assigner<'_> {
    fn place(&mut self, key: u32) -> Place {
        if let Some(mut frame) = self.aside.take()
            && (!self.grammar.knows(key) || self.direct(frame, key).is_some())
        {
            let node = self.direct(frame, key);
            frame.cursor = node.unwrap_or(frame.cursor);
            self.aside = Some(frame);
            let fit = if node.is_some() {
                Fit::OutOfOrder
            } else {
                Fit::Unknown
            };
            return Place {
                occurrence: frame.occurrence,
                node,
                fit,
            };
        }
        if !self.grammar.knows(key) {
            return self.stay();
        }
        if let Some(place) = self.forward(key) {
            return place;
        }
        self.tolerant(key)
            .or_else(|| self.backward(key))
            .unwrap_or_else(|| self.stay())
    }

    /// Keeps a segment that the structure does not know in the group that is open.
    fn stay(&mut self) -> Place {
        let top = self.stack.last().copied();
        let occurrence = top.map_or(0, |frame| frame.occurrence);
        let node = if self.grammar.has_any() {
            top.and_then(|frame| self.any_at(frame))
        } else {
            None
        };
        let fit = if node.is_some() {
            Fit::InOrder
        } else {
            Fit::Unknown
        };
        Place {
            occurrence,
            node,
            fit,
        }
    }

    /// A place for any segment, from the reading position on.
    fn any_at(&self, frame: Frame) -> Option<u16> {
        let mut children = self.grammar.children(frame.node);
        children
            .find(|(at, rule)| rule.kind == NodeKind::Any && *at >= frame.cursor)
            .map(|(at, _)| at)
    }

    /// The segment as a child of the group, at the reading position or after it.
    fn direct(&self, frame: Frame, key: u32) -> Option<u16> {
        let mut children = self.grammar.children(frame.node);
        children
            .find(|(at, rule)| {
                // 0 is the key of groups and of ids that are not three letters long.
                key != 0
                    && rule.key == key
                    && (*at > frame.cursor || (*at == frame.cursor && rule.max != 1))
            })
            .map(|(at, _)| at)
    }

    /// The segment as the beginning of a group within the group, after the reading position.
    fn nested(&self, frame: Frame, key: u32, only_required: bool) -> Option<u16> {
        let groups = self.grammar.children(frame.node).filter(|(at, rule)| {
            *at > frame.cursor
                && matches!(rule.kind, NodeKind::Group | NodeKind::Choice)
                && (!only_required || rule.min > 0)
        });
        let mut found = groups.filter_map(|(at, _)| self.grammar.begins(at, key));
        found.next()
    }

    fn repeatable(&self, node: u16) -> bool {
        node != 0 && self.grammar.rule(node).is_some_and(|rule| rule.max != 1)
    }

    fn forward(&mut self, key: u32) -> Option<Place> {
        let again = (1..self.stack.len()).rev().find(|level| {
            let frame = self.stack.get(*level);
            frame.is_some_and(|frame| frame.opener == key && self.repeatable(frame.node))
        });
        for level in (0..self.stack.len()).rev() {
            let frame = *self.stack.get(level)?;
            if let Some(at) = self.direct(frame, key) {
                return self.enter(level, at, key, Fit::InOrder);
            }
            let only_required = again.is_some();
            if let Some(at) = self.nested(frame, key, only_required) {
                return self.enter(level, at, key, Fit::InOrder);
            }
            if again == Some(level) || (again.is_none() && self.repeatable(frame.node)) {
                let begun = self.grammar.begins(frame.node, key);
                let begun = begun.or_else(|| {
                    // The occurrence may have begun with a segment that the structure has later.
                    (again == Some(level))
                        .then(|| self.grammar.find_within(frame.node, key))
                        .flatten()
                });
                if let Some(at) = begun {
                    return self.enter(level.checked_sub(1)?, at, key, Fit::InOrder);
                }
            }
        }
        None
    }

    /// Forward, leaving out what the structure requires in between.
    fn tolerant(&mut self, key: u32) -> Option<Place> {
        for level in (0..self.stack.len()).rev() {
            let frame = *self.stack.get(level)?;
            let ahead = self
                .grammar
                .children(frame.node)
                .filter(|(at, _)| *at > frame.cursor);
            let found = ahead
                .filter_map(|(at, _)| self.grammar.find_within(at, key))
                .next();
            if let Some(at) = found {
                return self.enter(level, at, key, Fit::InOrder);
            }
        }
        None
    }

    /// The innermost open group that knows the segment anywhere.
    fn backward(&mut self, key: u32) -> Option<Place> {
        for level in (0..self.stack.len()).rev() {
            let frame = *self.stack.get(level)?;
            let Some(at) = self.grammar.find_within(frame.node, key) else {
                continue;
            };
            let (mut occurrence, mut opened) = (frame.occurrence, false);
            for node in self.path(frame.node, at) {
                occurrence = match self.last.get(&(occurrence, node)) {
                    Some(last) => *last,
                    None => {
                        opened = true;
                        self.open(occurrence, node)
                    }
                };
            }
            if opened {
                let parent = self.grammar.rule(at).map_or(0, |rule| rule.parent);
                self.aside = Some(Frame {
                    node: parent,
                    occurrence,
                    cursor: at,
                    opener: key,
                });
            }
            // One too many at the reading position is a matter of cardinality, not of order.
            let fit = if at == frame.cursor {
                Fit::InOrder
            } else {
                Fit::OutOfOrder
            };
            return Some(Place {
                occurrence,
                node: Some(at),
                fit,
            });
        }
        None
    }

    /// The groups between a group and a node in it, outermost first.
    fn path(&self, from: u16, to: u16) -> Vec<u16> {
        let mut path = Vec::new();
        let mut at = self.grammar.rule(to).map_or(0, |rule| rule.parent);
        while at != from && at != 0 && path.len() < GROUP_DEPTH_MAX {
            path.push(at);
            at = self.grammar.rule(at).map_or(0, |rule| rule.parent);
        }
        path.reverse();
        path
    }

    fn open(&mut self, parent: u32, node: u16) -> u32 {
        let number = u32::try_from(self.out.occurrences.len()).unwrap_or(u32::MAX);
        let before = self.last.insert((parent, node), number);
        let before = before.and_then(|last| self.out.occurrences.get(last as usize));
        let ordinal = before.map_or(1, |before| before.ordinal.saturating_add(1));
        self.out.occurrences.push(Occurrence {
            node,
            parent,
            ordinal,
        });
        number
    }

    /// Goes from an open group to a node in it, opening the groups between.
    fn enter(&mut self, level: usize, at: u16, key: u32, fit: Fit) -> Option<Place> {
        self.stack.truncate(level + 1);
        let from = self.stack.last()?.node;
        for node in self.path(from, at) {
            let parent = self.stack.last_mut()?;
            parent.cursor = node;
            let occurrence = parent.occurrence;
            let occurrence = self.open(occurrence, node);
            self.stack.push(Frame {
                node,
                occurrence,
                cursor: node,
                opener: key,
            });
        }
        let top = self.stack.last_mut()?;
        top.cursor = at;
        Some(Place {
            occurrence: top.occurrence,
            node: Some(at),
            fit,
        })
    }
}
