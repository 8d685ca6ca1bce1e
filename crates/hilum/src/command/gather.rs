//! The files that arguments name.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The files of a folder, and of those in it, that have one of these endings, in order of their
/// names; a file that was named is taken whatever it is called.
pub(super) fn gather(
    path: &Path,
    named: bool,
    endings: &[&str],
    files: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let reads = || format!("cannot read {}", path.display());
    if path.is_dir() {
        let entries = std::fs::read_dir(path).with_context(reads)?;
        let mut inside: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()
            .with_context(reads)?;
        inside.sort();
        for one in inside {
            gather(&one, false, endings, files)?;
        }
        return Ok(());
    }
    let is_known = path
        .extension()
        .is_some_and(|own| endings.iter().any(|known| own.eq_ignore_ascii_case(known)));
    if named || is_known {
        files.push(path.to_path_buf());
    } else if !path.exists() {
        bail!("there is no {}", path.display());
    }
    Ok(())
}
