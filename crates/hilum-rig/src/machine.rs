//! What a figure depends on: the machine and the commit.

use std::fs;
use std::process::Command;

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

fn first_value(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
