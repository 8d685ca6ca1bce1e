//! Sites in folders of their own, checked with a few small components.

#![allow(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::let_underscore_must_use,
    clippy::too_many_lines,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests, helpers included, stop at the first surprise"
)]

mod broken;
mod database;
mod fake;
mod good;
mod kept;
mod random;
mod trial;

use std::path::Path;

use hilum_config::{Loaded, Options, Variables, load};
use tempfile::TempDir;

/// A folder with these files.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    write(dir.path(), files);
    dir
}

pub fn write(dir: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

pub fn options() -> Options {
    let variables = [("EHR_PASSWORD".to_owned(), "open sesame".to_owned())];
    Options {
        variables: Variables::Fixed(variables.into()),
        ..Options::default()
    }
}

pub fn load_files(files: &[(&str, &str)]) -> Loaded {
    load(folder(files).path(), &fake::registry(), &options())
}

pub const HILUM: (&str, &str) = ("hilum.yaml", "site: st-elsewhere\n");
pub const EHR: (&str, &str) = (
    "systems/ehr.yaml",
    "system: ehr\naddresses: { wire: 10.0.4.9:2575 }\n",
);
pub const LIS: (&str, &str) = ("systems/lis.yaml", "system: lis\nowner: lab@example\n");
