//! Indexing again: the job that makes a new parameter find old resources.

use std::fmt;

use crate::id::{ParamKey, Pk};

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
    /// When it began, Unix milliseconds; 0 if an older program began it.
    pub began_ms: i64,
    /// It was begun though nothing was building, so it is about every parameter.
    pub whole: bool,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} resources", self.done, self.total)
    }
}

/// How many resources a parameter finds; both numbers are the same unless the index is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The parameter.
    pub param: ParamKey,
    /// Resources that have a value, by what lies beside each of them.
    pub resources: u64,
    /// Resources that the index finds.
    pub found: u64,
}
