//! `cargo xtask demo`, `bench` and `crash`: build the program and the rig that drives it, then start
//! the rig.
//!
//! What is measured or killed lives in `hilum-rig`, because it needs the crates of the product and
//! this package must be built before everything else. Benchmarks are built for release, demo
//! and crash rounds under the profile of the checks.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{Misunderstood, shell};

/// How the programs are built.
#[derive(Debug, Clone, Copy)]
enum Profile {
    Ci,
    Release,
}

impl Profile {
    const fn name(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Release => "release",
        }
    }
}

/// `cargo xtask bench WHAT [ARGUMENTS OF THE RIG]`
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    let (what, rest) = arguments.split_first().context(Misunderstood(
        "say what to measure: hub, backlog or limit".to_owned(),
    ))?;
    let mut rig = match what.as_str() {
        "hub" | "backlog" => {
            let folder = build(Profile::Release, &["hilum", "hilum-rig"])?;
            let mut rig = shell::program(folder.join("hilum-rig"));
            rig.args([what, "--hilum"]).arg(folder.join("hilum"));
            rig
        }
        "limit" => {
            let folder = build(Profile::Release, &["hilum-rig"])?;
            let mut rig = shell::program(folder.join("hilum-rig"));
            rig.arg("limit");
            rig
        }
        other => bail!(Misunderstood(format!(
            "nothing to measure is called `{other}`"
        ))),
    };
    start(&mut rig, rest)
}

/// `cargo xtask crash [--failpoints] [--long] [ARGUMENTS OF THE RIG]`
pub(crate) fn crash(arguments: &[String]) -> Result<()> {
    let long = |argument: &String| argument == "--long";
    let mut rest: Vec<String> = arguments.iter().filter(|a| !long(a)).cloned().collect();
    if arguments.iter().any(long) {
        rest.extend(["--rounds".to_owned(), "200".to_owned()]);
    }
    driven("crash", &rest)
}

/// `cargo xtask hospitals [--channels N]`
pub(crate) fn hospitals(arguments: &[String]) -> Result<()> {
    driven("hospitals", arguments)
}

/// `cargo xtask demo [--for 30s]`
pub(crate) fn demo(arguments: &[String]) -> Result<()> {
    driven("demo", arguments)
}

/// Builds as the checks do, and has the rig drive the program.
fn driven(what: &str, arguments: &[String]) -> Result<()> {
    let folder = build(Profile::Ci, &["hilum", "hilum-rig"])?;
    let mut rig = shell::program(folder.join("hilum-rig"));
    rig.args([what, "--hilum"]).arg(folder.join("hilum"));
    start(&mut rig, arguments)
}

/// Builds packages and gives the folder of their programs.
fn build(profile: Profile, packages: &[&str]) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--locked", "--profile", profile.name()]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    shell::succeed(&mut cargo)?;
    Ok(shell::target().join(profile.name()))
}

fn start(rig: &mut Command, arguments: &[String]) -> Result<()> {
    let work = shell::target().join("rig");
    std::fs::create_dir_all(&work).with_context(|| format!("create {}", work.display()))?;
    shell::succeed(rig.arg("--work").arg(work).args(arguments))
}
