//! How far a conversion is, and what it came to.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use hilum_convert::Maps;
use tokio::time::Instant;

use super::why;
use crate::output::{Exit, Output};

/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Counts, and tells a person at a terminal how far it is.
pub(super) struct Watch<'o> {
    output: &'o Output,
    /// A person at a terminal waits.
    watched: bool,
    begun: Instant,
    shown: Instant,
    total: u64,
    unread: u64,
    passed: u64,
    /// How often each row wrote something, by file and line.
    hits: BTreeMap<(String, u32), u64>,
}

impl<'o> Watch<'o> {
    pub(super) fn new(output: &'o Output) -> Self {
        Self {
            output,
            watched: std::io::stderr().is_terminal() && !std::io::stdout().is_terminal(),
            begun: Instant::now(),
            shown: Instant::now(),
            total: 0,
            unread: 0,
            passed: 0,
            hits: BTreeMap::new(),
        }
    }

    /// A row wrote something.
    pub(super) fn hit(&mut self, file: &str, line: u32) {
        *self.hits.entry((file.to_owned(), line)).or_default() += 1;
    }

    /// One more is done.
    pub(super) fn converted(&mut self) {
        self.total += 1;
        if self.watched && self.shown.elapsed() >= PROGRESS_EVERY {
            self.shown = Instant::now();
            self.output
                .progress(format_args!("{} converted", self.total));
        }
    }

    /// Says of something why it could not be converted.
    pub(super) fn unread(&mut self, name: &str, why: &str) {
        self.unread += 1;
        self.note(name, why);
    }

    /// Says why a file could not be read; the next one is.
    pub(super) fn unread_file(&mut self, file: &Path, error: &anyhow::Error) {
        self.unread(&file.display().to_string(), &format!("{error:#}"));
    }

    /// Says why nothing is made of something of which nothing had to be.
    pub(super) fn passed(&mut self, name: &str, why: &str) {
        self.passed += 1;
        self.note(name, why);
    }

    /// Says something of a message or a resource.
    pub(super) fn note(&self, name: &str, text: &str) {
        if self.watched {
            self.output.progress("");
        }
        self.output.note(format_args!("{name}: {text}"));
    }

    /// Shows how often each row wrote something, and which of the site's `own` never did.
    pub(super) fn coverage(&self, maps: &Maps, own: &[(String, String)]) {
        if self.watched {
            self.output.progress("");
        }
        why::coverage(&self.hits, maps.files(), own, self.output);
    }

    /// Says what it came to.
    pub(super) fn end(self, what: &str) -> Exit {
        if self.watched {
            self.output.progress("");
        }
        if self.total + self.unread > 1 {
            let seconds = self.begun.elapsed().as_secs_f64().max(1e-6);
            self.output.note(format_args!(
                "{} {what} converted, {} not read, {:.0} a second",
                self.total,
                self.unread,
                self.total as f64 / seconds
            ));
        }
        // Where nothing at all is made of them, that is not what was asked for.
        if self.unread > 0 || (self.total == 0 && self.passed > 0) {
            Exit::Found
        } else {
            Exit::Done
        }
    }
}
