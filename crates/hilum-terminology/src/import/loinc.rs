//! LOINC, as Regenstrief releases it: `LoincTable/Loinc.csv`, and of the accessory files the
//! hierarchy, parts, answer lists and linguistic variants, as far as they are there.

use super::build::{Identity, say, version_of};
use super::error::ImportError;
use super::input::{Input, Member};
use super::lines::{Columns, quoted};
use super::parts::Saved;
use super::{Definition, Imported};
use crate::table::{Case, Damaged, Flags, Reader, TableBuilder, Use, ValueKind, Writer};

const URL: &str = "http://loinc.org";
/// The column of a property, and the name that FHIR gives it (FHIR R4 loinc.html).
const PROPERTIES: [&str; 19] = [
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "CLASSTYPE",
    "STATUS",
    "VersionLastChanged",
    "CHNG_TYPE",
    "ORDER_OBS",
    "UNITSREQUIRED",
    "EXAMPLE_UNITS",
    "EXAMPLE_UCUM_UNITS",
    "COMMON_TEST_RANK",
    "COMMON_ORDER_RANK",
    "PanelType",
    "VersionFirstReleased",
];
const USES: &str = "http://loinc.org";

const fn usage(code: &str) -> Option<Use<'_>> {
    Some(Use {
        system: USES,
        code,
        display: "",
    })
}

/// What is made of the files.
struct Made {
    table: TableBuilder,
    /// The newest version that a term tells.
    newest: String,
    lists: Vec<List>,
}

/// An answer list: id, name, answers.
type List = (String, String, Vec<String>);

impl Made {
    fn new() -> Self {
        Self {
            table: TableBuilder::new(Case::Insensitive),
            newest: String::new(),
            lists: Vec::new(),
        }
    }
}

impl Saved for Made {
    fn save(&self, out: &mut Writer) {
        self.table.save(out);
        out.text(&self.newest);
        let counts = self.lists.iter().map(|(.., answers)| answers.len() as u32);
        out.numbers(&counts.collect::<Vec<u32>>());
        for (id, name, answers) in &self.lists {
            out.text(id);
            out.text(name);
            for answer in answers {
                out.text(answer);
            }
        }
    }

    fn restore(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let table = TableBuilder::restore(from)?;
        let newest = from.text()?.to_owned();
        let mut lists = Vec::new();
        for count in from.numbers()? {
            let (id, name) = (from.text()?.to_owned(), from.text()?.to_owned());
            let answers = (0..count).map(|_| from.text().map(str::to_owned));
            lists.push((id, name, answers.collect::<Result<_, _>>()?));
        }
        Ok(Self {
            table,
            newest,
            lists,
        })
    }
}

pub(super) fn read(input: &Input<'_>, version: Option<&str>) -> Result<Imported, ImportError> {
    let main = input.need("Loinc.csv")?;
    let hierarchy = input.find("ComponentHierarchyBySystem.csv");
    let parts = input.find("Part.csv");
    let answers = input.find("AnswerList.csv");
    let links = input.find("LoincAnswerListLink.csv");
    let variants = variants(input)?;
    let all = [&hierarchy, &parts, &answers, &links];
    let all = all.into_iter().flatten().chain([&main]);
    input.expect(all.chain(variants.iter().map(|(_, member)| member)));

    let mut made = input.parts.resumed(Made::new);
    input.part(&mut made, "terms", &main, |made| {
        terms(input, &main, &mut made.table, &mut made.newest)
    })?;
    if let Some(parts) = &parts {
        input.part(&mut made, "parts", parts, |made| {
            names_of_parts(input, parts, &mut made.table)
        })?;
    }
    if let Some(hierarchy) = &hierarchy {
        input.part(&mut made, "hierarchy", hierarchy, |made| {
            place(input, hierarchy, &mut made.table)
        })?;
    }
    let told = version_of(version, input, release);
    let version = told.or_else(|error| {
        if made.newest.is_empty() {
            Err(error)
        } else {
            Ok(made.newest.clone())
        }
    })?;
    if let Some(answers) = &answers {
        input.part(&mut made, "answers", answers, |made| {
            made.lists = answer_lists(input, answers, &mut made.table)?;
            Ok(())
        })?;
    }
    if let Some(links) = &links {
        input.part(&mut made, "links", links, |made| {
            link(input, links, &mut made.table)
        })?;
    }
    for (language, member) in &variants {
        input.part(&mut made, "translations", member, |made| {
            translate(input, member, language, &mut made.table)
        })?;
    }
    let Made { table, lists, .. } = made;
    let sets = lists.into_iter().map(|list| value_set(list, &version));
    let sets = sets.collect();
    let mut properties: Vec<(&str, ValueKind)> =
        PROPERTIES.map(|name| (name, ValueKind::String)).into();
    properties.push(("answer-list", ValueKind::Code));
    let identity = Identity {
        url: URL,
        version,
        name: "LOINC",
        title: "Logical Observation Identifiers, Names and Codes (LOINC)",
        language: Some("en"),
        properties: &properties,
    };
    let mut imported = identity.imported(table);
    imported.resources = sets;
    Ok(imported)
}

/// The version in a name such as `Loinc_2.78.zip`.
fn release(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let rest = name.split("loinc_").nth(1)?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let version = rest.get(..end)?.trim_matches('.');
    version.contains('.').then(|| version.to_owned())
}

fn terms(
    input: &Input<'_>,
    member: &Member,
    table: &mut TableBuilder,
    newest: &mut String,
) -> Result<(), ImportError> {
    let file = member.file_name();
    let mut columns: Option<(Columns, Columns)> = None;
    let mut count = 0;
    quoted(input, member, |row, line| {
        let Some((known, properties)) = &columns else {
            let needed = ["LOINC_NUM", "COMPONENT", "STATUS", "LONG_COMMON_NAME"];
            let optional = [
                "SHORTNAME",
                "DisplayName",
                "CONSUMER_NAME",
                "DefinitionDescription",
            ];
            let known = Columns::of(row, file, &needed, &optional)?;
            columns = Some((known, Columns::of(row, file, &[], &PROPERTIES)?));
            return Ok(());
        };
        let get = |at| known.get(row, at);
        let code = get(0);
        if !known.fit(row.len()) || !is_code(code) {
            let text = "a LOINC number is expected first, such as 2160-0";
            return Err(ImportError::line(file, line, text));
        }
        let (name, display) = (get(3), get(5));
        let shown = [name, display, get(4), get(1)];
        let shown = shown.into_iter().find(|text| !text.is_empty());
        let at = table.concept(code, shown, Some(get(7)).filter(|text| !text.is_empty()))?;
        if get(2) == "DEPRECATED" {
            table.flag(at, Flags::INACTIVE);
        }
        let others = [
            ("SHORTNAME", get(4)),
            ("DisplayName", display),
            ("ConsumerName", get(6)),
        ];
        for (of, text) in others {
            if !text.is_empty() && text != name {
                table.designation(at, Some("en"), usage(of), text, None)?;
            }
        }
        for (place, property) in PROPERTIES.iter().enumerate() {
            say(
                table,
                at,
                property,
                ValueKind::String,
                properties.get(row, place),
            )?;
        }
        let changed = properties.get(row, 9);
        if crate::version::order(newest, changed).is_lt() {
            changed.clone_into(newest);
        }
        count += 1;
        input.meter.concepts(count);
        Ok(())
    })
}

fn is_code(code: &str) -> bool {
    let Some((number, check)) = code.split_once('-') else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(number) && digits(check) && check.len() == 1
}

fn names_of_parts(
    input: &Input<'_>,
    member: &Member,
    table: &mut TableBuilder,
) -> Result<(), ImportError> {
    let mut columns: Option<Columns> = None;
    quoted(input, member, |row, _| {
        let Some(known) = &columns else {
            let needed = ["PartNumber", "PartTypeName", "PartName"];
            let optional = ["PartDisplayName", "Status"];
            columns = Some(Columns::of(row, member.file_name(), &needed, &optional)?);
            return Ok(());
        };
        let get = |at| known.get(row, at);
        let shown = if get(3).is_empty() { get(2) } else { get(3) };
        let at = table.concept(get(0), Some(shown), None)?;
        say(table, at, "type", ValueKind::String, get(1))?;
        say(table, at, "STATUS", ValueKind::String, get(4))?;
        if get(4) == "DEPRECATED" {
            table.flag(at, Flags::INACTIVE);
        }
        Ok(())
    })
}

fn place(input: &Input<'_>, member: &Member, table: &mut TableBuilder) -> Result<(), ImportError> {
    let mut columns: Option<Columns> = None;
    quoted(input, member, |row, _| {
        let Some(known) = &columns else {
            let needed = ["IMMEDIATE_PARENT", "CODE", "CODE_TEXT"];
            columns = Some(Columns::of(row, member.file_name(), &needed, &[])?);
            return Ok(());
        };
        let (parent, code, text) = (known.get(row, 0), known.get(row, 1), known.get(row, 2));
        let at = table.concept(code, Some(text), None)?;
        if !parent.is_empty() {
            let parent = table.concept(parent, None, None)?;
            table.place(at, parent);
        }
        Ok(())
    })
}

/// Answers become concepts, lists value sets (FHIR R4 loinc.html#valuesets).
fn answer_lists(
    input: &Input<'_>,
    member: &Member,
    table: &mut TableBuilder,
) -> Result<Vec<List>, ImportError> {
    let mut columns: Option<Columns> = None;
    let mut sets: Vec<List> = Vec::new();
    quoted(input, member, |row, _| {
        let Some(known) = &columns else {
            let needed = [
                "AnswerListId",
                "AnswerListName",
                "AnswerStringId",
                "DisplayText",
            ];
            let optional = ["LocalAnswerCode"];
            columns = Some(Columns::of(row, member.file_name(), &needed, &optional)?);
            return Ok(());
        };
        let get = |at| known.get(row, at);
        let (list, answer) = (get(0), get(2));
        let of_list = table.concept(list, Some(get(1)), None)?;
        say(table, of_list, "type", ValueKind::String, "AnswerList")?;
        if sets.last().is_none_or(|(last, ..)| last != list) {
            sets.push((list.to_owned(), get(1).to_owned(), Vec::new()));
        }
        // A list that is defined elsewhere has a row without an answer.
        if !answer.is_empty() {
            let at = table.concept(answer, Some(get(3)), None)?;
            say(table, at, "answer-list", ValueKind::Code, list)?;
            if let Some((.., answers)) = sets.last_mut() {
                answers.push(answer.to_owned());
            }
        }
        Ok(())
    })?;
    sets.retain(|(.., answers)| !answers.is_empty());
    Ok(sets)
}

fn value_set((id, name, answers): List, version: &str) -> Definition {
    let url = format!("{URL}/vs/{id}");
    let concepts: Vec<serde_json::Value> = answers
        .iter()
        .map(|code| serde_json::json!({ "code": code }))
        .collect();
    let json = serde_json::json!({
        "resourceType": "ValueSet", "url": url, "version": version, "title": name,
        "status": "active", "compose": { "include": [{ "system": URL, "concept": concepts }] },
    });
    Definition {
        kind: "ValueSet".to_owned(),
        url,
        version: Some(version.to_owned()),
        json: json.to_string(),
    }
}

/// Says of each term which lists its answers are from.
fn link(input: &Input<'_>, member: &Member, table: &mut TableBuilder) -> Result<(), ImportError> {
    let mut columns: Option<Columns> = None;
    quoted(input, member, |row, _| {
        let Some(known) = &columns else {
            let needed = ["LoincNumber", "AnswerListId"];
            columns = Some(Columns::of(row, member.file_name(), &needed, &[])?);
            return Ok(());
        };
        if let Some(at) = table.find(known.get(row, 0)) {
            say(table, at, "AnswerList", ValueKind::Code, known.get(row, 1))?;
        }
        Ok(())
    })
}

/// The files of translations with their languages.
fn variants(input: &Input<'_>) -> Result<Vec<(String, Member)>, ImportError> {
    let suffix = "LinguisticVariant.csv";
    let files = input.named(|name| name.ends_with(suffix));
    let mut found = Vec::new();
    for file in files {
        // `frCA8LinguisticVariant.csv`: language, country, number.
        let name = file.file_name();
        let (Some(language), Some(country)) = (name.get(..2), name.get(2..4)) else {
            let text = "its name does not begin with a language and a country".to_owned();
            return Err(ImportError::File(file.name.clone(), text));
        };
        found.push((format!("{language}-{country}"), file));
    }
    Ok(found)
}

fn translate(
    input: &Input<'_>,
    member: &Member,
    language: &str,
    table: &mut TableBuilder,
) -> Result<(), ImportError> {
    let mut columns: Option<Columns> = None;
    quoted(input, member, |row, _| {
        let Some(known) = &columns else {
            let optional = [
                "LONG_COMMON_NAME",
                "SHORTNAME",
                "LinguisticVariantDisplayName",
            ];
            let file = member.file_name();
            columns = Some(Columns::of(row, file, &["LOINC_NUM"], &optional)?);
            return Ok(());
        };
        let Some(at) = table.find(known.get(row, 0)) else {
            return Ok(());
        };
        let names = [
            ("LONG_COMMON_NAME", 1),
            ("LinguisticVariantDisplayName", 3),
            ("SHORTNAME", 2),
        ];
        for (of, column) in names {
            let text = known.get(row, column);
            if !text.is_empty() {
                table.designation(at, Some(language), usage(of), text, None)?;
            }
        }
        Ok(())
    })
}
