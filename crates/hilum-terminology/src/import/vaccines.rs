//! CVX and MVX, the CDC's codes of vaccines and of who makes them: the tables with bars (`cvx.txt`,
//! `mvx.txt`) or the XML of the same.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::Imported;
use super::build::{Identity, say, version_of};
use super::error::ImportError;
use super::input::{Input, Member};
use super::lines::Lines;
use super::tabular::XML_BYTES_MAX;
use crate::table::{Case, Flags, TableBuilder, ValueKind};

const VACCINES: &str = "http://hl7.org/fhir/sid/cvx";
const MAKERS: &str = "http://terminology.hl7.org/CodeSystem/MVX";

/// What a table says of a code: code, short name, full name, notes, status, when it changed last.
type Row = [String; 6];

/// The names of the same in XML, in lower case and without `_`.
const TAGS: [&[&str]; 6] = [
    &["cvxcode", "mvxcode", "code"],
    &["shortdescription"],
    &["fullvaccinename", "manufacturername"],
    &["notes"],
    &["status"],
    &["lastupdated", "lastupdateddate", "updatedate"],
];

pub(super) fn codes(input: &Input<'_>, version: Option<&str>) -> Result<Imported, ImportError> {
    // Code, short name, full name, notes, status, whether it is no vaccine, date.
    let rows = rows(input, "cvx", &[0, 1, 2, 3, 4, 6])?;
    finish(
        input,
        rows,
        version,
        VACCINES,
        ("CVX", "Vaccine Administered Code Set (CVX)"),
    )
}

pub(super) fn makers(input: &Input<'_>, version: Option<&str>) -> Result<Imported, ImportError> {
    // Code, name, notes, status, date.
    let rows = rows(input, "mvx", &[0, usize::MAX, 1, 2, 3, 4])?;
    finish(
        input,
        rows,
        version,
        MAKERS,
        ("MVX", "Manufacturers of Vaccines (MVX)"),
    )
}

fn finish(
    input: &Input<'_>,
    rows: Vec<Row>,
    version: Option<&str>,
    url: &str,
    (name, title): (&str, &str),
) -> Result<Imported, ImportError> {
    let mut table = TableBuilder::new(Case::Insensitive);
    let mut newest = String::new();
    for (count, [code, short, full, notes, status, changed]) in rows.iter().enumerate() {
        let shown = if short.is_empty() { full } else { short };
        let at = table.concept(
            code,
            Some(shown),
            Some(full).filter(|full| *full != shown).map(|full| &**full),
        )?;
        say(&mut table, at, "VaccineStatus", ValueKind::Code, status)?;
        say(&mut table, at, "notes", ValueKind::String, notes)?;
        if matches!(
            status.to_ascii_lowercase().as_str(),
            "inactive" | "never active"
        ) {
            table.flag(at, Flags::INACTIVE);
        }
        let changed = day(changed);
        say(&mut table, at, "lastUpdated", ValueKind::String, &changed)?;
        newest = newest.max(changed);
        input.meter.concepts(count + 1);
    }
    // The CDC gives its tables no version: the day of the newest change is one.
    let told = Some(newest).filter(|newest| !newest.is_empty());
    let version = version_of(version.or(told.as_deref()), input, |_| None)?;
    let identity = Identity {
        url,
        version,
        name,
        title,
        language: Some("en"),
        properties: &[("VaccineStatus", ValueKind::Code)],
    };
    Ok(identity.imported(table))
}

/// A day of `2010/09/30` or `9/30/2010` as FHIR writes it; anything else as it stands.
fn day(text: &str) -> String {
    let parts: Vec<&str> = text.split(['/', '-', ' ']).take(3).collect();
    match *parts {
        [year, month, day] if year.len() == 4 => format!("{year}-{month:0>2}-{day:0>2}"),
        [month, day, year] if year.len() == 4 => format!("{year}-{month:0>2}-{day:0>2}"),
        _ => text.to_owned(),
    }
}

fn rows(input: &Input<'_>, name: &str, columns: &[usize; 6]) -> Result<Vec<Row>, ImportError> {
    let files = input.named(|own| own.to_ascii_lowercase().contains(name));
    let only = input
        .members()
        .first()
        .filter(|_| input.members().len() == 1);
    let member = files.first().or(only).ok_or_else(|| {
        input.missing(if name == "cvx" {
            "cvx.txt or cvx.xml"
        } else {
            "mvx.txt or mvx.xml"
        })
    })?;
    input.expect([member]);
    if member.name.to_ascii_lowercase().ends_with(".xml") {
        return xml(input, member);
    }
    let mut lines = Lines::open(input, member)?;
    let mut rows = Vec::new();
    loop {
        let number = lines.number() + 1;
        let Some(text) = lines.next()? else {
            return Ok(rows);
        };
        if text.trim().is_empty() {
            continue;
        }
        let parts: Vec<&str> = text.split('|').map(str::trim).collect();
        let code = parts.first().copied().unwrap_or_default();
        if parts.len() < 4 || code.is_empty() || code.len() > 5 {
            let text = "code, names, notes and status are expected with | between";
            return Err(ImportError::line(member.file_name(), number, text));
        }
        rows.push(columns.map(|at| parts.get(at).copied().unwrap_or_default().to_owned()));
    }
}

fn xml(input: &Input<'_>, member: &Member) -> Result<Vec<Row>, ImportError> {
    let bytes = input.whole(member, XML_BYTES_MAX)?;
    let wrong = |text: String| ImportError::File(member.file_name().to_owned(), text);
    let whole = String::from_utf8(bytes).map_err(|_| wrong("it is not in UTF-8".to_owned()))?;
    let mut reader = Reader::from_str(&whole);
    let mut rows: Vec<Row> = Vec::new();
    let mut row = Row::default();
    let mut text = String::new();
    loop {
        match reader
            .read_event()
            .map_err(|error| wrong(error.to_string()))?
        {
            Event::Start(_) => text.clear(),
            Event::Text(part) => text.push_str(&part),
            Event::GeneralRef(name) => match name.as_ref() {
                "amp" => text.push('&'),
                "lt" => text.push('<'),
                "gt" => text.push('>'),
                _ => {}
            },
            Event::End(tag) => {
                let name = tag.name().as_ref().to_lowercase();
                let name = name.replace('_', "");
                if let Some(at) = TAGS.iter().position(|names| names.contains(&&*name)) {
                    if let Some(column) = row.get_mut(at) {
                        text.trim().clone_into(column);
                    }
                } else if name.ends_with("info") && !row.concat().is_empty() {
                    rows.push(std::mem::take(&mut row));
                }
                text.clear();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if rows.is_empty() || rows.iter().any(|[code, ..]| code.is_empty()) {
        return Err(wrong(
            "a CVXInfo or MVXInfo with a code is expected for each entry".to_owned(),
        ));
    }
    Ok(rows)
}
