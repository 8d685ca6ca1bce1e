//! Removing content for good (GDPR article 17).
//!
//! What stays of an erased resource is that changes with these numbers, versions and times were
//! made to a resource of this type, and a keyed hash by which a read of its id learns that it was
//! erased. Its id, content, former versions, index values, words and full text go, as do payloads
//! of the outbox and replies of deliveries that are about it.
//!
//! Deleted bytes are overwritten where they lay (`secure_delete`); [`Store::scrub`](crate::Store::scrub)
//! merges them out of the full text and empties the log, which the disk may still hold in blocks
//! that are free. Copies elsewhere (backups, files that were exported) are the operator's to remove.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The job that an erasure is a step of; its progress is saved in the same commit.
#[derive(Clone)]
pub struct EraseStep {
    /// The job.
    pub id: String,
    /// What is saved, by what was erased.
    pub progress: Arc<dyn Fn(Erased) -> Bytes + Send + Sync>,
}

impl fmt::Debug for EraseStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EraseStep")
    }
}

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Resources that had content in some version.
    pub resources: u64,
    /// Versions that had content.
    pub versions: u64,
}
