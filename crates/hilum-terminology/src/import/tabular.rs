//! The tabular list of ICD-10-CM as XML (`icd10cm-tabular-2025.xml`): chapters, sections and codes
//! within each other, with inclusion terms and seventh characters.
//!
//! A seventh character belongs to every code below the one that lists it; codes that are shorter
//! are filled up with `X` (ICD-10-CM Official Guidelines I.A.4, I.A.5).

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::build::say;
use super::error::ImportError;
use super::input::{Input, Member};
use crate::table::{At, Flags, TableBuilder, Use, ValueKind};

/// Bytes of an XML file.
pub const XML_BYTES_MAX: u64 = 200_000_000;
/// Elements within each other.
const LEVELS_MAX: usize = 64;
/// Characters of a code before its seventh, the point counted.
const FULL: usize = 7;

/// A chapter, a section or a code that is open.
#[derive(Debug, Default)]
struct Open {
    is_code: bool,
    at: Option<At>,
    name: String,
    text: String,
    /// Seventh characters, those of codes above included.
    seventh: Vec<(String, String)>,
    has_codes: bool,
}

struct Tabular<'t, 'b> {
    table: &'b mut TableBuilder,
    file: String,
    open: Vec<Open>,
    path: Vec<String>,
    text: String,
    version: Option<String>,
    /// The character of the extension at hand.
    character: String,
    count: usize,
    input: &'b Input<'t>,
}

/// Fills a table; gives the version that the file tells.
pub(super) fn read(
    input: &Input<'_>,
    member: &Member,
    table: &mut TableBuilder,
) -> Result<Option<String>, ImportError> {
    input.expect([member]);
    let bytes = input.whole(member, XML_BYTES_MAX)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| ImportError::line(member.file_name(), 1, "it is not in UTF-8"))?;
    let mut tabular = Tabular {
        table,
        file: member.file_name().to_owned(),
        open: Vec::new(),
        path: Vec::new(),
        text: String::new(),
        version: None,
        character: String::new(),
        count: 0,
        input,
    };
    let mut reader = Reader::from_str(&text);
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
        let wrong = |said: String| {
            let before = text.as_bytes().get(..at).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
            ImportError::line(member.file_name(), line, said)
        };
        match reader.read_event() {
            Ok(Event::Start(tag)) => tabular.begin(&tag).map_err(|text| wrong(text.to_owned()))?,
            Ok(Event::Text(part)) => tabular.text.push_str(&part),
            Ok(Event::GeneralRef(name)) => {
                tabular.text.push_str(entity(&name).unwrap_or_default());
            }
            Ok(Event::End(_)) => tabular.end()?,
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(error) => return Err(wrong(error.to_string())),
        }
    }
    if tabular.count == 0 {
        let text = "it has no codes of a tabular list (diag)".to_owned();
        return Err(ImportError::File(tabular.file, text));
    }
    Ok(tabular.version)
}

fn entity(name: &str) -> Option<&'static str> {
    Some(match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    })
}

impl Tabular<'_, '_> {
    fn begin(&mut self, tag: &BytesStart<'_>) -> Result<(), &'static str> {
        if self.path.len() >= LEVELS_MAX {
            return Err("more than 64 elements are within each other");
        }
        let name = tag.name().as_ref().to_owned();
        let attribute = |wanted: &str| {
            let all = tag.attributes().flatten();
            let mut all = all.filter(|one| one.key.as_ref() == wanted);
            Some(all.next()?.value.into_owned())
        };
        match &*name {
            "chapter" | "section" | "diag" => {
                let above = self.open.last();
                let seventh = above.map(|above| above.seventh.clone()).unwrap_or_default();
                self.open.push(Open {
                    is_code: name == "diag",
                    name: attribute("id").unwrap_or_default(),
                    seventh,
                    ..Open::default()
                });
            }
            "sevenChrDef" => {
                if let Some(open) = self.open.last_mut() {
                    open.seventh.clear();
                }
            }
            "extension" => self.character = attribute("char").unwrap_or_default(),
            _ => {}
        }
        self.path.push(name);
        self.text.clear();
        Ok(())
    }

    fn end(&mut self) -> Result<(), ImportError> {
        let name = self.path.pop().unwrap_or_default();
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.text.clear();
        let above = self.path.last().map_or("", String::as_str);
        match (&*name, above) {
            ("version", _) if self.open.is_empty() => self.version = Some(text),
            ("name", "chapter" | "diag") => {
                if let Some(open) = self.open.last_mut() {
                    open.name = text;
                }
            }
            ("desc", "chapter" | "section" | "diag") => {
                if let Some(open) = self.open.last_mut() {
                    open.text = text;
                }
                self.add()?;
            }
            ("note", "inclusionTerm") => {
                if let Some(at) = self.open.last().and_then(|open| open.at) {
                    let usage = Use {
                        system: "http://snomed.info/sct",
                        code: "900000000000013009",
                        display: "Synonym",
                    };
                    let usage = Some(usage);
                    self.table.designation(at, Some("en"), usage, &text, None)?;
                }
            }
            ("note", kind @ ("includes" | "excludes1" | "excludes2" | "codeFirst")) => {
                if let Some(at) = self.open.last().and_then(|open| open.at) {
                    let kind = kind.to_owned();
                    say(self.table, at, &kind, ValueKind::String, &text)?;
                }
            }
            ("extension", _) => {
                let character = std::mem::take(&mut self.character);
                if let Some(open) = self.open.last_mut() {
                    open.seventh.push((character, text));
                }
            }
            ("chapter" | "section" | "diag", _) => self.close()?,
            _ => {}
        }
        Ok(())
    }

    /// Adds the concept that has its name and its text now.
    fn add(&mut self) -> Result<(), ImportError> {
        let Some((open, above)) = self.open.split_last_mut() else {
            return Ok(());
        };
        let code = match (open.is_code, above.is_empty()) {
            (true, _) | (false, false) => open.name.clone(),
            (false, true) => format!("chapter-{}", open.name),
        };
        let at = self.table.concept(&code, Some(&open.text), None)?;
        open.at = Some(at);
        if let Some(above) = above.last_mut() {
            above.has_codes |= open.is_code;
            if let Some(parent) = above.at.filter(|parent| *parent != at) {
                self.table.place(at, parent);
            }
        }
        if !open.is_code {
            self.table.flag(at, Flags::ABSTRACT);
        }
        self.count += 1;
        self.input.meter.concepts(self.count);
        Ok(())
    }

    /// Ends a code: it is billable if nothing is below it, or what its seventh characters make is.
    fn close(&mut self) -> Result<(), ImportError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let Some(at) = open.at.filter(|_| open.is_code) else {
            return Ok(());
        };
        let leaf = !open.has_codes && open.seventh.is_empty();
        say(
            self.table,
            at,
            "billable",
            ValueKind::Boolean,
            if leaf { "true" } else { "false" },
        )?;
        if !leaf {
            self.table.flag(at, Flags::ABSTRACT);
        }
        if open.has_codes {
            return Ok(());
        }
        for (character, text) in &open.seventh {
            let mut code = open.name.clone();
            if !code.contains('.') {
                code.push('.');
            }
            while code.len() < FULL {
                code.push('X');
            }
            code.push_str(character);
            let shown = format!("{}, {text}", open.text);
            let made = self.table.concept(&code, Some(&shown), None)?;
            self.table.place(made, at);
            say(self.table, made, "billable", ValueKind::Boolean, "true")?;
            self.count += 1;
        }
        Ok(())
    }
}
