//! A backup of a data folder: its journal, and the plans that processed its messages.

use std::io;
use std::path::{Path, PathBuf};

use hilum_journal::{Cancel, Journal, JournalError};

/// The folder of the kept plans in a data folder.
pub const PLANS: &str = "plans";

/// Why a backup is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The journal could not be copied.
    #[error("cannot copy the journal")]
    Journal(#[from] JournalError),
    /// A kept plan could not be copied.
    #[error("cannot copy {path}")]
    Plan {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Copies a data folder to another, consistent, while it is in use; returns the files. Blocks.
/// Tells the number of databases that are done, and of all.
///
/// # Errors
/// If it was cancelled, or reading or writing fails.
pub fn back_up(
    journal: &Journal,
    to: &Path,
    cancel: &Cancel,
    tell: &dyn Fn(usize, usize),
) -> Result<Vec<PathBuf>, BackupError> {
    let mut made = journal.backup_telling(to, cancel, tell)?;
    // After the messages: the plan of a message is kept before the message is stored.
    let plans = journal.folder().join(PLANS);
    if plans.is_dir() {
        copy(&plans, &to.join(PLANS), &mut made)?;
    }
    Ok(made)
}

fn copy(from: &Path, to: &Path, made: &mut Vec<PathBuf>) -> Result<(), BackupError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::Plan { path, source }
    };
    std::fs::create_dir_all(to).map_err(failed(to))?;
    for entry in std::fs::read_dir(from).map_err(failed(from))? {
        let path = entry.map_err(failed(from))?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        let target = to.join(name);
        if path.is_dir() {
            copy(&path, &target, made)?;
            continue;
        }
        match std::fs::copy(&path, &target) {
            Ok(_) => {}
            // Dropped meanwhile, with the last message that it processed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&path)(error)),
        }
        let copied = std::fs::File::open(&target).and_then(|file| file.sync_all());
        copied.map_err(failed(&target))?;
        made.push(target);
    }
    let folder = std::fs::File::open(to).and_then(|folder| folder.sync_all());
    folder.map_err(failed(to))
}
