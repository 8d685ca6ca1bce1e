//! `hilum withdrawals`: results that their senders take back, and where they went.

use serde_json::Value;

use super::remote::Remote;
use super::show::{self, state, text, time};
use crate::args::Withdrawals;
use crate::output::{Exit, Output};

/// Ends with 1 where a destination was sent a result and not its withdrawal.
pub(crate) fn withdrawals(arguments: &Withdrawals, output: &Output) -> anyhow::Result<Exit> {
    let remote = Remote::new(&arguments.node.at)?;
    let (name, answer) = match &arguments.message {
        Some(message) => {
            let path = format!("/api/v1/withdrawals/{message}");
            ("deliveries", remote.get(&path)?)
        }
        None => {
            let path = format!("/api/v1/withdrawals?limit={}", arguments.limit);
            ("withdrawals", remote.get(&path)?)
        }
    };
    let rows = answer[name].as_array().map(Vec::as_slice);
    let rows = rows.unwrap_or_default();
    let exit = match rows.iter().any(untold) {
        true => Exit::Found,
        false => Exit::Done,
    };
    if output.json() {
        output.value(&answer)?;
        return Ok(exit);
    }
    if answer["complete"] == false {
        output.line("more messages name these orders than are looked at; the list is not complete");
    }
    if answer["under-way"] == true {
        output.line("the withdrawal still waits for another channel; look again in a moment");
    }
    if rows.is_empty() {
        output.line(match arguments.message {
            Some(_) => "what it withdraws was delivered nowhere",
            None => "no message has withdrawn results in the last 90 days",
        });
        return Ok(exit);
    }
    let line = |row: &Value| match arguments.message {
        Some(_) => delivery(row, output),
        None => withdrawal(row),
    };
    let lines: Vec<_> = rows.iter().map(line).collect();
    show::table(&lines, output);
    Ok(exit)
}

/// Somebody has a result and does not learn that it is wrong.
fn untold(row: &Value) -> bool {
    let names = row["untold"].as_array().is_some_and(|all| !all.is_empty());
    let has_it = matches!(text(row, "state"), "delivered" | "waiting");
    names || (has_it && text(row, "withdrawal") == "none")
}

fn withdrawal(row: &Value) -> Vec<String> {
    let untold = row["untold"].as_array().into_iter().flatten();
    let names: Vec<_> = untold
        .filter_map(|pair| pair[1].as_str().map(str::to_owned))
        .collect();
    let told = match (row["looked-ms"].is_u64(), names.is_empty()) {
        (false, _) => "not looked at yet".to_owned(),
        (true, true) => "all that got them are told".to_owned(),
        (true, false) => format!("not told: {}", names.join(", ")),
    };
    vec![
        text(row, "message").to_owned(),
        time(&row["arrived-ms"]),
        text(row, "channel").to_owned(),
        results(row),
        told,
    ]
}

fn delivery(row: &Value, output: &Output) -> Vec<String> {
    let answer = match text(row, "acknowledged") {
        "" => String::new(),
        code => format!("answered {code}"),
    };
    let told = match text(row, "withdrawal") {
        "none" => output.colored("31", "not told"),
        word => format!("withdrawal {}", state(word, output)),
    };
    vec![
        text(row, "delivery").to_owned(),
        format!("{} {}", text(row, "channel"), text(row, "destination")),
        results(row),
        state(text(row, "state"), output),
        match row["delivered-ms"].is_u64() {
            true => time(&row["delivered-ms"]),
            false => time(&row["arrived-ms"]),
        },
        answer,
        told,
    ]
}

fn results(row: &Value) -> String {
    match row["results"].as_u64().unwrap_or_default() {
        1 => "1 result".to_owned(),
        count => format!("{count} results"),
    }
}
