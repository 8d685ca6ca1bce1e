//! The data folder: its disk, its files, who uses it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hilum_db::{Files, RealFiles, probe_sync};
use hilum_journal::{FileSurvey, RowSurvey, survey};

use super::ports::{Process, locked_by};
use super::{Level, Report, now_ms, size, span};
use crate::command::run::LOCK;

/// Free space below which someone has to act soon, and at once.
const FREE_BYTES: (u64, u64) = (10_000_000_000, 1_000_000_000);
/// Share of the disk, in percent, below which the same holds.
const FREE_PERCENT: (u64, u64) = (10, 2);
/// A sync slower than this (p99) makes senders wait.
const SYNC_SLOW: Duration = Duration::from_millis(20);
/// A log longer than this is not emptied any more: a reader holds it.
const LOG_BYTES: u64 = 256_000_000;
/// Rows that are not indexed from which on searches are slow.
const UNINDEXED: u64 = 5_000;
/// A delivery that waits for longer than this is told.
const WAITS_LONG_S: u64 = 600;
/// A journal whose last message is so much later than now was written by another clock.
const CLOCK_SLACK_MS: u64 = 60_000;

/// Looks at a data folder; gives the node that uses it.
pub(super) fn check(data: &Path, report: &mut Report) -> Option<Process> {
    if !data.is_dir() {
        let text = format!("there is no folder {}", data.display());
        report.fail("data", text, "name the folder given to `hilum run --data`");
        return None;
    }
    if let Ok(Some(kind)) = RealFiles.unsuitable(data) {
        report.fail(
            "file system",
            format!("{} lies on {kind}", data.display()),
            "a journal cannot be trusted to a network file system: move it to a local disk",
        );
    }
    free(data, report);
    syncs(data, report);
    set_aside(data, report);
    let running = locked_by(&data.join(LOCK));
    match survey(data) {
        Ok(files) if files.is_empty() => {
            report.ok("journal", format!("{} holds none yet", data.display()));
        }
        Ok(files) => journal(&files, running.is_some(), report),
        Err(error) => report.fail(
            "journal",
            error.to_string(),
            "run this as the user of the service",
        ),
    }
    running
}

fn free(data: &Path, report: &mut Report) {
    let Ok(disk) = rustix::fs::statvfs(data) else {
        return;
    };
    let (free, whole) = (
        disk.f_bavail.saturating_mul(disk.f_frsize),
        disk.f_blocks.saturating_mul(disk.f_frsize).max(1),
    );
    let percent = u64::try_from(u128::from(free) * 100 / u128::from(whole)).unwrap_or(100);
    let text = format!(
        "{} of {} free ({percent} %) below {}",
        size(free),
        size(whole),
        data.display()
    );
    let remedy =
        "make room, or let `keep:` of hilum.yaml drop old days sooner (docs/runbook/disk-full.md)";
    match room(free, whole) {
        Level::Fail => report.fail("disk", text, remedy),
        Level::Warn => report.warn("disk", text, remedy),
        Level::Ok => report.ok("disk", text),
    }
}

/// How bad it is that so much of a disk is free. A percentage alone alarms on large disks, a number
/// alone on small ones: both must be low.
fn room(free: u64, whole: u64) -> Level {
    let below = |percent: u64| u128::from(free) * 100 < u128::from(whole) * u128::from(percent);
    if free < FREE_BYTES.1 || below(FREE_PERCENT.1) && free < FREE_BYTES.0 {
        Level::Fail
    } else if free < FREE_BYTES.0 && below(FREE_PERCENT.0) {
        Level::Warn
    } else {
        Level::Ok
    }
}

fn syncs(data: &Path, report: &mut Report) {
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    match probe_sync(&RealFiles, data) {
        Ok(probe) => {
            let (p50, p99) = (ms(probe.p50), ms(probe.p99));
            let text = format!("the disk syncs 4 kB in {p50} (p50), {p99} (p99)");
            if probe.p99 > SYNC_SLOW {
                let remedy = "every answer waits for a sync: look for other load on this disk, or use a faster one";
                report.warn("sync", text, remedy);
            } else {
                report.ok("sync", text);
            }
        }
        Err(error) => report.fail(
            "sync",
            format!("cannot write to {}: {error}", data.display()),
            "run this as the user of the service; otherwise give it the right to write there",
        ),
    }
}

/// Files that a start found damaged. They stay until a person has dealt with them.
fn set_aside(data: &Path, report: &mut Report) {
    let entries = std::fs::read_dir(data).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut reasons: Vec<String> = names
        .filter(|name| name.contains(".damaged-") && name.ends_with(".reason"))
        .collect();
    reasons.sort();
    for name in reasons {
        let why = std::fs::read_to_string(data.join(&name)).unwrap_or_default();
        let file = name.trim_end_matches(".reason");
        report.fail(
            "damaged file",
            format!("{file} was set aside: {}", why.trim()),
            "check the disk; then bring back what is missing (docs/runbook/damaged-file.md)",
        );
    }
}

fn journal(files: &[FileSurvey], running: bool, report: &mut Report) {
    for file in files {
        if let Some(trouble) = &file.trouble {
            report.fail(
                "journal",
                format!("{}: {trouble}", file.name),
                "compare it with its checksums: `hilum verify`; restore a backup if it is damaged",
            );
        }
        if file.log_bytes > LOG_BYTES {
            report.warn(
                "journal",
                format!("{}: its log has {}", file.name, size(file.log_bytes)),
                "a reader keeps it from being emptied: end programs that have the file open",
            );
        }
    }
    let rows: Vec<&RowSurvey> = files.iter().filter_map(|file| file.rows.as_ref()).collect();
    let sum = |of: fn(&RowSurvey) -> u64| -> u64 { rows.iter().map(|rows| of(rows)).sum() };
    let bytes = files
        .iter()
        .map(|file| file.bytes + file.log_bytes + file.index_bytes.unwrap_or(0) + file.blobs.1);
    let partitions = files
        .iter()
        .filter(|file| file.rows.is_some() && file.name != "pinned")
        .count();
    let mut text = format!(
        "{} messages in {partitions} partitions, {}; {} deliveries wait",
        sum(|rows| rows.messages),
        size(bytes.sum()),
        sum(|rows| rows.pending)
    );
    let last = rows.iter().filter_map(|rows| rows.last_ms).max();
    let now = now_ms();
    if let Some(last) = last {
        let ago = now.saturating_sub(last) / 1_000;
        text.push_str(&format!("; the last message came {} ago", span(ago)));
    }
    report.ok("journal", text);
    if last.is_some_and(|last| last > now + CLOCK_SLACK_MS) {
        report.fail(
            "clock",
            "the journal holds messages of the future: this clock is behind",
            "set the clock, and have a time service keep it",
        );
    }
    if !running && files.iter().any(|file| file.log_bytes > 0) {
        report.warn(
            "journal",
            "the last node did not stop in order; nothing that was acknowledged is lost",
            "the next start recovers it by itself (docs/runbook/after-power-loss.md)",
        );
    }
    let unindexed = sum(|rows| rows.unindexed);
    if unindexed > UNINDEXED {
        report.warn(
            "index",
            format!("{unindexed} messages are not indexed: searches scan them"),
            "a running node catches up by itself; without one, `hilum db reindex`",
        );
    } else {
        report.ok("index", format!("{unindexed} messages behind"));
    }
    waiting(&rows, report);
    let dead = sum(|rows| rows.dead);
    if dead > 0 {
        report.warn(
            "dead letters",
            format!("{dead} in the journal"),
            "list them with `hilum dead-letters CHANNEL DESTINATION`, then requeue or withdraw (docs/runbook/dead-letters.md)",
        );
    }
}

/// What waits for long, over all partitions.
fn waiting(rows: &[&RowSurvey], report: &mut Report) {
    let mut queues: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for queue in rows.iter().flat_map(|rows| &rows.queues) {
        let entry = queues.entry(&queue.name).or_insert((0, u64::MAX));
        entry.0 += queue.pending;
        entry.1 = entry.1.min(queue.oldest_ms.unwrap_or(u64::MAX));
    }
    for (name, (count, oldest)) in queues {
        let age = now_ms().saturating_sub(oldest) / 1_000;
        if age > WAITS_LONG_S {
            report.warn(
                "queue",
                format!("{name}: {count} wait, the oldest for {}", span(age)),
                "`hilum status` says why; ask the owner of the system (docs/runbook/queue-grows.md)",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, room};

    #[test]
    fn a_disk_is_nearly_full_by_what_is_free_and_by_its_share() {
        const GB: u64 = 1_000_000_000;
        for (free, whole, expected) in [
            (20 * GB, 1_000 * GB, Level::Ok),
            (10 * GB, 1_000 * GB, Level::Ok),
            (10 * GB - 1, 1_000 * GB, Level::Fail),
            (10 * GB - 1, 99 * GB, Level::Ok),
            (10 * GB - 1, 101 * GB, Level::Warn),
            (GB, 40 * GB, Level::Warn),
            (GB - 1, 2 * GB, Level::Fail),
            (0, 0, Level::Fail),
        ] {
            assert_eq!(room(free, whole), expected, "{free} of {whole}");
        }
    }
}
