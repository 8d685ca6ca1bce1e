//! `hilum codes review`, `approve` and `retire`: rows of a table on their way.

use std::fs;

use anyhow::{Context, bail};
use hilum_codes::{Column, Risk, Row, Sheet, Status, alone, day_of};
use serde_json::json;

use super::tables::{Known, replace, told};
use crate::args::{Approve, Retire, Sign};
use crate::output::{Exit, Output};

/// What is done to rows.
#[derive(Clone, Copy)]
enum Act<'a> {
    Review,
    Approve { from: Option<&'a str> },
    Retire { until: Option<&'a str> },
}

pub(super) fn review(arguments: &Sign, output: &Output) -> anyhow::Result<Exit> {
    act(arguments, Act::Review, output)
}

pub(super) fn approve(arguments: &Approve, output: &Output) -> anyhow::Result<Exit> {
    let from = arguments.from.as_deref();
    act(&arguments.sign, Act::Approve { from }, output)
}

pub(super) fn retire(arguments: &Retire, output: &Output) -> anyhow::Result<Exit> {
    let until = arguments.until.as_deref();
    act(&arguments.sign, Act::Retire { until }, output)
}

fn act(arguments: &Sign, act: Act<'_>, output: &Output) -> anyhow::Result<Exit> {
    let file = &arguments.table;
    let name = file.display().to_string();
    let by = arguments.by.trim();
    if by.is_empty() {
        bail!("--by names nobody");
    }
    let day = match &arguments.on {
        Some(day) => day.clone(),
        None => day_of(u64::try_from(jiff::Timestamp::now().as_millisecond())?),
    };
    let known = Known::find(file, arguments.site.as_deref())?;
    let mut bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let mut signed = Vec::new();
    for code in &arguments.code {
        let sheet = Sheet::read(&bytes).map_err(|mistakes| {
            anyhow::anyhow!("{name} is not readable:\n{}", told(&name, &mistakes))
        })?;
        let row = choose(&sheet, code, arguments, act)?;
        if let (Act::Approve { .. }, Some(risk)) = (act, known.risk(sheet.rows())) {
            two_people(row, by, risk)?;
        }
        let note = retired_note(row, by, &day);
        let cells = cells(act, by, &day, &note);
        signed.push((row.line, row.from.code.clone(), row.to.code.clone()));
        bytes = sheet
            .with(row.line, &cells)
            .with_context(|| format!("{name} has no row in line {}", row.line))?;
    }
    let mistakes = known.mistakes(&bytes);
    if !mistakes.is_empty() {
        bail!(
            "nothing was written, because the table would not be good:\n{}",
            told(&name, &mistakes)
        );
    }
    replace(file, &bytes)?;
    for (line, from, to) in signed {
        if output.json() {
            output.value(&json!({
                "table": name, "line": line, "code": from, "target": to, "status": word(act),
                "by": by, "on": day,
            }))?;
        } else {
            output.line(format_args!("{name}:{line}  {from} -> {to}  {}", word(act)));
        }
    }
    Ok(Exit::Done)
}

const fn word(act: Act<'_>) -> &'static str {
    match act {
        Act::Review => "reviewed",
        Act::Approve { .. } => "approved",
        Act::Retire { until: None } => "retired",
        Act::Retire { until: Some(_) } => "ends",
    }
}

/// The one row that is meant.
fn choose<'s>(
    sheet: &'s Sheet,
    code: &str,
    arguments: &Sign,
    act: Act<'_>,
) -> anyhow::Result<&'s Row> {
    let is =
        |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
    let named: Vec<&Row> = sheet
        .rows()
        .iter()
        .filter(|row| {
            row.from.code == code
                && is(&arguments.source, &row.from.system)
                && is(&arguments.target, &row.to.code)
        })
        .collect();
    if named.is_empty() {
        bail!(
            "{} has no such row with the code {code}",
            arguments.table.display()
        );
    }
    let ready: Vec<&Row> = named.iter().copied().filter(|row| fits(row, act)).collect();
    match ready.as_slice() {
        [row] => Ok(row),
        [] => {
            let states: Vec<String> = named
                .iter()
                .map(|row| format!("line {} is {}", row.line, row.status.word()))
                .collect();
            bail!("{code}: {}; {}", states.join(", "), wanted(act))
        }
        several => {
            let lines: Vec<String> = several
                .iter()
                .map(|row| format!("line {} to {}", row.line, row.to.code))
                .collect();
            bail!(
                "{code} has several rows ({}); choose with --target or --source",
                lines.join(", ")
            )
        }
    }
}

fn fits(row: &Row, act: Act<'_>) -> bool {
    match act {
        Act::Review => row.status == Status::Draft,
        // Rows of older tables are used already; an approval is what they lack.
        Act::Approve { .. } => matches!(row.status, Status::Reviewed | Status::Active),
        Act::Retire { until: None } => row.status != Status::Retired,
        Act::Retire { until: Some(_) } => row.status.counts(),
    }
}

const fn wanted(act: Act<'_>) -> &'static str {
    match act {
        Act::Review => "a draft is reviewed",
        Act::Approve { .. } => "a row is approved after somebody reviewed it (hilum codes review)",
        Act::Retire { until: None } => "it is retired already",
        Act::Retire { until: Some(_) } => "only a row that counts can end on a day",
    }
}

fn two_people(row: &Row, by: &str, risk: Risk) -> anyhow::Result<()> {
    if alone(&row.made.by, &row.reviewed.by, by) {
        let before = [&row.made.by, &row.reviewed.by];
        let before: Vec<&str> = before
            .into_iter()
            .map(String::as_str)
            .filter(|name| !name.is_empty())
            .collect();
        bail!(
            "line {} is about {risk}, which needs two different people, and {}; let somebody else \
             approve it",
            row.line,
            if before.is_empty() {
                "nobody is named who made or reviewed it".to_owned()
            } else {
                format!("it was made and reviewed by {}", before.join(" and "))
            }
        );
    }
    Ok(())
}

fn retired_note(row: &Row, by: &str, day: &str) -> String {
    let said = format!("retired by {by} on {day}");
    if row.note.is_empty() {
        said
    } else {
        format!("{}; {said}", row.note)
    }
}

fn cells<'c>(act: Act<'c>, by: &'c str, day: &'c str, note: &'c str) -> Vec<(Column, &'c str)> {
    match act {
        Act::Review => vec![
            (Column::Status, Status::Reviewed.word()),
            (Column::ReviewedBy, by),
            (Column::ReviewedOn, day),
        ],
        Act::Approve { from } => {
            let mut cells = vec![
                (Column::Status, Status::Approved.word()),
                (Column::ApprovedBy, by),
                (Column::ApprovedOn, day),
            ];
            cells.extend(from.map(|from| (Column::From, from)));
            cells
        }
        Act::Retire { until: None } => vec![
            (Column::Status, Status::Retired.word()),
            (Column::Note, note),
        ],
        Act::Retire { until: Some(until) } => vec![(Column::Until, until)],
    }
}
