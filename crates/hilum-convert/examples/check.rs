//! Prints every problem of map files: `cargo run -p hilum-convert --example check` for those of the
//! crate as they are on the disk now, with the names of folders behind `--` for those.

#![expect(clippy::print_stdout, reason = "printing is its purpose")]

use std::fs;
use std::path::{Path, PathBuf};

fn main() -> std::process::ExitCode {
    let mut folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if folders.is_empty() {
        folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("maps"));
    }
    let mut files = Vec::new();
    for folder in &folders {
        collect(folder, &mut files);
    }
    files.sort();
    let texts: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let (_, problems) = hilum_convert::Maps::read(&texts);
    for problem in &problems {
        println!("{problem}");
    }
    println!("{} files, {} problems", texts.len(), problems.len());
    std::process::ExitCode::from(u8::from(!problems.is_empty()))
}

fn collect(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "map")
            && let Ok(text) = fs::read_to_string(&path)
        {
            files.push((path.display().to_string(), text));
        }
    }
}
