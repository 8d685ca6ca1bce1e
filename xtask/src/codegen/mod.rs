//! `cargo xtask codegen`: makes the committed tables of HL7 v2, FHIR and terminology from registry
//! packages, and the pages of the reference from the source.
//!
//! The packages are named by version and checked by sha256, fetched once into
//! `target/registry-packages` through their ordinary clients, merged (every disagreement is written
//! down) and encoded into one binary table that `hilum-hl7v2` embeds. The output depends on nothing
//! but the packages and this code, so `--check` compares bytes. Without the packages `--check`
//! only proves that the committed table is the one that was recorded, and says so.

mod encode;
mod fhir;
mod merge;
mod packages;
mod reference;
mod report;
mod terminology;
mod ucum;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

const GENERATED: &str = "crates/hilum-hl7v2/src/generated";

/// Writes the generated files, or with `check` compares them with what the inputs give.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = workspace_root()?;
    let cache = root.join("target/registry-packages");
    let generated = root.join(GENERATED);
    if !check {
        reference::write()?;
    }
    ucum::run(&root, &cache, check)?;
    fhir::run(&root, &cache, check)?;
    terminology::run(&root, &cache, check)?;
    if check && !packages::all_present(&cache) {
        return check_recorded(&generated);
    }
    let sources = packages::read(&cache)?;
    let merged = merge::merge(&sources)?;
    let table = encode::encode(&merged.versions)?;
    let files = [
        (
            "dictionary.sha256",
            format!("{}\n", hex_digest(&table)).into_bytes(),
        ),
        ("dictionary.bin", table),
        ("PROVENANCE.md", report::provenance(&merged).into_bytes()),
        ("CONFLICTS.md", report::conflicts(&merged).into_bytes()),
    ];
    println!("{}", report::summary(&merged));
    for (name, bytes) in &files {
        let path = generated.join(name);
        if check {
            let found = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            if &found != bytes {
                bail!(
                    "{GENERATED}/{name} is not what the packages give; run `cargo xtask codegen`"
                );
            }
        } else {
            fs::create_dir_all(&generated)?;
            fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
            println!("wrote {GENERATED}/{name} ({} bytes)", bytes.len());
        }
    }
    if check {
        println!("the committed dictionary is what the packages give");
    }
    Ok(())
}

fn check_recorded(generated: &Path) -> Result<()> {
    let table = fs::read(generated.join("dictionary.bin")).context("read dictionary.bin")?;
    let recorded = fs::read_to_string(generated.join("dictionary.sha256"))
        .context("read dictionary.sha256")?;
    if recorded.trim() != hex_digest(&table) {
        bail!("{GENERATED}/dictionary.bin does not have the recorded sha256");
    }
    println!(
        "dictionary.bin has its recorded sha256; the packages are not here, sources were not re-read"
    );
    Ok(())
}

fn workspace_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here
        .parent()
        .context("xtask lies in the workspace")?
        .to_path_buf())
}

pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}
