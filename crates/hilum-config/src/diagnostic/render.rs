//! Diagnostics as plain text, without colours.

use serde::Serialize;

use super::{Diagnostic, Place, Severity};

/// Longest part of a source line that is shown, in characters.
const LINE_MAX: usize = 160;

/// How many problems of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Files that were read.
    pub files: usize,
}

impl Summary {
    /// Counts.
    #[must_use]
    pub fn of(diagnostics: &[Diagnostic], files: usize) -> Self {
        let errors = diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count();
        Self {
            errors,
            warnings: diagnostics.len() - errors,
            files,
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = |count: usize, word: &str| match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            _ => Some(format!("{count} {word}s")),
        };
        let parts: Vec<String> = [
            counted(self.errors, "error"),
            counted(self.warnings, "warning"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let found = if parts.is_empty() {
            "no problem".to_owned()
        } else {
            parts.join(", ")
        };
        let files = counted(self.files, "file").unwrap_or_else(|| "0 files".to_owned());
        write!(f, "{found} in {files}")
    }
}

/// All diagnostics, each with its line and a mark under the offending text.
#[must_use]
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        one(&mut out, diagnostic);
    }
    out
}

/// The last line: how many problems there are, and what follows from them.
#[must_use]
pub fn summary(diagnostics: &[Diagnostic], files: usize) -> String {
    let summary = Summary::of(diagnostics, files);
    if summary.errors > 0 {
        format!("{summary}; nothing was deployed, the running plan is unchanged")
    } else {
        summary.to_string()
    }
}

fn one(out: &mut String, diagnostic: &Diagnostic) {
    let Diagnostic {
        code,
        severity,
        message,
        ..
    } = diagnostic;
    line(out, format_args!("{}[{code}]: {message}", severity.word()));
    let numbers = diagnostic
        .place
        .iter()
        .chain(diagnostic.related.iter().map(|r| &r.place));
    let width = numbers
        .map(|place| place.line.to_string().len())
        .max()
        .unwrap_or(1);
    match &diagnostic.place {
        Some(place) => excerpt(
            out,
            place,
            diagnostic.remedy.as_deref().unwrap_or_default(),
            width,
        ),
        None => {
            if let Some(remedy) = &diagnostic.remedy {
                line(out, format_args!("  = {remedy}"));
            }
        }
    }
    for related in &diagnostic.related {
        excerpt(out, &related.place, &related.label, width);
    }
    line(
        out,
        format_args!("{:width$} = see `hilum explain {code}`\n", ""),
    );
}

fn excerpt(out: &mut String, place: &Place, label: &str, width: usize) {
    line(
        out,
        format_args!(
            "{:width$} ┌─ {}:{}:{}",
            "", place.file, place.line, place.column
        ),
    );
    if place.source.is_empty() {
        if !label.is_empty() {
            line(out, format_args!("{:width$} = {label}", ""));
        }
        return;
    }
    let (source, column) = window(&place.source, place.column as usize);
    let before = column.saturating_sub(1);
    let first = place
        .text
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .count();
    let room = source.chars().count().saturating_sub(before).max(1);
    let marks = "^".repeat(first.clamp(1, room));
    line(out, format_args!("{:width$} │", ""));
    line(out, format_args!("{:>width$} │ {source}", place.line));
    let gap: String = source
        .chars()
        .take(before)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    line(out, format_args!("{:width$} │ {gap}{marks} {label}", ""));
}

/// The part of a long line around a column, and the column in it.
fn window(source: &str, column: usize) -> (String, usize) {
    // Characters that steer a terminal are shown as a box.
    let safe = |c: char| {
        if c.is_control() && c != '\t' {
            '\u{2423}'
        } else {
            c
        }
    };
    let length = source.chars().count();
    if length <= LINE_MAX {
        return (source.chars().map(safe).collect(), column);
    }
    let skip = column.saturating_sub(LINE_MAX / 2).min(length - LINE_MAX);
    let shown = source.chars().skip(skip).take(LINE_MAX).map(safe).collect();
    (shown, column - skip)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.push_str(text.to_string().trim_end_matches(' '));
    out.push('\n');
}
