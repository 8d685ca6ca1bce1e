//! Noticing that a site's folder has changed, for `hilum run --watch`.
//!
//! It looks again and again, which works on every file system and over every way of editing. Names
//! that begin with a dot (git, editors) and the data folder are not looked at.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Folders within folders.
const DEPTH_MAX: usize = 16;

/// A folder as it was when its files were last read.
pub(super) struct Watch {
    folder: PathBuf,
    data: PathBuf,
    seen: u64,
}

impl Watch {
    pub(super) fn new(folder: &Path, data: &Path) -> Self {
        // A folder that cannot be named is told by the reload.
        let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let (folder, data) = (whole(folder), whole(data));
        let seen = stamp(&folder, &data);
        Self { folder, data, seen }
    }

    /// Returns when the files are others than before and have rested since the last look: an
    /// editor writes a file in several steps, and git writes many.
    pub(super) async fn changed(&mut self) {
        let mut before = self.seen;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let (folder, data) = (self.folder.clone(), self.data.clone());
            let look = tokio::task::spawn_blocking(move || stamp(&folder, &data));
            let Ok(now) = look.await else { continue };
            if now == before && now != self.seen {
                self.seen = now;
                return;
            }
            before = now;
        }
    }
}

/// A number that is another when a file was added, removed or written.
fn stamp(folder: &Path, data: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    walk(folder, data, DEPTH_MAX, &mut hasher);
    hasher.finish()
}

fn walk(folder: &Path, data: &Path, depth: usize, hasher: &mut DefaultHasher) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut entries: Vec<fs::DirEntry> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(b".") || path == data {
            continue;
        }
        name.hash(hasher);
        // Links are not followed here, so that no circle is walked.
        let Ok(about) = entry.metadata() else {
            continue;
        };
        if about.is_dir() {
            if depth > 0 {
                walk(&path, data, depth - 1, hasher);
            }
            continue;
        }
        (about.len(), about.modified().ok()).hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_a_change_and_what_is_hidden_is_not() {
        let site = hilum_testkit::site::SiteFolder::new().unwrap();
        let look = || stamp(site.path(), &site.path().join("data"));
        site.file("hilum.yaml", "site: a\n").unwrap();
        let first = look();
        assert_eq!(look(), first);
        site.file("tables/a.csv", "code").unwrap();
        let second = look();
        assert_ne!(second, first);
        site.file("tables/a.csv", "code,x").unwrap();
        let third = look();
        assert_ne!(third, second);
        site.file(".git/index", "x").unwrap();
        site.file("data/journal.db", "x").unwrap();
        assert_eq!(look(), third);
    }
}
