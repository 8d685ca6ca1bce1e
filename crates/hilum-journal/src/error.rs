//! What can go wrong, as far as a caller has to do something different.

use hilum_db::{DbClass, DbError};
use smol_str::SmolStr;

/// Why a message was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// State that the message was processed with has changed: process again.
    #[error("{} state values changed since they were read", .0.len())]
    Stale(Vec<StaleRead>),
    /// The disk is full. Nothing was stored.
    #[error("the disk is full")]
    Full(#[source] DbError),
    /// Too much is in acceptance: stop reading, wait for [`crate::Journal::room`].
    #[error("too many messages are in acceptance")]
    QueueFull,
    /// It is unknown whether the message was stored. Answer negatively; the resend will match it.
    #[error("the commit failed, its outcome is unknown")]
    Failed(#[source] DbError),
    /// Surely not stored, for a reason other than a full disk.
    #[error("the message was not stored")]
    Refused(#[source] DbError),
    /// The journal is closed.
    #[error("the journal is closed")]
    Closed,
    /// The publication, or the work that this message completes, was accepted before: settle only.
    #[error("this was accepted before")]
    Duplicate,
    /// A limit of the journal is exceeded.
    #[error("{what} exceeds {limit}")]
    TooLarge {
        /// Which limit.
        what: &'static str,
        /// Its value.
        limit: usize,
    },
    /// The journal lost a blob that the message refers to.
    #[error("a blob of the message could not be read or moved")]
    Blob(#[source] DbError),
}

/// A state value that is not what it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleRead {
    /// The scope.
    pub scope: SmolStr,
    /// The key.
    pub key: SmolStr,
    /// Its version now.
    pub version: u64,
}

impl AcceptError {
    pub(crate) fn refused(error: &DbError) -> Self {
        match error.class() {
            DbClass::Full => Self::Full(error.clone()),
            DbClass::Closed => Self::Closed,
            _ => Self::Refused(error.clone()),
        }
    }
}

/// Why something else did not work.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A file failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// There is no such message or delivery, or its partition was dropped.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was asked for.
        what: &'static str,
        /// Which one.
        id: String,
    },
    /// What was read is not what was written.
    #[error("the stored bytes of {what} {id} are damaged")]
    Damaged {
        /// What was read.
        what: &'static str,
        /// Which one.
        id: String,
    },
    /// Too many settlements wait; [`crate::Journal::flush`], then again.
    #[error("too many settlements wait")]
    QueueFull,
    /// The journal is closed.
    #[error("the journal is closed")]
    Closed,
}

impl JournalError {
    pub(crate) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }

    pub(crate) fn damaged(what: &'static str, id: impl ToString) -> Self {
        Self::Damaged {
            what,
            id: id.to_string(),
        }
    }
}
