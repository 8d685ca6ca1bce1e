//! Material that lies outside the tree.

use std::path::{Path, PathBuf};

/// The folder of shared test material, if it is there; otherwise says so.
pub(crate) fn shared(test: &str) -> Option<PathBuf> {
    let fixed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let folder = std::env::var_os("HILUM_SHARED").map_or_else(|| fixed.into(), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("not run: {test} (no shared material)");
    None
}

/// Every file below a folder with this extension, in order.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|found| found.eq_ignore_ascii_case(extension))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
