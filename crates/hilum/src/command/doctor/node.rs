//! The running node, as it says itself.

use hilum_net::HostPort;
use serde_json::Value;

use super::ports::Process;
use super::site::Loaded;
use super::{Report, now_ms, span};
use crate::args::Doctor;
use crate::command::node::Remote;

/// Where the node's management API is: as asked, as the site says, or the default.
pub(super) fn place(arguments: &Doctor, loaded: Option<&Loaded>) -> HostPort {
    let asked = arguments.at.clone();
    let said = || HostPort::listen(loaded?.plan.as_ref()?.admin.as_ref()?).ok();
    asked.or_else(said).unwrap_or(HostPort {
        host: "127.0.0.1".to_owned(),
        port: 26600,
    })
}

/// Asks the node; says whether one answered.
pub(super) fn check(at: &HostPort, running: Option<&Process>, report: &mut Report) -> bool {
    let asked = Remote::new(at).and_then(|remote| remote.get("/api/v1/status"));
    match (asked, running) {
        (Ok(status), _) => {
            of_status(at, &status, report);
            true
        }
        (Err(_), None) => {
            report.warn(
                "node",
                format!("none answers at {at}"),
                "start it with `hilum run`, or name its address with --at",
            );
            false
        }
        (Err(error), Some(process)) => {
            report.fail(
                "node",
                format!("{process} uses the data folder and does not answer at {at}: {error:#}"),
                "compare `admin:` of hilum.yaml with --at; if it hangs, its log says why",
            );
            false
        }
    }
}

fn of_status(at: &HostPort, status: &Value, report: &mut Report) {
    let channels = status["channels"].as_array().cloned().unwrap_or_default();
    let text = format!(
        "{} answers at {at}: {} channels, plan {}",
        status["site"].as_str().unwrap_or("a node"),
        channels.len(),
        status["plan"].as_str().unwrap_or("?")
    );
    report.ok("node", text);
    if status["disk-full"] == true {
        report.fail(
            "node",
            "the disk is full: nothing is accepted, senders get negative answers",
            "make room; it goes on by itself (docs/runbook/disk-full.md)",
        );
    }
    for channel in &channels {
        for destination in channel["destinations"].as_array().into_iter().flatten() {
            of_destination(channel, destination, report);
        }
    }
}

fn of_destination(channel: &Value, destination: &Value, report: &mut Report) {
    let name = format!(
        "{}/{}",
        channel["name"].as_str().unwrap_or_default(),
        destination["name"].as_str().unwrap_or_default()
    );
    let waiting = destination["waiting"].as_u64().unwrap_or_default();
    let trouble = destination["trouble"].as_str();
    let since = destination["trouble-since-ms"].as_u64();
    let since = since.map(|since| span(now_ms().saturating_sub(since) / 1_000));
    let mut text = format!("{name}: {waiting} waiting");
    if destination["full"] == true {
        text.push_str(", the queue is full and holds the source");
    }
    let told = trouble.map_or_else(String::new, |trouble| format!("; {trouble}"));
    match destination["state"].as_str() {
        Some("paused") => report.fail(
            "queue",
            format!("{text}, held{told}"),
            format!(
                "mend what it says, then `hilum resume {}`",
                name.replace('/', " ")
            ),
        ),
        Some("suspended") => {
            let since = since.map_or_else(String::new, |since| format!(" since {since}"));
            report.warn(
                "queue",
                format!("{text}, the peer is away{since}{told}"),
                "it is tried again by itself; ask the peer's owner (docs/runbook/queue-grows.md)",
            );
        }
        _ => report.ok("queue", text),
    }
    let held = destination["held"].as_u64().unwrap_or_default();
    if held > 0 {
        report.fail(
            "queue",
            format!("{name}: {held} deliveries are held behind dead letters of the same key"),
            "decide about the dead letters: `hilum dead-letters`, then requeue or withdraw",
        );
    }
}
