//! What can go wrong.

use std::sync::Arc;

use hilum_db::DbError;

use crate::id::ResourceType;

/// A failed operation of a store. No content of a resource is ever in it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A resource is not in the state that the commit expected.
    #[error("the resource is not in the expected state (version now: {version:?})")]
    Conflict {
        /// Its type.
        resource_type: ResourceType,
        /// Which expectation or change of the commit: expectations first, then changes.
        at: usize,
        /// The version it has now, if it exists.
        version: Option<u32>,
    },
    /// A search finds something else than when the commit was prepared: prepare it anew.
    #[error("what the commit was prepared with has changed")]
    Stale {
        /// Which expectation.
        at: usize,
    },
    /// What makes events has changed since the commit was prepared ([`Watched`](crate::Watched)).
    #[error("what makes events has changed since the commit was prepared")]
    Outdated,
    /// The search took too long and was stopped.
    #[error("the search costs too much")]
    TooCostly {
        /// How it was being done; names parameters and counts only.
        plan: String,
    },
    /// More than a limit allows.
    #[error("more than {limit} allows ({max})")]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// The query or commit makes no sense (a test of another kind than the parameter, a foreign
    /// cursor).
    #[error("invalid request to the store: {0}")]
    Invalid(&'static str),
    /// The job that a commit belongs to was removed; nothing was written.
    #[error("the job is gone")]
    NoJob,
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
    /// Too much waits already.
    #[error("the store is busy")]
    Busy,
    /// The database cannot be reached: nothing was written.
    #[error("{place} cannot be reached: {reason}")]
    Away {
        /// Its address, without user and password.
        place: Arc<str>,
        /// What happened.
        reason: String,
    },
    /// The connection to the database was lost while a commit was on its way, and it did not come
    /// back soon: it is unknown whether the commit was written.
    #[error("the connection to {place} was lost; it is unknown whether the commit was written")]
    Lost {
        /// Its address, without user and password.
        place: Arc<str>,
    },
    /// The database refused a statement, by its SQLSTATE.
    #[error("{place} refused a statement (SQLSTATE {state})")]
    Refused {
        /// Its address, without user and password.
        place: Arc<str>,
        /// The SQLSTATE.
        state: String,
    },
    /// The file failed; `DbError::class` says how.
    #[error("the store failed")]
    Db(#[from] DbError),
}
