//! The lines in which deliveries of one key stand, in commit order.

use std::collections::{BTreeSet, HashMap};

use hilum_message::OrderKey;

use super::At;

/// One line of one key: nearly always a single delivery, so that the common case allocates nothing.
#[derive(Debug)]
enum Line {
    One(At),
    Many(BTreeSet<At>),
}

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Lines(HashMap<OrderKey, Line>);

impl Lines {
    /// Enters the line of each key; gives the number of lines in which another stands before,
    /// and those that were first and are no longer.
    pub(super) fn enter(&mut self, keys: &[OrderKey], at: At) -> (usize, Vec<At>) {
        let (mut blocked_by, mut displaced) = (0, Vec::new());
        for key in keys {
            let first = match self.0.get_mut(key) {
                None => {
                    self.0.insert(*key, Line::One(at));
                    continue;
                }
                Some(Line::One(first)) => {
                    let first = *first;
                    self.0.insert(*key, Line::Many(BTreeSet::from([first, at])));
                    first
                }
                Some(Line::Many(line)) => {
                    let first = line.first().copied().unwrap_or(at);
                    line.insert(at);
                    first
                }
            };
            if first < at {
                blocked_by += 1;
            } else {
                displaced.push(first);
            }
        }
        (blocked_by, displaced)
    }

    /// Leaves the line of each key; gives those that are first now, once for each key.
    pub(super) fn leave(&mut self, keys: &[OrderKey], at: At) -> Vec<At> {
        let mut moved = Vec::new();
        for key in keys {
            let empty = match self.0.get_mut(key) {
                None => false,
                Some(Line::One(first)) => *first == at,
                Some(Line::Many(line)) => {
                    let was_first = line.first() == Some(&at);
                    line.remove(&at);
                    if was_first {
                        moved.extend(line.first().copied());
                    }
                    line.is_empty()
                }
            };
            if empty {
                self.0.remove(key);
            }
        }
        moved
    }

    /// Who is first in the line of a key.
    pub(super) fn first(&self, key: OrderKey) -> Option<At> {
        match self.0.get(&key)? {
            Line::One(first) => Some(*first),
            Line::Many(line) => line.first().copied(),
        }
    }
}
