//! The threads on which messages are processed.
//!
//! Steps are pure work and may be long, so they never run on the I/O runtime. Each channel has a
//! line of its own and the threads take from the lines in turn: a channel that sends flat out has
//! the share of one channel.
//!
//! The lines are bounded by the caller, which lets a message in only when there is room for it in
//! flight.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hilum_component::Meter;

/// A piece of work.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Threads that share their time fairly between channels.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    work: Condvar,
}

#[derive(Default)]
struct Lines {
    of: HashMap<u32, VecDeque<Job>>,
    turn: VecDeque<u32>,
    /// Threads that wait and that nobody has woken yet. Waking costs a system call, which is not
    /// paid while all threads are at work.
    asleep: usize,
    stopped: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        // A job that panicked did so outside the lock; the lines are whole.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut lines = self.lock();
        loop {
            if let Some(channel) = lines.turn.pop_front() {
                let job = lines.of.get_mut(&channel).and_then(VecDeque::pop_front);
                if lines.of.get(&channel).is_some_and(VecDeque::is_empty) {
                    lines.of.remove(&channel);
                } else {
                    lines.turn.push_back(channel);
                }
                drop(lines);
                if let Some(job) = job {
                    job();
                }
                lines = self.lock();
            } else if lines.stopped {
                return;
            } else {
                lines.asleep += 1;
                lines = self
                    .work
                    .wait(lines)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Pool {
    /// Starts `threads` threads.
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let threads = (0..threads.max(1))
            .map(|n| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("hilum-process-{n}"))
                    .spawn(move || shared.run())
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { shared, threads })
    }

    /// Enters the line of a channel.
    pub(crate) fn submit(&self, channel: u32, job: Job) {
        let mut lines = self.shared.lock();
        let line = lines.of.entry(channel).or_default();
        line.push_back(job);
        if line.len() == 1 {
            lines.turn.push_back(channel);
        }
        let wake = lines.asleep > 0;
        lines.asleep -= usize::from(wake);
        drop(lines);
        if wake {
            self.shared.work.notify_one();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.work.notify_all();
        let own = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // The last of the engine may be dropped by a job; a thread cannot wait for itself.
            if thread.thread().id() != own {
                // A thread that panicked has reported it already.
                drop(thread.join());
            }
        }
    }
}

/// What a message may take longer for each megabyte: steps look through large documents.
const MS_PER_MB: u64 = 10;

/// The time that the steps of one message may take.
#[derive(Debug)]
pub(crate) struct Budget {
    started: Instant,
    limit: Duration,
}

impl Budget {
    /// `base` plus [`MS_PER_MB`] for each megabyte, from now.
    #[expect(
        clippy::disallowed_methods,
        reason = "measures real work, which a paused clock cannot"
    )]
    pub(crate) fn start(base: Duration, bytes: u64) -> Self {
        Self {
            started: Instant::now(),
            limit: base + Duration::from_millis(bytes.saturating_mul(MS_PER_MB) / 1_000_000),
        }
    }
}

impl Meter for Budget {
    fn exhausted(&self) -> bool {
        self.started.elapsed() > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn a_busy_channel_does_not_hold_up_another() {
        let pool = Pool::start(1).unwrap();
        let (gate, opened) = sync_channel::<()>(0);
        let (done, order) = sync_channel(100);
        pool.submit(9, Box::new(move || opened.recv().unwrap()));
        for n in 0..20 {
            let done = done.clone();
            pool.submit(1, Box::new(move || done.send((1, n)).unwrap()));
        }
        pool.submit(2, Box::new(move || done.send((2, 0)).unwrap()));
        gate.send(()).unwrap();
        let order: Vec<_> = order.iter().collect();
        let place = order.iter().position(|&(channel, _)| channel == 2).unwrap();
        assert!(place <= 1, "second channel was served at place {place}");
        let own: Vec<_> = order
            .iter()
            .filter(|(channel, _)| *channel == 1)
            .map(|(_, n)| *n)
            .collect();
        assert!(own.is_sorted(), "a channel's own work stays in order");
    }
}
