//! What can go wrong with a file, in classes that callers branch on.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode;

/// How a failure is to be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DbClass {
    /// The disk (or quota) is full: nothing was stored, and it may work again later.
    Full,
    /// The disk failed: what was written last has an unknown fate.
    Io,
    /// The file's content is damaged.
    Corrupt,
    /// Somebody else holds the file for longer than we wait.
    Busy,
    /// A uniqueness rule refused the row.
    Constraint,
    /// The caller, or the time limit of reads, stopped it.
    Cancelled,
    /// The writer or journal is closed.
    Closed,
    /// The place does not support what durability needs (a network file system).
    Unsuitable,
    /// A mistake of ours: wrong SQL, wrong type, schema from the future.
    Internal,
}

impl fmt::Display for DbClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the disk is full",
            Self::Io => "the disk failed",
            Self::Corrupt => "the file is damaged",
            Self::Busy => "the file is held by another",
            Self::Constraint => "a rule of the table refused it",
            Self::Cancelled => "it was cancelled or took too long",
            Self::Closed => "the file is closed",
            Self::Unsuitable => "the place cannot keep what is written",
            Self::Internal => "internal error",
        })
    }
}

/// A failed operation on a file. Cheap to clone, because one failed commit fails a whole group.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{doing} {file}: {class}")]
pub struct DbError {
    class: DbClass,
    doing: &'static str,
    file: Arc<str>,
    #[source]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl DbError {
    /// A failure without a cause below it.
    #[must_use]
    pub fn new(class: DbClass, doing: &'static str, file: impl Into<Arc<str>>) -> Self {
        Self {
            class,
            doing,
            file: file.into(),
            source: None,
        }
    }

    /// A failed statement or commit.
    #[must_use]
    pub fn sqlite(doing: &'static str, file: &str, source: rusqlite::Error) -> Self {
        Self {
            class: classify(&source),
            doing,
            file: file.into(),
            source: Some(Arc::new(source)),
        }
    }

    /// A failed file operation.
    #[must_use]
    pub fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let class = match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => DbClass::Full,
            _ => DbClass::Io,
        };
        Self {
            class,
            doing,
            file: path.display().to_string().into(),
            source: Some(Arc::new(source)),
        }
    }

    /// What to branch on.
    #[must_use]
    pub const fn class(&self) -> DbClass {
        self.class
    }
}

fn classify(error: &rusqlite::Error) -> DbClass {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return DbClass::Internal;
    };
    match failure.code {
        ErrorCode::DiskFull => DbClass::Full,
        ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::NoLargeFileSupport => DbClass::Io,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => DbClass::Corrupt,
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => DbClass::Busy,
        ErrorCode::ConstraintViolation => DbClass::Constraint,
        ErrorCode::OperationInterrupted | ErrorCode::OperationAborted => DbClass::Cancelled,
        // The list of a dependency, not ours: what is left is misuse by this program.
        _ => DbClass::Internal,
    }
}

/// Adds what was attempted and on which file.
pub trait Doing<T> {
    /// Turns a SQLite error into a [`DbError`].
    ///
    /// # Errors
    /// The same error, with its context.
    fn doing(self, doing: &'static str, file: &str) -> Result<T, DbError>;
}

impl<T> Doing<T> for Result<T, rusqlite::Error> {
    fn doing(self, doing: &'static str, file: &str) -> Result<T, DbError> {
        self.map_err(|source| DbError::sqlite(doing, file, source))
    }
}
