//! `hilum identity`: which numbers of patients belong together.

use serde_json::{Value, json};

use super::remote::{Remote, part};
use super::show::{text, time};
use crate::args::{Identity, IdentityCommand, Reassign, ShowIdentity, UndoLinks};
use crate::output::{Exit, Output};

pub(crate) fn identity(arguments: &Identity, output: &Output) -> anyhow::Result<Exit> {
    match &arguments.command {
        IdentityCommand::Show(arguments) => show(arguments, output),
        IdentityCommand::Undo(arguments) => undo(arguments, output),
    }
}

fn show(arguments: &ShowIdentity, output: &Output) -> anyhow::Result<Exit> {
    let body = json!({
        "number": arguments.number,
        "authority": arguments.assigned.authority,
        "type": arguments.assigned.kind,
    });
    let answer = Remote::new(&arguments.node.at)?.post("/api/v1/identity/patient", &body)?;
    let known = answer["known"] == true;
    let exit = if known { Exit::Done } else { Exit::Found };
    if output.json() {
        output.value(&answer)?;
        return Ok(exit);
    }
    if !known {
        output.line("nobody has told of this number under this authority and type");
        return Ok(exit);
    }
    output.line(format_args!(
        "record {} ({})",
        text(&answer, "record"),
        text(&answer, "standing")
    ));
    if answer["survivor"].is_object() {
        output.line(format_args!("merged into {}", named(&answer["survivor"])));
    }
    for other in answer["linked"].as_array().into_iter().flatten() {
        output.line(format_args!("the same person as {}", named(other)));
    }
    for event in answer["events"].as_array().into_iter().flatten() {
        let undone = event["undone-by"]
            .as_str()
            .map(|by| format!(", undone by {by}"))
            .unwrap_or_default();
        let reason = match text(event, "reason") {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        output.line(format_args!(
            "{}  {}  {} by {}{reason}{undone}",
            time(&event["at-ms"]),
            text(event, "event"),
            text(event, "code"),
            text(event, "by"),
        ));
    }
    Ok(exit)
}

/// `4711 of HOSP (MR)`
fn named(one: &Value) -> String {
    format!(
        "{} of {} ({})",
        text(one, "number"),
        text(one, "authority"),
        text(one, "type")
    )
}

fn undo(arguments: &UndoLinks, output: &Output) -> anyhow::Result<Exit> {
    let path = format!("/api/v1/identity/events/{}/undo", part(&arguments.event));
    let body = json!({ "reason": arguments.reason });
    let answer = Remote::new(&arguments.node.at)?.post(&path, &body)?;
    if output.json() {
        output.value(&answer)?;
    } else {
        output.line(format_args!(
            "undone; {} takes that back again",
            text(&answer, "event")
        ));
        match text(&answer, "message") {
            "" => output.line("no FHIR store of this node was told: the channel has none, or no longer has the message"),
            message => output.line(format_args!("{message} tells the FHIR stores of its channel")),
        }
        let late = answer.get("late").and_then(Value::as_array);
        for message in late.into_iter().flatten().filter_map(Value::as_str) {
            output.line(format_args!(
                "{message} tells them what came late for a visit that was merged"
            ));
        }
    }
    Ok(Exit::Done)
}

pub(crate) fn reassign(arguments: &Reassign, output: &Output) -> anyhow::Result<Exit> {
    let of = &arguments.of;
    let path = format!("/api/v1/messages/{}/reassign", part(&of.message));
    let body = json!({
        "number": arguments.to,
        "authority": arguments.assigned.authority,
        "type": arguments.assigned.kind,
        "reason": arguments.reason,
        "force": arguments.force,
    });
    let answer = Remote::new(&of.node.at)?.post(&path, &body)?;
    if output.json() {
        output.value(&answer)?;
    } else {
        output.line(format_args!("{} goes on for that patient", of.message));
    }
    Ok(Exit::Done)
}
