//! Places at which a test may end the process, to see what the next start makes of it.
//!
//! Every part of the program that promises something calls [`Failpoint::reach`] there. What happens
//! then is decided by the one hook that the program installs when a test asks for it; without debug
//! assertions, as in a release, there is neither hook nor call.

#[cfg(debug_assertions)]
use std::sync::OnceLock;

/// A place in the way of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// A message is processed and not handed to the journal.
    BeforeAppend,
    /// Its commit is synced and nobody was told.
    AfterCommit,
    /// Its answer is written to the peer.
    AfterAnswer,
    /// A delivery is about to be sent.
    BeforeSend,
    /// The peer has answered, and the outcome is not recorded.
    AfterSend,
    /// The outcome is committed.
    AfterSettle,
    /// The next partition is there and not yet the open one.
    Roll,
    /// The files of a partition are removed and that is not recorded.
    Retention,
    /// A part of a blob is written.
    BlobWrite,
    /// Rows of an index are written and not committed.
    IndexWrite,
}

impl Failpoint {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::BeforeAppend,
        Self::AfterCommit,
        Self::AfterAnswer,
        Self::BeforeSend,
        Self::AfterSend,
        Self::AfterSettle,
        Self::Roll,
        Self::Retention,
        Self::BlobWrite,
        Self::IndexWrite,
    ];

    /// Its name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeAppend => "before-append",
            Self::AfterCommit => "after-commit",
            Self::AfterAnswer => "after-answer",
            Self::BeforeSend => "before-send",
            Self::AfterSend => "after-send",
            Self::AfterSettle => "after-settle",
            Self::Roll => "roll",
            Self::Retention => "retention",
            Self::BlobWrite => "blob-write",
            Self::IndexWrite => "index-write",
        }
    }

    /// Tells the hook, if a test has installed one.
    #[inline]
    pub fn reach(self) {
        #[cfg(debug_assertions)]
        if let Some(hook) = HOOK.get() {
            hook(self);
        }
    }

    /// Has a hook called at every failpoint from now on; the first one stays.
    #[cfg(debug_assertions)]
    pub fn hook(hook: impl Fn(Self) + Send + Sync + 'static) {
        HOOK.get_or_init(|| Box::new(hook));
    }
}

#[cfg(debug_assertions)]
type Hook = Box<dyn Fn(Failpoint) + Send + Sync>;

#[cfg(debug_assertions)]
static HOOK: OnceLock<Hook> = OnceLock::new();
