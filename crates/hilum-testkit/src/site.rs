//! A site folder in a temporary place.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder that is removed at the end.
#[derive(Debug)]
pub struct SiteFolder {
    folder: TempDir,
}

impl SiteFolder {
    /// An empty folder.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            folder: tempfile::Builder::new().prefix("hilum-site-").tempdir()?,
        })
    }

    /// Writes a file, with the folders above it.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> io::Result<PathBuf> {
        let path = self.folder.path().join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// As [`SiteFolder::file`], to be chained.
    pub fn with(self, path: &str, content: impl AsRef<[u8]>) -> io::Result<Self> {
        self.file(path, content)?;
        Ok(self)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps the folder, for a person to look at.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}
