//! The table of checks, in the order they run: what fails soonest comes first.

use anyhow::{Result, bail};

use super::count::Count;
use super::{Step, When};
use crate::{codegen, new, rig, setup, shell, tidy};

pub(super) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "every crate is formatted",
        when: When::Always,
        run: || done(format(true)),
    },
    Step {
        name: "tidy",
        about: "the rules that the tree keeps about itself",
        when: When::Always,
        run: || done(tidy::run(&[])),
    },
    Step {
        name: "clippy",
        about: "lints, for every target, warnings denied",
        when: When::Always,
        run: clippy,
    },
    Step {
        name: "tests",
        about: "unit, property and integration tests",
        when: When::Always,
        run: tests,
    },
    Step {
        name: "doctests",
        about: "examples in the documentation of the crates",
        when: When::Always,
        run: doctests,
    },
    Step {
        name: "benches",
        about: "every benchmark once, so that none rots",
        when: When::Always,
        run: benches,
    },
    Step {
        name: "codegen",
        about: "committed tables are what their sources give",
        when: When::Always,
        run: || done(codegen::run(true)),
    },
    Step {
        name: "demo",
        about: "the demo hospital shows all that it is to show",
        when: When::Always,
        run: || done(rig::demo(&["--for".to_owned(), "30s".to_owned()])),
    },
    Step {
        name: "hazards",
        about: "the sequences of the hazard log in every order of arrival, on the simulated disk",
        when: When::Always,
        run: || done(rig::hazards(&[])),
    },
    Step {
        name: "crash",
        about: "SIGKILL at 10 random moments under load",
        when: When::Always,
        run: || done(rig::crash(&[])),
    },
    Step {
        name: "failpoints",
        about: "the program ends at each of its failpoints once, under load",
        when: When::Always,
        run: || done(rig::crash(&["--failpoints".to_owned()])),
    },
    Step {
        name: "faults",
        about: "peers that hang, reset or answer wrongly, and a full disk, under load",
        when: When::Always,
        run: || done(rig::faults(&[])),
    },
    Step {
        name: "hospitals",
        about: "300 channels: start, reload one under load, SIGKILL, search, within a minute",
        when: When::Always,
        run: || done(rig::hospitals(&[])),
    },
    Step {
        name: "crash-long",
        about: "SIGKILL at 200 random moments under load",
        when: When::Long,
        run: || done(rig::crash(&["--long".to_owned()])),
    },
    Step {
        name: "new",
        about: "what `cargo xtask new` writes compiles without a warning",
        when: When::Long,
        run: || done(new::check()),
    },
    Step {
        name: "lean",
        about: "the program without its optional parts compiles without a warning",
        when: When::Long,
        run: lean,
    },
    Step {
        name: "failpoints-long",
        about: "the program ends 200 times at its failpoints, under load",
        when: When::Long,
        run: || {
            done(rig::crash(&[
                "--failpoints".to_owned(),
                "--long".to_owned(),
            ]))
        },
    },
    Step {
        name: "deny",
        about: "advisories, licences and sources of the crates, by cargo-deny",
        when: When::Long,
        run: deny,
    },
];

fn done(result: Result<()>) -> Result<Count> {
    result.map(|()| Count::default())
}

pub(super) fn format(check: bool) -> Result<()> {
    let mut fmt = shell::cargo();
    fmt.args(["fmt", "--all"]);
    if check {
        fmt.arg("--check");
    }
    shell::succeed(&mut fmt)
}

fn lean() -> Result<Count> {
    done(shell::succeed(shell::cargo().args([
        "clippy",
        "--locked",
        "-p",
        "hilum",
        "--no-default-features",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])))
}

fn clippy() -> Result<Count> {
    done(shell::succeed(shell::cargo().args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])))
}

fn tests() -> Result<Count> {
    let mut run = shell::cargo();
    if setup::cargo_has("nextest") {
        run.args(["nextest", "run", "--cargo-profile", "ci"]);
    } else {
        run.args(["test", "--profile", "ci", "--lib", "--bins", "--tests"]);
    }
    counted(run.args(["--locked", "--workspace", "--no-fail-fast"]))
}

fn doctests() -> Result<Count> {
    counted(shell::cargo().args([
        "test",
        "--locked",
        "--workspace",
        "--doc",
        "--profile",
        "ci",
        "--no-fail-fast",
        "--quiet",
    ]))
}

/// Only targets that are benchmarks: `--benches` would run every unit test a second time.
fn benches() -> Result<Count> {
    let mut run = shell::cargo();
    run.args(["test", "--locked", "--workspace", "--profile", "ci"]);
    done(shell::succeed(run.args(["--quiet", "--bench", "*"])))
}

fn deny() -> Result<Count> {
    if !setup::cargo_has("deny") {
        bail!("cargo deny is not installed; run `cargo install --locked cargo-deny`");
    }
    done(shell::succeed(
        shell::cargo()
            .env_remove("CARGO_NET_OFFLINE")
            .args(["deny", "check"]),
    ))
}

fn counted(command: &mut std::process::Command) -> Result<Count> {
    let mut count = Count::default();
    let well = shell::watch(command, |line| count.read(line))?;
    Ok(count.ended(well))
}
