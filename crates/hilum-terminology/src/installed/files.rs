//! Files and folders of loads: written whole and synced, or not there.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::LoadError;

/// Bytes of a file that says what a load is.
const SAID_BYTES_MAX: u64 = 16_000_000;

fn fails<'p>(what: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> LoadError + 'p {
    move |error| LoadError::Files(what, path.to_owned(), error)
}

pub(super) fn make(folder: &Path) -> Result<(), LoadError> {
    fs::create_dir_all(folder).map_err(fails("make", folder))
}

/// The folders in a folder, by name; none if it is not there.
pub(super) fn folders(folder: &Path) -> Result<Vec<String>, LoadError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(fails("read", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fails("read", folder))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Ends what was interrupted: what was half replaced comes back, what was half removed goes. What
/// is half made is left alone, since somebody may be making it.
pub(super) fn clean(folder: &Path) -> Result<(), LoadError> {
    for name in folders(folder)? {
        let path = folder.join(&name);
        let old = name.strip_prefix(".old-").map(|id| folder.join(id));
        match old {
            Some(place) if !place.is_dir() => rename(&path, &place)?,
            Some(_) => remove(&path)?,
            None if name.starts_with(".gone-") => remove(&path)?,
            None => {}
        }
    }
    Ok(())
}

pub(super) fn remove(folder: &Path) -> Result<(), LoadError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(fails("remove", folder)),
    }
}

pub(super) fn remove_file(path: &Path) -> Result<(), LoadError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(fails("remove", path)),
    }
}

pub(super) fn create(path: &Path) -> Result<File, LoadError> {
    File::create(path).map_err(fails("write", path))
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(fails("write", path))
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), LoadError> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|error| LoadError::Files("write", path.to_owned(), error.into()))?;
    write(path, &text)
}

pub(super) fn json<T: DeserializeOwned>(path: &Path) -> Result<T, LoadError> {
    let bytes = read(path, SAID_BYTES_MAX)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| LoadError::Damaged(path.to_owned(), error.to_string()))
}

pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, LoadError> {
    let length = fs::metadata(path).map_err(fails("read", path))?.len();
    if length > bytes_max {
        let text = format!("it has more than {bytes_max} bytes");
        return Err(LoadError::Damaged(path.to_owned(), text));
    }
    fs::read(path).map_err(fails("read", path))
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), LoadError> {
    fs::rename(from, to).map_err(fails("rename", from))
}

pub(super) fn sync(folder: &Path) -> Result<(), LoadError> {
    // Only where a folder can be opened like a file is there anything to sync.
    match File::open(folder) {
        Ok(opened) => opened.sync_all().map_err(fails("sync", folder)),
        Err(_) => Ok(()),
    }
}

/// Gives a folder that is whole its name; what had the name before goes.
pub(super) fn put(folder: &Path, part: &Path, id: &str) -> Result<(), LoadError> {
    sync(part)?;
    let (place, old) = (folder.join(id), folder.join(format!(".old-{id}")));
    if place.is_dir() {
        rename(&place, &old)?;
    }
    rename(part, &place)?;
    sync(folder)?;
    clean(folder)
}

pub(super) fn take_away(folder: &Path, id: &str) -> Result<(), LoadError> {
    let gone = folder.join(format!(".gone-{id}"));
    rename(&folder.join(id), &gone)?;
    sync(folder)?;
    remove(&gone)
}

pub(super) fn digest(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}
