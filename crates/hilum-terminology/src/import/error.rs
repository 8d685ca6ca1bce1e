//! Why an import did not succeed.

use std::io;
use std::path::PathBuf;

use crate::system::ReadError;
use crate::table::Full;

/// Why files could not be imported. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file could not be opened or read.
    #[error("cannot read {0}")]
    Read(String, #[source] io::Error),
    /// A file could not be written.
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// A zip is not one that can be read.
    #[error("{0} cannot be unpacked: {1}")]
    Zip(String, &'static str),
    /// A file of the release is not there.
    #[error(
        "{place} has no {wanted}; name the folder or the zip of the release as it was downloaded"
    )]
    Missing {
        /// Where it was looked for.
        place: String,
        /// What was looked for.
        wanted: &'static str,
    },
    /// A line is not what the release format says.
    #[error("{file}, line {line}: {text}")]
    Line {
        /// The file, as the release calls it.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it, and what is expected.
        text: String,
    },
    /// A file is not what the release format says.
    #[error("{0}: {1}")]
    File(String, String),
    /// The version of the release is not told by its files.
    #[error("the files do not tell the version of the release; name it with --version")]
    Version,
    /// What is asked for needs a URL.
    #[error("a table of codes needs the URL of its code system; name it with --url")]
    Url,
    /// More than a table can hold.
    #[error(transparent)]
    Full(#[from] Full),
    /// A definition cannot be used.
    #[error("{0}")]
    Definition(String, #[source] ReadError),
}

impl ImportError {
    pub(super) fn line(file: &str, line: u64, text: impl Into<String>) -> Self {
        Self::Line {
            file: file.to_owned(),
            line,
            text: text.into(),
        }
    }
}
