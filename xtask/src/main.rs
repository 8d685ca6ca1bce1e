//! Every automation of the project: `cargo xtask COMMAND`.
//!
//! Commands are rows of one table; each lives in a module of its own. A command that is not in the
//! table does not exist yet. The package has few dependencies, because everything else waits for
//! it to be built; what needs the crates of the product is a program of its own that a command
//! here builds and starts.
//!
//! Exit codes: 0 done, 1 something failed, 2 the command line was not understood.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program for developers speaks on its terminal"
)]

mod ci;
mod codegen;
mod fuzz;
mod new;
mod peers;
mod rig;
mod scores;
mod setup;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// Name, arguments, what it does, and the function that gets the arguments.
type Command = (
    &'static str,
    &'static str,
    &'static str,
    fn(&[String]) -> Result<()>,
);

const COMMANDS: [Command; 15] = [
    (
        "setup",
        "",
        "install what the tests need, or say which command installs it",
        setup::run,
    ),
    ("test", "[--long]", "setup, then every check", test::run),
    (
        "ci",
        "[--long] [--only STEP[,STEP]] [--from STEP] [--list]",
        "every check, without the network",
        ci::run,
    ),
    (
        "tidy",
        "[--rules]",
        "the rules that the tree keeps about itself",
        tidy::run,
    ),
    ("fmt", "[--check]", "format every crate", ci::fmt),
    (
        "codegen",
        "[--check]",
        "make the committed tables and the pages of the reference, or compare them",
        |arguments| codegen::run(only_flag(arguments, "--check")?),
    ),
    (
        "scores",
        "",
        "run the suites of others and write how well they agree",
        scores::run,
    ),
    (
        "new",
        "connector|step|format NAME",
        "a component that works, to be changed: its folder, its test, its line in the list",
        new::run,
    ),
    (
        "demo",
        "[--for 30s]",
        "a hospital of simulated systems around hilum, to look at",
        rig::demo,
    ),
    (
        "bench",
        "hub [--only ROW,ROW] [--long] [--json] [--write] [--seconds S] [--rounds N], fhir, convert or limit",
        "load on the relay example in release, beside the limit of this machine",
        rig::bench,
    ),
    (
        "crash",
        "[--failpoints] [--long] [--rounds N] [--seed N]",
        "killed at random moments or named places under load; nothing promised may be lost",
        rig::crash,
    ),
    (
        "faults",
        "[--only peers|disk] [--seconds S]",
        "peers that misbehave and a disk that fills up; all goes on, nothing promised may be lost",
        rig::faults,
    ),
    (
        "fuzz",
        "[--seconds S] [--only CRATE[/TARGET]]",
        "every fuzz target for a while; needs cargo-fuzz and a nightly toolchain",
        fuzz::run,
    ),
    (
        "hazards",
        "[--sequence NAME] [--seed N] [--show] [--long] [--json]",
        "the sequences of the hazard log in every order, with a retry and a loss of power each",
        rig::hazards,
    ),
    (
        "hospitals",
        "[--channels N]",
        "hundreds of channels: start, reload one under load, kill, search",
        rig::hospitals,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("help", String::as_str);
    let rest = arguments.get(1..).unwrap_or_default();
    if matches!(name, "help" | "--help" | "-h") || rest.iter().any(|a| a == "--help" || a == "-h") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some((_, usage, _, run)) = COMMANDS.iter().find(|(command, ..)| *command == name) else {
        eprintln!("error: no command `{name}`\n\n{}", help());
        return ExitCode::from(2);
    };
    match run(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Misunderstood>() => {
            eprintln!("error: {error}\nusage: cargo xtask {name} {usage}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let mut text = String::from("usage: cargo xtask COMMAND\n\n");
    for (name, usage, summary, _) in COMMANDS {
        text.push_str(&format!("  {name} {usage}\n      {summary}\n"));
    }
    text
}

/// The command line was not understood: the usage is printed and the exit code is 2.
#[derive(Debug)]
pub(crate) struct Misunderstood(pub(crate) String);

impl std::fmt::Display for Misunderstood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misunderstood {}

/// Whether the one flag that a command knows was given; anything else is refused.
pub(crate) fn only_flag(arguments: &[String], flag: &str) -> Result<bool> {
    match arguments.iter().find(|argument| *argument != flag) {
        Some(other) => bail!(Misunderstood(format!("unknown argument `{other}`"))),
        None => Ok(!arguments.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_command_in_the_help() {
        let text = help();
        for (name, ..) in COMMANDS {
            assert!(text.contains(&format!("\n  {name} ")), "{name} in {text}");
        }
    }

    #[test]
    fn refuses_an_argument_it_does_not_know() {
        let given = ["--chekc".to_owned()];
        let error = only_flag(&given, "--check").unwrap_err();
        assert!(error.is::<Misunderstood>());
    }
}
