//! Where the shared material lies.

use std::path::PathBuf;

/// A folder or file of the shared material; says so where there is none.
pub(crate) fn shared(place: &str, test: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("HILUM_SHARED") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
    };
    let path = root.join(place);
    if path.exists() {
        return Some(path);
    }
    println!("not run: {test} (no shared material)");
    None
}

/// The files of a folder with this ending, sorted.
pub(crate) fn files(folder: &std::path::Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().is_some_and(|p| p.ends_with(ending)))
        .collect();
    files.sort();
    files
}
