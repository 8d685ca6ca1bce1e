//! Collecting what is wrong while a document is read.

use std::borrow::Cow;

use crate::problem::{IssueType, Lines, Problem, Problems, Severity};

/// Reading cannot go on, or has found enough; the report says why.
pub(crate) struct Stop;

/// What is wrong so far.
pub(crate) struct Report<'s> {
    lines: Lines<'s>,
    problems: Vec<Problem>,
    problems_max: usize,
}

impl<'s> Report<'s> {
    pub(crate) const fn new(source: &'s [u8], problems_max: usize) -> Self {
        Self {
            lines: Lines::new(source),
            problems: Vec::new(),
            problems_max,
        }
    }

    /// Something is wrong at a byte; what follows can still be read.
    pub(crate) fn add(
        &mut self,
        code: IssueType,
        at: usize,
        expression: String,
        text: impl Into<Cow<'static, str>>,
    ) -> Result<(), Stop> {
        let problem = Problem::error(code, text)
            .at(expression)
            .in_text(Some(self.lines.position(at)));
        self.problems.push(problem);
        if self.problems.len() >= self.problems_max {
            return Err(Stop);
        }
        Ok(())
    }

    /// Nothing behind this byte can be read.
    pub(crate) fn fatal(
        &mut self,
        code: IssueType,
        at: usize,
        text: impl Into<Cow<'static, str>>,
    ) -> Stop {
        let problem = Problem::error(code, text)
            .with_severity(Severity::Fatal)
            .in_text(Some(self.lines.position(at)));
        self.problems.push(problem);
        Stop
    }

    /// The answer, where reading came to an end.
    pub(crate) fn conclude<T>(self, answer: Result<T, Stop>) -> Result<T, Problems> {
        match answer {
            Ok(answer) if self.problems.is_empty() => Ok(answer),
            Ok(_) | Err(Stop) => Err(Problems(self.problems)),
        }
    }
}

/// A name from a document, as far as it may be repeated in a message.
pub(crate) fn nameable(name: &str) -> &str {
    const NAME_BYTES_MAX: usize = 64;
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain) {
        name
    } else {
        "(a name that is none)"
    }
}
