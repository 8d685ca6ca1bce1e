//! What waits for the writer: lanes taken from by weighted round robin, and work without urgency.
//!
//! A lane has an order, lanes among each other have none beyond their weights, so none can starve
//! another. Background work (settlements) rides in the groups that lanes cause; alone it waits at
//! most a linger time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Limits of a queue and of the groups taken from it.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Operations of all lanes together.
    pub ops_max: usize,
    /// Bytes of all lanes together.
    pub bytes_max: usize,
    /// Operations of one lane, so that one cannot take the whole queue.
    pub lane_ops_max: usize,
    /// Bytes of one lane; an operation larger than that passes when its lane is empty.
    pub lane_bytes_max: usize,
    /// Operations of the background.
    pub background_max: usize,
    /// Background operations that are worth a group of their own.
    pub background_eager: usize,
    /// How long a background operation waits for company.
    pub linger: Duration,
    /// How long nothing has to be done until the writer uses the time to empty its log.
    pub idle_after: Duration,
    /// Operations of one group.
    pub group_ops_max: usize,
    /// Bytes of one group.
    pub group_bytes_max: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            ops_max: 4096,
            bytes_max: 16 << 20,
            lane_ops_max: 2048,
            lane_bytes_max: 8 << 20,
            background_max: 8192,
            background_eager: 256,
            linger: Duration::from_millis(20),
            idle_after: Duration::from_secs(1),
            group_ops_max: 512,
            group_bytes_max: 4 << 20,
        }
    }
}

/// Why an operation was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The queue or its lane is full: stop reading, try again later.
    QueueFull,
    /// The queue takes no more.
    Closed,
}

struct Lane<Op> {
    ops: VecDeque<(Op, usize)>,
    bytes: usize,
    weight: usize,
    /// In the round of lanes that have something.
    listed: bool,
}

struct State<Op> {
    lanes: HashMap<u32, Lane<Op>>,
    round: VecDeque<u32>,
    ops: usize,
    bytes: usize,
    background: VecDeque<Op>,
    /// Background work should not wait for company.
    hurry: bool,
    lanes_closed: bool,
    closed: bool,
    /// A group with operations of lanes is being written.
    writing_lanes: bool,
    /// The writer waits for work and nobody has woken it yet. Waking costs a system call, which
    /// whoever hands in work while a group is written should not pay.
    asleep: bool,
    /// Nothing was done since the writer was told that it is idle.
    idle_told: bool,
}

/// The queue of one writer.
pub(super) struct Queue<Op> {
    state: Mutex<State<Op>>,
    wake: Condvar,
    idle: Condvar,
    limits: QueueLimits,
}

/// What the writer is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<Op> {
    /// Write these in one group.
    Group(Vec<Op>),
    /// Nothing for a while: told once after a group.
    Idle,
    /// Closed and empty.
    End,
}

impl<Op> Queue<Op> {
    pub(super) fn new(limits: QueueLimits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                lanes: HashMap::new(),
                round: VecDeque::new(),
                ops: 0,
                bytes: 0,
                background: VecDeque::new(),
                hurry: false,
                lanes_closed: false,
                closed: false,
                writing_lanes: false,
                asleep: false,
                idle_told: true,
            }),
            wake: Condvar::new(),
            idle: Condvar::new(),
            limits,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<Op>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a change of the state, and the writer's sleep if the change is `news` to it.
    fn done(&self, mut state: MutexGuard<'_, State<Op>>, news: bool) {
        let wake = news && std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    pub(super) fn push(
        &self,
        lane: u32,
        weight: usize,
        bytes: usize,
        op: Op,
    ) -> Result<(), (Op, Refusal)> {
        let limits = &self.limits;
        let mut state = self.lock();
        if state.lanes_closed || state.closed {
            return Err((op, Refusal::Closed));
        }
        let total_bytes = state.bytes + bytes;
        let full = state.ops >= limits.ops_max || (state.ops > 0 && total_bytes > limits.bytes_max);
        let State { lanes, round, .. } = &mut *state;
        let entry = lanes.entry(lane).or_insert_with(|| Lane {
            ops: VecDeque::new(),
            bytes: 0,
            weight: 1,
            listed: false,
        });
        let lane_full = entry.ops.len() >= limits.lane_ops_max
            || (!entry.ops.is_empty() && entry.bytes + bytes > limits.lane_bytes_max);
        if full || lane_full {
            return Err((op, Refusal::QueueFull));
        }
        entry.weight = weight.max(1);
        entry.bytes += bytes;
        entry.ops.push_back((op, bytes));
        if !entry.listed {
            entry.listed = true;
            round.push_back(lane);
        }
        state.ops += 1;
        state.bytes = total_bytes;
        self.done(state, true);
        Ok(())
    }

    pub(super) fn push_background(&self, op: Op) -> Result<(), (Op, Refusal)> {
        let mut state = self.lock();
        if state.closed {
            return Err((op, Refusal::Closed));
        }
        if state.background.len() >= self.limits.background_max {
            state.hurry = true;
            self.done(state, true);
            return Err((op, Refusal::QueueFull));
        }
        state.background.push_back(op);
        let count = state.background.len();
        // The first one starts the linger, the eager one ends it; the others only join.
        self.done(state, count == 1 || count == self.limits.background_eager);
        Ok(())
    }

    /// As [`Queue::push_background`], at once and above the limit: for work that ends other work.
    pub(super) fn push_urgent(&self, op: Op) -> Result<(), (Op, Refusal)> {
        let mut state = self.lock();
        if state.closed {
            return Err((op, Refusal::Closed));
        }
        state.background.push_back(op);
        state.hurry = true;
        self.done(state, true);
        Ok(())
    }

    pub(super) fn hurry(&self) {
        let mut state = self.lock();
        state.hurry = true;
        self.done(state, true);
    }

    /// Waits for work. Ends the group before.
    pub(super) fn take(&self) -> Next<Op> {
        let limits = &self.limits;
        let mut state = self.lock();
        state.writing_lanes = false;
        if state.ops == 0 {
            self.idle.notify_all();
        }
        let mut lingered = false;
        loop {
            let eager = state.background.len() >= limits.background_eager;
            let waiting = !state.background.is_empty();
            if state.ops > 0 || (waiting && (eager || lingered || state.hurry || state.closed)) {
                break;
            }
            if state.closed {
                return Next::End;
            }
            state.hurry = false;
            state.asleep = true;
            if waiting || !state.idle_told {
                let at_most = if waiting {
                    limits.linger
                } else {
                    limits.idle_after
                };
                let (next, timeout) = self
                    .wake
                    .wait_timeout(state, at_most)
                    .unwrap_or_else(PoisonError::into_inner);
                state = next;
                let over = timeout.timed_out();
                lingered = over && waiting;
                if over && !waiting && state.ops == 0 && state.background.is_empty() {
                    state.idle_told = true;
                    return Next::Idle;
                }
            } else {
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
        state.asleep = false;
        let mut ops = Vec::with_capacity(limits.group_ops_max.min(state.ops + 64));
        let background = state.background.len().min(limits.group_ops_max);
        ops.extend(state.background.drain(..background));
        if state.background.is_empty() {
            state.hurry = false;
        }
        let of_lanes = take_round(&mut state, limits, &mut ops);
        state.writing_lanes = of_lanes > 0;
        state.idle_told = false;
        Next::Group(ops)
    }

    /// No more operations of lanes; what waits is still written.
    pub(super) fn close_lanes(&self) {
        self.lock().lanes_closed = true;
        self.wake.notify_all();
    }

    /// Blocks until every operation of a lane that was taken in has been written or has failed.
    pub(super) fn wait_lanes_idle(&self) {
        let mut state = self.lock();
        while state.ops > 0 || state.writing_lanes {
            state = self
                .idle
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes no more; [`Queue::take`] hands out what is left and then ends.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.lanes_closed = true;
        state.closed = true;
        drop(state);
        self.wake.notify_all();
    }

    /// The writer is gone: nobody will write what is left.
    pub(super) fn abandon(&self) -> Vec<Op> {
        let mut state = self.lock();
        state.lanes_closed = true;
        state.closed = true;
        state.writing_lanes = false;
        state.ops = 0;
        state.bytes = 0;
        let mut left: Vec<Op> = state.background.drain(..).collect();
        for lane in state.lanes.values_mut() {
            left.extend(lane.ops.drain(..).map(|(op, _)| op));
        }
        drop(state);
        self.idle.notify_all();
        left
    }

    /// Operations and bytes waiting in lanes.
    pub(super) fn depth(&self) -> (usize, usize) {
        let state = self.lock();
        (state.ops, state.bytes)
    }
}

fn take_round<Op>(state: &mut State<Op>, limits: &QueueLimits, ops: &mut Vec<Op>) -> usize {
    let (mut count, mut bytes) = (0, 0);
    while count < limits.group_ops_max && (count == 0 || bytes < limits.group_bytes_max) {
        let Some(number) = state.round.pop_front() else {
            break;
        };
        let Some(lane) = state.lanes.get_mut(&number) else {
            continue;
        };
        for _ in 0..lane.weight {
            if count >= limits.group_ops_max || (count > 0 && bytes >= limits.group_bytes_max) {
                break;
            }
            let Some((op, size)) = lane.ops.pop_front() else {
                break;
            };
            lane.bytes -= size;
            state.ops -= 1;
            state.bytes -= size;
            count += 1;
            bytes += size;
            ops.push(op);
        }
        if lane.ops.is_empty() {
            lane.listed = false;
        } else {
            state.round.push_back(number);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> QueueLimits {
        QueueLimits {
            ops_max: 8,
            bytes_max: 1000,
            lane_ops_max: 6,
            lane_bytes_max: 500,
            background_max: 4,
            group_ops_max: 4,
            group_bytes_max: 100,
            ..QueueLimits::default()
        }
    }

    fn group<Op>(queue: &Queue<Op>) -> Vec<Op> {
        match queue.take() {
            Next::Group(ops) => ops,
            Next::Idle | Next::End => Vec::new(),
        }
    }

    #[test]
    fn lanes_share_a_group_by_weight_and_keep_their_own_order() {
        let queue = Queue::new(limits());
        for n in 0..5 {
            queue.push(1, 1, 1, ("loud", n)).unwrap();
        }
        queue.push(2, 2, 1, ("quiet", 0)).unwrap();
        queue.push(2, 2, 1, ("quiet", 1)).unwrap();
        let first = group(&queue);
        let expected = [("loud", 0), ("quiet", 0), ("quiet", 1), ("loud", 1)];
        assert_eq!(first, expected);
        assert_eq!(group(&queue).len(), 3);
    }

    #[test]
    fn a_writer_with_nothing_to_do_is_told_so_once() {
        let queue = Queue::new(QueueLimits {
            idle_after: Duration::from_millis(5),
            ..limits()
        });
        queue.push(1, 1, 1, 1).unwrap();
        assert_eq!(queue.take(), Next::Group(vec![1]));
        assert_eq!(queue.take(), Next::Idle);
        queue.close();
        assert_eq!(queue.take(), Next::End);
    }

    #[test]
    fn what_is_just_over_a_limit_is_refused_and_one_large_op_passes_alone() {
        let queue = Queue::new(limits());
        for n in 0..6 {
            queue.push(1, 1, 1, n).unwrap();
        }
        assert_eq!(queue.push(1, 1, 1, 6), Err((6, Refusal::QueueFull)));
        queue.push(2, 1, 1, 7).unwrap();
        queue.push(2, 1, 1, 8).unwrap();
        assert_eq!(queue.push(3, 1, 1, 9), Err((9, Refusal::QueueFull)));
        while queue.depth().0 > 0 {
            assert!(!group(&queue).is_empty());
        }
        queue.push(1, 1, 5000, 10).unwrap();
        assert_eq!(queue.push(1, 1, 1, 11), Err((11, Refusal::QueueFull)));
        assert_eq!(group(&queue), [10]);
        for n in 0..4 {
            queue.push_background(n).unwrap();
        }
        assert_eq!(queue.push_background(4), Err((4, Refusal::QueueFull)));
        queue.close();
        assert_eq!(queue.push(1, 1, 1, 12), Err((12, Refusal::Closed)));
        assert_eq!(group(&queue), [0, 1, 2, 3]);
        assert_eq!(queue.take(), Next::End);
    }
}
