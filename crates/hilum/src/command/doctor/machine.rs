//! The machine: its clock and its limits.

use std::path::Path;

use super::Report;
use super::ports::Process;

/// Open files below which a node with many connections may run out.
const OPEN_FILES_MIN: u64 = 4_096;
/// Where time services say that the clock is right.
const SYNCHRONISED: [&str; 2] = [
    "/run/systemd/timesync/synchronized",
    "/run/chrony/chronyd.pid",
];

pub(super) fn check(running: Option<&Process>, report: &mut Report) {
    clock(report);
    open_files(running, report);
}

fn clock(report: &mut Report) {
    let now = jiff::Zoned::now();
    let text = format!("{} {}", now.strftime("%F %T"), now.offset());
    if SYNCHRONISED.iter().any(|path| Path::new(path).exists()) {
        report.ok("clock", format!("{text}, kept by a time service"));
    } else {
        report.ok(
            "clock",
            format!("{text}; no time service is known here, compare it with yours"),
        );
    }
}

fn open_files(running: Option<&Process>, report: &mut Report) {
    let of = running.map_or_else(|| "self".to_owned(), |process| process.id.to_string());
    let Ok(limits) = std::fs::read_to_string(format!("/proc/{of}/limits")) else {
        return;
    };
    let whose = running.map_or_else(|| "a node started here".to_owned(), ToString::to_string);
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_ascii_whitespace().next());
    let used = running
        .and_then(|process| std::fs::read_dir(format!("/proc/{}/fd", process.id)).ok())
        .map(|open| open.count() as u64);
    let shown = used.map_or_else(String::new, |used| format!(", {used} in use"));
    match limit.map(|limit| (limit, limit.parse::<u64>())) {
        Some((_, Ok(limit))) if used.is_some_and(|used| used * 10 > limit * 9) => report.fail(
            "open files",
            format!("{whose} may open {limit}{shown}"),
            "raise LimitNOFILE of the service (ulimit -n), then restart it",
        ),
        Some((_, Ok(limit))) if limit < OPEN_FILES_MIN => report.warn(
            "open files",
            format!("{whose} may open {limit}{shown}"),
            format!("raise LimitNOFILE of the service (ulimit -n) to {OPEN_FILES_MIN} or more"),
        ),
        Some((limit, _)) => report.ok("open files", format!("{whose} may open {limit}{shown}")),
        None => {}
    }
}
