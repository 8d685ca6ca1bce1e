//! `hilum critical`: critical results and how long each took until it was acknowledged.

use serde_json::Value;

use super::remote::Remote;
use super::show::{self, text, time};
use crate::args::Critical;
use crate::output::{Exit, Output};

/// Ends with 1 where one was not acknowledged in time and still waits.
pub(crate) fn critical(arguments: &Critical, output: &Output) -> anyhow::Result<Exit> {
    let path = format!(
        "/api/v1/critical?open={}&limit={}",
        arguments.open, arguments.limit
    );
    let answer = Remote::new(&arguments.node.at)?.get(&path)?;
    let rows = answer["critical"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let late = rows
        .iter()
        .any(|row| row["told-ms"].is_u64() && !is_over(row));
    let exit = if late { Exit::Found } else { Exit::Done };
    if output.json() {
        output.value(&answer)?;
        return Ok(exit);
    }
    if rows.is_empty() {
        output.line("there is no critical result");
        return Ok(exit);
    }
    let lines: Vec<_> = rows.iter().map(line).collect();
    show::table(&lines, output);
    Ok(exit)
}

fn is_over(row: &Value) -> bool {
    !matches!(text(row, "state"), "waiting" | "dead-letter")
}

fn line(row: &Value) -> Vec<String> {
    let arrived = row["arrived-ms"].as_u64().unwrap_or_default();
    let took = row["acknowledged-ms"]
        .as_u64()
        .map(|at| at.saturating_sub(arrived));
    let took = took.map_or_else(String::new, |ms| format!("after {} s", ms / 1_000));
    let told = if row["told-ms"].is_u64() {
        "escalated"
    } else {
        ""
    };
    vec![
        text(row, "message").to_owned(),
        time(&row["arrived-ms"]),
        text(row, "why").to_owned(),
        format!("{} {}", text(row, "channel"), text(row, "destination")),
        text(row, "state").to_owned(),
        took,
        told.to_owned(),
    ]
}
