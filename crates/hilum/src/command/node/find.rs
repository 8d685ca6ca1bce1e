//! `hilum messages` and `hilum tail`

use std::collections::HashSet;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;

use super::remote::{Remote, part};
use super::show;
use crate::args::{Filters, Messages, Tail, When};
use crate::command::history::from_outside;
use crate::output::{Exit, Output};

/// How often `tail` asks.
const TAIL_EVERY: Duration = Duration::from_millis(500);
/// Messages that are taken at once.
const PAGE: u32 = 1_000;
/// Messages that one command processes again at most.
const FOUND_MAX: usize = 100_000;

pub(crate) fn messages(arguments: &Messages, output: &Output) -> anyhow::Result<Exit> {
    let remote = Remote::new(&arguments.filters.node.at)?;
    let mut query = query(&arguments.filters);
    query.extend(span(&arguments.when));
    query.push(("limit".to_owned(), arguments.limit.to_string()));
    if let Some(before) = arguments.before {
        query.push(("before".to_owned(), before.to_string()));
    }
    let page = remote.get(&path(&query))?;
    for row in rows(&page) {
        print(row, output)?;
    }
    match page["next"].as_u64() {
        Some(next) if !output.json() => {
            output.note(format_args!("there may be more: --before {next}"));
        }
        _ if rows(&page).is_empty() && !output.json() => output.note("nothing found"),
        _ => {}
    }
    Ok(Exit::Done)
}

pub(crate) fn tail(arguments: &Tail, output: &Output) -> anyhow::Result<Exit> {
    let remote = Remote::new(&arguments.filters.node.at)?;
    let filters = query(&arguments.filters);
    let ask = |limit: u32, from: Option<u64>| {
        let mut query = filters.clone();
        query.push(("limit".to_owned(), limit.to_string()));
        query.extend(from.map(|ms| ("from-ms".to_owned(), ms.to_string())));
        remote.get(&path(&query))
    };
    let sequence = |row: &Value| row["sequence"].as_u64().unwrap_or_default();
    // What was there before is not shown; what arrived just before may still be committed.
    let mut seen = rows(&ask(1, None)?).first().map_or(0, sequence);
    let from = now_ms().saturating_sub(60_000);
    while !remote.interrupted_within(TAIL_EVERY)? {
        let page = ask(PAGE, (seen == 0).then_some(from))?;
        for row in rows(&page).iter().rev().filter(|row| sequence(row) > seen) {
            print(row, output)?;
        }
        seen = rows(&page)
            .first()
            .map_or(seen, |row| sequence(row).max(seen));
    }
    Ok(Exit::Done)
}

/// The messages that conditions find, oldest first: no parts, no repetitions, no resends.
pub(super) fn found(
    remote: &Remote<'_>,
    filters: &Filters,
    when: &When,
) -> anyhow::Result<Vec<Value>> {
    let mut conditions = query(filters);
    conditions.extend(span(when));
    if conditions.is_empty() {
        bail!("name messages by their ids, or say which with --channel, --since and the others");
    }
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut before: Option<u64> = None;
    loop {
        let mut query = conditions.clone();
        query.push(("limit".to_owned(), PAGE.to_string()));
        query.extend(before.map(|sequence| ("before".to_owned(), sequence.to_string())));
        let page = remote.get(&path(&query))?;
        let own = rows(&page).iter().filter(|row| from_outside(row));
        found.extend(
            own.filter(|row| seen.insert(row["message"].to_string()))
                .cloned(),
        );
        if found.len() > FOUND_MAX {
            bail!("these are more than {FOUND_MAX} messages; choose a shorter span of time");
        }
        match page["next"].as_u64() {
            Some(next) => before = Some(next),
            None => break,
        }
    }
    found.reverse();
    Ok(found)
}

fn span(when: &When) -> impl Iterator<Item = (String, String)> {
    let from = when.since.map(|ms| ("from-ms".to_owned(), ms.to_string()));
    let to = when
        .until
        .map(|ms| ("to-ms".to_owned(), ms.saturating_sub(1).to_string()));
    from.into_iter().chain(to)
}

fn query(filters: &Filters) -> Vec<(String, String)> {
    let named = [
        ("channel", &filters.channel),
        ("disposition", &filters.disposition),
        ("delivery", &filters.delivery),
        ("control-id", &filters.control_id),
        ("type", &filters.kind),
        ("patient", &filters.patient),
        ("finding", &filters.finding),
    ];
    let named = named
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    named.chain(filters.field.iter().cloned()).collect()
}

fn path(query: &[(String, String)]) -> String {
    let pairs: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{}={}", part(name), part(value)))
        .collect();
    format!("/api/v1/messages?{}", pairs.join("&"))
}

fn rows(page: &Value) -> &[Value] {
    page["messages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn print(row: &Value, output: &Output) -> anyhow::Result<()> {
    if output.json() {
        return output.value(row);
    }
    output.line(show::message(row, output));
    Ok(())
}

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}
