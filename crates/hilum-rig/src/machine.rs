//! What a figure depends on: the machine and the commit.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

/// One line: processor, cores, memory, kernel, commit.
pub(crate) fn described() -> String {
    let cpu = first_value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown cpu".into());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = first_value("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kb| kb / 1_048_576);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cpu}, {cores} cores, {memory} GiB, Linux {}, commit {}",
        kernel.trim(),
        commit()
    )
}

fn commit() -> String {
    said(Command::new("git").args(["describe", "--always", "--dirty", "--exclude=*"]))
}

/// What a command prints, on one line.
fn said(command: &mut Command) -> String {
    match command.output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}

/// Today, in UTC.
pub(crate) fn date() -> String {
    said(Command::new("date").args(["-u", "+%F"]))
}

/// The load average of the last minute: a figure from a busy machine says so.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

/// How often something is measured at most, until the host leaves the machine alone.
const ATTEMPTS: usize = 5;
/// The share of the wanted processor time that the host may keep back before a figure is doubted.
const WITHHELD_MAX: f64 = 0.02;

/// Processor time since the start, in ticks: what was used, and what the host of a virtual machine
/// kept back although it was wanted (`steal`, proc(5)).
#[derive(Clone, Copy, Default)]
struct Ticks {
    used: u64,
    withheld: u64,
}

impl Ticks {
    fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let all: Vec<u64> = first
            .split_whitespace()
            .skip(1)
            .map_while(|ticks| ticks.parse().ok())
            .collect();
        // user, nice, system, idle, iowait, irq, softirq, steal
        let [user, nice, system, _, _, irq, softirq, withheld, ..] = all[..] else {
            return Self::default();
        };
        Self {
            used: user + nice + system + irq + softirq,
            withheld,
        }
    }

    fn withheld_since(self, begin: Self) -> f64 {
        let withheld = (self.withheld - begin.withheld) as f64;
        let used = (self.used - begin.used) as f64;
        withheld / (withheld + used).max(1.0)
    }
}

/// Measures again while the host kept back processor time, a few times at most; the figure of the
/// calmest time, with the share that was kept back.
pub(crate) async fn calmest<T>(mut measure: impl AsyncFnMut() -> Result<T>) -> Result<(T, f64)> {
    let mut best: Option<(T, f64)> = None;
    for _ in 0..ATTEMPTS {
        let begin = Ticks::now();
        let measured = measure().await?;
        let withheld = Ticks::now().withheld_since(begin);
        if best.as_ref().is_none_or(|(_, least)| withheld < *least) {
            best = Some((measured, withheld));
        }
        if withheld <= WITHHELD_MAX {
            break;
        }
    }
    best.context("nothing was measured")
}

/// For the note of a figure: the share that the host kept back, if it matters.
pub(crate) fn told(withheld: f64) -> String {
    if withheld <= WITHHELD_MAX {
        return String::new();
    }
    format!("; the host kept back {:.0} %", withheld * 100.0)
}

fn first_value(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
