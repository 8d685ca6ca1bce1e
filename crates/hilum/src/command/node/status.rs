//! `hilum status`

use serde_json::Value;

use super::remote::Remote;
use super::show::{self, text};
use crate::args::Ask;
use crate::output::{Exit, Output};

pub(crate) fn status(arguments: &Ask, output: &Output) -> anyhow::Result<Exit> {
    let status = Remote::new(&arguments.node.at)?.get("/api/v1/status")?;
    if output.json() {
        output.value(&status)?;
        return Ok(Exit::Done);
    }
    output.line(format_args!(
        "{}, plan {}, {} in flight; counts are since its start{}",
        text(&status, "site"),
        text(&status, "plan"),
        status["in-flight"],
        if status["disk-full"] == true {
            output.colored("31", ", the disk is full: nothing is accepted")
        } else {
            String::new()
        }
    ));
    if let Some(held) = status["held-messages"].as_u64().filter(|held| *held > 0) {
        let line = format!(
            "held messages: {held}, the first since {}; what comes later of their patients waits; \
             `hilum holds`",
            show::time(&status["held-since-ms"])
        );
        output.line(output.colored("33", &line));
    }
    if let Some(open) = status["critical-open"].as_u64().filter(|open| *open > 0) {
        let late = &status["critical-late"];
        let line = format!(
            "critical results: {open} wait, {late} of them too long; `hilum critical --open`"
        );
        let colour = if late.as_u64() > Some(0) { "31" } else { "33" };
        output.line(output.colored(colour, &line));
    }
    for clock in list(&status["clocks-off"]) {
        output.line(output.colored("33", &of_clock(clock)));
    }
    if let Some(url) = status["fhir"].as_str() {
        output.line(format_args!("FHIR at {url}"));
    }
    if let Some(trouble) = status["fhir-trouble"].as_str() {
        output.line(output.colored("31", &format!("    {trouble}")));
    }
    let work = list(&status["fhir-work"]).iter();
    let work: Vec<_> = work.map(|work| of_work(work, output)).collect();
    show::table(&work, output);
    for channel in list(&status["channels"]) {
        of_channel(channel, output);
    }
    Ok(Exit::Done)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A clock that is off.
fn of_clock(clock: &Value) -> String {
    let skew_s = clock["skew-s"].as_i64().unwrap_or_default();
    let by = skew_s.unsigned_abs();
    let (what, why) = if skew_s > 0 {
        ("ahead", "it is fast")
    } else {
        (
            "behind",
            "it is slow, or its messages wait before they are sent",
        )
    };
    format!(
        "clock of {}: {} min {} s {what}; {why}",
        text(clock, "system"),
        by / 60,
        by % 60
    )
}

/// Work of the FHIR server that takes longer than a request.
fn of_work(work: &Value, output: &Output) -> Vec<String> {
    let mut kind = format!("  {}", text(work, "kind"));
    let tenant = text(work, "tenant");
    if !tenant.is_empty() {
        kind.push_str(&format!(" of {tenant}"));
    }
    let (done, total) = (&work["done"], &work["total"]);
    let part = match (done.as_f64(), total.as_f64()) {
        (Some(done), Some(total)) if total > 0.0 => format!("{:.0} %", done / total * 100.0),
        _ => String::new(),
    };
    let said = text(work, "text").to_owned();
    let failed = work["state"] == "failed";
    vec![
        kind,
        show::state(text(work, "state"), output),
        part,
        if failed {
            output.colored("31", &said)
        } else {
            said
        },
        format!("since {}", show::time(&work["since-ms"])),
        text(work, "job").to_owned(),
    ]
}

fn of_channel(channel: &Value, output: &Output) {
    let dispositions = channel["dispositions"].as_object();
    let counts: Vec<String> = dispositions
        .into_iter()
        .flatten()
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    output.line(format_args!(
        "\n{} ({}): {} received{}{}",
        text(channel, "name"),
        text(channel, "source"),
        channel["received"],
        if counts.is_empty() {
            String::new()
        } else {
            format!(", {}", counts.join(", "))
        },
        match &channel["last-message-ms"] {
            Value::Null => String::new(),
            last => format!(", last at {}", show::time(last)),
        }
    ));
    if let Some(destination) = channel["held-by"].as_str() {
        let line = format!("    takes nothing: the queue of {destination} is full");
        output.line(output.colored("31", &line));
    }
    if let Some(trouble) = channel["trouble"].as_str() {
        let since = show::time(&channel["trouble-since-ms"]);
        let line = format!("    takes nothing, since {since}: {trouble}");
        output.line(output.colored("31", &line));
    }
    let rows: Vec<Vec<String>> = list(&channel["destinations"])
        .iter()
        .map(|destination| row(destination, output))
        .collect();
    show::table(&rows, output);
    for destination in list(&channel["destinations"]) {
        if let Some(trouble) = destination["trouble"].as_str() {
            let line = format!(
                "    {}, since {}: {trouble}",
                text(destination, "name"),
                show::time(&destination["trouble-since-ms"])
            );
            output.line(output.colored("31", &line));
        }
    }
}

fn row(destination: &Value, output: &Output) -> Vec<String> {
    let mut row = vec![
        format!("  → {}", text(destination, "name")),
        text(destination, "address").to_owned(),
        show::state(text(destination, "state"), output),
        format!("{} waiting", destination["waiting"]),
        format!("{} delivered", destination["delivered"]),
    ];
    let dead = destination["dead"].as_u64().unwrap_or_default();
    if dead > 0 {
        row.push(output.colored("31", &format!("{dead} dead letters")));
    }
    let held = destination["held"].as_u64().unwrap_or_default();
    if held > 0 {
        row.push(output.colored("33", &format!("{held} held behind them")));
    }
    row
}
