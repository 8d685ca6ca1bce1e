//! `cargo xtask fuzz`: every fuzz target of every crate for a while, from the samples of the tree.
//!
//! It needs cargo-fuzz and a nightly toolchain, and so is no part of `ci`; the bodies of the targets
//! are. What a run finds is kept in the build folder and not among the samples. A case that breaks a
//! promise is left in the crate's `fuzz/artifacts/`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::{Misunderstood, shell};

/// Seconds for each target.
const SECONDS: &str = "30";

/// One case may take this long: the sanitizer makes programs many times slower.
const CASE_SECONDS_MAX: u32 = 60;

/// Targets with the folder of samples that they begin with; the others begin with nothing.
const SEEDS: [(&str, &str); 5] = [
    ("hl7v2/parse", "corpus/hl7v2"),
    ("hl7v2/edit", "corpus/hl7v2"),
    ("hl7v2/mllp", "corpus/hl7v2"),
    ("convert/there", "corpus/hl7v2"),
    ("convert/map_file", "crates/hilum-convert/maps/segments"),
];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (mut seconds, mut only) = (SECONDS.to_owned(), None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().with_context(|| {
            Misunderstood(format!(
                "`{argument}` is not known here, or its value is missing"
            ))
        })?;
        match argument.as_str() {
            "--seconds" if value.parse::<u32>().is_ok() => seconds.clone_from(value),
            "--only" => only = Some(value.as_str()),
            _ => bail!(Misunderstood(format!(
                "`{argument} {value}` is not understood"
            ))),
        }
    }
    let mut probe = shell::program("cargo");
    probe.args(["+nightly", "fuzz", "--version"]);
    if shell::output(&mut probe).is_err() {
        bail!(
            "cargo-fuzz and a nightly toolchain are needed: \
             `rustup toolchain install nightly` and `cargo install cargo-fuzz --locked`"
        );
    }
    let targets = targets(&shell::root())?;
    let chosen: Vec<_> = targets
        .iter()
        .filter(|target| only.is_none_or(|only| target.starts_with(only)))
        .collect();
    if chosen.is_empty() {
        bail!("there is no such target; there are {}", targets.join(", "));
    }
    let mut broken = Vec::new();
    for target in chosen {
        println!("fuzz: {target}");
        if let Err(error) = one(target, &seconds) {
            eprintln!("{target}: {error:#}");
            broken.push(target.as_str());
        }
    }
    if !broken.is_empty() {
        bail!("targets that failed: {}", broken.join(", "));
    }
    Ok(())
}

/// All targets as `hl7v2/parse`.
fn targets(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("crates"))? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_start_matches("hilum-").to_owned();
        let Ok(files) = fs::read_dir(folder.join("fuzz/fuzz_targets")) else {
            continue;
        };
        for file in files {
            let file = file?.path();
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            found.push(format!("{name}/{stem}"));
        }
    }
    found.sort();
    Ok(found)
}

fn one(target: &str, seconds: &str) -> Result<()> {
    let (of, name) = target.split_once('/').context("a target of a crate")?;
    let folder = shell::root().join(format!("crates/hilum-{of}"));
    // libFuzzer writes what it finds to the first folder.
    let kept = shell::target().join("fuzz/kept").join(target);
    fs::create_dir_all(&kept)?;
    let mut cargo = shell::program("cargo");
    cargo.current_dir(&folder);
    cargo.env("CARGO_TARGET_DIR", shell::target().join("fuzz"));
    cargo.args(["+nightly", "fuzz", "run", name]).arg(&kept);
    let seeds = SEEDS.iter().find(|(of, _)| *of == target);
    cargo.args(seeds.map(|(_, folder)| shell::root().join(folder)));
    cargo.args(["--", &format!("-max_total_time={seconds}")]);
    cargo.arg(format!("-timeout={CASE_SECONDS_MAX}"));
    shell::succeed(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_samples_is_a_target() {
        let targets = targets(&shell::root()).expect("the crates");
        for (target, folder) in SEEDS {
            assert!(targets.iter().any(|known| known == target), "{target}");
            assert!(shell::root().join(folder).is_dir(), "{folder}");
        }
    }
}
