//! Work that takes longer than a request and outlives a restart: bulk export and import, requests
//! that are answered later, erasure's clean-up.
//!
//! The store keeps a job's row and knows nothing of what the job does. Its moment, a change number
//! and a time, is taken where changes are numbered: every change up to [`Job::seq`] is no younger
//! than [`Job::created_ms`], and every later one is no older.

use std::fmt;

use bytes::Bytes;

use crate::id::Seq;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits or runs; after a restart it is begun again with the progress that it saved.
    Open,
    /// It did all that it was asked for.
    Done,
    /// It gave up; the progress says why.
    Failed,
}

/// A job that is to be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its id, which nobody can guess.
    pub id: String,
    /// What kind of work it is.
    pub kind: String,
    /// What was asked for; never changed.
    pub request: Bytes,
    /// How far it is, in the terms of its kind.
    pub progress: Bytes,
}

/// A job as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// What kind of work it is.
    pub kind: String,
    /// How far it is.
    pub state: JobState,
    /// The last change when it was added.
    pub seq: Seq,
    /// When it was added, in milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it was saved last.
    pub changed_ms: i64,
    /// What was asked for.
    pub request: Bytes,
    /// How far it is, in the terms of its kind.
    pub progress: Bytes,
}

impl fmt::Debug for NewJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "NewJob({}, {} bytes)",
            self.kind,
            self.request.len() + self.progress.len()
        )
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("kind", &self.kind)
            .field("state", &self.state)
            .field("seq", &self.seq)
            .field("request_bytes", &self.request.len())
            .field("progress_bytes", &self.progress.len())
            .finish_non_exhaustive()
    }
}

/// A change of the table of jobs.
pub(crate) enum JobChange {
    Add(NewJob),
    /// Nothing happens if the job is gone.
    Save {
        id: String,
        state: JobState,
        progress: Bytes,
    },
    Remove(String),
}
