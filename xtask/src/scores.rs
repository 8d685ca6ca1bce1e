//! `cargo xtask scores`: writes the pages that say how well the suites of others agree.
//!
//! The tests that run the suites compare their page; here they write it. They need the shared test
//! material.

use anyhow::{Result, bail};

use crate::shell;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("`scores` takes no arguments");
    }
    if shell::shared().is_none() {
        bail!("no shared test material: set HILUM_SHARED to its folder");
    }
    let mut cargo = shell::cargo();
    cargo.args([
        "nextest",
        "run",
        "-p",
        "hilum-fhir",
        "-p",
        "hilum-convert",
        "_suite",
    ]);
    shell::succeed(cargo.env("HILUM_SCORES", "write"))?;
    let mut cargo = shell::cargo();
    cargo.args(["nextest", "run", "-p", "hilum-fhir-server", "--test", "it"]);
    cargo.arg("terminology_suite");
    shell::succeed(cargo.env("HILUM_SCORES", "write"))?;
    println!("wrote docs/scores");
    Ok(())
}
