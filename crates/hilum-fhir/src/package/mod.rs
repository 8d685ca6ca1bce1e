//! Packages of the FHIR package registry: a gzipped tar with resources in JSON.
//!
//! A package is read as a stream, one file after the other, and never kept as a whole. Every size
//! has a limit: what comes in, what it unpacks to, how many files, how large one is.
//!
//! It fetches nothing and writes no file; the caller brings the bytes.

mod guide;
mod tar;
#[cfg(test)]
mod tests;

pub use guide::{Fault, FaultCause, Guide, GuideError, Guides, GuidesBuilder, find};

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;

use crate::json;
use crate::limits::Limits;
use crate::problem::Problems;
use crate::resource::Resource;

/// Bounds of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackageLimits {
    /// Bytes as they come in.
    pub bytes_max: u64,
    /// Bytes that they unpack to.
    pub unpacked_bytes_max: u64,
    /// Files.
    pub entries_max: usize,
    /// Bytes of one file.
    pub entry_bytes_max: u64,
}

impl Default for PackageLimits {
    fn default() -> Self {
        Self {
            bytes_max: 200_000_000,
            unpacked_bytes_max: 2_000_000_000,
            entries_max: 100_000,
            entry_bytes_max: 50_000_000,
        }
    }
}

/// Why a package could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// Reading or unpacking failed.
    #[error("read the package")]
    Read(#[source] io::Error),
    /// The tar is broken.
    #[error("the package is no tar: {0}")]
    Tar(&'static str),
    /// The bytes that come in are too many.
    #[error("the package has more than {0} bytes")]
    Bytes(u64),
    /// What it unpacks to is too large.
    #[error("the package unpacks to more than {0} bytes")]
    Unpacked(u64),
    /// Too many files.
    #[error("the package has more than {0} files")]
    Entries(usize),
    /// A file is too large.
    #[error("a file of the package has more than {0} bytes")]
    Entry(u64),
}

/// A file of a package.
#[derive(Debug)]
pub struct Entry<'p> {
    /// Its path in the package, `package/` left out.
    pub path: &'p str,
    /// What is in it.
    pub bytes: &'p [u8],
}

impl Entry<'_> {
    /// Whether it is one of the definitions, and not an example or something else beside them.
    #[must_use]
    pub fn is_definition(&self) -> bool {
        let json = self.path.ends_with(".json") && !self.path.contains('/');
        json && !self.path.starts_with('.') && self.path != "package.json"
    }

    /// The resource in it.
    pub fn resource(&self) -> Result<Resource, Problems> {
        json::parse(self.bytes, &Limits::default())
    }
}

/// Reads a package and hands over each of its files.
pub fn read(
    source: impl Read,
    limits: &PackageLimits,
    visit: &mut dyn FnMut(Entry<'_>),
) -> Result<(), PackageError> {
    let source = Metered {
        inner: source,
        left: limits.bytes_max,
        beyond: Beyond::Bytes(limits.bytes_max),
    };
    let unpacked = MultiGzDecoder::new(io::BufReader::new(source));
    let unpacked = Metered {
        inner: unpacked,
        left: limits.unpacked_bytes_max,
        beyond: Beyond::Unpacked(limits.unpacked_bytes_max),
    };
    let mut files = tar::Files::new(unpacked, limits);
    loop {
        match files.next() {
            Ok(Some((path, bytes))) => {
                let path = path.strip_prefix("package/").unwrap_or(path);
                visit(Entry { path, bytes });
            }
            // What follows is read as well, so that a package that was cut off is noticed.
            Ok(None) => return files.drain().map_err(explain),
            Err(error) => return Err(explain(error)),
        }
    }
}

/// Says which limit it was that ended reading.
fn explain(error: PackageError) -> PackageError {
    let PackageError::Read(error) = error else {
        return error;
    };
    let beyond = error.get_ref().and_then(|inner| inner.downcast_ref());
    match beyond {
        Some(Beyond::Bytes(max)) => PackageError::Bytes(*max),
        Some(Beyond::Unpacked(max)) => PackageError::Unpacked(*max),
        None => PackageError::Read(error),
    }
}

/// A limit that reading came to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Beyond {
    #[error("more than {0} bytes")]
    Bytes(u64),
    #[error("more than {0} bytes unpacked")]
    Unpacked(u64),
}

/// Ends reading at a limit.
struct Metered<R> {
    inner: R,
    left: u64,
    beyond: Beyond,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(self.beyond)),
        }
        Ok(count)
    }
}
