//! `cargo xtask setup`: installs what the tests need, or fails naming the command that does.
//!
//! Only packages of the distribution are installed, only when a program is missing, and only as
//! root; otherwise the command to run is printed and nothing is changed. Crates and the clients of
//! other makers ([`peers`]) are fetched here, because `ci` never uses the network. It never asks a question.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::{peers, shell};

/// One program that tests start, how to see that it is there, and the Debian package it is in.
struct Need {
    what: &'static str,
    package: &'static str,
    present: fn() -> bool,
}

const NEEDS: [Need; 11] = [
    Need {
        what: "a C compiler (SQLite, zstd and QuickJS are compiled in)",
        package: "build-essential",
        present: || shell::exists("cc", "--version"),
    },
    Need {
        what: "Python 3 (reads registry packages for `codegen`)",
        package: "python3",
        present: || shell::exists("python3", "--version"),
    },
    Need {
        what: "python-hl7 (the mllp connector is tested against its client)",
        package: "python3-hl7",
        // The distribution's own Python has the distribution's packages.
        present: || shell::exists("/usr/bin/python3", "-cimport hl7"),
    },
    Need {
        what: "virtual environments of Python (for FHIR clients)",
        package: "python3-venv",
        present: || shell::exists("python3", "-cimport ensurepip, venv"),
    },
    Need {
        what: "Node.js (the FHIR server is tested with a client in JavaScript)",
        package: "nodejs",
        present: || shell::exists("node", "--version"),
    },
    Need {
        what: "npm (installs that client)",
        package: "npm",
        present: || shell::exists("npm", "--version"),
    },
    Need {
        what: "curl (the http connector is tested against it)",
        package: "curl",
        present: || shell::exists("curl", "--version"),
    },
    Need {
        what: "time zones by name (sites of the examples are in Berlin and London)",
        package: "tzdata",
        present: || Path::new("/usr/share/zoneinfo/Europe/London").exists(),
    },
    Need {
        what: "bzip2 (records of the shared test material are packed)",
        package: "bzip2",
        present: || shell::exists("bzip2", "--help"),
    },
    Need {
        what: "PostgreSQL's server programs (the sql connector is tested against a real one)",
        package: "postgresql",
        present: has_postgresql,
    },
    Need {
        what: "MariaDB's server (the sql connector is tested against a real one)",
        package: "mariadb-server",
        present: || {
            ["mariadbd", "/usr/sbin/mariadbd"]
                .iter()
                .any(|name| shell::exists(name, "--version"))
        },
    },
];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::only_flag(arguments, "")?;
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.present)()).collect();
    for need in &missing {
        println!("missing: {}", need.what);
    }
    if !missing.is_empty() {
        let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
        install(&packages)?;
        if let Some(need) = missing.iter().find(|need| !(need.present)()) {
            bail!(
                "{} was installed, but {} is still missing",
                need.package,
                need.what
            );
        }
    }
    for tool in ["fmt", "clippy"] {
        if !cargo_has(tool) {
            bail!("cargo {tool} is missing; run `rustup component add rustfmt clippy`");
        }
    }
    if !cargo_has("nextest") {
        println!("cargo nextest is not installed: tests run under `cargo test`, which is slower");
    }
    shell::succeed(
        shell::cargo()
            .env_remove("CARGO_NET_OFFLINE")
            .args(["fetch", "--locked"]),
    )
    .context("fetch the crates that Cargo.lock names")?;
    peers::install(&shell::root())?;
    println!("everything that the tests need is here");
    Ok(())
}

/// Whether cargo knows a subcommand.
pub(crate) fn cargo_has(subcommand: &str) -> bool {
    shell::cargo()
        .args([subcommand, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn has_postgresql() -> bool {
    let Ok(versions) = fs::read_dir("/usr/lib/postgresql") else {
        return shell::exists("initdb", "--version");
    };
    versions
        .flatten()
        .any(|version| version.path().join("bin/initdb").is_file())
}

fn install(packages: &[&str]) -> Result<()> {
    let by_hand = format!(
        "apt-get update && apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    );
    if !is_root() || !shell::exists("apt-get", "--version") {
        bail!("run `sudo sh -c '{by_hand}'` (or your system's counterpart), then this again");
    }
    println!("installing {}", packages.join(", "));
    keep_servers_quiet()?;
    let apt = || {
        let mut apt = shell::program("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
        apt
    };
    shell::succeed(apt().arg("update")).context("update the package lists")?;
    shell::succeed(
        apt()
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages),
    )
    .with_context(|| format!("run `{by_hand}` by hand to see why"))
}

/// Tests start servers of their own in temporary folders: the package need not make a cluster.
fn keep_servers_quiet() -> Result<()> {
    let folder = Path::new("/etc/postgresql-common");
    let file = folder.join("createcluster.conf");
    if file.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    fs::write(&file, "create_main_cluster = false\n")
        .with_context(|| format!("write {}", file.display()))
}

fn is_root() -> bool {
    shell::output(shell::program("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
