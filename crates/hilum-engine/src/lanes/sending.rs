//! Taking what may be sent, and what the outcome of an attempt does to the lines.

use std::collections::HashMap;

use hilum_component::AfterReject;

use super::{At, Compare, Entry, Gate, Held, Lanes, Place, Queue, QueueId};

impl Lanes {
    /// The next delivery that may be sent, now marked as out.
    pub fn next(&mut self, queue: QueueId) -> Option<Entry> {
        let state = self.queues.get_mut(&queue)?;
        match &mut state.gate {
            Gate::Open => {}
            Gate::Suspended { .. } | Gate::Paused => return None,
        }
        Self::take(state, &mut self.entries)
    }

    /// The delivery to probe a suspended queue with; `None` if a probe is out or nothing is ready.
    pub fn probe(&mut self, queue: QueueId) -> Option<Entry> {
        let state = self.queues.get_mut(&queue)?;
        match &mut state.gate {
            Gate::Suspended { probing } if !*probing && state.out == 0 => {
                let entry = Self::take(state, &mut self.entries)?;
                state.gate = Gate::Suspended { probing: true };
                Some(entry)
            }
            Gate::Suspended { .. } | Gate::Open | Gate::Paused => None,
        }
    }

    fn take(state: &mut Queue, entries: &mut HashMap<At, Held>) -> Option<Entry> {
        let (_, place, ordinal) = state.ready.pop_first()?;
        let held = entries.get_mut(&(place, ordinal))?;
        held.out = true;
        held.entry.attempts += 1;
        state.out += 1;
        Some(Entry {
            body: held.entry.body.take(),
            ..held.entry.clone()
        })
    }

    /// The peer has it.
    pub fn delivered(&mut self, place: impl Into<Place>, ordinal: u32) {
        let place = place.into();
        if let Some(queue) = self.back((place, ordinal)) {
            self.open_after_probe(queue);
        }
        self.finish((place, ordinal));
    }

    /// The peer is away: the delivery is first again, and the queue is suspended.
    pub fn retry(&mut self, place: impl Into<Place>, ordinal: u32) {
        let place = place.into();
        if let Some(queue) = self.back((place, ordinal)) {
            if let Some(state) = self.queues.get_mut(&queue)
                && state.gate != Gate::Paused
            {
                state.gate = Gate::Suspended { probing: false };
            }
            self.make_ready((place, ordinal));
        }
    }

    /// The peer is at fault: the delivery is first again, and the queue waits for a person.
    pub fn halt(&mut self, place: impl Into<Place>, ordinal: u32) {
        let place = place.into();
        if let Some(queue) = self.back((place, ordinal)) {
            self.pause(queue);
            self.make_ready((place, ordinal));
        }
    }

    /// The attempt was given up without an outcome (a stop): the delivery is first again.
    pub fn abandoned(&mut self, place: impl Into<Place>, ordinal: u32) {
        let place = place.into();
        if self.back((place, ordinal)).is_some() {
            self.make_ready((place, ordinal));
        }
    }

    /// The message is at fault and is a dead letter now; what follows of its keys does as its
    /// plan says.
    pub fn rejected(&mut self, place: impl Into<Place>, ordinal: u32, after: AfterReject) {
        let at = (place.into(), ordinal);
        let Some(queue) = self.back(at) else { return };
        self.open_after_probe(queue);
        match after {
            AfterReject::HoldKey => {
                if let Some(held) = self.entries.get_mut(&at) {
                    held.entry.holds_keys = true;
                }
                if let Some(state) = self.queues.get_mut(&queue) {
                    state.held += 1;
                }
            }
            AfterReject::HoldDestination => {
                self.pause(queue);
                self.finish(at);
            }
            AfterReject::Continue => self.finish(at),
        }
    }

    /// A dead letter that held its keys was dealt with: its successors go on.
    pub fn release(&mut self, place: impl Into<Place>, ordinal: u32) {
        let at = (place.into(), ordinal);
        if self
            .entries
            .get(&at)
            .is_some_and(|held| held.entry.holds_keys)
        {
            self.finish(at);
        }
    }

    /// It is being sent.
    #[must_use]
    pub fn is_out(&self, place: impl Into<Place>, ordinal: u32) -> bool {
        let held = self.entries.get(&(place.into(), ordinal));
        held.is_some_and(|held| held.out)
    }

    /// It holds its keys.
    #[must_use]
    pub fn is_holding(&self, place: impl Into<Place>, ordinal: u32) -> bool {
        let held = self.entries.get(&(place.into(), ordinal));
        held.is_some_and(|held| held.entry.holds_keys)
    }

    /// A dead letter is to be sent again, at its old place.
    pub fn requeue(&mut self, queue: QueueId, entry: Entry) {
        let at = (entry.place, entry.id.ordinal);
        let later = self.queues.get(&queue).is_some_and(|state| {
            state
                .unloaded_from
                .is_some_and(|from| entry.sequence >= from)
        });
        match self.entries.get_mut(&at) {
            Some(held) if held.entry.holds_keys => {
                held.entry.holds_keys = false;
                held.entry.compare = entry.compare;
                if entry.compare == Compare::IfBehindHold && self.waits.covers(&held.entry) {
                    held.entry.compare = Compare::Due;
                }
                if let Some(state) = self.queues.get_mut(&queue) {
                    state.held -= 1;
                }
                if self
                    .entries
                    .get(&at)
                    .is_some_and(|held| held.blocked_by == 0)
                {
                    self.make_ready(at);
                }
            }
            Some(_) => {}
            // It will be read with the rest of the queue.
            None if later => {
                self.left.add(&entry.keys);
                if let Some(state) = self.queues.get_mut(&queue) {
                    state.passed.remove(&(entry.sequence, entry.id.ordinal));
                    state.requeued += 1;
                    state.left = state.left.max(entry.sequence);
                }
            }
            None => {
                self.insert(queue, entry, false);
            }
        }
    }

    /// A person paused the queue.
    pub fn pause(&mut self, queue: QueueId) {
        if let Some(state) = self.queues.get_mut(&queue) {
            state.gate = Gate::Paused;
        }
    }

    /// A person resumed the queue, or its suspension is over.
    pub fn resume(&mut self, queue: QueueId) {
        if let Some(state) = self.queues.get_mut(&queue) {
            state.gate = Gate::Open;
        }
    }

    /// Takes an attempt back in; gives its queue.
    fn back(&mut self, at: At) -> Option<QueueId> {
        let held = self.entries.get_mut(&at).filter(|held| held.out)?;
        held.out = false;
        let state = self.queues.get_mut(&held.queue)?;
        state.out -= 1;
        Some(held.queue)
    }

    fn open_after_probe(&mut self, queue: QueueId) {
        if let Some(state) = self.queues.get_mut(&queue)
            && matches!(state.gate, Gate::Suspended { .. })
        {
            state.gate = Gate::Open;
        }
    }
}
