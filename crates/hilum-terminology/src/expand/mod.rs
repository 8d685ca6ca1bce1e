//! The codes of a value set (FHIR R4 valueset-operation-expand.html).
//!
//! First every code is found, as a number in the table of its system; then the page that is asked
//! for is looked at closely. A whole code system of half a million codes costs a number for each.

mod collect;
mod entry;
mod json;
mod part;
mod text;

use std::collections::HashSet;
use std::sync::Arc;

use hilum_fhir::{IssueType, Severity};

use crate::engine::Engine;
use crate::issue::{Failure, Issue};
use crate::language::Languages;
use crate::options::Options;
use crate::set::ValueSet;
use crate::table::ValueKind;

pub use json::{Stamp, property_json};

/// What is asked of an expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Words that the names of the codes have to begin with.
    pub filter: Option<String>,
    /// Codes to leave out at the beginning.
    pub offset: Option<usize>,
    /// Codes to give, at most.
    pub count: Option<usize>,
    /// A list and no tree.
    pub exclude_nested: Option<bool>,
    /// Other names as well.
    pub include_designations: Option<bool>,
    /// Of the other names only these: `system|code` of the use, or `urn:ietf:bcp:47|language`.
    pub designations: Vec<String>,
    /// Everything that the value set says of itself as well.
    pub include_definition: Option<bool>,
    /// Properties to give with each code.
    pub properties: Vec<String>,
    /// One code in two versions of its system is one.
    pub versions_match: Option<bool>,
    /// Leave out codes that are not to be chosen.
    pub exclude_not_for_ui: Option<bool>,
    /// Codes that may be given at once.
    pub codes_max: usize,
    /// Codes that may be looked at to find those.
    pub work_max: usize,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            filter: None,
            offset: None,
            count: None,
            exclude_nested: None,
            include_designations: None,
            designations: Vec::new(),
            include_definition: None,
            properties: Vec::new(),
            versions_match: None,
            exclude_not_for_ui: None,
            codes_max: CODES_MAX,
            work_max: WORK_MAX,
        }
    }
}

/// Codes of one answer, by default.
pub const CODES_MAX: usize = 10_000;
/// Codes that are looked at for one answer, by default.
pub const WORK_MAX: usize = 10_000_000;

/// The value of a parameter that an expansion went by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A URI.
    Uri(String),
    /// A code.
    Code(String),
    /// Text.
    Text(String),
    /// A number.
    Number(usize),
    /// Yes or no.
    Flag(bool),
}

/// System and code.
pub type Pair = (Box<str>, Box<str>);

/// A code of an expansion, with those below it where a tree is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its system.
    pub system: Option<Box<str>>,
    /// The version, where the value set has several of the system.
    pub version: Option<Box<str>>,
    /// The code.
    pub code: Box<str>,
    /// What people read.
    pub display: Option<Box<str>>,
    /// It is not to be chosen.
    pub is_abstract: bool,
    /// It is not to be used any more.
    pub is_inactive: bool,
    /// Other names.
    pub designations: Vec<EntryName>,
    /// Properties.
    pub properties: Vec<EntryProperty>,
    /// Extensions, each a JSON array.
    pub extensions: Vec<Box<str>>,
    /// The codes below it.
    pub contains: Vec<Entry>,
}

/// A property of a code of an expansion: its code, the type of its value, and the value as text.
pub type EntryProperty = (Box<str>, ValueKind, Box<str>);

/// Another name of a code of an expansion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryName {
    /// Its language.
    pub language: Option<Box<str>>,
    /// What it is for: system, code, display.
    pub usage: Option<[Box<str>; 3]>,
    /// The name.
    pub value: Box<str>,
    /// Extensions as a JSON array.
    pub extensions: Option<Box<str>>,
}

/// The codes of a value set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// How many there are in all.
    pub total: usize,
    /// How many were left out at the beginning, where that was asked for.
    pub offset: Option<usize>,
    /// What it went by.
    pub parameters: Vec<(&'static str, Value)>,
    /// The properties that codes have: code and URI.
    pub properties: Vec<(Box<str>, Option<Box<str>>)>,
    /// There are codes that it cannot list: why.
    pub unclosed: Option<String>,
    /// The codes.
    pub contains: Vec<Entry>,
    /// The definition is to be given too.
    pub with_definition: bool,
}

impl Expansion {
    fn note(&mut self, name: &'static str, value: Value) {
        let one = (name, value);
        if !self.parameters.contains(&one) {
            self.parameters.push(one);
        }
    }
}

/// Refuses to give so many codes.
fn too_costly(set: &ValueSet, most: usize) -> Failure {
    let text = format!(
        "The value set '{}' expansion has too many codes to produce (>{most})",
        set.canonical()
    );
    let issue = Issue::error(
        IssueType::TooCostly,
        "too-costly",
        "VALUESET_TOO_COSTLY",
        text,
    );
    Failure::refused(Issue {
        about: None,
        ..issue
    })
}

impl Engine<'_> {
    /// The codes of a value set.
    pub fn expand(&self, set: &Arc<ValueSet>, request: &Request) -> Result<Expansion, Failure> {
        let (options, request) = told(set, self.options, request)?;
        let engine = Engine::new(self.terminology, &options)
            .with_supplements(set.supplements.iter().map(|name| &**name))?;
        let idle = engine.idle_supplements(set);
        if !idle.is_empty() {
            return Err(Failure::refused(crate::issue::missing_supplements(&idle)));
        }
        let mut expansion = Expansion {
            with_definition: request.include_definition == Some(true),
            ..Expansion::default()
        };
        parameters(&mut expansion, &options, &request);
        let mut collector = collect::Collector::new(&engine, &request, &mut expansion);
        let found = collector.of(set)?;
        let slots = std::mem::take(&mut collector.slots);
        expansion.total = found.hits.len();
        expansion.offset = request.offset;
        let whole = request.count.is_none_or(|count| count > found.hits.len());
        let nests = found.nests
            && request.exclude_nested != Some(true)
            && request.offset.unwrap_or_default() == 0
            && expansion.unclosed.is_none()
            && whole;
        let page = page(&request, found.hits.len());
        if page.len() > request.codes_max {
            return Err(too_costly(set, request.codes_max));
        }
        let shows_versions = found.versions;
        let mut shown = entry::Shown {
            engine: &engine,
            request: &request,
            set,
            slots: &slots,
            shows_versions,
            properties: Vec::new(),
        };
        let hits = found.hits.get(page).unwrap_or_default();
        let entries: Vec<Entry> = hits.iter().map(|hit| shown.entry(hit)).collect();
        expansion.properties = shown.properties;
        let parents: Vec<Option<u32>> = hits.iter().map(|hit| hit.parent).collect();
        expansion.contains = if nests {
            tree(entries, &parents)
        } else {
            entries
        };
        Ok(expansion)
    }

    /// Every code of a value set as system and code, at most so many: whole or not at all. Codes that
    /// it lists by name are in it, whatever is known of their systems.
    pub fn codes(&self, set: &Arc<ValueSet>, most: usize) -> Result<HashSet<Pair>, Failure> {
        let request = Request::default();
        let (options, request) = told(set, self.options, &request)?;
        let engine = Engine::new(self.terminology, &options)
            .with_supplements(set.supplements.iter().map(|name| &**name))?;
        let mut expansion = Expansion::default();
        let mut collector = collect::Collector::new(&engine, &request, &mut expansion);
        collector.listed_codes = collect::ListedCodes::AsGiven;
        let found = collector.of(set)?;
        let slots = std::mem::take(&mut collector.slots);
        if let Some(why) = &expansion.unclosed {
            let text = format!(
                "the codes of {} cannot all be listed: {why}",
                set.canonical()
            );
            let issue = Issue::error(
                IssueType::NotSupported,
                "vs-invalid",
                "VALUESET_UNCLOSED",
                text,
            );
            return Err(Failure::refused(issue.with(Severity::Error)));
        }
        if found.hits.len() > most {
            return Err(too_costly(set, most));
        }
        let pair = |hit: &collect::Hit| (hit.system(&slots).into(), hit.code(&slots).into());
        Ok(found.hits.iter().map(pair).collect())
    }
}

/// The part of so many codes that is asked for.
fn page(request: &Request, of: usize) -> std::ops::Range<usize> {
    let start = request.offset.unwrap_or_default().min(of);
    let end = request
        .count
        .map_or(of, |count| start.saturating_add(count).min(of));
    start..end
}

/// Codes below others, where `parents` says so; each comes behind its parent.
fn tree(entries: Vec<Entry>, parents: &[Option<u32>]) -> Vec<Entry> {
    let mut roots: Vec<Entry> = Vec::new();
    let mut waiting: Vec<Vec<Entry>> = entries.iter().map(|_| Vec::new()).collect();
    // From behind, each is whole when it is put below its parent.
    for (at, mut entry) in entries.into_iter().enumerate().rev() {
        let mut below = waiting.get_mut(at).map(std::mem::take).unwrap_or_default();
        below.reverse();
        entry.contains = below;
        let parent = parents.get(at).copied().flatten();
        let parent = parent.map(|of| of as usize).filter(|of| *of < at);
        match parent.and_then(|of| waiting.get_mut(of)) {
            Some(siblings) => siblings.push(entry),
            None => roots.push(entry),
        }
    }
    roots.reverse();
    roots
}

/// What the request says, with what the value set says of itself where the request is silent.
fn told(
    set: &ValueSet,
    options: &Options,
    request: &Request,
) -> Result<(Options, Request), Failure> {
    let (mut options, mut request) = (options.clone(), request.clone());
    let had_properties = !request.properties.is_empty();
    let had_designations = !request.designations.is_empty();
    for (name, value) in &set.parameters {
        let flag = || Some(&**value == "true");
        match &**name {
            "displayLanguage" if options.display_language.is_none() => {
                let languages = Languages::parse(value).map_err(|_| wrong_language(value))?;
                options.display_language = Some(languages);
            }
            "activeOnly" => options.active_only = options.active_only.or_else(flag),
            "excludeNested" => request.exclude_nested = request.exclude_nested.or_else(flag),
            "includeDesignations" => {
                request.include_designations = request.include_designations.or_else(flag);
            }
            "includeDefinition" => {
                request.include_definition = request.include_definition.or_else(flag);
            }
            "versionsMatch" => request.versions_match = request.versions_match.or_else(flag),
            "property" if !had_properties => request.properties.push(value.to_string()),
            "designation" if !had_designations => request.designations.push(value.to_string()),
            _ => {}
        }
    }
    if options.languages().is_none()
        && let Some(own) = set.language.as_deref()
    {
        options.accept_language = Languages::parse(own).ok();
    }
    Ok((options, request))
}

/// A list of languages that is none.
#[must_use]
pub fn wrong_language(given: &str) -> Failure {
    let text = format!("Invalid displayLanguage: '{given}'");
    let id = "INVALID_DISPLAY_NAME";
    Failure::refused(Issue::error(
        IssueType::Processing,
        "invalid-display",
        id,
        text,
    ))
}

/// What an expansion says that it went by.
fn parameters(expansion: &mut Expansion, options: &Options, request: &Request) {
    if let Some(filter) = &request.filter {
        expansion.note("filter", Value::Text(filter.clone()));
    }
    if let Some(languages) = options.languages() {
        expansion.note("displayLanguage", Value::Code(languages.to_string()));
    }
    for designation in &request.designations {
        expansion.note("designation", Value::Text(designation.clone()));
    }
    for (name, value) in [
        ("excludeNested", request.exclude_nested),
        ("activeOnly", options.active_only),
        ("includeDesignations", request.include_designations),
        ("includeDefinition", request.include_definition),
        ("excludeNotForUI", request.exclude_not_for_ui),
    ] {
        if let Some(value) = value {
            expansion.note(name, Value::Flag(value));
        }
    }
    if request.versions_match == Some(true) {
        expansion.note("versionsMatch", Value::Flag(true));
    }
    if let Some(offset) = request.offset {
        expansion.note("offset", Value::Number(offset));
    }
    if let Some(count) = request.count {
        expansion.note("count", Value::Number(count));
    }
}
