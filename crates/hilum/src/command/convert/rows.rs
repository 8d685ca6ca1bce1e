//! `hilum convert --rows`: how much of the v2-to-FHIR guide the rows carry out.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use hilum_convert::Maps;
use hilum_convert::coverage::{Coverage, Share, coverage};
use hilum_convert::text::Rows;
use serde_json::{Value, json};

use crate::args::Convert;
use crate::output::{Exit, Output};

/// The folders of the guide's tables.
const FOLDERS: [&str; 4] = ["messages", "segments", "datatypes", "codesystems"];

/// Lines without a row that are named one by one.
const OPEN_MAX: usize = 50;

pub(super) fn run(arguments: &Convert, maps: &Maps, output: &Output) -> anyhow::Result<Exit> {
    let (mut map_rows, mut code_rows, mut message_rows, mut ours) = (0, 0, 0, 0);
    for block in maps.files().iter().flat_map(|file| &file.blocks) {
        let (count, own) = match &block.rows {
            Rows::Map(rows) => (
                &mut map_rows,
                rows.iter()
                    .map(|row| row.why.lines.is_empty())
                    .collect::<Vec<_>>(),
            ),
            Rows::Message(rows) => (
                &mut message_rows,
                rows.iter().map(|row| row.why.lines.is_empty()).collect(),
            ),
            Rows::Codes { rows, .. } => (
                &mut code_rows,
                rows.iter().map(|row| row.why.lines.is_empty()).collect(),
            ),
            Rows::Identity(rows) => (&mut message_rows, rows.iter().map(|_| true).collect()),
            // The way back is none of the guide's.
            Rows::Reverse(_) => continue,
        };
        *count += own.len();
        ours += own.iter().filter(|own| **own).count();
    }
    if !output.json() {
        output.line(format_args!(
            "{} files with {map_rows} rows of maps, {code_rows} of codes and {message_rows} of messages; {ours} of them are ours",
            maps.files().len()
        ));
    }
    let Some(guide) = &arguments.guide else {
        return Ok(Exit::Done);
    };
    let found = coverage(maps, &tables(guide)?);
    let goal = goal(guide)?;
    if output.json() {
        output.value(&as_json(&found, &goal))?;
    } else {
        show(&found, &goal, output);
    }
    let whole = found.open.is_empty();
    Ok(if whole { Exit::Done } else { Exit::Found })
}

/// The guide's tables: name such as `segments/PID[Patient]`, and text.
fn tables(guide: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut tables = Vec::new();
    for folder in FOLDERS {
        let path = guide.join(folder);
        let entries =
            std::fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for entry in entries {
            let path = entry?.path();
            let Some(name) = path
                .file_name()
                .and_then(|name| name.to_str()?.strip_suffix(".csv"))
            else {
                continue;
            };
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            tables.push((format!("{folder}/{name}"), text));
        }
    }
    if tables.is_empty() {
        bail!("there is no table in {}", guide.display());
    }
    tables.sort();
    Ok(tables)
}

/// Mapped fields of each segment, as `GOAL.csv` counts them.
fn goal(guide: &Path) -> anyhow::Result<BTreeMap<String, usize>> {
    let path = guide.join("GOAL.csv");
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let mut goal = BTreeMap::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if let (Some(segment), Some(fields)) = (cells.first(), cells.get(4)) {
            goal.insert((*segment).to_owned(), fields.trim().parse().unwrap_or(0));
        }
    }
    Ok(goal)
}

fn parts(found: &Coverage) -> [(&'static str, Share); 7] {
    [
        ("message structures", found.messages),
        ("segment maps", found.segment_maps),
        ("data type maps", found.data_type_maps),
        ("vocabulary maps", found.vocabulary_maps),
        ("computable conditions", found.computable),
        ("narrative conditions", found.narrative),
        ("lines of all tables", found.lines),
    ]
}

fn show(found: &Coverage, goal: &BTreeMap<String, usize>, output: &Output) {
    for (name, Share { covered, all }) in parts(found) {
        output.line(format_args!("{name:22} {covered:6} of {all}"));
    }
    let fields: usize = found.fields.values().map(|share| share.covered).sum();
    let all: usize = found.fields.values().map(|share| share.all).sum();
    output.line(format_args!("{:22} {fields:6} of {all}", "fields, by map"));
    let wanted: usize = goal.values().sum();
    if wanted > 0 {
        let missing = goal.keys().filter(|segment| {
            let share = found.fields.get(*segment);
            share.is_none_or(|share| share.covered < share.all)
        });
        let missing: Vec<&str> = missing.map(String::as_str).collect();
        let whole = goal.len() - missing.len();
        output.line(format_args!(
            "{:22} {whole:6} of {} with all of their {wanted} mapped fields",
            "segments of GOAL.csv",
            goal.len()
        ));
        if !missing.is_empty() {
            output.line(format_args!("  not whole: {}", missing.join(", ")));
        }
    }
    for (table, line) in found.open.iter().take(OPEN_MAX) {
        output.line(format_args!("no row cites {table} line {line}"));
    }
    if found.open.len() > OPEN_MAX {
        output.line(format_args!(
            "and {} lines more",
            found.open.len() - OPEN_MAX
        ));
    }
}

fn as_json(found: &Coverage, goal: &BTreeMap<String, usize>) -> Value {
    let share = |share: Share| json!({ "covered": share.covered, "all": share.all });
    let counts: serde_json::Map<String, Value> = parts(found)
        .into_iter()
        .map(|(name, of)| (name.to_owned(), share(of)))
        .collect();
    let fields: serde_json::Map<String, Value> = found
        .fields
        .iter()
        .map(|(segment, of)| {
            let goal = goal.get(segment).copied();
            (
                segment.clone(),
                json!({ "covered": of.covered, "all": of.all, "goal": goal }),
            )
        })
        .collect();
    let open: Vec<String> = found
        .open
        .iter()
        .map(|(table, line)| format!("{table}:{line}"))
        .collect();
    json!({ "counts": counts, "fields": fields, "open": open })
}
