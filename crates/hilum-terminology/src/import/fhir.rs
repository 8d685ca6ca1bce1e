//! Definitions in FHIR: packages (`.tgz`), and files with a resource each (`.json`) or one on each
//! line (`.ndjson`), also in folders and zips.

use std::fs::File;

use hilum_fhir::package::{PackageLimits, read as read_package};
use hilum_fhir::{Limits, Resource, Style, json};

use super::error::ImportError;
use super::input::{Input, Member};
use super::lines::Lines;
use super::parts::Saved;
use super::{Definition, Imported};
use crate::map::ConceptMap;
use crate::system::System;
use crate::table::{Damaged, Reader, Writer};

const KINDS: [&str; 4] = ["CodeSystem", "ValueSet", "ConceptMap", "NamingSystem"];

pub(super) fn read(input: &Input<'_>) -> Result<Imported, ImportError> {
    let mut made = input.parts.resumed(Made::default);
    let members = input.members().to_vec();
    input.expect(&members);
    for member in &members {
        input.part(&mut made, "resources", member, |made| {
            file(input, member, &mut made.imported, &mut made.others)
        })?;
    }
    let Made {
        mut imported,
        others,
    } = made;
    if imported.resources.is_empty() {
        return Err(input.missing("CodeSystem, ValueSet, ConceptMap or NamingSystem in JSON"));
    }
    if others > 0 {
        let text = "resources that are no definitions of codes".to_owned();
        imported.left_out.push((text, others));
    }
    Ok(imported)
}

/// What is made of the files.
#[derive(Default)]
struct Made {
    imported: Imported,
    /// Resources that are no definitions.
    others: usize,
}

impl Saved for Made {
    fn save(&self, out: &mut Writer) {
        let resources = &self.imported.resources;
        out.numbers(&[resources.len() as u32, self.others as u32]);
        for one in resources {
            out.text(&one.kind);
            out.text(&one.url);
            // No version is empty.
            out.text(one.version.as_deref().unwrap_or_default());
            out.text(&one.json);
        }
    }

    fn restore(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let [known, others] = from.numbers()?[..] else {
            return Err(Damaged::Form);
        };
        let mut imported = Imported::default();
        for _ in 0..known {
            imported.resources.push(Definition {
                kind: from.text()?.to_owned(),
                url: from.text()?.to_owned(),
                version: Some(from.text()?.to_owned()).filter(|version| !version.is_empty()),
                json: from.text()?.to_owned(),
            });
        }
        Ok(Self {
            imported,
            others: others as usize,
        })
    }
}

fn file(
    input: &Input<'_>,
    member: &Member,
    imported: &mut Imported,
    others: &mut usize,
) -> Result<(), ImportError> {
    let name = member.name.to_ascii_lowercase();
    // What `hilum fhir export` says of the files beside it.
    if member.file_name() == "manifest.json" {
        return Ok(());
    }
    if name.ends_with(".tgz") || name.ends_with(".tar.gz") {
        return package(input, member, imported, others);
    }
    if name.ends_with(".ndjson") {
        let mut lines = Lines::open(input, member)?;
        loop {
            let number = lines.number() + 1;
            let Some(text) = lines.next()? else {
                return Ok(());
            };
            if text.trim().is_empty() {
                continue;
            }
            let wrong = |text: String| ImportError::line(member.file_name(), number, text);
            add(text.as_bytes(), wrong, imported, others)?;
            input.meter.concepts(imported.resources.len());
        }
    }
    if name.ends_with(".json") {
        let bytes = input.whole(member, Limits::default().bytes_max as u64)?;
        let wrong = |text: String| ImportError::File(member.name.clone(), text);
        add(&bytes, wrong, imported, others)?;
    }
    Ok(())
}

fn package(
    input: &Input<'_>,
    member: &Member,
    imported: &mut Imported,
    others: &mut usize,
) -> Result<(), ImportError> {
    let Some(path) = member.path() else {
        let text = "a package in a zip is not unpacked twice; take it out first".to_owned();
        return Err(ImportError::File(member.name.clone(), text));
    };
    let fails = |error| ImportError::Read(member.name.clone(), error);
    let file = File::open(path).map_err(fails)?;
    let mut failed = None;
    let done = read_package(file, &PackageLimits::default(), &mut |entry| {
        if failed.is_some() || !entry.is_definition() {
            return;
        }
        // What is called after another type is not looked at.
        let kind = entry.path.split('-').next().unwrap_or_default();
        if kind.chars().next().is_some_and(char::is_uppercase) && !KINDS.contains(&kind) {
            *others += 1;
            return;
        }
        let place = format!("{}, {}", member.file_name(), entry.path);
        let wrong = |text: String| ImportError::File(place.clone(), text);
        failed = add(entry.bytes, wrong, imported, others).err();
        input.meter.concepts(imported.resources.len());
    });
    match (failed, done) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(ImportError::File(member.name.clone(), error.to_string())),
    }
}

fn add(
    bytes: &[u8],
    wrong: impl Fn(String) -> ImportError,
    imported: &mut Imported,
    others: &mut usize,
) -> Result<(), ImportError> {
    let resource = json::parse(bytes, &Limits::default())
        .map_err(|problems| wrong(format!("it is no resource of FHIR R4: {problems}")))?;
    let kind = resource.type_name();
    if !KINDS.contains(&kind) {
        *others += 1;
        return Ok(());
    }
    match kind {
        "CodeSystem" => drop(System::of(&resource).map_err(|error| wrong(error.to_string()))?),
        "ConceptMap" => drop(ConceptMap::of(&resource).map_err(|error| wrong(error.to_string()))?),
        _ => {}
    }
    imported.resources.extend(definition(&resource));
    Ok(())
}

/// A resource as it is kept; `None` without a URL, since nobody finds it then.
fn definition(resource: &Resource) -> Option<Definition> {
    let root = resource.root();
    let kind = resource.type_name();
    let by = if kind == "NamingSystem" {
        "name"
    } else {
        "url"
    };
    let mut out = Vec::new();
    json::write(resource, Style::Compact, &mut out);
    Some(Definition {
        kind: kind.to_owned(),
        url: root.child_text(by)?.to_owned(),
        version: root.child_text("version").map(str::to_owned),
        json: String::from_utf8(out).ok()?,
    })
}
