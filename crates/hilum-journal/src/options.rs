//! How a journal is opened: its place, its clock and its limits.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use hilum_db::{Files, RealFiles, Synchronous};

/// Says what time it is, in Unix milliseconds.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// A clock of the caller: the system's in production, a paused one in tests.
    pub fn new(now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// The system's clock.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the journal's clock may be the system's"
    )]
    pub fn system() -> Self {
        Self::new(|| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            })
        })
    }

    /// Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Says how many bytes are free where the journal lies.
#[derive(Clone)]
pub struct FreeSpace(Arc<Ask>);

type Ask = dyn Fn(&Path) -> io::Result<u64> + Send + Sync;

impl FreeSpace {
    /// Asks the caller: a scripted disk in tests.
    pub fn new(free: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(free))
    }

    /// Asks the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self::new(hilum_db::free_bytes)
    }

    /// Bytes that are free at a folder.
    ///
    /// # Errors
    /// As the file system says.
    pub fn bytes(&self, folder: &Path) -> io::Result<u64> {
        (self.0)(folder)
    }
}

impl fmt::Debug for FreeSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreeSpace")
    }
}

/// Every limit of a journal, with its default.
#[derive(Clone, Debug)]
pub struct JournalLimits {
    /// Messages in acceptance, all channels together (`in-flight-max`).
    pub in_flight_max: usize,
    /// Their bytes.
    pub in_flight_bytes_max: usize,
    /// Settlements that wait for a group.
    pub settlements_max: usize,
    /// How long a settlement waits for an acceptance to ride with.
    pub settle_linger: Duration,
    /// The same for files that are not the open one.
    pub settle_linger_old: Duration,
    /// Bytes from which on a partition is rolled.
    pub partition_bytes_max: u64,
    /// Share of that, in percent, from which on the next partition is opened ahead.
    pub open_ahead_percent: u64,
    /// Age after which pending deliveries and dead letters are copied to `pinned.db`.
    pub pin_after_ms: u64,
    /// Bytes from which on content belongs into a blob.
    pub inline_bytes_max: usize,
    /// Messages of a channel after which its dictionary is trained; 0 trains none.
    pub dictionary_after: u64,
    /// Size of a dictionary.
    pub dictionary_bytes: usize,
    /// Prepared dictionaries kept in memory.
    pub dictionaries_loaded_max: usize,
    /// Changes of state that are not folded yet; beyond it messages that change state wait.
    pub unfolded_max: usize,
    /// Children committed together with their parent.
    pub children_max: usize,
    /// Age up to which resend entries are given back at start.
    pub resend_window_ms: u64,
    /// Resend entries given back at start.
    pub resend_entries_max: usize,
    /// Reading connections per file.
    pub readers_per_file: usize,
    /// Threads that read for asynchronous callers.
    pub read_threads: usize,
    /// Rows that are not indexed yet from which on an alarm is due.
    pub index_tail_alarm: u64,
    /// Pages of the log from which on it is checkpointed.
    pub checkpoint_pages: u32,
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self {
            in_flight_max: 4096,
            in_flight_bytes_max: 16 << 20,
            settlements_max: 8192,
            settle_linger: Duration::from_millis(20),
            settle_linger_old: Duration::from_millis(100),
            partition_bytes_max: 4 << 30,
            open_ahead_percent: 90,
            pin_after_ms: 7 * 24 * 3_600_000,
            inline_bytes_max: 256 * 1024,
            dictionary_after: 1000,
            dictionary_bytes: 16 * 1024,
            dictionaries_loaded_max: 64,
            unfolded_max: 200_000,
            children_max: 1000,
            resend_window_ms: 10 * 60_000,
            resend_entries_max: 100_000,
            readers_per_file: 3,
            read_threads: 2,
            index_tail_alarm: 5000,
            checkpoint_pages: 4000,
        }
    }
}

/// How to open a journal.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// The time.
    pub clock: Clock,
    /// The space that is left.
    pub free: FreeSpace,
    /// File work beside SQLite.
    pub files: Arc<dyn Files>,
    /// SQLite VFS, if not the operating system's.
    pub vfs: Option<Arc<str>>,
    /// `Off` only for the negative control of the power-cut test.
    pub synchronous: Synchronous,
    /// Limits.
    pub limits: JournalLimits,
    /// The journal's own threads roll, fold, index, pin and train; without them
    /// [`crate::Journal::maintain`] does it when called.
    pub background: Background,
}

/// Who does the journal's housekeeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// Its own threads.
    Threads,
    /// The caller, by [`crate::Journal::maintain`]: for simulations.
    Caller,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            free: FreeSpace::system(),
            files: Arc::new(RealFiles),
            vfs: None,
            synchronous: Synchronous::Full,
            limits: JournalLimits::default(),
            background: Background::Threads,
        }
    }
}
