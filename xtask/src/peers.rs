//! Clients of other makers, from their registries: `target/peers/python` and `target/peers/javascript`.
//!
//! What is installed is pinned by `xtask/peers/`; a copy of those files lies beside what they gave,
//! so that nothing is installed twice and a change of a version installs anew.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::shell;

const REQUIREMENTS: &str = "xtask/peers/requirements.txt";
const LOCK: &str = "xtask/peers/javascript/package-lock.json";

/// Installs what is missing or of another version.
pub(crate) fn install(root: &Path) -> Result<()> {
    let peers = root.join("target/peers");
    fs::create_dir_all(&peers)?;
    let python = peers.join("python");
    if !is_of(&root.join(REQUIREMENTS), &python)? {
        renew(&python)?;
        println!("installing FHIR clients for Python");
        shell::succeed(shell::program("python3").args(["-m", "venv"]).arg(&python))
            .context("make a virtual environment (Debian: apt-get install python3-venv)")?;
        shell::succeed(
            shell::program(python.join("bin/python"))
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                ])
                .arg("--requirement")
                .arg(root.join(REQUIREMENTS)),
        )
        .with_context(|| format!("install what {REQUIREMENTS} names"))?;
        remember(&root.join(REQUIREMENTS), &python)?;
    }
    let javascript = peers.join("javascript");
    if !is_of(&root.join(LOCK), &javascript)? {
        renew(&javascript)?;
        println!("installing a FHIR client for JavaScript");
        fs::create_dir_all(&javascript)?;
        for file in ["package.json", "package-lock.json"] {
            let from = root.join("xtask/peers/javascript").join(file);
            fs::copy(&from, javascript.join(file))
                .with_context(|| format!("copy {}", from.display()))?;
        }
        shell::succeed(
            shell::program("npm")
                .args([
                    "ci",
                    "--silent",
                    "--no-audit",
                    "--no-fund",
                    "--ignore-scripts",
                ])
                .arg("--prefix")
                .arg(&javascript),
        )
        .with_context(|| format!("install what {LOCK} names"))?;
        remember(&root.join(LOCK), &javascript)?;
    }
    Ok(())
}

/// Whether a folder holds what a file names.
fn is_of(pinned: &Path, folder: &Path) -> Result<bool> {
    let wanted = fs::read(pinned).with_context(|| format!("read {}", pinned.display()))?;
    Ok(fs::read(folder.join(".installed")).is_ok_and(|found| found == wanted))
}

/// Notes what a folder holds, once it does.
fn remember(pinned: &Path, folder: &Path) -> Result<()> {
    fs::copy(pinned, folder.join(".installed")).context("note what was installed")?;
    Ok(())
}

fn renew(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}
