//! `hilum test`

use anyhow::Context;
use hilum_config::{
    Coverage, Folder, Secrets, Severity, TestResult, TestRun, junit, render, run_tests, summary,
};

use super::check::load_site_with;
use crate::args::Test;
use crate::components::registry;
use crate::output::{Exit, Output};

pub(crate) fn run(arguments: &Test, output: &Output) -> anyhow::Result<Exit> {
    let loaded = load_site_with(
        &arguments.site,
        Secrets::Unread,
        arguments.data.as_deref(),
        output,
    )?;
    if loaded.plan.is_none() {
        output.note(summary(&loaded.diagnostics, loaded.files));
        return Ok(Exit::Found);
    }
    let folder = Folder::on_disk(&arguments.site.site.canonicalize()?);
    let tests = run_tests(&folder, &loaded, &registry(), arguments.only.as_deref());
    if let Some(file) = &arguments.junit {
        std::fs::write(file, junit(&tests))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    if output.json() {
        output.value(&tests)?;
    } else {
        show(&tests, output);
        if arguments.coverage {
            unreached(&tests.coverage, output);
        }
    }
    let broken = tests
        .diagnostics
        .iter()
        .any(|found| found.severity == Severity::Error);
    Ok(if broken || tests.failed() > 0 {
        Exit::Found
    } else {
        Exit::Done
    })
}

fn show(tests: &TestRun, output: &Output) {
    if !tests.diagnostics.is_empty() {
        output.note(render(&tests.diagnostics));
    }
    tests.results.iter().for_each(|result| one(result, output));
    let (count, failed) = (tests.results.len(), tests.failed());
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    output.line(format_args!(
        "{count} test{} in {} file{}, {failed} failed",
        plural(count),
        tests.files,
        plural(tests.files)
    ));
}

fn one(result: &TestResult, output: &Output) {
    let (word, color) = if result.passed() {
        ("ok", "32")
    } else {
        ("FAILED", "31")
    };
    output.line(format_args!(
        "{} {}: {}",
        output.colored(color, &format!("{word:6}")),
        result.channel,
        result.name
    ));
    if result.passed() {
        return;
    }
    output.line(format_args!(
        "       {}:{}, the message was {}",
        result.file, result.line, result.outcome
    ));
    for difference in &result.differences {
        output.line(format_args!("       {}", difference.place));
        output.line(output.colored("32", &format!("         expected {}", difference.expected)));
        output.line(output.colored("31", &format!("         got      {}", difference.got)));
    }
}

/// What no test reaches, and how much is reached.
fn unreached(coverage: &Coverage, output: &Output) {
    for (name, channel) in &coverage.channels {
        let parts = channel.steps.iter().chain(&channel.destinations);
        let missed: Vec<&str> = parts
            .clone()
            .filter(|(_, reached)| **reached == 0)
            .map(|(part, _)| part.as_str())
            .collect();
        let count = parts.count();
        output.line(format_args!(
            "{name}: {} of {count} steps and destinations reached by {} message{}{}",
            count - missed.len(),
            channel.messages,
            if channel.messages == 1 { "" } else { "s" },
            listed(&missed)
        ));
    }
    for (path, table) in &coverage.tables {
        let missed: Vec<String> = table
            .rows
            .difference(&table.used)
            .map(u64::to_string)
            .collect();
        let lines: Vec<&str> = missed.iter().map(String::as_str).collect();
        output.line(format_args!(
            "{path}: {} of {} rows reached{}",
            table.rows.intersection(&table.used).count(),
            table.rows.len(),
            listed(&lines)
        ));
    }
}

fn listed(missed: &[&str]) -> String {
    if missed.is_empty() {
        return String::new();
    }
    format!("; not reached: {}", missed.join(", "))
}
