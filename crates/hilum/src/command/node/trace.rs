//! `hilum trace`

use serde_json::Value;

use super::remote::{Remote, part};
use super::show::{self, text};
use crate::args::Trace;
use crate::output::{Exit, Output};

/// Width of the names of steps.
const STEP_WIDTH: usize = 14;

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
    let shown = if arguments.reveal {
        "steps/content"
    } else {
        "steps"
    };
    // A plan that is not kept any more must not hide what is recorded.
    let steps = remote.get(&format!("{path}/{shown}"));
    if output.json() {
        match steps {
            Ok(steps) => trace["steps"] = steps,
            Err(error) => trace["steps-error"] = Value::String(format!("{error:#}")),
        }
        if let Some(content) = content {
            trace["content"] = Value::String(content);
        }
        output.value(&trace)?;
        return Ok(Exit::Done);
    }
    let rows = list(&trace["rows"]);
    for (number, row) in rows.iter().enumerate() {
        heading(row, output);
        if number == 0 {
            match &steps {
                Ok(steps) => of_steps(steps, output),
                Err(error) => output.note(format_args!("  the steps cannot be shown: {error:#}")),
            }
        }
        decision(row, output);
    }
    for delivery in list(&trace["deliveries"]) {
        of_delivery(delivery, output);
    }
    let related = list(&trace["related"]);
    if !related.is_empty() {
        output.line("related");
    }
    if trace["related-truncated"] == true {
        output.line("  … older ones are left out");
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

fn heading(row: &Value, output: &Output) {
    output.line(format_args!(
        "{}  {}  ← {}  {}  {}  {}",
        text(row, "channel"),
        show::time(&row["arrived-ms"]),
        row["peer"].as_str().unwrap_or("inside"),
        row["type"].as_str().unwrap_or("(no type)"),
        row["control-id"].as_str().unwrap_or("(no control id)"),
        show::size(&row["bytes"]),
    ));
}

/// What each step did, computed again from the bytes as received.
fn of_steps(steps: &Value, output: &Output) {
    if steps["same-plan"] == false {
        let line = format!(
            "  the steps of plan {}; it was processed with plan {}",
            text(steps, "used-plan"),
            text(steps, "recorded-plan")
        );
        output.line(output.colored("33", &line));
    }
    if steps["reads-state"] == true {
        let line = "  a step reads state, which may have been another then";
        output.line(output.colored("33", line));
    }
    for step in list(&steps["steps"]) {
        of_step(step, output);
    }
}

fn of_step(step: &Value, output: &Output) {
    let findings = list(&step["findings"]);
    let changes = list(&step["changes"]);
    let outcome = text(step, "outcome");
    let mut first = match outcome {
        "next" => String::new(),
        "split" => format!("split into {}", step["parts"]),
        "budget" => output.colored("31", "took longer than step-budget allows"),
        word => show::state(word, output),
    };
    if let Some(reason) = step["text"].as_str() {
        first.push_str(&format!(": {reason}"));
    }
    if first.is_empty() && changes.is_empty() {
        first = match findings.len() {
            0 => "ok".to_owned(),
            1 => "ok, 1 finding".to_owned(),
            count => format!("ok, {count} findings"),
        };
    }
    let mut lines: Vec<String> = Vec::new();
    lines.extend((!first.is_empty()).then_some(first));
    lines.extend(findings.iter().map(|finding| of_finding(finding, output)));
    lines.extend(changes.iter().map(change));
    if step["cut"] == true {
        lines.push("more was changed than is listed".to_owned());
    }
    let mut name = text(step, "step");
    for line in lines {
        output.line(format_args!("  {name:<STEP_WIDTH$}  {line}"));
        name = "";
    }
}

/// `OBX[1]-3.1  K → 2823-3 (tables/local-to-loinc.csv:41)`
fn change(change: &Value) -> String {
    let note = text(change, "note");
    let Some(path) = change["path"].as_str() else {
        return note.to_owned();
    };
    let mut line = path.to_owned();
    let side = |name: &str| change[name].as_str().unwrap_or("nothing");
    match (&change["before"], &change["after"]) {
        (Value::Null, Value::Null) => {}
        (before, after) if before == after => line.push_str(&format!("  {}", side("after"))),
        (_, _) => line.push_str(&format!("  {} → {}", side("before"), side("after"))),
    }
    if !note.is_empty() {
        line.push_str(&format!(" ({note})"));
    }
    line
}

fn decision(row: &Value, output: &Output) {
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
    let told = finding["text"].as_str();
    format!(
        "{}: {}{place} ({})",
        show::state(text(finding, "severity"), output),
        told.unwrap_or_else(|| text(finding, "code")),
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
