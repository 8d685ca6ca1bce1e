//! Who came while a message of one of its keys was held.
//!
//! Such a delivery was made without what the held message says, and is sent behind it. Its turn is when
//! the two are compared; whoever never waited behind a hold is not asked.

use std::collections::{BTreeSet, HashMap};

use hilum_message::OrderKey;

use super::{Entry, Place};

/// The time of a hold, in commit sequences.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Where the held message stands.
    place: Place,
    /// The commit by which it went on.
    until: Option<u64>,
}

impl Span {
    fn covers(&self, entry: &Entry) -> bool {
        entry.place.of > self.place.of && self.until.is_none_or(|until| entry.sequence < until)
    }
}

/// The holds of a system's keys: those that are, and those that were while something that came
/// meanwhile is still only in the journal.
#[derive(Debug, Default)]
pub(super) struct Waits {
    of_key: HashMap<OrderKey, Vec<Span>>,
    keys: HashMap<Place, Vec<OrderKey>>,
    /// Those that are over, by the commit that ended them.
    over: BTreeSet<(u64, Place)>,
}

impl Waits {
    /// No hold is known.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.of_key.is_empty() && self.keys.is_empty() && self.over.is_empty()
    }

    /// A message is held. A second time changes nothing.
    pub(super) fn begins(&mut self, place: Place, keys: &[OrderKey]) {
        self.add(Span { place, until: None }, keys);
    }

    /// A message was held until this commit.
    pub(super) fn was(&mut self, place: Place, until: u64, keys: &[OrderKey]) {
        let until = Some(until);
        self.add(Span { place, until }, keys);
    }

    fn add(&mut self, span: Span, keys: &[OrderKey]) {
        if keys.is_empty() || self.keys.contains_key(&span.place) {
            return;
        }
        self.keys.insert(span.place, keys.to_vec());
        self.over
            .extend(span.until.map(|until| (until, span.place)));
        for key in keys {
            self.of_key.entry(*key).or_default().push(span);
        }
    }

    /// A held message went on by this commit; `None`: it ended, and nothing of it is sent.
    pub(super) fn ends(&mut self, place: Place, until: Option<u64>) {
        let Some(until) = until else {
            return self.forget(place);
        };
        let Some(keys) = self.keys.get(&place) else {
            return;
        };
        for key in keys {
            let spans = self.of_key.get_mut(key).into_iter().flatten();
            for span in spans.filter(|span| span.place == place) {
                span.until = Some(until);
            }
        }
        self.over.insert((until, place));
    }

    /// Everything that was committed before this is in memory and was asked about.
    pub(super) fn known_to(&mut self, sequence: u64) {
        while let Some(&(until, place)) = self.over.first()
            && until <= sequence
        {
            self.over.pop_first();
            self.forget(place);
        }
    }

    fn forget(&mut self, place: Place) {
        for key in self.keys.remove(&place).into_iter().flatten() {
            if let Some(spans) = self.of_key.get_mut(&key) {
                spans.retain(|span| span.place != place);
                if spans.is_empty() {
                    self.of_key.remove(&key);
                }
            }
        }
    }

    /// It came while a message of one of its keys was held that stands before it.
    pub(super) fn covers(&self, entry: &Entry) -> bool {
        if self.of_key.is_empty() {
            return false;
        }
        let mut spans = entry.keys.iter().filter_map(|key| self.of_key.get(key));
        spans.any(|spans| spans.iter().any(|span| span.covers(entry)))
    }
}
