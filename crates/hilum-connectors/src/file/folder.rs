//! Work on a folder that blocks: looks, moves, durable writes. Called on the blocking pool.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use globset::GlobMatcher;

use super::config::FileOrder;

/// Files of one look.
pub(super) const LOOK_MAX: usize = 1_000;
/// Numbers that are tried for a name that is taken.
const NUMBERS_MAX: u32 = 10_000;

/// A file that waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiting {
    /// By time first, if that is the order.
    rank: Option<SystemTime>,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) changed: SystemTime,
}

/// The first [`LOOK_MAX`] files in order, however many there are; names in `not` are left out.
pub(super) fn look(
    folder: &Path,
    matching: &GlobMatcher,
    order: FileOrder,
    not: &BTreeSet<String>,
) -> io::Result<Vec<Waiting>> {
    let mut first = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        // A name that is no text cannot be written to a record.
        let Some(name) = name.to_str() else { continue };
        if name.starts_with('.') || !matching.is_match(name) || not.contains(name) {
            continue;
        }
        // Gone in the meantime is as good as never seen.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if !metadata.is_file() {
            continue;
        }
        let changed = metadata.modified()?;
        let rank = (order == FileOrder::Time).then_some(changed);
        first.insert(Waiting {
            rank,
            name: name.to_owned(),
            size: metadata.len(),
            changed,
        });
        if first.len() > LOOK_MAX {
            first.pop_last();
        }
    }
    Ok(first.into_iter().collect())
}

/// Which file a name stood for when it was opened: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

/// Takes a file out from under its name, if it is still the one that was read; a writer that has
/// put another there meanwhile gets that one back. Gives the hidden name it has then.
pub(super) fn claim(file: &Path, id: FileId) -> io::Result<Option<PathBuf>> {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("file");
    let claimed = file.with_file_name(format!(".hilum-taken-{name}"));
    fs::rename(file, &claimed)?;
    if FileId::of(&fs::metadata(&claimed)?) == id {
        return Ok(Some(claimed));
    }
    give_back(&claimed, file)?;
    Ok(None)
}

/// Puts a file back under its name, or a number of it if that is taken again.
pub(super) fn give_back(claimed: &Path, file: &Path) -> io::Result<()> {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("file");
    let folder = file.parent().unwrap_or(Path::new("."));
    move_as(claimed, folder, name).map(drop)
}

/// Moves a file into another folder under a name that is free there; also across file systems.
pub(super) fn move_as(file: &Path, folder: &Path, name: &str) -> io::Result<PathBuf> {
    for number in 0..NUMBERS_MAX {
        let target = folder.join(numbered(name, number));
        match fs::hard_link(file, &target) {
            Ok(()) => {
                sync_folder(folder)?;
                fs::remove_file(file)?;
                return Ok(target);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
            // Another file system, or one without links.
            Err(_) if target.exists() => {}
            Err(_) => {
                if fs::rename(file, &target).is_err() {
                    copy_over(file, &target)?;
                    fs::remove_file(file)?;
                }
                sync_folder(folder)?;
                return Ok(target);
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "no free name"))
}

fn copy_over(file: &Path, target: &Path) -> io::Result<()> {
    let part = target.with_file_name(".hilum-move.part");
    fs::copy(file, &part)?;
    File::open(&part)?.sync_all()?;
    fs::rename(&part, target)
}

/// Publishes a synced temporary file under `name`, or the first free number of it; gives the
/// name, or `None` if all are taken. A file with the same content counts as published before.
pub(super) fn publish_numbered(
    folder: &Path,
    part: &Path,
    name: &str,
) -> io::Result<Option<String>> {
    for number in 0..NUMBERS_MAX {
        let name = numbered(name, number);
        let target = folder.join(&name);
        if publish_new(folder, part, &target)? {
            return Ok(Some(name));
        }
        if same_content(part, &target)? {
            fs::remove_file(part)?;
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Publishes under a name only if it is free.
pub(super) fn publish_new(folder: &Path, part: &Path, target: &Path) -> io::Result<bool> {
    match fs::hard_link(part, target) {
        Ok(()) => {
            fs::remove_file(part)?;
            sync_folder(folder)?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // A file system without links: the check and the rename are two steps.
        Err(_) if !target.exists() => publish_over(folder, part, target).map(|()| true),
        Err(_) => Ok(false),
    }
}

/// Publishes under a name, in place of what was there.
pub(super) fn publish_over(folder: &Path, part: &Path, target: &Path) -> io::Result<()> {
    fs::rename(part, target)?;
    sync_folder(folder)
}

fn same_content(one: &Path, other: &Path) -> io::Result<bool> {
    use io::Read;
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(true);
        }
        let right = right.get_mut(..count).unwrap_or_default();
        other.read_exact(right)?;
        if left.get(..count) != Some(&*right) {
            return Ok(false);
        }
    }
}

/// Makes names of a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Adds to a file and syncs; a failed write is taken back, so that it leaves no half record.
pub(super) fn append(path: &Path, record: &[&[u8]]) -> io::Result<()> {
    use io::Write;
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    let written = record
        .iter()
        .try_for_each(|part| file.write_all(part))
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // The first error is the one to report.
        drop(file.set_len(length));
    }
    written
}

/// `name`, or `name` with a number before its extension.
fn numbered(name: &str, number: u32) -> String {
    match (number, name.rsplit_once('.')) {
        (0, _) => name.to_owned(),
        (_, Some((stem, extension))) if !stem.is_empty() => format!("{stem}.{number}.{extension}"),
        (_, Some(_) | None) => format!("{name}.{number}"),
    }
}
