//! Order: which delivery may be sent next, and which has to wait for which.
//!
//! One [`Lanes`] serves all queues (channel and destination) that deliver to one system, so that
//! one patient's messages stay in order across the channels that share an order domain. Each key
//! is a line of deliveries in commit order; a delivery stands in the line of each of its keys and
//! may be sent when it is first in all of them. Deliveries without a common key never wait for
//! each other.
//!
//! This is a pure state machine: no clock, no I/O, no runtime. The driver feeds it what the
//! journal committed and what became of each attempt.
//!
//! Invariants:
//! - of the deliveries that share a key at most one is out at a time, in commit order;
//! - a higher priority passes deliveries of other keys, never of its own;
//! - what has a priority passes even a backlog that lies in the journal, while it is known that
//!   nothing of its keys lies there: not while a backlog from before the start is read;
//! - a queue holds at most [`WINDOW`] deliveries in memory (those behind a held key, and those
//!   that keep the earlier place of a held message, aside); the rest stays in the journal, and
//!   nothing else of the same system overtakes what was not loaded.

mod entry;
mod left;
mod line;
mod sending;
#[cfg(test)]
mod tests;
mod waits;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use hilum_message::OrderKey;

use entry::At;
pub use entry::{Body, Compare, Entry, Place, QueueId};
use left::Left;
use line::Lines;
use waits::Waits;

/// Deliveries that a queue keeps in memory.
pub const WINDOW: usize = 4_096;

/// Deliveries behind held keys that a queue keeps in memory; beyond, the queue waits for a person.
pub const HELD_MAX: usize = 65_536;

/// Deliveries with a priority that may pass a backlog in the journal before it is read up to them.
pub const PASSING_MAX: usize = 4_096;

/// What a queue does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Sends what is ready.
    Open,
    /// The peer is away; one probe goes out when its time has come.
    Suspended {
        /// The probe is out.
        probing: bool,
    },
    /// A person, or a peer at fault, has paused it.
    Paused,
}

#[derive(Debug)]
struct Queue {
    ready: BTreeSet<(Reverse<i16>, Place, u32)>,
    gate: Gate,
    waiting: usize,
    held: usize,
    out: usize,
    /// The sequence from which on deliveries are only in the journal.
    unloaded_from: Option<u64>,
    /// The last sequence that was ever loaded or pushed.
    seen: u64,
    /// The last sequence that was committed but left in the journal.
    left: u64,
    /// How many dead letters were left in the journal to be sent again.
    requeued: u64,
    /// Nobody noted the keys of what is only in the journal: it was there before the start.
    unknown: bool,
    /// Commit sequence and ordinal of deliveries that were taken before the journal was read up to
    /// them: with a priority, or with an earlier place.
    passed: BTreeSet<(u64, u32)>,
}

/// A look into the journal, and what was known to lie there when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The commit sequence after which to read.
    pub after: u64,
    left: u64,
    requeued: u64,
}

/// The deliveries of one system and who waits for whom.
#[derive(Debug, Default)]
pub struct Lanes {
    queues: HashMap<QueueId, Queue>,
    entries: HashMap<At, Held>,
    lines: Lines,
    /// The keys of what is only in the journal.
    left: Left,
    /// The holds of messages.
    waits: Waits,
}

#[derive(Debug)]
struct Held {
    queue: QueueId,
    entry: Entry,
    /// The number of keys in whose line another stands before it.
    blocked_by: usize,
    out: bool,
    /// Nothing of its keys lies in the journal before it.
    passes: bool,
}

impl Lanes {
    /// Adds a queue; what it has in the journal follows by [`Lanes::load`].
    pub fn add_queue(&mut self, queue: QueueId) {
        self.queues.entry(queue).or_insert(Queue {
            ready: BTreeSet::new(),
            gate: Gate::Open,
            waiting: 0,
            held: 0,
            out: 0,
            unloaded_from: None,
            seen: 0,
            left: 0,
            requeued: 0,
            unknown: false,
            passed: BTreeSet::new(),
        });
    }

    /// Forgets a queue and all it has in memory.
    pub fn remove_queue(&mut self, queue: QueueId) {
        let gone: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, held)| held.queue == queue)
            .map(|(&at, _)| at)
            .collect();
        for at in gone {
            // A held message begins anew where its queue is put back.
            self.waits.ends(at.0, None);
            self.finish(at);
        }
        self.queues.remove(&queue);
    }

    /// Takes what the journal has just committed. Returns whether it was kept in memory; beyond
    /// the window it is only noted that there is more.
    pub fn push(&mut self, queue: QueueId, entry: Entry) -> bool {
        let passes = self.passes(&entry);
        let Some(state) = self.queues.get_mut(&queue) else {
            return false;
        };
        if entry.place.is_kept() {
            return self.insert(queue, entry, false);
        }
        let full = state.waiting - state.held >= WINDOW || state.waiting >= WINDOW + HELD_MAX;
        if state.unloaded_from.is_none() && !full {
            // Nothing before it is read from the journal again.
            state.passed.clear();
            return self.insert(queue, entry, passes);
        }
        if passes && state.passed.len() < PASSING_MAX {
            state.passed.insert((entry.sequence, entry.id.ordinal));
            let entry = Entry {
                body: None,
                ..entry
            };
            return self.insert(queue, entry, true);
        }
        state.left = state.left.max(entry.sequence);
        state.unloaded_from.get_or_insert(entry.sequence);
        self.left.add(&entry.keys);
        false
    }

    /// It may pass what lies in the journal, as nothing of its keys does.
    fn passes(&self, entry: &Entry) -> bool {
        let unknown = |state: &Queue| state.unknown && state.unloaded_from.is_some();
        entry.priority > 0
            && !entry.place.is_kept()
            && !self.queues.values().any(unknown)
            && !self.left.may_hold(&entry.keys)
    }

    /// Adds a held message, which holds its keys until [`Lanes::hold_is_over`].
    pub fn hold_message(&mut self, queue: QueueId, entry: Entry) {
        self.waits.begins(entry.place, &entry.keys);
        self.insert(queue, entry, false);
    }

    /// A held message has gone on by this commit, or has ended: what waits behind it goes on.
    pub fn hold_is_over(&mut self, place: Place, ordinal: u32, went_on: Option<u64>) {
        self.waits.ends(place, went_on);
        self.release(place, ordinal);
        self.waits.known_to(self.barrier());
    }

    /// A message was held until this commit, before the start: what came meanwhile is to be loaded.
    pub fn was_held(&mut self, place: Place, until: u64, keys: &[OrderKey]) {
        self.waits.was(place, until, keys);
    }

    /// Adds what holds its keys from before the start, whatever else is loaded.
    pub fn hold(&mut self, queue: QueueId, entry: Entry) {
        self.insert(queue, entry, false);
    }

    /// Adds a delivery from before the start that keeps an earlier place, before any others are
    /// loaded: those behind it may be loaded first.
    pub fn keep_place(&mut self, queue: QueueId, entry: Entry) {
        self.insert(queue, entry, false);
    }

    /// Notes that the journal has deliveries of the queue that were not handed over.
    pub fn unloaded(&mut self, queue: QueueId) {
        if let Some(state) = self.queues.get_mut(&queue) {
            state.unloaded_from = Some(0);
            state.unknown = true;
        }
    }

    /// Takes deliveries that were read from the journal, in commit order; `more` says that there
    /// are further ones. Returns whether that let deliveries of other queues of the system go on.
    pub fn load(
        &mut self,
        queue: QueueId,
        reading: Reading,
        entries: Vec<Entry>,
        more: bool,
    ) -> bool {
        let before = self.barrier();
        let Some(state) = self.queues.get(&queue) else {
            return false;
        };
        if state.requeued != reading.requeued {
            // It may be one of those that the reading has passed: read again.
            return false;
        }
        let mut last = state.seen;
        for entry in entries {
            last = last.max(entry.sequence);
            // What passed and has ended may not be settled in the journal yet.
            let passed = self
                .queues
                .get(&queue)
                .is_some_and(|state| state.passed.contains(&(entry.sequence, entry.id.ordinal)));
            if !passed {
                self.insert(queue, entry, false);
            }
        }
        if let Some(state) = self.queues.get_mut(&queue) {
            state.seen = state.seen.max(last);
            state.passed = state.passed.split_off(&(last + 1, 0));
            // What was committed after the journal was read is there to be read again.
            let left = state.left > last && state.left > reading.left;
            state.unloaded_from = (more || left).then_some(last + 1);
            state.unknown &= state.unloaded_from.is_some();
        }
        if self.barrier() == u64::MAX {
            self.left.clear();
        }
        self.waits.known_to(self.barrier());
        self.release_behind(before);
        self.barrier() > before
    }

    /// There is more in the journal and room for it: what to read.
    #[must_use]
    pub fn wants_load(&self, queue: QueueId) -> Option<Reading> {
        let state = self.queues.get(&queue)?;
        let room = state.waiting - state.held <= WINDOW / 2 && state.waiting < HELD_MAX;
        (state.unloaded_from.is_some() && room).then_some(Reading {
            after: state.seen,
            left: state.left,
            requeued: state.requeued,
        })
    }

    fn insert(&mut self, queue: QueueId, mut entry: Entry, passes: bool) -> bool {
        let at = (entry.place, entry.id.ordinal);
        self.ask(&mut entry);
        let Some(state) = self.queues.get_mut(&queue) else {
            return false;
        };
        if self.entries.contains_key(&at) {
            return true;
        }
        // What lies before it in the journal is still to be read.
        let skips = (passes || entry.place.is_kept()) && state.unloaded_from.is_some();
        if !entry.holds_keys && !skips {
            state.seen = state.seen.max(entry.sequence);
        }
        state.waiting += 1;
        if entry.holds_keys {
            state.held += 1;
        }
        let (blocked_by, displaced) = self.lines.enter(&entry.keys, at);
        self.entries.insert(
            at,
            Held {
                queue,
                entry,
                blocked_by,
                out: false,
                passes,
            },
        );
        for later in displaced {
            self.block(later);
        }
        if blocked_by == 0 {
            self.make_ready(at);
        }
        true
    }

    /// Notes that an entry is to be compared, if it came while a message of its keys was held.
    fn ask(&self, entry: &mut Entry) {
        let open = entry.compare == Compare::IfBehindHold && !entry.holds_keys;
        if open && self.waits.covers(entry) {
            entry.compare = Compare::Due;
        }
    }

    /// An earlier delivery of one of its keys was loaded: it is no longer first.
    fn block(&mut self, at: At) {
        let Some(held) = self.entries.get_mut(&at) else {
            return;
        };
        held.blocked_by += 1;
        if let Some(state) = self.queues.get_mut(&held.queue) {
            state
                .ready
                .remove(&(Reverse(held.entry.priority), at.0, at.1));
        }
    }

    fn make_ready(&mut self, at: At) {
        let barrier = self.barrier();
        let Some(held) = self.entries.get(&at) else {
            return;
        };
        let behind = held.entry.place.of >= barrier && !held.passes;
        if held.entry.holds_keys || held.out || behind {
            return;
        }
        if let Some(state) = self.queues.get_mut(&held.queue) {
            state
                .ready
                .insert((Reverse(held.entry.priority), at.0, at.1));
        }
    }

    /// Nothing at or after this sequence may be sent: an earlier one may still lie in the journal.
    fn barrier(&self) -> u64 {
        self.queues
            .values()
            .filter_map(|state| state.unloaded_from)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// The barrier moved: what it held back may be ready now.
    fn release_behind(&mut self, before: u64) {
        let barrier = self.barrier();
        if barrier <= before {
            return;
        }
        let ready: Vec<_> = self
            .entries
            .iter()
            .filter(|(at, held)| held.blocked_by == 0 && at.0.of >= before && at.0.of < barrier)
            .map(|(&at, _)| at)
            .collect();
        for at in ready {
            self.make_ready(at);
        }
    }

    /// What the queue does at the moment.
    #[must_use]
    pub fn gate(&self, queue: QueueId) -> Option<Gate> {
        self.queues.get(&queue).map(|state| state.gate)
    }

    /// When the message of the first delivery in memory arrived, Unix milliseconds.
    #[must_use]
    pub fn oldest_ms(&self, queue: QueueId) -> Option<u64> {
        let own = self
            .entries
            .values()
            .filter(|held| held.queue == queue && !held.entry.holds_keys);
        own.map(|held| held.entry.arrived_ms).min()
    }

    /// How many deliveries of the queue are in memory.
    #[must_use]
    pub fn in_memory(&self, queue: QueueId) -> usize {
        self.queues.get(&queue).map_or(0, |state| state.waiting)
    }

    /// How many attempts of the queue are out.
    #[must_use]
    pub fn out(&self, queue: QueueId) -> usize {
        self.queues.get(&queue).map_or(0, |state| state.out)
    }

    /// Something of the queue could be sent if its gate were open.
    #[must_use]
    pub fn has_ready(&self, queue: QueueId) -> bool {
        self.queues
            .get(&queue)
            .is_some_and(|state| !state.ready.is_empty())
    }

    /// How many deliveries of the queue stand behind dead letters that hold their keys, and how
    /// many of them are such dead letters.
    #[must_use]
    pub fn held(&self, queue: QueueId) -> (usize, usize) {
        let behind = self
            .entries
            .iter()
            .filter(|(at, held)| {
                held.queue == queue && !held.entry.holds_keys && self.behind_hold(at, &held.entry)
            })
            .count();
        (
            behind,
            self.queues.get(&queue).map_or(0, |state| state.held),
        )
    }

    /// Nothing of the queue is out or can be sent, and nothing more of it is to be read from the
    /// journal.
    #[must_use]
    pub fn is_still(&self, queue: QueueId) -> bool {
        self.queues.get(&queue).is_none_or(|state| {
            let waits = state.gate == Gate::Paused
                || (state.ready.is_empty() && state.unloaded_from.is_none());
            state.out == 0 && waits
        })
    }

    fn behind_hold(&self, at: &At, entry: &Entry) -> bool {
        entry.keys.iter().any(|key| {
            let first = self.lines.first(*key);
            first.is_some_and(|first| {
                first != *at
                    && self
                        .entries
                        .get(&first)
                        .is_some_and(|held| held.entry.holds_keys)
            })
        })
    }

    /// A delivery is done: those behind it move up.
    fn finish(&mut self, at: At) {
        let Some(held) = self.entries.remove(&at) else {
            return;
        };
        if let Some(state) = self.queues.get_mut(&held.queue) {
            state
                .ready
                .remove(&(Reverse(held.entry.priority), at.0, at.1));
            state.waiting -= 1;
            if held.entry.holds_keys {
                state.held -= 1;
            }
            if at.0.is_kept() && state.unloaded_from.is_some() {
                state.passed.insert((at.0.sequence, at.1));
            }
        }
        for next in self.lines.leave(&held.entry.keys, at) {
            let Some(waiting) = self.entries.get_mut(&next) else {
                continue;
            };
            waiting.blocked_by -= 1;
            if waiting.blocked_by == 0 {
                self.make_ready(next);
            }
        }
    }
}
