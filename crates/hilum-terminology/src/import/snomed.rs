//! SNOMED CT, as a snapshot in RF2 (SNOMED International, Release File Specifications §5).
//!
//! The snapshot of every module in the release is read. The version is that of the edition: its
//! module and date as a URI (SNOMED CT URI Standard §2.1). The edition is the module of the release
//! that is not the model's and not the international one, if there is one; a release of several
//! countries has to be named with `--version`.

use std::collections::HashMap;

use super::Imported;
use super::build::{Identity, digits, say};
use super::error::ImportError;
use super::input::{Input, Member};
use super::lines::Lines;
use super::parts::Saved;
use super::snomed_names::{Acceptability, Names};
use crate::table::{Case, Damaged, Flags, Reader, TableBuilder, ValueKind, Writer};

/// SNOMED CT (FHIR R4 snomedct.html).
pub(crate) const URL: &str = "http://snomed.info/sct";
const IS_A: &str = "116680003";
const CORE: &str = "900000000000207008";
const MODEL: &str = "900000000000012004";
const DEFINED: &str = "900000000000073002";
/// The property that says which simple reference sets a concept is in.
pub(crate) const MEMBER_OF: &str = "memberOf";

/// The files of a snapshot.
struct Files {
    concepts: Vec<Member>,
    descriptions: Vec<Member>,
    definitions: Vec<Member>,
    relationships: Vec<Member>,
    values: Vec<Member>,
    languages: Vec<Member>,
    sets: Vec<Member>,
}

impl Files {
    fn of(input: &Input<'_>) -> Result<Self, ImportError> {
        // `sct2_Concept_Snapshot_INT_20240101.txt`; early test releases begin with an x.
        let of = |kind: &str| {
            input.named(|name| {
                let name = name.trim_start_matches('x');
                let kind = name
                    .strip_prefix("sct2_")
                    .is_some_and(|rest| rest.starts_with(kind))
                    || name
                        .strip_prefix("der2_")
                        .is_some_and(|rest| rest.starts_with(kind));
                kind && name.contains("Snapshot") && name.ends_with(".txt")
            })
        };
        let concepts = of("Concept_");
        if concepts.is_empty() {
            return Err(input.missing("sct2_Concept_Snapshot_….txt"));
        }
        Ok(Self {
            concepts,
            descriptions: of("Description_"),
            definitions: of("TextDefinition_"),
            relationships: of("Relationship_"),
            values: of("RelationshipConcreteValues_"),
            languages: of("cRefset_Language"),
            sets: of("Refset_Simple"),
        })
    }

    fn all(&self) -> impl Iterator<Item = &Member> {
        let all = [
            &self.concepts,
            &self.descriptions,
            &self.definitions,
            &self.relationships,
            &self.values,
            &self.languages,
            &self.sets,
        ];
        all.into_iter().flatten()
    }
}

pub(super) fn read(input: &Input<'_>, version: Option<&str>) -> Result<Imported, ImportError> {
    let files = Files::of(input)?;
    input.expect(files.all());
    let mut made = input.parts.resumed(Made::new);
    for member in &files.languages {
        input.part(&mut made, "names", member, |made| {
            accept(input, member, &mut made.names)
        })?;
    }
    made.names.sort();
    for member in &files.concepts {
        input.part(&mut made, "concepts", member, |made| {
            concepts(input, member, &mut made.table, &mut made.modules)
        })?;
    }
    let version = match version {
        Some(named) => edition(named),
        None => told(&made.modules, input)?,
    };
    for member in files.descriptions.iter().chain(&files.definitions) {
        input.part(&mut made, "descriptions", member, |made| {
            describe(input, member, made)
        })?;
    }
    made.names.finish(&mut made.table)?;
    for member in files.relationships.iter().chain(&files.values) {
        input.part(&mut made, "relationships", member, |made| {
            relate(input, member, &mut made.table, &mut made.lost)
        })?;
    }
    for member in &files.sets {
        input.part(&mut made, "sets", member, |made| {
            belong(input, member, &mut made.table)
        })?;
    }
    let Made { table, lost, .. } = made;
    let identity = Identity {
        url: URL,
        version,
        name: "SNOMED_CT",
        title: "SNOMED CT",
        language: Some("en"),
        properties: &[
            ("inactive", ValueKind::Boolean),
            ("sufficientlyDefined", ValueKind::Boolean),
            ("moduleId", ValueKind::Code),
            ("effectiveTime", ValueKind::String),
            (MEMBER_OF, ValueKind::Code),
        ],
    };
    let mut imported = identity.imported(table);
    if lost > 0 {
        let text = "rows about concepts that the release does not have".to_owned();
        imported.left_out.push((text, lost));
    }
    Ok(imported)
}

/// What is made of the files.
struct Made {
    table: TableBuilder,
    names: Names,
    modules: Modules,
    /// Rows about concepts that are not there.
    lost: usize,
}

impl Made {
    fn new() -> Self {
        Self {
            table: TableBuilder::new(Case::Sensitive),
            names: Names::default(),
            modules: Modules::new(),
            lost: 0,
        }
    }
}

impl Saved for Made {
    fn save(&self, out: &mut Writer) {
        self.table.save(out);
        self.names.save(out);
        let counts = [self.modules.len() as u32, self.lost as u32];
        out.numbers(&counts);
        let mut modules: Vec<_> = self.modules.iter().collect();
        modules.sort();
        for (module, (count, date)) in modules {
            out.text(module);
            out.numbers(&[*count as u32]);
            out.text(date);
        }
    }

    fn restore(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let table = TableBuilder::restore(from)?;
        let names = Names::restore(from)?;
        let [known, lost] = from.numbers()?[..] else {
            return Err(Damaged::Form);
        };
        let mut modules = Modules::new();
        for _ in 0..known {
            let module = from.text()?.to_owned();
            let [count] = from.numbers()?[..] else {
                return Err(Damaged::Form);
            };
            modules.insert(module, (count as usize, from.text()?.to_owned()));
        }
        Ok(Self {
            table,
            names,
            modules,
            lost: lost as usize,
        })
    }
}

/// Which names a language prefers.
fn accept(input: &Input<'_>, member: &Member, names: &mut Names) -> Result<(), ImportError> {
    rows(input, member, 7, |row, lines| {
        if row.active {
            let acceptability = Acceptability::of(row.get(6))
                .ok_or_else(|| lines.wrong("acceptability is not one that is known"))?;
            let description = number(row.get(5), lines)?;
            names.accept(description, row.get(4), acceptability);
        }
        Ok(())
    })
}

/// Which concepts are in a simple reference set.
fn belong(input: &Input<'_>, member: &Member, table: &mut TableBuilder) -> Result<(), ImportError> {
    rows(input, member, 6, |row, _| {
        match table.find(row.get(5)).filter(|_| row.active) {
            Some(at) => say(table, at, MEMBER_OF, ValueKind::Code, row.get(4)),
            None => Ok(()),
        }
    })
}

/// How many concepts a module has, and when the newest of them changed.
type Modules = HashMap<String, (usize, String)>;

fn concepts(
    input: &Input<'_>,
    member: &Member,
    table: &mut TableBuilder,
    modules: &mut Modules,
) -> Result<(), ImportError> {
    rows(input, member, 5, |row, lines| {
        number(row.get(0), lines)?;
        let at = table.concept(row.get(0), None, None)?;
        let known = modules.entry(row.get(3).to_owned()).or_default();
        known.0 += 1;
        if known.1.as_str() < row.get(1) {
            row.get(1).clone_into(&mut known.1);
        }
        if !row.active {
            table.flag(at, Flags::INACTIVE);
        }
        let truth = |is: bool| if is { "true" } else { "false" };
        let inactive = truth(!row.active);
        say(table, at, "inactive", ValueKind::Boolean, inactive)?;
        let defined = truth(row.get(4) == DEFINED);
        say(
            table,
            at,
            "sufficientlyDefined",
            ValueKind::Boolean,
            defined,
        )?;
        say(table, at, "moduleId", ValueKind::Code, row.get(3))?;
        say(table, at, "effectiveTime", ValueKind::String, row.get(1))?;
        input.meter.concepts(table.len());
        Ok(())
    })
}

fn describe(input: &Input<'_>, member: &Member, made: &mut Made) -> Result<(), ImportError> {
    let Made {
        table, names, lost, ..
    } = made;
    rows(input, member, 9, |row, lines| {
        if !row.active {
            return Ok(());
        }
        let Some(at) = table.find(row.get(4)) else {
            *lost += 1;
            return Ok(());
        };
        let id = number(row.get(0), lines)?;
        names.describe(table, at, id, row.get(5), row.get(6), row.get(7))
    })
}

fn relate(
    input: &Input<'_>,
    member: &Member,
    table: &mut TableBuilder,
    lost: &mut usize,
) -> Result<(), ImportError> {
    rows(input, member, 10, |row, _| {
        if !row.active {
            return Ok(());
        }
        let Some(from) = table.find(row.get(4)) else {
            *lost += 1;
            return Ok(());
        };
        let (to, of) = (row.get(5), row.get(7));
        if of == IS_A {
            match table.find(to) {
                Some(to) => table.place(from, to),
                None => *lost += 1,
            }
            return Ok(());
        }
        // Concrete values stand as `#12` or as `"text"`.
        if let Some(value) = to.strip_prefix('#') {
            return say(table, from, of, ValueKind::Decimal, value);
        }
        match to.strip_prefix('"').and_then(|to| to.strip_suffix('"')) {
            Some(text) => say(table, from, of, ValueKind::String, text),
            None => say(table, from, of, ValueKind::Code, to),
        }
    })
}

/// A line of an RF2 file: id, effectiveTime, active, moduleId, and what the file is about.
struct Row<'l> {
    columns: [&'l str; 10],
    active: bool,
}

impl<'l> Row<'l> {
    fn get(&self, at: usize) -> &'l str {
        self.columns.get(at).copied().unwrap_or_default()
    }
}

/// What an error about the line at hand needs.
struct Line<'m> {
    member: &'m Member,
    number: u64,
}

impl Line<'_> {
    fn wrong(&self, text: &str) -> ImportError {
        ImportError::line(self.member.file_name(), self.number, text)
    }
}

fn rows(
    input: &Input<'_>,
    member: &Member,
    count: usize,
    mut each: impl FnMut(&Row<'_>, &Line<'_>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut lines = Lines::open(input, member)?;
    if lines
        .next()?
        .is_none_or(|head| !head.starts_with("id\teffectiveTime\tactive"))
    {
        return Err(lines.wrong("the first line is not the head of an RF2 file"));
    }
    loop {
        let number = lines.number() + 1;
        let line = Line { member, number };
        let Some(text) = lines.next()? else {
            return Ok(());
        };
        let mut columns = [""; 10];
        let mut found = 0;
        for (place, column) in columns.iter_mut().zip(text.split('\t')) {
            *place = column;
            found += 1;
        }
        if found < count {
            let text = format!("{found} columns, {count} are expected");
            return Err(line.wrong(&text));
        }
        let row = Row {
            active: columns[2] == "1",
            columns,
        };
        if !row.active && row.get(2) != "0" {
            return Err(line.wrong("the third column, active, is neither 0 nor 1"));
        }
        each(&row, &line)?;
    }
}

fn number(id: &str, line: &Line<'_>) -> Result<u64, ImportError> {
    id.parse()
        .map_err(|_| line.wrong("an identifier of SNOMED CT is expected, digits alone"))
}

/// The URI of a version that was named as a URI, as MODULE/DATE, or as a date of the international
/// edition.
fn edition(named: &str) -> String {
    if named.starts_with("http://") {
        return named.to_owned();
    }
    let (module, date) = named.split_once('/').unwrap_or((CORE, named));
    format!("{URL}/{module}/version/{date}")
}

/// The version that the files tell.
fn told(modules: &Modules, input: &Input<'_>) -> Result<String, ImportError> {
    let own: Vec<&String> = modules
        .keys()
        .filter(|module| *module != CORE && *module != MODEL)
        .collect();
    let module = match &*own {
        [] => CORE,
        [one] => one.as_str(),
        _ => return Err(ImportError::Version),
    };
    // The date in the names is that of the release; the newest row may be older.
    let is_date = |run: &&str| run.len() == 8 && (run.starts_with("19") || run.starts_with("20"));
    let names = std::iter::once(input.name());
    let names = names.chain(
        input
            .members()
            .iter()
            .map(|member| member.file_name().to_owned()),
    );
    let dates = names.filter_map(|name| digits(&name).find(is_date).map(str::to_owned));
    let newest = modules.values().map(|(_, date)| date.clone()).max();
    let date = dates.max().or(newest).ok_or(ImportError::Version)?;
    Ok(format!("{URL}/{module}/version/{date}"))
}
