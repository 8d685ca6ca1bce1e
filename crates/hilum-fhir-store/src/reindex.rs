//! Indexing again: the job that makes a new parameter find old resources.

use std::fmt;

use crate::id::Pk;

/// How far the job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last resource that was looked at.
    pub position: Pk,
    /// The last one that will be.
    pub until: Pk,
    /// Resources looked at.
    pub done: u64,
    /// Resources there were when it began.
    pub total: u64,
    /// All were, and the parameters are complete.
    pub finished: bool,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} resources", self.done, self.total)
    }
}
