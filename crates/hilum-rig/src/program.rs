//! A program under observation: started, awaited, measured, stopped or killed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::Instant;

/// Ticks of `/proc/PID/stat` a second: fixed on every Linux that we know.
const TICKS_PER_SECOND: f64 = 100.0;

/// How often an end is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running program. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    name: String,
    log: PathBuf,
    /// From start to the line that says ready.
    pub(crate) ready_after: Duration,
}

impl Program {
    /// Starts a program and waits for a line with the word `ready`; all that it prints goes to
    /// `log`.
    pub(crate) fn start(command: &mut Command, log: &Path, within: Duration) -> Result<Self> {
        let name = Path::new(command.get_program())
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let start = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let (ready, is_ready) = sync_channel(4);
        if let Some(pipe) = child.stdout.take() {
            copy(Box::new(pipe), log, ready.clone())?;
        }
        if let Some(pipe) = child.stderr.take() {
            copy(Box::new(pipe), log, ready)?;
        }
        let mut program = Self {
            child,
            name,
            log: log.to_path_buf(),
            ready_after: Duration::ZERO,
        };
        program.await_ready(&is_ready, within)?;
        program.ready_after = start.elapsed();
        Ok(program)
    }

    /// Starts a program that is to end itself, by a signal, before `within` is over; whether it
    /// becomes ready before does not matter.
    pub(crate) async fn dies(command: &mut Command, log: &Path, within: Duration) -> Result<()> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("open {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("start the program")?;
        let mut program = Self {
            child,
            name: "the program".to_owned(),
            log: log.to_path_buf(),
            ready_after: Duration::ZERO,
        };
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(status) = program.child.try_wait()? {
                if status.signal().is_some() {
                    return Ok(());
                }
                bail!("ended with {status} instead; see {}", log.display());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("went on for {within:?}; see {}", log.display())
    }

    fn await_ready(&mut self, ready: &Receiver<()>, within: Duration) -> Result<()> {
        let said = match ready.recv_timeout(within) {
            Ok(()) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => format!("was not ready within {within:?}"),
            Err(RecvTimeoutError::Disconnected) => "ended before it was ready".to_owned(),
        };
        let printed = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = printed.lines().rev().take(10).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("{} {said}; it printed:\n{}", self.name, last.join("\n"))
    }

    /// A folder as the program sees it, which may have mounts of its own.
    pub(crate) fn sees(&self, folder: &Path) -> PathBuf {
        let mut path = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        path.extend(folder.components().skip(1));
        path
    }

    /// User and system time so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        // The name in parentheses may hold spaces; after it come state, then numbers.
        let (_, rest) = text.rsplit_once(')').context("read the fields of stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("read the times of stat")?;
        Ok((user + system) / TICKS_PER_SECOND)
    }

    /// Resident memory now, in megabytes.
    pub(crate) fn resident_mb(&self) -> Result<f64> {
        self.status_mb("VmRSS:")
    }

    fn status_mb(&self, name: &str) -> Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let kb = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
            .with_context(|| format!("read {name} of {path}"))?;
        Ok(kb / 1024.0)
    }

    /// The most memory that was resident since the start or since [`Program::forget_peak`], in
    /// megabytes.
    pub(crate) fn peak_mb(&self) -> Result<f64> {
        self.status_mb("VmHWM:")
    }

    /// Begins the peak anew with what is resident now.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        // proc(5): 5 resets the peak of the resident set.
        let path = format!("/proc/{}/clear_refs", self.child.id());
        fs::write(&path, "5").with_context(|| format!("write {path}"))
    }

    /// SIGKILL: the program gets no chance to do anything.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .with_context(|| format!("kill {}", self.name))?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and its end.
    pub(crate) fn stop(&mut self, within: Duration) -> Result<()> {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        if !asked.success() {
            bail!("ask {} to stop: {asked}", self.name);
        }
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!(
                        "{} ended with {status}; see {}",
                        self.name,
                        self.log.display()
                    );
                }
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("{} did not stop within {within:?}", self.name)
    }

    /// Fails if the program has ended by itself.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "{} ended by itself with {status}; see {}",
                self.name,
                self.log.display()
            );
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Copies what a program prints to its log, and tells once that it said `ready`.
fn copy(pipe: Box<dyn Read + Send>, log: &Path, ready: SyncSender<()>) -> Result<()> {
    let mut log = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("open {}", log.display()))?;
    thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        let mut ready = Some(ready);
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let said = String::from_utf8_lossy(&line)
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word == "ready");
            // A log that cannot be written must not stop the program that is observed.
            drop(log.write_all(&line));
            if said
                && ready
                    .as_ref()
                    .is_some_and(|ready| ready.try_send(()).is_ok())
            {
                ready = None;
            }
            line.clear();
        }
    });
    Ok(())
}
