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

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Resources that had content in some version.
    pub resources: u64,
    /// Versions that had content.
    pub versions: u64,
}
