//! What an import that is not at its end has read, in a folder of its own beside the loads.
//!
//! `.reading-KIND-…` holds a lock as long as somebody imports, and the state that the import goes on
//! from (`crate::import::Keep`). It goes away with the end of the import.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Folder, LoadError, files};
use crate::import::{Keep, Progress, Request, progress};

const READING: &str = ".reading-";
const PART: &str = ".part-";
const STATE: &str = "state";
/// Bytes of a state that is read.
const STATE_BYTES_MAX: u64 = 16 << 30;

/// What an import has read, kept for the case that it is broken off.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    state: Option<Vec<u8>>,
    progress: Option<Progress>,
    problem: Option<LoadError>,
    /// Held as long as the import goes on.
    _lock: File,
}

/// An import that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// What it is called, to be removed by.
    pub id: String,
    /// Its folder.
    pub path: PathBuf,
    /// Somebody imports it at this moment.
    pub goes_on: bool,
}

impl Folder {
    /// Where an import of a release keeps what it has read; the same import given again finds it.
    pub fn staging(&self, request: &Request<'_>, fingerprint: &str) -> Result<Staging, LoadError> {
        let known = fingerprint.get(..16).unwrap_or(fingerprint);
        let name = format!("{READING}{}-{known}", request.kind.name());
        let path = self.path.join(&name);
        files::make(&path)?;
        let Some(lock) = lock(&path)? else {
            return Err(LoadError::GoesOn(name.trim_start_matches('.').to_owned()));
        };
        let file = path.join(STATE);
        let state = if file.is_file() {
            Some(files::read(&file, STATE_BYTES_MAX)?)
        } else {
            None
        };
        let progress = state.as_ref().and_then(|state| progress(state, request));
        Ok(Staging {
            path,
            state: state.filter(|_| progress.is_some()),
            progress,
            problem: None,
            _lock: lock,
        })
    }

    /// What imports that were broken off have left. What they have read is used by the same import
    /// given again and by nothing else.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>, LoadError> {
        let mut found = Vec::new();
        for name in files::folders(&self.path)? {
            if !name.starts_with(READING) && !name.starts_with(PART) {
                continue;
            }
            let path = self.path.join(&name);
            found.push(Unfinished {
                id: name.trim_start_matches('.').to_owned(),
                goes_on: is_locked(&path),
                path,
            });
        }
        Ok(found)
    }

    /// Removes what an import that was broken off has left; false if there is no such one.
    pub fn discard(&self, id: &str) -> Result<bool, LoadError> {
        let found = self.unfinished()?.into_iter().find(|one| one.id == id);
        let Some(found) = found else {
            return Ok(false);
        };
        if found.goes_on {
            return Err(LoadError::GoesOn(found.id));
        }
        files::remove(&found.path)?;
        Ok(true)
    }
}

const LOCK: &str = "lock";

/// The lock of a folder; `None` if somebody holds it.
fn lock(folder: &Path) -> Result<Option<File>, LoadError> {
    let file = files::create(&folder.join(LOCK))?;
    Ok(file.try_lock().is_ok().then_some(file))
}

fn is_locked(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|file| file.try_lock_shared().is_err())
}

impl Staging {
    /// How far the import was when it was broken off; `None` if it begins at the beginning.
    #[must_use]
    pub const fn progress(&self) -> Option<Progress> {
        self.progress
    }

    /// Forgets what was read.
    pub fn restart(&mut self) -> Result<(), LoadError> {
        (self.state, self.progress) = (None, None);
        files::remove_file(&self.path.join(STATE))
    }

    /// Why what is read cannot be kept, if it cannot.
    #[must_use]
    pub const fn problem(&self) -> Option<&LoadError> {
        self.problem.as_ref()
    }

    /// Ends it: the load is made.
    pub fn done(self) -> Result<(), LoadError> {
        files::remove(&self.path)
    }

    fn write(&self, state: &[u8]) -> Result<(), LoadError> {
        let (part, place) = (self.path.join("state.part"), self.path.join(STATE));
        files::write(&part, state)
            .and_then(|()| files::rename(&part, &place))
            .and_then(|()| files::sync(&self.path))
            .inspect_err(|_| {
                // What was kept before stays; the room is needed for the load.
                let _gone = files::remove_file(&part);
            })
    }
}

impl Keep for Staging {
    fn kept(&mut self) -> Option<Vec<u8>> {
        self.state.take()
    }

    fn keep(&mut self, state: &[u8]) {
        if self.problem.is_none() {
            self.problem = self.write(state).err();
        }
    }
}
