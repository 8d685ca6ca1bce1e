//! `cargo xtask demo`, `bench`, `crash` and `hazards`: build the program and the rig that drives it,
//! then start the rig.
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
        "say what to measure: hub, fhir, convert or limit".to_owned(),
    ))?;
    let mut rig = match what.as_str() {
        "hub" | "fhir" | "convert" => {
            let folder = build(Profile::Release, &["hilum", "hilum-rig"])?;
            let mut rig = shell::program(folder.join("hilum-rig"));
            rig.args([what, "--hilum"]).arg(folder.join("hilum"));
            if wants_micro(rest) {
                for measured in micro(what)? {
                    rig.args(["--micro", &measured]);
                }
            }
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

/// Whether the rows of single operations are asked for: with all others, or by name, and not where the
/// cost of one step is.
fn wants_micro(arguments: &[String]) -> bool {
    if arguments.iter().any(|argument| argument == "--with") {
        return false;
    }
    let only = arguments.iter().position(|argument| argument == "--only");
    let names = only.and_then(|at| arguments.get(at + 1));
    names.is_none_or(|names| names.split(',').any(|name| name == "micro"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Time,
    Throughput,
}

/// A single operation: the name of its row, package and bench, the line of the bench's table, and
/// whether that or the throughput below it is read.
type Micro = (&'static str, &'static str, &'static str, &'static str, Read);

const HUB_MICRO: [Micro; 6] = {
    const V2: &str = "hilum-hl7v2";
    const STEPS: &str = "hilum-steps";
    [
        ("tokenise", V2, "parse", "result", Read::Throughput),
        ("validate", V2, "validate", "validate", Read::Time),
        (
            "filter",
            STEPS,
            "process",
            "filter_of_a_parsed_message",
            Read::Time,
        ),
        ("process", STEPS, "process", "relay", Read::Time),
        ("script", STEPS, "script", "with_script", Read::Time),
        ("no-script", STEPS, "script", "without", Read::Time),
    ]
};

const FHIR_MICRO: [Micro; 4] = {
    const FHIR: &str = "hilum-fhir";
    [
        (
            "fhir-json",
            FHIR,
            "read",
            "parse_json_record",
            Read::Throughput,
        ),
        ("fhir-validate", FHIR, "validate", "base", Read::Throughput),
        (
            "us-core-validate",
            FHIR,
            "validate",
            "us_core_examples",
            Read::Throughput,
        ),
        ("us-core-load", FHIR, "validate", "load_us_core", Read::Time),
    ]
};

const CONVERT_MICRO: [Micro; 2] = {
    const CONVERT: &str = "hilum-convert";
    [
        (
            "to-fhir",
            CONVERT,
            "convert",
            "v2_to_fhir_json",
            Read::Throughput,
        ),
        ("to-v2", CONVERT, "convert", "fhir_to_v2", Read::Throughput),
    ]
};

/// What maps and conversions take of memory, as the example of the crate prints it.
fn memory() -> Result<Vec<String>> {
    let mut cargo = shell::cargo();
    cargo.args([
        "run",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "hilum-convert",
        "--example",
        "memory",
        "--",
        "config/examples/lab-to-fhir/samples/north.hl7",
    ]);
    let printed = shell::output(&mut cargo)?;
    Ok(printed.lines().map(str::to_owned).collect())
}

/// Runs the benches and reads the medians: `NAME=VALUE`, in nanoseconds, megabytes or items
/// a second.
fn micro(what: &str) -> Result<Vec<String>> {
    let micro: &[Micro] = match what {
        "fhir" => &FHIR_MICRO,
        "convert" => &CONVERT_MICRO,
        _ => &HUB_MICRO,
    };
    let mut measured = match what {
        "convert" => memory()?,
        _ => Vec::new(),
    };
    let mut printed = (("", ""), String::new());
    for &(name, package, bench, line, read) in micro {
        // Rows of one bench stand together, so that it runs once.
        if printed.0 != (package, bench) {
            let mut cargo = shell::cargo();
            cargo.args(["bench", "--locked", "--package", package, "--bench", bench]);
            printed = ((package, bench), shell::output(&mut cargo)?);
        }
        let printed = &printed.1;
        let Some(value) = median(printed, line, read) else {
            // The other rows are worth having without it.
            eprintln!("no median of {line} in what bench {bench} printed:\n{printed}");
            continue;
        };
        measured.push(format!("{name}={value}"));
    }
    Ok(measured)
}

/// The median of a line of divan's table, or of the throughput in the line below it.
fn median(printed: &str, name: &str, read: Read) -> Option<f64> {
    const TREE: [char; 5] = ['├', '╰', '│', '─', ' '];
    let column = |line: &str| line.split('│').nth(2).map(|cell| cell.trim().to_owned());
    let mut lines = printed.lines().map(|line| line.trim_start_matches(TREE));
    let found = lines.find(|line| {
        let is_named = line.split_whitespace().next() == Some(name);
        // The first line of the table has the name of the bench and no figures.
        is_named
            && column(line).is_some_and(|median| median.starts_with(|c: char| c.is_ascii_digit()))
    })?;
    let cell = match read {
        Read::Time => column(found)?,
        Read::Throughput => column(lines.next()?)?,
    };
    let (value, unit) = cell.split_once(' ')?;
    let factor = match unit {
        "ns" | "MB/s" | "item/s" => 1.0,
        "µs" | "GB/s" | "Kitem/s" => 1e3,
        "ms" | "Mitem/s" => 1e6,
        "s" => 1e9,
        "KB/s" => 1e-3,
        _ => return None,
    };
    Some(value.parse::<f64>().ok()? * factor)
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

/// `cargo xtask faults [--only peers|disk]`
pub(crate) fn faults(arguments: &[String]) -> Result<()> {
    driven("faults", arguments)
}

/// `cargo xtask hospitals [--channels N]`
pub(crate) fn hospitals(arguments: &[String]) -> Result<()> {
    driven("hospitals", arguments)
}

/// `cargo xtask hazards [ARGUMENTS OF THE RUNNER]`
pub(crate) fn hazards(arguments: &[String]) -> Result<()> {
    let folder = build(Profile::Ci, &["hilum-hazards"])?;
    shell::succeed(shell::program(folder.join("hilum-hazards")).args(arguments))
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

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
Timer precision: 20 ns
validate                 fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ tokenise_and_index                  │               │               │               │         │
│  ├─ admission          512.1 ns      │ 1.2 µs        │ 520.5 ns      │ 530 ns        │ 100     │ 3200
│  │                     1.2 GB/s      │ 600 MB/s      │ 1.1 GB/s      │ 1.1 GB/s      │         │
│  ╰─ result             4.1 µs        │ 8 µs          │ 4.25 µs       │ 4.3 µs        │ 100     │ 800
│                        1.1 GB/s      │ 600 MB/s      │ 1.5 GB/s      │ 1.1 GB/s      │         │
╰─ validate              20 µs         │ 40 µs         │ 21.5 µs       │ 22 µs         │ 100     │ 100
";

    fn check(name: &str, read: Read, expected: Option<f64>) {
        let found = median(PRINTED, name, read).map(|value| (value * 10.0).round());
        assert_eq!(
            found,
            expected.map(|value| (value * 10.0).round()),
            "{name}"
        );
    }

    #[test]
    fn reads_the_medians_of_a_bench() {
        check("admission", Read::Time, Some(520.5));
        check("result", Read::Throughput, Some(1500.0));
        check("validate", Read::Time, Some(21_500.0));
        check("nothing", Read::Time, None);
    }

    #[test]
    fn measures_single_operations_unless_other_rows_are_named() {
        let named = |names: &str| wants_micro(&["--only".to_owned(), names.to_owned()]);
        assert!(wants_micro(&[]) && named("relay,micro") && !named("relay,stat"));
    }
}
