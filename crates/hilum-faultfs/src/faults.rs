//! What goes wrong, and when.

/// Faults that a disk will show. All of them are off by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The power goes at this write or sync, counted from 1: from then on everything fails.
    pub cut_at: Option<u64>,
    /// This sync fails, counted from 1 among syncs; what it should have kept may be lost.
    pub fail_sync_at: Option<u64>,
    /// Every sync fails from this one on, counted from 1, those of folders too.
    pub fail_syncs_from: Option<u64>,
    /// Bytes that fit on the disk.
    pub capacity: Option<u64>,
    /// This write stores half of its bytes and fails, counted from 1 among writes.
    pub short_write_at: Option<u64>,
}

/// How often each thing happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) writes: u64,
    pub(crate) syncs: u64,
}
