//! How far the import of a folder is, in a file of that folder.
//!
//! It is written anew, under another name and renamed, whenever a file of the folder begins or is
//! done; it goes when all are. A file that has changed since counts as another one. A folder that
//! cannot be written to is imported all the same, from its first file on each time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::output::Output;

/// The name of the file.
const NAME: &str = ".import.json";

/// The import of a folder that is not at its end.
pub(super) struct Open {
    /// Where it is kept; nowhere for files that were named by themselves.
    path: Option<PathBuf>,
    known: Known,
}

#[derive(Default, Deserialize, Serialize)]
struct Known {
    /// The server and its tenant.
    place: String,
    files: BTreeMap<String, File>,
}

#[derive(Deserialize, Serialize)]
struct File {
    bytes: u64,
    /// When it was changed last, milliseconds.
    changed: u64,
    /// The path of the job's status.
    status: String,
    /// What was stored and refused, where it is done.
    done: Option<(u64, u64)>,
}

/// What is known of a file.
pub(super) enum Seen {
    Never,
    /// The server has a job for it, with this status.
    Begun(String),
    Done {
        stored: u64,
        refused: u64,
    },
}

impl Open {
    /// Of no folder.
    pub(super) fn none() -> Self {
        Self {
            path: None,
            known: Known::default(),
        }
    }

    /// Of a folder, as it is known for this place.
    pub(super) fn of(folder: &Path, place: &str, output: &Output) -> anyhow::Result<Self> {
        let path = folder.join(NAME);
        let known = std::fs::read(&path).ok();
        let known = known.and_then(|bytes| serde_json::from_slice::<Known>(&bytes).ok());
        let known = known.filter(|known| known.place == place);
        let done = known.as_ref().map_or(0, |known| known.files.len());
        let mut open = Self {
            path: Some(path),
            known: known.unwrap_or_else(|| Known {
                place: place.to_owned(),
                files: BTreeMap::new(),
            }),
        };
        if done > 0 {
            output.note(format_args!(
                "{}: goes on behind the files that were sent before",
                folder.display()
            ));
        }
        if let Err(error) = open.save() {
            output.note(format_args!(
                "{error:#}; how far the import is cannot be kept"
            ));
            open.path = None;
        }
        Ok(open)
    }

    pub(super) fn seen(&self, file: &Path) -> anyhow::Result<Seen> {
        let Some(known) = self.known.files.get(&name(file)) else {
            return Ok(Seen::Never);
        };
        if stamp(file)? != (known.bytes, known.changed) {
            return Ok(Seen::Never);
        }
        Ok(match known.done {
            Some((stored, refused)) => Seen::Done { stored, refused },
            None => Seen::Begun(known.status.clone()),
        })
    }

    /// The server has the whole file.
    pub(super) fn begun(&mut self, file: &Path, status: &str) -> anyhow::Result<()> {
        let (bytes, changed) = stamp(file)?;
        let known = File {
            bytes,
            changed,
            status: status.to_owned(),
            done: None,
        };
        self.known.files.insert(name(file), known);
        self.save()
    }

    /// The file is stored, but for some lines.
    pub(super) fn done(&mut self, file: &Path, counts: (u64, u64)) -> anyhow::Result<()> {
        if let Some(known) = self.known.files.get_mut(&name(file)) {
            known.done = Some(counts);
        }
        self.save()
    }

    /// The file is sent anew next time.
    pub(super) fn forget(&mut self, file: &Path) -> anyhow::Result<()> {
        self.known.files.remove(&name(file));
        self.save()
    }

    /// Every file is done.
    pub(super) fn end(self) -> anyhow::Result<()> {
        let Some(path) = self.path else {
            return Ok(());
        };
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    fn save(&self) -> anyhow::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let bytes = serde_json::to_vec(&self.known)?;
        super::whole(path, |part| Ok(std::fs::write(part, &bytes)?))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What changes when a file does: its length, and when it was written.
fn stamp(file: &Path) -> anyhow::Result<(u64, u64)> {
    let read = || format!("cannot read {}", file.display());
    let about = std::fs::metadata(file).with_context(read)?;
    let changed = about.modified().with_context(read)?;
    let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    let changed = u64::try_from(changed.as_millis()).unwrap_or(u64::MAX);
    Ok((about.len(), changed))
}
