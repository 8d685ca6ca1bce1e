//! `hilum codes unmapped` and `hilum codes forget`: the register of a running node.

use serde_json::{Value, json};

use super::super::node::show::{text, time};
use super::super::node::{Remote, part, table};
use crate::args::{ForgetCodes, Unmapped};
use crate::output::{Exit, Output};

/// The codes of a node that no table has.
pub(super) fn ask(
    remote: &Remote<'_>,
    channel: Option<&str>,
    table: Option<&str>,
) -> anyhow::Result<Vec<Value>> {
    let conditions = [("channel", channel), ("table", table)];
    let conditions: Vec<String> = conditions
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", part((*value)?))))
        .collect();
    let answer = remote.get(&format!("/api/v1/codes/unmapped?{}", conditions.join("&")))?;
    Ok(answer["unmapped"].as_array().cloned().unwrap_or_default())
}

pub(super) fn list(arguments: &Unmapped, output: &Output) -> anyhow::Result<Exit> {
    let remote = Remote::new(&arguments.node.at)?;
    let found = ask(
        &remote,
        arguments.channel.as_deref(),
        arguments.table.as_deref(),
    )?;
    if output.json() {
        found.iter().try_for_each(|code| output.value(code))?;
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        output.line("every code has a map");
        return Ok(Exit::Done);
    }
    let mut rows = vec![
        [
            "CODE", "TEXT", "SYSTEM", "COUNT", "FIRST", "LAST", "CHANNEL", "FROM", "FIELD",
            "TABLE", "DONE", "EXAMPLE",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.extend(found.iter().map(|code| {
        vec![
            text(code, "code").to_owned(),
            text(code, "display").to_owned(),
            text(code, "system").to_owned(),
            code["count"].to_string(),
            time(&code["first-ms"]),
            time(&code["last-ms"]),
            text(code, "channel").to_owned(),
            text(code, "sender").to_owned(),
            text(code, "field").to_owned(),
            text(code, "table").to_owned(),
            text(code, "fate").to_owned(),
            text(code, "message").to_owned(),
        ]
    }));
    table(&rows, output);
    Ok(Exit::Done)
}

pub(super) fn forget(arguments: &ForgetCodes, output: &Output) -> anyhow::Result<Exit> {
    let remote = Remote::new(&arguments.node.at)?;
    let body = json!({
        "channel": arguments.channel,
        "table": arguments.table,
        "code": arguments.code,
        "reason": arguments.reason,
    });
    let answer = remote.post("/api/v1/codes/unmapped/forget", &body)?;
    if output.json() {
        output.value(&answer)?;
    } else {
        output.line(format_args!("{} codes forgotten", answer["forgotten"]));
    }
    Ok(Exit::Done)
}
