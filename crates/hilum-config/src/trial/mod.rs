//! `*.test.yaml`: messages through a channel's plan, and what must come of them.
//!
//! Tests go the same pure way as the engine, [`hilum_component::process`], without sockets, clock
//! or journal. They say what was expected and what came, place by place, and what they covered.

mod compare;
mod coverage;
mod junit;
mod read;
mod run;

use serde::Serialize;

pub use coverage::{ChannelCoverage, Coverage, TableCoverage};
pub use junit::junit;

use crate::diagnostic::{Diagnostic, Report};
use crate::plan::{Loaded, Options};
use crate::site::Folder;
use hilum_component::Registry;

/// What became of the tests of a site.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TestRun {
    /// What is wrong with the test files; a file with an error is not run.
    pub diagnostics: Vec<Diagnostic>,
    /// The number of test files.
    pub files: usize,
    /// One result for each test, in the order of the files.
    pub results: Vec<TestResult>,
    /// What was reached.
    pub coverage: Coverage,
}

impl TestRun {
    /// The number of tests that failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.results
            .iter()
            .filter(|result| !result.passed())
            .count()
    }
}

/// What became of one test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TestResult {
    /// The file, from the site's folder.
    pub file: String,
    /// The line at which the test begins.
    pub line: u32,
    /// The channel that was tested.
    pub channel: String,
    /// The sentence of the test.
    pub name: String,
    /// What came of the message, in a few words.
    pub outcome: String,
    /// Where expected and actual differ; none for a test that passed.
    pub differences: Vec<Difference>,
}

impl TestResult {
    /// Everything came as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

/// One place where expected and actual differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// The key of `expect:`, and below a destination the path: `ehr OBX-3.1`.
    pub place: String,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub got: String,
}

/// Runs the tests of a site; with `only`, those whose file, channel or sentence contains it.
#[must_use]
pub fn run_tests(
    folder: &Folder,
    loaded: &Loaded,
    registry: &Registry,
    only: Option<&str>,
) -> TestRun {
    let Some(plan) = &loaded.plan else {
        return TestRun::default();
    };
    let mut report = Report::default();
    let read = read::tests(folder, plan, registry, &Options::default(), &mut report);
    let mut coverage = Coverage::of(plan, &loaded.site, folder);
    let mut results = Vec::with_capacity(read.cases.len());
    for case in &read.cases {
        let wanted = |text: &&str| {
            case.file.contains(*text)
                || case.channel.name.contains(*text)
                || case.name.contains(*text)
        };
        if only.as_ref().is_none_or(wanted) {
            results.push(run::run(case, &mut coverage));
        }
    }
    let files = read.files.count();
    TestRun {
        diagnostics: report.finish(&read.files),
        files,
        results,
        coverage,
    }
}
