//! `hilum db sql`

use hilum_journal::{Cell, Content, SqlAnswer, sql};
use serde_json::{Map, Value};

use super::is_journal;
use crate::args::DbSql;
use crate::command::node::show;
use crate::output::{Exit, Output};

/// Longest value in a table for people, in characters.
const CELL_CHARS_MAX: usize = 80;

pub(super) fn run(arguments: &DbSql, output: &Output) -> anyhow::Result<Exit> {
    let data = &arguments.folder.data;
    is_journal(data)?;
    let content = if arguments.reveal {
        Content::Revealed
    } else {
        Content::Masked
    };
    let file = arguments.file.as_deref();
    let answer = sql(data, file, &arguments.statement, content, arguments.limit)?;
    if output.json() {
        for row in &answer.rows {
            output.value(&object(&answer, row))?;
        }
    } else {
        let mut rows = vec![answer.columns.clone()];
        rows.extend(answer.rows.iter().map(|row| row.iter().map(text).collect()));
        show::table(&rows, output);
    }
    let plural = if answer.rows.len() == 1 { "" } else { "s" };
    output.note(format_args!(
        "{} row{plural} of {}{}",
        answer.rows.len(),
        answer.file,
        if answer.more {
            "; there are more (--limit)"
        } else {
            ""
        }
    ));
    if !answer.masked.is_empty() {
        let masked: Vec<&str> = answer.masked.iter().map(String::as_str).collect();
        output.note(format_args!(
            "masked, shown with --reveal: {}",
            masked.join(", ")
        ));
    }
    Ok(Exit::Done)
}

fn text(cell: &Cell) -> String {
    let whole = match cell {
        Cell::Null => String::new(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Bytes(bytes) => hex(bytes),
    };
    // What a peer has sent must not steer the terminal.
    let shown: String = whole
        .chars()
        .take(CELL_CHARS_MAX)
        .map(|c| if c.is_control() { '·' } else { c })
        .collect();
    if whole.chars().nth(CELL_CHARS_MAX).is_some() {
        format!("{shown}…")
    } else {
        shown
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn object(answer: &SqlAnswer, row: &[Cell]) -> Value {
    let value = |cell: &Cell| match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => (*number).into(),
        Cell::Real(number) => (*number).into(),
        Cell::Text(text) => text.clone().into(),
        Cell::Bytes(bytes) => hex(bytes).into(),
    };
    let pairs = answer.columns.iter().cloned().zip(row.iter().map(value));
    Value::Object(pairs.collect::<Map<_, _>>())
}
