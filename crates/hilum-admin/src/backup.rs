//! The care for a data folder: copies of it, and whether it is as it was written. It holds the
//! journal, the plans that processed its messages, and stores of the FHIR server.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};

use hilum_journal::{Cancel, Finding, Journal, JournalError};

use crate::fhir::{FhirCopy, FhirStore};

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
    /// A store of the FHIR server could not be copied.
    #[error("cannot copy the FHIR store {store}: {text}")]
    Store {
        /// Its file.
        store: String,
        /// Why.
        text: String,
    },
}

/// A backup.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// The files that were made.
    pub files: Vec<PathBuf>,
    /// What is not in it, and who copies that.
    pub elsewhere: Vec<Elsewhere>,
}

/// A store that another program has to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its place, without user and password.
    pub store: String,
    /// How it is copied.
    pub remedy: String,
}

/// Copies a data folder to another, consistent, while it is in use. Blocks. Tells the number of
/// databases that are done, and of all.
///
/// # Errors
/// If it was cancelled, or reading or writing fails.
pub fn back_up(
    journal: &Journal,
    stores: &[Box<dyn FhirStore>],
    to: &Path,
    cancel: &Cancel,
    tell: &dyn Fn(usize, usize),
) -> Result<Copied, BackupError> {
    let journals = Cell::new(0);
    let telling = |done, of| {
        journals.set(of);
        tell(done, of + stores.len());
    };
    let mut made = Copied {
        files: journal.backup_telling(to, cancel, &telling)?,
        ..Copied::default()
    };
    // After the messages: the plan of a message is kept before the message is stored.
    let plans = journal.folder().join(PLANS);
    if plans.is_dir() {
        copy(&plans, &to.join(PLANS), &mut made.files)?;
    }
    // After the messages too: a delivery that the copy of the journal still has to make is known in
    // the copy of the store if it was made, and a place in the changes of a store is in its copy.
    for (done, store) in stores.iter().enumerate() {
        tell(journals.get() + done, journals.get() + stores.len());
        match store.back_up(to, cancel) {
            Ok(FhirCopy::Made(path)) => made.files.push(path),
            Ok(FhirCopy::By(remedy)) => made.elsewhere.push(Elsewhere {
                store: store.name(),
                remedy,
            }),
            Err(text) => {
                let store = store.name();
                return Err(BackupError::Store { store, text });
            }
        }
    }
    Ok(made)
}

/// Compares a data folder with its checksums and references, while it is in use. Empty is good.
/// Blocks. Tells the number of databases that are done, and of all.
///
/// # Errors
/// If it was cancelled, or a file of the journal cannot be read at all.
pub fn verify(
    journal: &Journal,
    stores: &[Box<dyn FhirStore>],
    cancel: &Cancel,
    tell: &dyn Fn(usize, usize),
) -> Result<Vec<Finding>, JournalError> {
    let journals = Cell::new(0);
    let telling = |done, of| {
        journals.set(of);
        tell(done, of + stores.len());
    };
    let mut findings = journal.verify_telling(cancel, &telling)?;
    for (done, store) in stores.iter().enumerate() {
        tell(journals.get() + done, journals.get() + stores.len());
        let found = found(&**store, cancel);
        findings.extend(found.into_iter().map(|text| Finding {
            file: store.name().into(),
            sequence: None,
            text,
        }));
    }
    Ok(findings)
}

/// A store that cannot be read is found to be so, and the others are looked at.
fn found(store: &dyn FhirStore, cancel: &Cancel) -> Vec<String> {
    match store.verify(cancel) {
        Ok(found) => found,
        Err(text) => vec![format!("it could not be read: {text}")],
    }
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
