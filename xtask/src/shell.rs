//! Starts other programs and finds the places of the tree.
//!
//! Programs are started from the workspace root with their output passed through line by line, so
//! that a step can count what it sees. No shell is involved: arguments are never split or joined.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// The workspace root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The shared test material, if it is there: `HILUM_SHARED`, by default `shared` beside the tree.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = match std::env::var_os("HILUM_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => root().parent()?.join("shared"),
    };
    folder.is_dir().then_some(folder)
}

/// A program started from the workspace root.
pub(crate) fn program<S: AsRef<OsStr>>(name: S) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// The cargo that runs us, never using the network.
pub(crate) fn cargo() -> Command {
    let mut command = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.env("CARGO_NET_OFFLINE", "true");
    command
}

/// Whether a program can be started at all.
pub(crate) fn exists(name: &str, probe: &str) -> bool {
    Command::new(name)
        .arg(probe)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a program to its end; an exit code other than 0 is an error that names it.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// What a program printed on its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}", shown(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("read what {} said", shown(command)))
}

/// Runs a program, passing its output on, and gives every line to `see`; returns whether the
/// program ended well.
pub(crate) fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<bool> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", shown(command)))?;
    let (lines, seen) = std::sync::mpsc::sync_channel::<String>(1024);
    let pipes: [(Option<Box<dyn Read + Send>>, bool); 2] = [
        (child.stdout.take().map(|pipe| Box::new(pipe) as _), false),
        (child.stderr.take().map(|pipe| Box::new(pipe) as _), true),
    ];
    let mut readers = Vec::new();
    for (pipe, is_error) in pipes {
        let Some(pipe) = pipe else { continue };
        let lines = lines.clone();
        readers.push(thread::spawn(move || pass_on(pipe, is_error, &lines)));
    }
    drop(lines);
    for line in seen {
        see(&line);
    }
    for reader in readers {
        if reader.join().is_err() {
            bail!("the reader of {} failed", shown(command));
        }
    }
    Ok(child.wait()?.success())
}

fn pass_on(
    pipe: Box<dyn Read + Send>,
    is_error: bool,
    lines: &std::sync::mpsc::SyncSender<String>,
) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if is_error {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
        if lines.send(text.to_owned()).is_err() {
            return;
        }
        line.clear();
    }
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let mut text = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// A stopwatch, the one place here that reads the real clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch(std::time::Instant);

impl Watch {
    /// Starts now.
    #[expect(
        clippy::disallowed_methods,
        reason = "a developer's tool measures real time; nothing here is tested on it"
    )]
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A duration as a person reads it: `0.4 s`, `3 min 12 s`.
pub(crate) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 60 {
        format!("{} min {} s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_durations_with_units() {
        assert_eq!(spoken(Duration::from_millis(420)), "0.4 s");
        assert_eq!(spoken(Duration::from_secs(192)), "3 min 12 s");
    }

    #[test]
    fn sees_every_line_of_both_streams_and_the_exit_code() {
        let mut seen = Vec::new();
        let mut command = program("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let ended_well = watch(&mut command, |line| seen.push(line.to_owned())).unwrap();
        seen.sort();
        assert_eq!(seen, ["one", "two"]);
        assert!(!ended_well);
    }
}
