//! ICD-10-CM and ICD-10-PCS of the CMS and the CDC: the order files (fixed columns: number, code,
//! whether it is billable, short and long name), and of ICD-10-CM the tabular XML.

use super::Imported;
use super::build::{Identity, digits, say, version_of};
use super::error::ImportError;
use super::input::{Input, Member};
use super::lines::Lines;
use super::tabular;
use crate::table::{Case, Flags, TableBuilder, Use, ValueKind};

const CLINICAL: &str = "http://hl7.org/fhir/sid/icd-10-cm";
const PROCEDURES: &str = "http://www.cms.gov/Medicare/Coding/ICD10";
/// Characters before the point.
const CATEGORY: usize = 3;

/// The year in `icd10cm_order_2025.txt`.
fn release(name: &str) -> Option<String> {
    let year = |run: &&str| run.len() == 4 && run.starts_with("20");
    digits(name).find(year).map(str::to_owned)
}

pub(super) fn clinical(input: &Input<'_>, version: Option<&str>) -> Result<Imported, ImportError> {
    let lower = |name: &str| name.to_ascii_lowercase();
    let ends = |name: &str, end: &str| lower(name).ends_with(end);
    let xml = input.named(|name| ends(name, ".xml") && lower(name).contains("tabular"));
    let one = input.named(|name| ends(name, ".xml"));
    let xml = xml
        .first()
        .or(one.first().filter(|_| input.members().len() == 1));
    let mut table = TableBuilder::new(Case::Insensitive);
    let mut told = None;
    match xml {
        Some(xml) => told = tabular::read(input, xml, &mut table)?,
        None => {
            let order = order_file(input, "the tabular XML or icd10cm_order_….txt")?;
            ordered(input, &order, Dotted::Yes, &mut table)?;
        }
    }
    let version = version_of(version.or(told.as_deref()), input, release)?;
    let identity = Identity {
        url: CLINICAL,
        version,
        name: "ICD10CM",
        title: "International Classification of Diseases, 10th Revision, Clinical Modification",
        language: Some("en"),
        properties: &[("billable", ValueKind::Boolean)],
    };
    Ok(identity.imported(table))
}

pub(super) fn procedures(
    input: &Input<'_>,
    version: Option<&str>,
) -> Result<Imported, ImportError> {
    let order = order_file(input, "icd10pcs_order_….txt")?;
    let version = version_of(version, input, release)?;
    let mut table = TableBuilder::new(Case::Insensitive);
    ordered(input, &order, Dotted::No, &mut table)?;
    let identity = Identity {
        url: PROCEDURES,
        version,
        name: "ICD10PCS",
        title: "International Classification of Diseases, 10th Revision, Procedure Coding System",
        language: Some("en"),
        properties: &[("billable", ValueKind::Boolean)],
    };
    Ok(identity.imported(table))
}

fn order_file(input: &Input<'_>, wanted: &'static str) -> Result<Member, ImportError> {
    let orders = input.named(|name| {
        let name = name.to_ascii_lowercase();
        name.contains("order") && name.ends_with(".txt") && !name.contains("addenda")
    });
    let only = input
        .members()
        .first()
        .filter(|_| input.members().len() == 1);
    orders
        .first()
        .or(only)
        .cloned()
        .ok_or_else(|| input.missing(wanted))
}

/// Whether codes have a point behind their category.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dotted {
    Yes,
    No,
}

/// Reads an order file. Codes come before those that they begin; each is below the longest of them.
fn ordered(
    input: &Input<'_>,
    member: &Member,
    dotted: Dotted,
    table: &mut TableBuilder,
) -> Result<(), ImportError> {
    input.expect([member]);
    let mut lines = Lines::open(input, member)?;
    let mut above: Vec<String> = Vec::new();
    let mut count = 0;
    loop {
        let number = lines.number() + 1;
        let Some(text) = lines.next()? else {
            return Ok(());
        };
        if text.trim().is_empty() {
            continue;
        }
        // Columns count characters.
        let place = |column| {
            text.char_indices()
                .nth(column)
                .map_or(text.len(), |(at, _)| at)
        };
        let part = |from, to| text.get(place(from)..place(to)).map(str::trim);
        let (code, billable, short, long) = match (part(6, 14), part(14, 15), part(16, 77)) {
            (Some(code), Some(billable @ ("0" | "1")), Some(short)) if is_code(code) => {
                let long = text.get(place(77)..).unwrap_or_default().trim();
                (code, billable == "1", short, long)
            }
            _ => {
                let text = "number, code, 0 or 1, short and long name are expected in columns 1, 7, \
                            15, 17 and 78";
                return Err(ImportError::line(member.file_name(), number, text));
            }
        };
        let shown = if long.is_empty() { short } else { long };
        let at = table.concept(&written(code, dotted), Some(shown), None)?;
        if short != shown {
            let usage = Use {
                system: "http://snomed.info/sct",
                code: "900000000000013009",
                display: "Synonym",
            };
            table.designation(at, Some("en"), Some(usage), short, None)?;
        }
        let truth = if billable { "true" } else { "false" };
        say(table, at, "billable", ValueKind::Boolean, truth)?;
        if !billable {
            table.flag(at, Flags::ABSTRACT);
        }
        above.retain(|own| code.starts_with(own.as_str()) && code != own.as_str());
        let parent = above
            .last()
            .and_then(|own| table.find(&written(own, dotted)));
        if let Some(parent) = parent {
            table.place(at, parent);
        }
        above.push(code.to_owned());
        count += 1;
        input.meter.concepts(count);
    }
}

fn is_code(code: &str) -> bool {
    (CATEGORY..=7).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A code as it is exchanged: ICD-10-CM with its point.
fn written(code: &str, dotted: Dotted) -> String {
    match code.split_at_checked(CATEGORY) {
        Some((category, rest)) if dotted == Dotted::Yes && !rest.is_empty() => {
            format!("{category}.{rest}")
        }
        _ => code.to_owned(),
    }
}
