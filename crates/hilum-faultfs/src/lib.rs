//! One simulated disk, in memory, that fails, tears and forgets.
//!
//! SQLite sees it as a VFS ([`Disk::vfs`]), everything else as `Files`; both see the same names
//! and bytes. What was not synced is not on the disk: [`Disk::power_cut`] keeps every synced write
//! and name, and of the others a random subset by 512-byte sectors, the last one possibly torn.
//! The same seed keeps the same subset.
//!
//! Faults: a sync that fails once (what it should have written may then be lost for good, however
//! often it is synced afterwards, as operating systems do), a disk that is full after so many
//! bytes and has space again later, a write that stops in the middle, flipped bits.
//!
//! It is for tests only, and the only crate with `unsafe`: SQLite's interface is C.

mod disk;
mod faults;
mod files;
mod inode;
mod random;
mod vfs;

pub use disk::Disk;
pub use faults::Faults;
