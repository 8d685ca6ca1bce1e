//! What the commands print, and how they end.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use serde::Serialize;

use crate::args::Arguments;

/// How a command ended. The numbers are stable: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done,
    /// It could not do what was asked.
    Failed,
    /// What was asked about is not as it should be: a check, a test or a comparison found
    /// something.
    Found,
    /// `hilum doctor` found something that has to be mended.
    Ill,
    /// There is no running instance to ask.
    Unreachable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Found => 1,
            // 2 is what wrong arguments give, and a doctor who found something to be mended.
            Exit::Ill => 2,
            Exit::Failed => 3,
            Exit::Unreachable => 4,
        })
    }
}

/// Whether what is written there may have colours: a terminal, and no `NO_COLOR`.
pub(crate) fn wants_color(to: &impl IsTerminal) -> bool {
    to.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Where results go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    color: bool,
}

impl Output {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        Self {
            json: arguments.json,
            color: wants_color(&stdout()),
        }
    }

    /// Machines read this.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }

    /// A text in a colour (as of SGR), where colour is wanted.
    pub(crate) fn colored(&self, color: &str, text: &str) -> String {
        if self.color {
            format!("\u{1b}[{color}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// A line of the result.
    pub(crate) fn line(&self, line: impl Display) {
        // A closed pipe (`| head`) is the reader's way to say that it has enough.
        drop(writeln!(stdout(), "{line}"));
    }

    /// A line of the result that comes in pieces.
    pub(crate) fn pieces(&self, pieces: &[impl AsRef<[u8]>]) {
        let mut to = stdout();
        let mut write = || {
            for piece in pieces {
                to.write_all(piece.as_ref())?;
            }
            to.write_all(b"\n")?;
            to.flush()
        };
        drop(write());
    }

    /// A message of HL7 v2 as it is, its segments ended by carriage returns; at a terminal, where
    /// these would write over each other, by line ends.
    pub(crate) fn segments(&self, message: &[u8]) {
        let mut to = stdout();
        let shown;
        let message = if to.is_terminal() {
            shown = String::from_utf8_lossy(message).replace('\r', "\n");
            shown.as_bytes()
        } else {
            message
        };
        drop(to.write_all(message).and_then(|()| to.flush()));
    }

    /// A result for machines, on one line.
    pub(crate) fn value(&self, value: &impl Serialize) -> anyhow::Result<()> {
        self.line(serde_json::to_string(value)?);
        Ok(())
    }

    /// Something for the person at the terminal that is not part of the result.
    pub(crate) fn note(&self, line: impl Display) {
        drop(writeln!(stderr(), "{line}"));
    }

    /// A line that the next one of its kind overwrites, for a person at a terminal.
    pub(crate) fn progress(&self, line: impl Display) {
        let mut to = stderr();
        drop(write!(to, "\r\u{1b}[2K{line}").and_then(|()| to.flush()));
    }

    /// An error with the chain of its causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let mut text = format!("error: {error}");
        for cause in error.chain().skip(1) {
            text.push_str(&format!("\n  because {cause}"));
        }
        self.note(text);
    }
}
