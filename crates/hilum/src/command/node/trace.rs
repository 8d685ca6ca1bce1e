//! `hilum trace`

use serde_json::Value;

use super::remote::{Remote, part};
use super::show::{self, text};
use crate::args::Trace;
use crate::output::{Exit, Output};

pub(crate) fn trace(arguments: &Trace, output: &Output) -> anyhow::Result<Exit> {
    let remote = Remote::new(&arguments.of.node.at)?;
    let path = format!("/api/v1/messages/{}", part(&arguments.of.message));
    let mut trace = remote.get(&path)?;
    let content = if arguments.reveal {
        let bytes = remote.bytes(&format!("{path}/received"))?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    } else {
        None
    };
    if output.json() {
        if let Some(content) = content {
            trace["content"] = Value::String(content);
        }
        output.value(&trace)?;
        return Ok(Exit::Done);
    }
    for row in list(&trace["rows"]) {
        of_row(row, output);
    }
    for delivery in list(&trace["deliveries"]) {
        of_delivery(delivery, output);
    }
    let related = list(&trace["related"]);
    if !related.is_empty() {
        output.line("related");
    }
    for row in related {
        output.line(format_args!("  {}", show::message(row, output)));
    }
    if let Some(content) = content {
        output.line("received");
        content
            .split(['\r', '\n'])
            .filter(|line| !line.is_empty())
            .for_each(|line| output.line(format_args!("  {line}")));
    }
    Ok(Exit::Done)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn of_row(row: &Value, output: &Output) {
    output.line(format_args!(
        "{}  {}  ← {}  {}  {}  {}",
        text(row, "channel"),
        show::time(&row["arrived-ms"]),
        row["peer"].as_str().unwrap_or("inside"),
        row["type"].as_str().unwrap_or("(no type)"),
        row["control-id"].as_str().unwrap_or("(no control id)"),
        show::size(&row["bytes"]),
    ));
    let after = row["committed-ms"].as_u64().zip(row["arrived-ms"].as_u64());
    let after = after.map(|(committed, arrived)| committed.saturating_sub(arrived));
    output.line(format_args!(
        "  {}  {} ms after arrival, plan {}",
        show::state(text(row, "disposition"), output),
        after.unwrap_or_default(),
        text(row, "plan"),
    ));
    if let Some(reason) = row["reason"].as_str() {
        output.line(format_args!("    {reason}"));
    }
    for finding in list(&row["findings"]) {
        output.line(format_args!("    {}", of_finding(finding, output)));
    }
    for (name, about) in [("parent", "part of"), ("from", "repeats")] {
        if let Some(id) = row[name].as_str() {
            output.line(format_args!("    {about} {id}"));
        }
    }
}

/// `warning: unmapped at OBX[1]-3 (2 translate)`
fn of_finding(finding: &Value, output: &Output) -> String {
    let place = finding["path"].as_str();
    let place = place.map(|path| format!(" at {path}")).unwrap_or_default();
    format!(
        "{}: {}{place} ({})",
        show::state(text(finding, "severity"), output),
        text(finding, "code"),
        text(finding, "step"),
    )
}

fn of_delivery(delivery: &Value, output: &Output) {
    output.line(format_args!(
        "  → {}  {}  {}",
        text(delivery, "destination"),
        show::state(text(delivery, "state"), output),
        text(delivery, "delivery"),
    ));
    if let Some(reason) = delivery["reason"].as_str() {
        output.line(format_args!("      {reason}"));
    }
    for attempt in list(&delivery["attempts"]) {
        let reason = attempt["reason"].as_str();
        output.line(format_args!(
            "      attempt {}  {}  {} in {} ms{}",
            attempt["attempt"],
            show::time(&attempt["started-ms"]),
            show::state(text(attempt, "outcome"), output),
            attempt["duration-ms"],
            reason
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default(),
        ));
    }
}
