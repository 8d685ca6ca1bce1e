//! `hilum fhir validate`

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use hilum_fhir::definitions::Membership;
use hilum_fhir::validate::{self as fhir, Request, Validator};
use hilum_fhir::{Problem, Severity};
use hilum_fhirpath::Moment;
use hilum_terminology::{Bindings, Terminology};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::gather::gather;
use crate::args::FhirValidate;
use crate::output::{Exit, Output};

/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

pub(super) fn run(arguments: &FhirValidate, output: &Output) -> anyhow::Result<Exit> {
    let mut files = Vec::new();
    for path in &arguments.paths {
        gather(path, path.is_file(), ENDINGS, &mut files)?;
    }
    if files.is_empty() {
        bail!("there is no file that ends with .json, .xml or .ndjson");
    }
    let mut check = Checking {
        validator: Validator::new(),
        codes: arguments.data.as_deref().map(Codes::of).transpose()?,
        errors_only: arguments.errors_only,
        output,
        watched: std::io::stderr().is_terminal() && !output.json(),
        begun: Instant::now(),
        shown: Instant::now(),
        total: 0,
        wrong: 0,
    };
    for file in &files {
        check.file(file)?;
    }
    check.end();
    Ok(if check.wrong > 0 {
        Exit::Found
    } else {
        Exit::Done
    })
}

/// Endings of files that a folder is searched for.
const ENDINGS: &[&str] = &["json", "xml", "ndjson"];

/// The value sets that bindings go by beside those of the standard.
struct Codes {
    /// What is loaded: it goes before the standard, since somebody chose it.
    loaded: Terminology,
    /// What ships as well: it answers what the standard's own tables leave open.
    all: Terminology,
}

impl Codes {
    fn of(data: &Path) -> anyhow::Result<Self> {
        let opened = crate::terms::opened(Some(data))?;
        let loaded = Terminology::new(opened.sources());
        Ok(Self {
            loaded,
            all: crate::terms::with_shipped(opened),
        })
    }
}

/// Asks one, and another where the first cannot tell.
struct First<'t>(&'t dyn fhir::Terminology, &'t dyn fhir::Terminology);

impl fhir::Terminology for First<'_> {
    fn member(&self, value_set: &str, system: Option<&str>, code: &str) -> Membership {
        match self.0.member(value_set, system, code) {
            Membership::Unknown => self.1.member(value_set, system, code),
            told => told,
        }
    }

    fn display(&self, system: &str, code: &str) -> Option<&str> {
        self.0.display(system, code)
    }
}

struct Checking<'o> {
    validator: Validator,
    codes: Option<Codes>,
    errors_only: bool,
    /// A person at a terminal waits.
    watched: bool,
    output: &'o Output,
    begun: Instant,
    shown: Instant,
    total: u64,
    wrong: u64,
}

impl Checking<'_> {
    fn file(&mut self, file: &Path) -> anyhow::Result<()> {
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.display().to_string();
        if file.extension().is_none_or(|ending| ending != "ndjson") {
            return self.resource(&name, &bytes);
        }
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if !line.trim_ascii().is_empty() {
                self.resource(&format!("{name}:{}", at + 1), line)?;
            }
        }
        Ok(())
    }

    fn resource(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (kind, mut problems) = match super::read(bytes) {
            Ok(resource) => {
                let now = jiff::Timestamp::now().as_millisecond();
                let request = Request::new(Moment::from_unix_millis(now, 0));
                let problems = match &self.codes {
                    None => self.validator.validate(&resource, &request),
                    Some(Codes { loaded, all }) => {
                        // Everything is at hand, so nothing has to be loaded and asked again.
                        let first = Bindings::new(loaded, all, request.terminology);
                        let second = Bindings::new(all, all, request.terminology);
                        let terminology = First(&first, &second);
                        let request = Request {
                            terminology: &terminology,
                            ..request
                        };
                        self.validator.validate(&resource, &request)
                    }
                };
                (Some(resource.type_name()), problems)
            }
            Err(problems) => (None, problems.0),
        };
        let wrong = problems.iter().any(Problem::is_error);
        if self.errors_only {
            problems.retain(Problem::is_error);
        }
        self.total += 1;
        self.wrong += u64::from(wrong);
        if self.output.json() {
            return self.output.value(&json!({
                "resource": name,
                "type": kind,
                "valid": !wrong,
                "problems": problems.iter().map(as_json).collect::<Vec<_>>(),
            }));
        }
        self.show(name, kind, &problems);
        Ok(())
    }

    fn show(&mut self, name: &str, kind: Option<&str>, problems: &[Problem]) {
        if !problems.is_empty() || self.total == 1 {
            self.clear();
            let verdict = verdict(problems);
            let kind = kind.unwrap_or("no resource of FHIR R4");
            self.output.line(format_args!("{name}: {kind}, {verdict}"));
        }
        for problem in problems {
            let (color, word) = match problem.severity {
                Severity::Fatal | Severity::Error => ("31", "error"),
                Severity::Warning => ("33", "warning"),
                Severity::Information => ("2", "note"),
            };
            let word = self.output.colored(color, word);
            let key = problem.details.as_deref();
            // The text of a rule begins with its key.
            let key = key.filter(|key| !problem.text.starts_with(*key));
            let key = key.map(|key| format!(" [{key}]")).unwrap_or_default();
            self.output.line(format_args!("  {word}: {problem}{key}"));
        }
        if self.watched && self.shown.elapsed() >= PROGRESS_EVERY {
            self.shown = Instant::now();
            let (total, wrong) = (self.total, self.wrong);
            self.output
                .progress(format_args!("{total} checked, {wrong} with errors"));
        }
    }

    fn clear(&self) {
        if self.watched {
            self.output.progress("");
        }
    }

    fn end(&self) {
        self.clear();
        if self.total > 1 && !self.output.json() {
            let seconds = self.begun.elapsed().as_secs_f64().max(1e-6);
            self.output.line(format_args!(
                "{} resources, {} with errors, {:.0} a second",
                self.total,
                self.wrong,
                self.total as f64 / seconds
            ));
        }
    }
}

fn verdict(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let warnings = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Warning)
        .count();
    let many = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    };
    match (errors, warnings) {
        (0, 0) => "valid".to_owned(),
        (0, _) => format!("valid, {}", many(warnings, "warning")),
        (_, 0) => many(errors, "error"),
        (_, _) => format!("{}, {}", many(errors, "error"), many(warnings, "warning")),
    }
}

fn as_json(problem: &Problem) -> Value {
    json!({
        "severity": problem.severity.code(),
        "code": problem.code.code(),
        "expression": problem.expression,
        "line": problem.position.map(|position| position.line),
        "column": problem.position.map(|position| position.column),
        "text": problem.text,
        "rule": problem.details,
    })
}
