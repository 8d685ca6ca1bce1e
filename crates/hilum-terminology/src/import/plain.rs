//! A table with commas and a head: `code`, and as far as they are there `display`, `definition`,
//! `parent` (several with `|` between), `status` (`active`, `inactive`), `abstract` (`true`),
//! `designation:LANGUAGE`; every other column is a property of that name.

use super::Imported;
use super::build::{Identity, say};
use super::error::ImportError;
use super::input::Input;
use super::lines::quoted;
use crate::table::{At, Case, Flags, TableBuilder, ValueKind};

/// What a column holds.
enum Column {
    Code,
    Display,
    Definition,
    Parent,
    Status,
    Abstract,
    Designation(String),
    Property(String),
}

impl Column {
    fn of(name: &str) -> Self {
        match name.trim().to_ascii_lowercase().as_str() {
            "code" => Self::Code,
            "display" => Self::Display,
            "definition" => Self::Definition,
            "parent" => Self::Parent,
            "status" => Self::Status,
            "abstract" => Self::Abstract,
            _ => match name.trim().split_once(':') {
                Some((kind, language)) if kind.eq_ignore_ascii_case("designation") => {
                    Self::Designation(language.to_owned())
                }
                _ => Self::Property(name.trim().to_owned()),
            },
        }
    }
}

/// Adds what a column says of a concept, but for its name and what is above it.
fn add(
    table: &mut TableBuilder,
    at: At,
    column: &Column,
    cell: &str,
    wrong: impl Fn(String) -> ImportError,
) -> Result<(), ImportError> {
    match column {
        Column::Code | Column::Display | Column::Definition | Column::Parent => {}
        Column::Status => match cell {
            "active" => {}
            "inactive" | "retired" => table.flag(at, Flags::INACTIVE),
            other => return Err(wrong(format!("status is active or inactive, not {other}"))),
        },
        Column::Abstract if cell == "true" => table.flag(at, Flags::ABSTRACT),
        Column::Abstract => {}
        Column::Designation(language) => {
            table.designation(at, Some(language), None, cell, None)?;
        }
        Column::Property(name) => say(table, at, name, ValueKind::String, cell)?,
    }
    Ok(())
}

fn head(row: &[&str]) -> Result<Vec<Column>, &'static str> {
    let columns: Vec<Column> = row.iter().map(|name| Column::of(name)).collect();
    let codes = columns.iter().filter(|one| matches!(one, Column::Code));
    if codes.count() != 1 {
        return Err("the first line names the columns; one of them has to be code");
    }
    Ok(columns)
}

pub(super) fn read(
    input: &Input<'_>,
    url: Option<&str>,
    version: Option<&str>,
) -> Result<Imported, ImportError> {
    let url = url.ok_or(ImportError::Url)?;
    let version = version.ok_or(ImportError::Version)?.to_owned();
    let files = input.named(|name| name.to_ascii_lowercase().ends_with(".csv"));
    let only = input
        .members()
        .first()
        .filter(|_| input.members().len() == 1);
    let member = files
        .first()
        .or(only)
        .ok_or_else(|| input.missing("file that ends with .csv"))?;
    input.expect([member]);
    let file = member.file_name();
    let mut table = TableBuilder::new(Case::Sensitive);
    let mut columns: Vec<Column> = Vec::new();
    let mut parents: Vec<(String, String, u64)> = Vec::new();
    quoted(input, member, |row, line| {
        if columns.is_empty() {
            columns = head(row).map_err(|text| ImportError::line(file, line, text))?;
            return Ok(());
        }
        let cells = || columns.iter().zip(row.iter().map(|cell| cell.trim()));
        let of = |wanted: fn(&Column) -> bool| {
            let mut cells = cells().filter(|(column, _)| wanted(column));
            cells
                .next()
                .map(|(_, cell)| cell)
                .filter(|cell| !cell.is_empty())
        };
        let code = of(|column| matches!(column, Column::Code));
        let code = code.ok_or_else(|| ImportError::line(file, line, "there is no code"))?;
        if table.find(code).is_some() {
            let text = format!("the code {code} is there for the second time");
            return Err(ImportError::line(file, line, text));
        }
        let display = of(|column| matches!(column, Column::Display));
        let definition = of(|column| matches!(column, Column::Definition));
        let at = table.concept(code, display, definition)?;
        for (column, cell) in cells().filter(|(_, cell)| !cell.is_empty()) {
            if let Column::Parent = column {
                let all = cell.split('|').map(str::trim);
                parents.extend(all.map(|of| (code.to_owned(), of.to_owned(), line)));
            }
            let wrong = |text: String| ImportError::line(file, line, text);
            add(&mut table, at, column, cell, wrong)?;
        }
        Ok(())
    })?;
    for (child, parent, line) in parents {
        let found = table.find(&child).zip(table.find(&parent));
        let Some((child, above)) = found else {
            let text = format!("the parent {parent} is none of the codes");
            return Err(ImportError::line(file, line, text));
        };
        table.place(child, above);
    }
    let name = url.rsplit(['/', ':']).next().unwrap_or_default();
    let names: Vec<String> = columns
        .into_iter()
        .filter_map(|column| match column {
            Column::Property(name) => Some(name),
            _ => None,
        })
        .collect();
    let properties: Vec<(&str, ValueKind)> = names
        .iter()
        .map(|name| (&**name, ValueKind::String))
        .collect();
    let identity = Identity {
        url,
        version,
        name,
        title: name,
        language: None,
        properties: &properties,
    };
    Ok(identity.imported(table))
}
