//! `cargo xtask ci`: every check, as a table of steps.
//!
//! Invariants: no step uses the network; a failing step does not hide the later ones; each step
//! can be run alone with `--only`. Two builds of the dependencies are paid for, and no more: clippy
//! checks under the `dev` profile, and everything that runs is built under `ci`.

mod count;
mod steps;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::Misunderstood;
use crate::shell::{Watch, spoken};

use count::Count;
use steps::STEPS;

/// One check.
struct Step {
    name: &'static str,
    about: &'static str,
    when: When,
    run: fn() -> Result<Count>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Long,
}

/// `cargo xtask fmt`.
pub(crate) fn fmt(arguments: &[String]) -> Result<()> {
    steps::format(crate::only_flag(arguments, "--check")?)
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let chosen = match choose(arguments)? {
        Choice::List => {
            for step in STEPS {
                let when = if step.when == When::Long {
                    " (--long)"
                } else {
                    ""
                };
                println!("{:<10} {}{when}", step.name, step.about);
            }
            return Ok(());
        }
        Choice::Run(chosen) => chosen,
    };
    let whole = Watch::start();
    let mut total = Count::default();
    let mut rows: Vec<(&str, Duration, bool)> = Vec::new();
    for step in chosen {
        println!("\n=== {}: {}", step.name, step.about);
        let watch = Watch::start();
        let count = match (step.run)() {
            Ok(count) => count,
            Err(error) => {
                eprintln!("error: {error:#}");
                Count::failure()
            }
        };
        let well = count.failed == 0;
        let verdict = if well { "ok" } else { "FAILED" };
        println!(
            "=== {}: {verdict} in {}",
            step.name,
            spoken(watch.elapsed())
        );
        if !well {
            println!("    again: cargo xtask ci --only {}", step.name);
        }
        rows.push((step.name, watch.elapsed(), well));
        total.add(count);
    }
    println!();
    for (name, duration, well) in &rows {
        let verdict = if *well { "ok" } else { "FAILED" };
        println!("{name:<10} {verdict:<7} {}", spoken(*duration));
    }
    println!("all of it: {}", spoken(whole.elapsed()));
    let failing: Vec<&str> = rows
        .iter()
        .filter(|(_, _, well)| !well)
        .map(|(name, ..)| *name)
        .collect();
    if failing.is_empty() {
        println!("{total}");
        return Ok(());
    }
    eprintln!("again: cargo xtask ci --only {}", failing.join(","));
    println!("{total}");
    bail!("{total}")
}

enum Choice {
    List,
    Run(Vec<&'static Step>),
}

fn choose(arguments: &[String]) -> Result<Choice> {
    let mut long = false;
    let mut only: Option<Vec<&str>> = None;
    let mut from: Option<&str> = None;
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        match argument {
            "--list" => return Ok(Choice::List),
            "--long" => long = true,
            "--only" => only = Some(rest.next().unwrap_or_default().split(',').collect()),
            "--from" => from = Some(rest.next().unwrap_or_default()),
            other => bail!(Misunderstood(format!("unknown argument `{other}`"))),
        }
    }
    for name in only.iter().flatten().chain(&from) {
        if !STEPS.iter().any(|step| step.name == *name) {
            bail!(Misunderstood(format!(
                "no step `{name}`; `cargo xtask ci --list` names them"
            )));
        }
    }
    let chosen = match (only, from) {
        (Some(names), _) => STEPS
            .iter()
            .filter(|step| names.contains(&step.name))
            .collect(),
        (None, from) => STEPS
            .iter()
            .skip_while(|step| from.is_some_and(|name| step.name != name))
            .filter(|step| long || step.when == When::Always)
            .collect(),
    };
    Ok(Choice::Run(chosen))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Vec<&'static str> {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        match choose(&arguments).unwrap() {
            Choice::Run(steps) => steps.iter().map(|step| step.name).collect(),
            Choice::List => Vec::new(),
        }
    }

    #[test]
    fn runs_what_was_asked_for() {
        assert_eq!(names(&["--only", "tidy"]), ["tidy"]);
        assert_eq!(names(&["--only", "clippy,fmt"]), ["fmt", "clippy"]);
        assert_eq!(names(&[]).first(), Some(&"fmt"));
        assert_eq!(names(&["--from", "clippy"]).first(), Some(&"clippy"));
        assert!(names(&["--long"]).len() > names(&[]).len());
    }

    #[test]
    fn refuses_a_step_that_does_not_exist() {
        let arguments = ["--only".to_owned(), "clipy".to_owned()];
        assert!(choose(&arguments).is_err_and(|error| error.is::<Misunderstood>()));
    }
}
