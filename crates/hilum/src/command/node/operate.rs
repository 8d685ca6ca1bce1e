//! The commands of an operator: hold, resume, replay, release, requeue and their lists.

use serde_json::{Value, json};

use super::remote::{Remote, part};
use super::show::{self, text};
use crate::args::{Ask, Decide, Hold, OfDelivery, OfDestination, Replay, Resume};
use crate::output::{Exit, Output};

fn path_of(of: &OfDestination, act: &str) -> String {
    format!(
        "/api/v1/channels/{}/destinations/{}/{act}",
        part(&of.channel),
        part(&of.destination)
    )
}

/// Says what was done, or gives the answer to a machine.
fn done(answer: &Value, said: &str, output: &Output) -> anyhow::Result<Exit> {
    if output.json() {
        output.value(answer)?;
    } else {
        output.line(said);
    }
    Ok(Exit::Done)
}

pub(crate) fn hold(arguments: &Hold, output: &Output) -> anyhow::Result<Exit> {
    let of = &arguments.of;
    let body = json!({ "reason": arguments.reason });
    let answer = Remote::new(&of.node.at)?.post(&path_of(of, "pause"), &body)?;
    let said = format!(
        "{} of {} is held; what comes for it is queued",
        of.destination, of.channel
    );
    done(&answer, &said, output)
}

pub(crate) fn resume(arguments: &Resume, output: &Output) -> anyhow::Result<Exit> {
    let of = &arguments.of;
    let body = json!({ "reason": arguments.reason });
    let answer = Remote::new(&of.node.at)?.post(&path_of(of, "resume"), &body)?;
    let said = format!("{} of {} goes on", of.destination, of.channel);
    done(&answer, &said, output)
}

pub(crate) fn replay(arguments: &Replay, output: &Output) -> anyhow::Result<Exit> {
    let of = &arguments.of;
    let path = format!("/api/v1/messages/{}/replay", part(&of.message));
    let body = json!({ "to": arguments.to, "plan": arguments.plan });
    let answer = Remote::new(&of.node.at)?.post(&path, &body)?;
    let said = format!(
        "{} as {}{}",
        text(&answer, "disposition"),
        answer["message"].as_str().unwrap_or("(not stored)"),
        answer["reason"]
            .as_str()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default()
    );
    done(&answer, &said, output)
}

fn decide(arguments: &Decide, act: &str, said: &str, output: &Output) -> anyhow::Result<Exit> {
    let of = &arguments.of;
    let path = format!("/api/v1/messages/{}/{act}", part(&of.message));
    let body = json!({ "reason": arguments.reason });
    let answer = Remote::new(&of.node.at)?.post(&path, &body)?;
    done(&answer, &format!("{} {said}", of.message), output)
}

pub(crate) fn release(arguments: &Decide, output: &Output) -> anyhow::Result<Exit> {
    decide(arguments, "release", "goes on", output)
}

pub(crate) fn reject(arguments: &Decide, output: &Output) -> anyhow::Result<Exit> {
    decide(arguments, "reject", "is rejected", output)
}

fn on_delivery(of: &OfDelivery, act: &str, said: &str, output: &Output) -> anyhow::Result<Exit> {
    let path = format!("/api/v1/deliveries/{}/{act}", part(&of.delivery));
    let body = json!({ "reason": of.reason });
    let answer = Remote::new(&of.node.at)?.post(&path, &body)?;
    done(&answer, &format!("{} {said}", of.delivery), output)
}

pub(crate) fn requeue(arguments: &OfDelivery, output: &Output) -> anyhow::Result<Exit> {
    on_delivery(arguments, "requeue", "is sent again", output)
}

pub(crate) fn withdraw(arguments: &OfDelivery, output: &Output) -> anyhow::Result<Exit> {
    on_delivery(arguments, "withdraw", "is withdrawn", output)
}

pub(crate) fn reload(arguments: &Ask, output: &Output) -> anyhow::Result<Exit> {
    let answer = Remote::new(&arguments.node.at)?.post("/api/v1/reload", &json!({}))?;
    if output.json() {
        output.value(&answer)?;
        return Ok(Exit::Done);
    }
    output.line(format_args!("runs plan {}", text(&answer, "plan")));
    for (what, names) in answer.as_object().into_iter().flatten() {
        let names: Vec<&str> = names
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if !names.is_empty() {
            output.line(format_args!("  {what}: {}", names.join(", ")));
        }
    }
    Ok(Exit::Done)
}

/// Prints a list, an entry a line; machines get one value a line.
fn each(
    found: &Value,
    none: &str,
    output: &Output,
    line: impl Fn(&Value) -> String,
) -> anyhow::Result<Exit> {
    let found = found.as_array().map(Vec::as_slice).unwrap_or_default();
    if found.is_empty() && !output.json() {
        output.line(none);
    }
    for entry in found {
        if output.json() {
            output.value(entry)?;
        } else {
            output.line(line(entry));
        }
    }
    Ok(Exit::Done)
}

pub(crate) fn holds(arguments: &Ask, output: &Output) -> anyhow::Result<Exit> {
    let found = Remote::new(&arguments.node.at)?.get("/api/v1/holds")?;
    each(&found, "nothing is held", output, |row| {
        show::message(row, output)
    })
}

pub(crate) fn dead_letters(arguments: &OfDestination, output: &Output) -> anyhow::Result<Exit> {
    let found = Remote::new(&arguments.node.at)?.get(&path_of(arguments, "dead-letters"))?;
    each(&found, "there is no dead letter", output, |row| {
        format!(
            "{}  {}  {}",
            text(row, "delivery"),
            show::size(&row["bytes"]),
            text(row, "reason")
        )
    })
}
