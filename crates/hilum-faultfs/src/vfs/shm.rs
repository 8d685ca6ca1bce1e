//! The memory that connections of one process share about a write-ahead log.

use std::cell::UnsafeCell;
use std::os::raw::{c_int, c_void};

/// Lock places of a write-ahead log (`SQLITE_SHM_NLOCK`).
pub(crate) const PLACES: usize = 8;

/// One region, aligned as SQLite needs it. It never moves while it is mapped.
struct Region(Box<[UnsafeCell<u64>]>);

// SAFETY: SQLite guards what lies in a region by the locks below and its own atomic accesses; this
// crate never reads or writes it.
unsafe impl Send for Region {}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Region({} bytes)", self.0.len() * 8)
    }
}

/// Shared memory of one database file.
#[derive(Debug, Default)]
pub(crate) struct SharedMemory {
    regions: Vec<Region>,
    /// Shared holders, or -1 for an exclusive one.
    holders: [i32; PLACES],
    pub(crate) users: u32,
}

/// The locks that one connection holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    shared: u8,
    exclusive: u8,
}

impl SharedMemory {
    /// The address of a region, made if `extend`.
    pub(crate) fn map(&mut self, at: usize, bytes: usize, extend: bool) -> *mut c_void {
        while extend && self.regions.len() <= at {
            let words = (0..bytes.div_ceil(8)).map(|_| UnsafeCell::new(0));
            self.regions.push(Region(words.collect()));
        }
        self.regions.get(at).map_or(std::ptr::null_mut(), |region| {
            region.0.as_ptr().cast_mut().cast()
        })
    }

    /// Takes or gives back places; `false` if another one holds them.
    pub(crate) fn lock(
        &mut self,
        held: &mut Held,
        places: std::ops::Range<usize>,
        flags: c_int,
    ) -> bool {
        let mask = places.clone().fold(0_u8, |mask, at| mask | 1 << at);
        let unlock = flags & rusqlite::ffi::SQLITE_SHM_UNLOCK != 0;
        let shared = flags & rusqlite::ffi::SQLITE_SHM_SHARED != 0;
        let Some(holders) = self.holders.get_mut(places) else {
            return false;
        };
        match (unlock, shared) {
            (true, true) => {
                if held.shared & mask != 0 {
                    held.shared &= !mask;
                    holders.iter_mut().for_each(|count| *count -= 1);
                }
            }
            (true, false) => {
                if held.exclusive & mask != 0 {
                    held.exclusive &= !mask;
                    holders.iter_mut().for_each(|count| *count = 0);
                }
            }
            (false, true) => {
                if held.shared & mask == 0 {
                    if holders.iter().any(|count| *count < 0) {
                        return false;
                    }
                    held.shared |= mask;
                    holders.iter_mut().for_each(|count| *count += 1);
                }
            }
            (false, false) => {
                if held.exclusive & mask != mask {
                    if holders.iter().any(|count| *count != 0) {
                        return false;
                    }
                    held.exclusive |= mask;
                    holders.iter_mut().for_each(|count| *count = -1);
                }
            }
        }
        true
    }
}
