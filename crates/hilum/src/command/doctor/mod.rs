//! `hilum doctor`: everything that an operator would look at first, each with a remedy.
//!
//! It changes nothing, and it runs beside a node as well as without one.

mod data;
mod machine;
mod node;
mod ports;
mod site;
mod stores;
mod terminology;

use serde::Serialize;

use crate::args::Doctor;
use crate::output::{Exit, Output};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
struct Line {
    level: Level,
    /// What was looked at.
    check: &'static str,
    /// What was seen.
    text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Report(Vec<Line>);

impl Report {
    fn ok(&mut self, check: &'static str, text: impl Into<String>) {
        self.add(Level::Ok, check, text, None);
    }

    fn warn(&mut self, check: &'static str, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Warn, check, text, Some(remedy.into()));
    }

    fn fail(&mut self, check: &'static str, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Fail, check, text, Some(remedy.into()));
    }

    fn add(
        &mut self,
        level: Level,
        check: &'static str,
        text: impl Into<String>,
        remedy: Option<String>,
    ) {
        let text = text.into();
        self.0.push(Line {
            level,
            check,
            text,
            remedy,
        });
    }
}

pub(crate) fn run(arguments: &Doctor, output: &Output) -> anyhow::Result<Exit> {
    let mut report = Report::default();
    let loaded = site::load(&arguments.site, arguments.data.as_deref(), &mut report);
    let at = node::place(arguments, loaded.as_ref());
    let running = arguments
        .data
        .as_deref()
        .and_then(|data| data::check(data, &mut report));
    if arguments.data.is_none() {
        let remedy = "name it with --data, as for `hilum run`";
        report.warn(
            "data",
            "the folder of the journal was not looked at",
            remedy,
        );
    }
    if let Some(data) = arguments.data.as_deref().filter(|data| data.is_dir()) {
        terminology::check(data, &mut report);
    }
    machine::check(running.as_ref(), &mut report);
    let answers = node::check(&at, running.as_ref(), &mut report);
    if let Some(fhir) = loaded.as_ref().and_then(|loaded| loaded.fhir.as_ref()) {
        let (site, data) = (&*arguments.site.site, arguments.data.as_deref());
        stores::check(fhir, site, data.filter(|data| data.is_dir()), &mut report);
    }
    if let Some(loaded) = &loaded {
        site::listeners(loaded, answers, &mut report);
        site::certificates(loaded, &arguments.site.site, &mut report);
        if arguments.connect {
            site::destinations(loaded, &mut report)?;
        }
    }
    for line in &report.0 {
        show(line, output)?;
    }
    let worst = report.0.iter().map(|line| line.level).max();
    let count = |level| report.0.iter().filter(|line| line.level == level).count();
    if !output.json() {
        output.line(format_args!(
            "{} looked at, {} to watch, {} to mend",
            report.0.len(),
            count(Level::Warn),
            count(Level::Fail)
        ));
    }
    Ok(match worst {
        None | Some(Level::Ok) => Exit::Done,
        Some(Level::Warn) => Exit::Found,
        Some(Level::Fail) => Exit::Ill,
    })
}

fn show(line: &Line, output: &Output) -> anyhow::Result<()> {
    if output.json() {
        return output.value(line);
    }
    let (word, color) = match line.level {
        Level::Ok => ("ok  ", "32"),
        Level::Warn => ("warn", "33"),
        Level::Fail => ("FAIL", "31"),
    };
    let word = output.colored(color, word);
    let mut rows = line.text.lines();
    let first = rows.next().unwrap_or_default();
    output.line(format_args!("{word}  {:<12} {first}", line.check));
    rows.for_each(|row| output.line(format_args!("{:19}{row}", "")));
    if let Some(remedy) = &line.remedy {
        output.line(format_args!("{:19}→ {remedy}", ""));
    }
    Ok(())
}

/// A number of bytes, for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A time since something, for people.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Unix milliseconds now.
fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}
