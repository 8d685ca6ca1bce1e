//! What is wrong with a site, where, and what to write instead.
//!
//! Every problem has a code that never changes its meaning; [`explain`] says more about each.
//! A [`Draft`] is a problem found while the files are still at hand, a [`Diagnostic`] is what
//! leaves this crate: plain data with its place, ready to be printed or sent.

mod codes;
mod render;
mod secret;
mod suggest;

use serde::Serialize;

pub use codes::{Explanation, all as explanations, explain};
pub use render::{Summary, render, summary};
pub(crate) use secret::without_passwords;
pub(crate) use suggest::{closest, did_you_mean};

use crate::yaml::{Files, SourceFile, Span};

/// Problems that are kept; a site with more is told so.
pub const DIAGNOSTICS_MAX: usize = 500;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The site cannot run.
    Error,
    /// The site runs, but likely not as its author means.
    Warning,
}

impl Severity {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A problem with a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Diagnostic {
    /// Its stable code: `E0107`, `W0301`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where; none for a problem of the folder as a whole.
    pub place: Option<Place>,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Other places that have to do with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// The file, from the site's folder.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
    /// Its column in characters, from 1.
    pub column: u32,
    /// First byte and byte after the last, from 0.
    pub span: (u32, u32),
    /// The offending text; empty where it may be a secret.
    pub text: String,
    /// The line as it stands in the file; empty where it may hold a secret.
    #[serde(skip)]
    pub source: String,
}

/// Another place that has to do with a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Related {
    /// What it has to do with it.
    pub label: String,
    /// Where it is.
    pub place: Place,
}

/// A problem whose place is still a span.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
    pub(crate) span: Option<Span>,
    /// A place in a file that is not configuration; `span` is then what names the file.
    within: Option<Box<Within>>,
    message: String,
    remedy: Option<String>,
    related: Vec<(Span, String)>,
    secret: bool,
}

/// A place in a file that is not configuration.
#[derive(Clone, Debug)]
pub(crate) struct Within {
    pub(crate) file: SourceFile,
    pub(crate) range: std::ops::Range<u32>,
}

impl Within {
    /// File and first byte.
    fn start(&self) -> (&str, u32) {
        (&self.file.path, self.range.start)
    }
}

impl Draft {
    pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, Some(span), message.into())
    }

    pub(crate) fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, Some(span), message.into())
    }

    pub(crate) fn of_site(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, None, message.into())
    }

    fn new(code: &'static str, severity: Severity, span: Option<Span>, message: String) -> Self {
        Self {
            code,
            severity,
            span,
            within: None,
            message,
            remedy: None,
            related: Vec::new(),
            secret: false,
        }
    }

    /// With what to write instead.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// With what to write instead, where that is known.
    pub(crate) fn maybe_remedy(mut self, remedy: Option<String>) -> Self {
        self.remedy = remedy.or(self.remedy);
        self
    }

    /// At a place in a file that is not configuration; where it is named is told beside it.
    pub(crate) fn within(mut self, within: Within) -> Self {
        self.within = Some(Box::new(within));
        self
    }

    /// With another place that has to do with it.
    pub(crate) fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// A secret that stands in a file; its text is not shown.
    pub(crate) fn clear_secret(span: Span) -> Self {
        let draft = Self::error("E0116", span, "a secret stands here in clear text");
        let remedy = "write env:NAME or file:PATH, change the secret, and remove it from the folder's history";
        Self {
            secret: true,
            ..draft
        }
        .remedy(remedy)
    }

    /// A secret that is named but not there.
    pub(crate) fn absent_secret(span: Span, reference: &str, reason: &str) -> Self {
        let text = format!("the secret `{reference}` is not there: {reason}");
        Self::error("E0117", span, text)
            .remedy("provide it to the program, or correct the reference")
    }
}

/// Collects problems.
#[derive(Debug, Default)]
pub(crate) struct Report {
    drafts: Vec<Draft>,
}

impl Report {
    /// Adds a problem, unless one with the same code is already known at the same place.
    pub(crate) fn push(&mut self, draft: Draft) {
        let same_place = |other: &Draft| match (&other.within, &draft.within) {
            (None, None) => other.span == draft.span,
            (Some(a), Some(b)) => a.start() == b.start(),
            _ => false,
        };
        let known = |other: &Draft| {
            same_place(other) && other.code == draft.code && other.message == draft.message
        };
        if self.drafts.len() < DIAGNOSTICS_MAX * 4 && !self.drafts.iter().any(known) {
            self.drafts.push(draft);
        }
    }

    /// Adds several problems.
    pub(crate) fn extend(&mut self, drafts: impl IntoIterator<Item = Draft>) {
        for draft in drafts {
            self.push(draft);
        }
    }

    /// Adds all that another report has.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.extend(other.drafts);
    }

    /// The number of errors so far.
    pub(crate) fn errors(&self) -> usize {
        self.drafts
            .iter()
            .filter(|draft| draft.severity == Severity::Error)
            .count()
    }

    /// A problem with this code is known at this place.
    pub(crate) fn has(&self, code: &str, span: Span) -> bool {
        let at = |draft: &Draft| draft.code == code && draft.span == Some(span);
        self.drafts.iter().any(at)
    }

    /// Where the errors are.
    pub(crate) fn error_spans(&self) -> impl Iterator<Item = Span> {
        let errors = self.drafts.iter();
        let errors = errors.filter(|draft| draft.severity == Severity::Error);
        errors.filter_map(|draft| draft.span)
    }

    /// The problems with their places, by file and line.
    pub(crate) fn finish(self, files: &Files) -> Vec<Diagnostic> {
        let all = self.drafts.len();
        let hidden = self.drafts.iter().filter(|draft| draft.secret);
        let hidden: Vec<Span> = hidden.filter_map(|draft| draft.span).collect();
        let mut found: Vec<Diagnostic> = self
            .drafts
            .into_iter()
            .map(|draft| finish(draft, files, &hidden))
            .collect();
        found.sort_by(|a, b| order(a).cmp(&order(b)));
        found.truncate(DIAGNOSTICS_MAX);
        if all > DIAGNOSTICS_MAX {
            let text = format!("{} more problems are not shown", all - DIAGNOSTICS_MAX);
            found.push(finish(Draft::of_site("E0004", text), files, &hidden));
        }
        found
    }
}

fn order(diagnostic: &Diagnostic) -> (Option<(&str, u32, u32)>, Severity, &str) {
    let place = diagnostic
        .place
        .as_ref()
        .map(|p| (p.file.as_str(), p.span.0, p.span.1));
    (place, diagnostic.severity, diagnostic.code)
}

fn finish(draft: Draft, files: &Files, hidden: &[Span]) -> Diagnostic {
    let place = |span: Span| place(files, span, hidden);
    let named = draft.within.as_ref().and(draft.span);
    let named = named.map(|span| (span, "named here".to_owned()));
    Diagnostic {
        code: draft.code,
        severity: draft.severity,
        place: match &draft.within {
            Some(within) => Some(place_within(within)),
            None => draft.span.and_then(place),
        },
        related: named
            .iter()
            .chain(&draft.related)
            .filter_map(|(span, label)| {
                Some(Related {
                    label: label.clone(),
                    place: place(*span)?,
                })
            })
            .collect(),
        message: without_passwords(&draft.message).into_owned(),
        remedy: draft
            .remedy
            .map(|text| without_passwords(&text).into_owned()),
    }
}

/// A place without the text of a secret, and without the line that one stands on, whatever the
/// problem is about.
fn place(files: &Files, span: Span, hidden: &[Span]) -> Option<Place> {
    let file = files.get(span.file)?;
    let (line, column) = file.position(span.start);
    let beside = || hidden.iter().filter(|secret| secret.file == span.file);
    let overlaps = |secret: &Span| secret.start < span.end && span.start < secret.end;
    let text = shown(file.slice(span), beside().any(overlaps));
    let on_line = |secret: &Span| {
        let (first, last) = (file.position(secret.start).0, file.position(secret.end).0);
        (first..=last).contains(&line)
    };
    let source = shown(file.line(line), beside().any(on_line));
    Some(Place {
        file: file.path.to_string(),
        line,
        column,
        span: (span.start, span.end),
        text,
        source,
    })
}

fn place_within(within: &Within) -> Place {
    let Within { file, range } = within;
    let (line, column) = file.position(range.start);
    let text = file.text.get(range.start as usize..range.end as usize);
    Place {
        file: file.path.to_string(),
        line,
        column,
        span: (range.start, range.end),
        text: shown(text.unwrap_or_default(), false),
        source: shown(file.line(line), false),
    }
}

/// Text of a file, unless a secret stands in it; one within a URL is found where nothing else was said
/// about it.
fn shown(text: &str, secret: bool) -> String {
    if secret || secret::has_password(text) {
        String::new()
    } else {
        text.to_owned()
    }
}
