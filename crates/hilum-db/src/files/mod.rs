//! File work outside SQLite: blobs, folders, removal of whole partitions.
//!
//! Everything goes through [`Files`], so that the simulated disk of `hilum-faultfs` can stand in
//! for it. A name is durable only after [`Files::sync_dir`] of its folder, content only after
//! [`AppendFile::sync`]; the real implementation promises no more than that, on purpose.

mod real;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use real::{RealFiles, free_bytes};

/// A file that grows at its end.
pub trait AppendFile: Send {
    /// Writes all of `bytes` at the end.
    ///
    /// # Errors
    /// As the disk says; part of the bytes may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when what was appended survives a power cut.
    ///
    /// # Errors
    /// As the disk says; what was appended since the last sync then has an unknown fate.
    fn sync(&mut self) -> io::Result<()>;
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// Its path.
    pub path: PathBuf,
    /// It is a folder.
    pub is_dir: bool,
}

/// All file work that is not SQLite's.
pub trait Files: Send + Sync + fmt::Debug {
    /// Creates `path`, which must not exist.
    ///
    /// # Errors
    /// As the disk says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;

    /// Reads up to `buf.len()` bytes from `offset`; fewer only at the end of the file.
    ///
    /// # Errors
    /// As the disk says.
    fn read_at(&self, path: &Path, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// The length of `path`, or `None` if there is no such file.
    ///
    /// # Errors
    /// As the disk says.
    fn len(&self, path: &Path) -> io::Result<Option<u64>>;

    /// Writes what the file holds once more and syncs it, so that pages whose sync failed before
    /// are known to be on disk.
    ///
    /// # Errors
    /// As the disk says.
    fn rewrite_and_sync(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a folder durable.
    ///
    /// # Errors
    /// As the disk says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Renames within a file system.
    ///
    /// # Errors
    /// As the disk says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; a file that is not there is removed already.
    ///
    /// # Errors
    /// As the disk says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder; one that is there already is fine.
    ///
    /// # Errors
    /// As the disk says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder; one that is not there is removed already.
    ///
    /// # Errors
    /// As the disk says.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// The entries of a folder, sorted by path; none if the folder is not there.
    ///
    /// # Errors
    /// As the disk says.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// The kind of file system, if it is one that cannot keep a SQLite WAL (a network share).
    ///
    /// # Errors
    /// As the disk says.
    fn unsuitable(&self, path: &Path) -> io::Result<Option<String>>;
}
