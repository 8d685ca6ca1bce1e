//! The commands of an operator: hold, resume, replay, release, requeue and their lists.
//!
//! Where a command takes several ids it works through them in their order and ends at the first that
//! fails, because what follows may build on it. What would bring back an old state is passed over and
//! listed: what follows is newer.

use anyhow::Context;
use serde_json::{Value, json};

use super::find;
use super::remote::{Remote, Told, part};
use super::show::{self, text};
use crate::args::{
    Ask, DeadLetters, Decide, Hold, OfDelivery, OfDestination, OfMessage, Release, Replay, Requeue,
    Resume,
};
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
    let remote = Remote::new(&arguments.filters.node.at)?;
    if !arguments.messages.is_empty() {
        let ids = arguments.messages.iter().map(String::as_str);
        return repeat(&remote, ids.collect(), arguments, output);
    }
    let found = find::found(&remote, &arguments.filters, &arguments.when)?;
    let ids: Vec<&str> = found.iter().map(|row| text(row, "message")).collect();
    if arguments.yes {
        return repeat(&remote, ids, arguments, output);
    }
    each(
        &Value::Array(found.clone()),
        "nothing found",
        output,
        |row| show::message(row, output),
    )?;
    if !ids.is_empty() {
        output.note(format_args!(
            "{} would be processed again: add --yes",
            ids.len()
        ));
    }
    Ok(Exit::Done)
}

/// Processes messages again, in this order; what fails ends it.
fn repeat(
    remote: &Remote<'_>,
    ids: Vec<&str>,
    arguments: &Replay,
    output: &Output,
) -> anyhow::Result<Exit> {
    let mut body = json!({ "to": arguments.to, "plan": arguments.plan, "force": arguments.force });
    if let Some(reason) = &arguments.reason {
        body["reason"] = json!(reason);
    }
    let of = ids.len();
    let mut exit = Exit::Done;
    let mut old = 0;
    for (id, done) in ids.into_iter().zip(0..) {
        let answer = remote.post(&format!("/api/v1/messages/{}/replay", part(id)), &body);
        let answer = match of {
            1 => answer?,
            _ if would_be_old(&answer) => {
                old += 1;
                passed_over("message", id, answer, output)?;
                continue;
            }
            _ => answer.with_context(|| format!("{id} failed after {done} of {of}"))?,
        };
        if matches!(text(&answer, "disposition"), "refused" | "rejected") {
            exit = Exit::Found;
        }
        if output.json() {
            output.value(&answer)?;
            continue;
        }
        let reason = answer["reason"].as_str();
        let reason = reason
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        output.line(format_args!(
            "{id}  {} as {}{reason}",
            show::state(text(&answer, "disposition"), output),
            answer["message"].as_str().unwrap_or("(not stored)"),
        ));
    }
    Ok(told_of_old(old, of, output).unwrap_or(exit))
}

/// It is refused because a receiver has a newer state.
fn would_be_old(answer: &anyhow::Result<Value>) -> bool {
    let told = answer.as_ref().err().and_then(|error| error.downcast_ref());
    told.is_some_and(|told: &Told| told.code == "old-state")
}

/// One of several that is not sent, with its reason.
fn passed_over(
    what: &str,
    id: &str,
    answer: anyhow::Result<Value>,
    output: &Output,
) -> anyhow::Result<()> {
    let why = answer.err().map(|error| error.to_string());
    let why = why.unwrap_or_default();
    if output.json() {
        return output.value(&json!({ what: id, "old-state": why }));
    }
    output.line(format_args!("{id}  not sent: {why}"));
    Ok(())
}

/// Says how many of several were not sent.
fn told_of_old(old: usize, of: usize, output: &Output) -> Option<Exit> {
    if old == 0 {
        return None;
    }
    output.note(format_args!(
        "{old} of {of} would bring back an old state and were not sent"
    ));
    Some(Exit::Found)
}

fn decide(
    of: &OfMessage,
    act: &str,
    body: &Value,
    said: &str,
    output: &Output,
) -> anyhow::Result<Exit> {
    let path = format!("/api/v1/messages/{}/{act}", part(&of.message));
    let answer = Remote::new(&of.node.at)?.post(&path, body)?;
    done(&answer, &format!("{} {said}", of.message), output)
}

pub(crate) fn release(arguments: &Release, output: &Output) -> anyhow::Result<Exit> {
    let Decide { of, reason } = &arguments.decide;
    let body = json!({ "reason": reason, "force": arguments.force });
    decide(of, "release", &body, "goes on", output)
}

pub(crate) fn reject(arguments: &Decide, output: &Output) -> anyhow::Result<Exit> {
    let body = json!({ "reason": arguments.reason });
    decide(&arguments.of, "reject", &body, "is rejected", output)
}

fn on_deliveries(
    of: &OfDelivery,
    act: &str,
    body: &Value,
    said: &str,
    output: &Output,
) -> anyhow::Result<Exit> {
    let remote = Remote::new(&of.node.at)?;
    let all = of.deliveries.len();
    let mut old = 0;
    for id in &of.deliveries {
        let answer = remote.post(&format!("/api/v1/deliveries/{}/{act}", part(id)), body);
        if all > 1 && would_be_old(&answer) {
            old += 1;
            passed_over("delivery", id, answer, output)?;
            continue;
        }
        done(&answer?, &format!("{id} {said}"), output)?;
    }
    Ok(told_of_old(old, all, output).unwrap_or(Exit::Done))
}

pub(crate) fn requeue(arguments: &Requeue, output: &Output) -> anyhow::Result<Exit> {
    let of = &arguments.of;
    let body = json!({ "reason": of.reason, "force": arguments.force });
    on_deliveries(of, "requeue", &body, "is sent again", output)
}

pub(crate) fn withdraw(arguments: &OfDelivery, output: &Output) -> anyhow::Result<Exit> {
    let body = json!({ "reason": arguments.reason });
    on_deliveries(arguments, "withdraw", &body, "is withdrawn", output)
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

pub(crate) fn dead_letters(arguments: &DeadLetters, output: &Output) -> anyhow::Result<Exit> {
    let limit = arguments.limit;
    let path = path_of(&arguments.of, &format!("dead-letters?limit={limit}"));
    let found = Remote::new(&arguments.of.node.at)?.get(&path)?;
    let count = found.as_array().map_or(0, Vec::len);
    let exit = each(&found, "there is no dead letter", output, |row| {
        format!(
            "{}  {}  {}",
            text(row, "delivery"),
            show::size(&row["bytes"]),
            text(row, "reason")
        )
    });
    if count >= limit as usize {
        output.note(format_args!("there may be more: --limit above {limit}"));
    }
    exit
}
