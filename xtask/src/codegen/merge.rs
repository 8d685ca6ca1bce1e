//! Merges what the packages say into one dictionary per version.
//!
//! hl7apy is the base. Whether a field is required or repeats is decided by the majority of the
//! packages that know the field, hl7apy where they are even. Every disagreement is kept for the
//! report; nothing is resolved silently.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

use super::packages::{ApyVersion, DictVersion, RawField, RawNode, Sources, TypesVersion};

pub(crate) const VERSIONS: [&str; 13] = [
    "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1",
    "2.8.2",
];

/// The base for a version that hl7apy lacks.
const BASE_OF: [(&str, &str); 1] = [("2.7.1", "2.7")];
/// Tables for the versions for which hl7apy has none.
const TABLES_OF: [(&str, &str); 4] = [
    ("2.1", "2.3.1"),
    ("2.2", "2.3.1"),
    ("2.3", "2.3.1"),
    ("2.7.1", "2.7"),
];
/// The newest version of hl7-dictionary, the source of lengths and names for later ones.
const DICT_NEWEST: &str = "2.7.1";
/// The table of versions.
const VERSION_TABLE: u16 = 104;
/// Coding systems: a site may name its own (99 and a name), so that no list is complete.
const SYSTEM_TABLE: u16 = 396;
/// Any segment may stand here.
pub(crate) const ANY_SEGMENT: &str = "ANYHL7SEGMENT";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Usage {
    Optional = 0,
    Required = 1,
    Conditional = 2,
    NotSupported = 3,
    Withdrawn = 4,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) table: u16,
    pub(crate) length: u32,
    pub(crate) usage: Usage,
    /// 0 is unbounded.
    pub(crate) max: u8,
}

#[derive(Debug)]
pub(crate) struct Composite {
    pub(crate) description: String,
    pub(crate) fields: Vec<Option<Field>>,
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// The packages list ranges or examples instead of all codes.
    pub(crate) open: bool,
    pub(crate) codes: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Structure {
    pub(crate) description: String,
    pub(crate) nodes: Vec<RawNode>,
}

#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) name: &'static str,
    pub(crate) segments: BTreeMap<String, Composite>,
    pub(crate) types: BTreeMap<String, Composite>,
    pub(crate) tables: BTreeMap<u16, Table>,
    pub(crate) structures: BTreeMap<String, Structure>,
    pub(crate) events: BTreeMap<String, String>,
}

/// A disagreement, and in which versions it was met.
pub(crate) type Conflicts = BTreeMap<(&'static str, String, String), Vec<&'static str>>;

#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) versions: Vec<Version>,
    pub(crate) conflicts: Conflicts,
}

pub(crate) fn merge(sources: &Sources) -> Result<Merged> {
    let mut conflicts = Conflicts::new();
    let mut versions = Vec::new();
    for name in VERSIONS {
        versions.push(merge_version(sources, name, &mut conflicts)?);
    }
    Ok(Merged {
        versions,
        conflicts,
    })
}

fn lookup<'a>(pairs: &[(&'a str, &'a str)], name: &'a str) -> &'a str {
    pairs
        .iter()
        .find(|(from, _)| *from == name)
        .map_or(name, |(_, to)| to)
}

fn merge_version(
    sources: &Sources,
    name: &'static str,
    conflicts: &mut Conflicts,
) -> Result<Version> {
    let apy = sources
        .hl7apy
        .get(lookup(&BASE_OF, name))
        .context("hl7apy has the version")?;
    let typ = sources
        .hl7types
        .get(name)
        .context("hl7types has the version")?;
    let dict = sources.hl7_dictionary.versions.get(name);
    let names = sources
        .hl7_dictionary
        .versions
        .get(DICT_NEWEST)
        .context("hl7-dictionary has 2.7.1")?;
    let about = About {
        part: Part::Field,
        version: name,
        dict,
        names: dict.unwrap_or(names),
    };
    let tables = sources
        .hl7apy
        .get(lookup(&TABLES_OF, name))
        .context("hl7apy has the tables")?;

    let segments = merge_segments(&about, apy, typ, conflicts);
    let about = About {
        part: Part::Component,
        ..about
    };
    let mut types = merge_types(&about, apy, typ, conflicts);
    add_primitives(&segments, &mut types);
    let structures = merge_structures(&about, &apy.structures, conflicts);
    let events = merge_events(sources, name, &structures);
    note_absent_structures(&about, &structures, &events, conflicts);
    let mut tables: BTreeMap<u16, Table> = tables
        .tables
        .iter()
        .map(|(number, (title, codes))| (*number, merge_table(sources, *number, title, codes)))
        .collect();
    if let Some(table) = tables.get_mut(&VERSION_TABLE) {
        // The packages' lists mostly end before the version they describe.
        table.codes.entry(name.to_owned()).or_default();
    }
    Ok(Version {
        name,
        segments,
        types,
        tables,
        structures,
        events,
    })
}

fn merge_segments(
    about: &About<'_>,
    apy: &ApyVersion,
    typ: &TypesVersion,
    conflicts: &mut Conflicts,
) -> BTreeMap<String, Composite> {
    let mut segments = BTreeMap::new();
    for id in union(apy.segments.keys().chain(typ.segments.keys())) {
        let base = apy.segments.get(id).filter(|fields| !fields.is_empty());
        let own = about.dict.and_then(|dict| dict.segments.get(id));
        let sides = Sides::new(
            base,
            typ.segments.get(id),
            own,
            about.names.segments.get(id),
        );
        // Some withdrawn segments are known by name only, and stay without fields.
        segments.insert(id.clone(), merge_fields(about, id, &sides, conflicts));
    }
    segments
}

fn merge_types(
    about: &About<'_>,
    apy: &ApyVersion,
    typ: &TypesVersion,
    conflicts: &mut Conflicts,
) -> BTreeMap<String, Composite> {
    let mut types = BTreeMap::new();
    // Later versions than hl7-dictionary knows take only its primitive types.
    let third = about.names.types.iter();
    let third = third.filter(|(_, (_, fields))| about.dict.is_some() || fields.is_empty());
    let ids = apy.types.keys().chain(typ.types.keys());
    for id in union(ids.chain(third.map(|(id, _)| id))) {
        let own = about.dict.and_then(|dict| dict.types.get(id));
        let names = about.names.types.get(id);
        let sides = Sides::new(apy.types.get(id), typ.types.get(id), own, names);
        types.insert(id.clone(), merge_fields(about, id, &sides, conflicts));
    }
    types
}

/// Types that are used but described nowhere are primitive, such as SNM of 2.8.
fn add_primitives(segments: &BTreeMap<String, Composite>, types: &mut BTreeMap<String, Composite>) {
    let all = segments
        .values()
        .chain(types.values())
        .flat_map(|part| part.fields.iter().flatten());
    let names: BTreeSet<String> = all.map(|field| field.data_type.clone()).collect();
    for name in names {
        if !same_type(&name, "varies") {
            let primitive = || Composite {
                description: String::new(),
                fields: Vec::new(),
            };
            types.entry(name).or_insert_with(primitive);
        }
    }
}

/// What is merged: the sources know different things about each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Field,
    Component,
}

#[derive(Clone, Copy)]
struct About<'a> {
    part: Part,
    version: &'static str,
    dict: Option<&'a DictVersion>,
    /// Where names and lengths come from: the version's own, else the newest there is.
    names: &'a DictVersion,
}

type Described = (String, Vec<RawField>);

fn union<'a>(ids: impl Iterator<Item = &'a String>) -> BTreeSet<&'a String> {
    let known = |id: &&String| *id != ANY_SEGMENT && *id != "NUL" && *id != "Hxx" && !id.is_empty();
    ids.filter(known).collect()
}

/// What each package says of one segment or data type.
struct Sides<'a> {
    base: Option<&'a Vec<RawField>>,
    typ: Option<&'a Vec<RawField>>,
    dict: Option<&'a Vec<RawField>>,
    names: Option<&'a Vec<RawField>>,
    description: &'a str,
}

impl<'a> Sides<'a> {
    fn new(
        base: Option<&'a Vec<RawField>>,
        typ: Option<&'a Vec<RawField>>,
        dict: Option<&'a Described>,
        names: Option<&'a Described>,
    ) -> Self {
        Self {
            base,
            typ,
            dict: dict.map(|(_, fields)| fields),
            names: names.map(|(_, fields)| fields),
            description: names.map_or("", |(text, _)| text.trim()),
        }
    }
}

fn at(fields: Option<&Vec<RawField>>, position: u16) -> Option<&RawField> {
    fields?.iter().find(|field| field.0 == position)
}

fn merge_fields(
    about: &About<'_>,
    owner: &str,
    sides: &Sides<'_>,
    conflicts: &mut Conflicts,
) -> Composite {
    let Sides {
        base,
        typ,
        dict,
        names,
        description,
    } = *sides;
    let last = |fields: Option<&Vec<RawField>>| fields?.iter().map(|field| field.0).max();
    let count = last(base)
        .max(last(typ))
        .or_else(|| last(dict))
        .unwrap_or(0);
    let mut note = |kind: &'static str, what: String, detail: String| {
        conflicts
            .entry((kind, what, detail))
            .or_default()
            .push(about.version);
    };
    if base.is_none() && about.part == Part::Field {
        let text = "not in hl7apy, taken from the others".to_owned();
        note("absent", owner.to_owned(), text);
    }
    let fields = (1..=count)
        .map(|position| {
            let sides = [at(base, position), at(typ, position), at(dict, position)];
            let what = format!("{owner}-{position}");
            merge_field(about.part, &what, sides, at(names, position), &mut note)
        })
        .collect();
    Composite {
        description: description.to_owned(),
        fields,
    }
}

fn merge_field(
    part: Part,
    what: &str,
    sides: [Option<&RawField>; 3],
    names: Option<&RawField>,
    note: &mut impl FnMut(&'static str, String, String),
) -> Option<Field> {
    let [base, typ, dict] = sides;
    let first = base.or(typ).or(dict)?;
    let withdrawn = base.is_some_and(|field| field.5 == 0 || is_no_type(&field.2));
    let known: Vec<&RawField> = sides.into_iter().flatten().collect();

    let kinds: Vec<&str> = known.iter().map(|field| field.2.as_str()).collect();
    if !withdrawn && !kinds.iter().all(|kind| same_type(kind, &first.2)) {
        note(
            "data type",
            what.to_owned(),
            detail(sides, |field| field.2.clone()),
        );
    }
    let named = known
        .iter()
        .map(|field| field.2.as_str())
        .find(|kind| !is_no_type(kind));
    let data_type = named.unwrap_or("ST");
    // Only hl7-dictionary says which components are required: the others come from schemas that do not.
    let required = match (part, dict) {
        (Part::Component, Some(field)) => field.4 >= 1,
        (Part::Component, None) | (Part::Field, _) => vote(&known, first, |field| field.4 >= 1),
    };
    if !withdrawn && part == Part::Field && known.iter().any(|field| (field.4 >= 1) != required) {
        note(
            "required",
            what.to_owned(),
            detail(sides, |f| if f.4 >= 1 { "R" } else { "O" }.to_owned()),
        );
    }
    let repeats = vote(&known, first, |field| field.5 != 1);
    if !withdrawn && known.iter().any(|field| (field.5 != 1) != repeats) {
        note(
            "repetition",
            what.to_owned(),
            detail(sides, |field| field.5.to_string()),
        );
    }
    let tables: BTreeSet<u16> = known.iter().filter_map(|field| field.3).collect();
    if !withdrawn && tables.len() > 1 {
        let text = detail(sides, |f| f.3.map_or("-".to_owned(), |n| n.to_string()));
        note("table", what.to_owned(), text);
    }
    let letter = |letters: &str| {
        known
            .iter()
            .any(|field| field.7.as_deref().is_some_and(|l| letters.contains(l)))
    };
    let usage = match () {
        () if withdrawn => Usage::Withdrawn,
        () if letter("X") => Usage::NotSupported,
        () if required => Usage::Required,
        () if letter("C") => Usage::Conditional,
        () => Usage::Optional,
    };
    // -1 is unbounded and is written as 0; a withdrawn field has no useful maximum.
    let max = match (repeats && !withdrawn, first.5) {
        (false, _) => 1,
        (true, high @ 2..=255) => u8::try_from(high).unwrap_or(0),
        (true, _) => 0,
    };
    let length = first.6.or_else(|| {
        let same = names.filter(|field| same_type(&field.2, data_type))?;
        same.6
    });
    Some(Field {
        name: label(first, typ, names),
        data_type: data_type.to_owned(),
        table: known.iter().find_map(|field| field.3).unwrap_or(0),
        length: length.unwrap_or(0),
        usage,
        max,
    })
}

/// What stands in place of the type of a withdrawn field.
fn is_no_type(name: &str) -> bool {
    matches!(name, "WD" | "wd" | "NUL" | "-" | "")
}

/// `CM_LICENSE_NO` of one package is `CM` of another; `varies` is also written `*` or `var`.
fn same_type(left: &str, right: &str) -> bool {
    let plain = |name: &str| match name {
        "*" | "var" | "varies" | "Varies" | "VARIES" => "varies".to_owned(),
        other => other.split('_').next().unwrap_or(other).to_owned(),
    };
    plain(left) == plain(right)
}

fn vote(known: &[&RawField], first: &RawField, question: impl Fn(&RawField) -> bool) -> bool {
    let yes = known.iter().filter(|field| question(field)).count();
    match (yes * 2).cmp(&known.len()) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => question(first),
    }
}

fn detail(sides: [Option<&RawField>; 3], value: impl Fn(&RawField) -> String) -> String {
    sides
        .map(|side| side.map_or("-".to_owned(), &value))
        .join(" / ")
}

fn label(first: &RawField, typ: Option<&RawField>, names: Option<&RawField>) -> String {
    if let Some(field) = names
        .filter(|field| same_type(&field.2, &first.2))
        .or(typ)
        .or(names)
    {
        return field.1.trim().to_owned();
    }
    let words = first.1.split('_').map(|word| {
        let mut letters = word.chars();
        let head = letters.next().map(|letter| letter.to_ascii_uppercase());
        head.into_iter()
            .chain(letters.map(|letter| letter.to_ascii_lowercase()))
            .collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}

fn merge_structures(
    about: &About<'_>,
    base: &BTreeMap<String, Vec<RawNode>>,
    conflicts: &mut Conflicts,
) -> BTreeMap<String, Structure> {
    let mut structures = BTreeMap::new();
    for (id, nodes) in base {
        let described = about
            .names
            .structures
            .get(id)
            .map(|(text, _)| text.trim().to_owned());
        if let Some((_, other)) = about.dict.and_then(|dict| dict.structures.get(id)) {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            flatten(nodes, &mut left);
            flatten(other, &mut right);
            if let Some(text) = difference(&left, &right) {
                conflicts
                    .entry(("structure", id.clone(), text))
                    .or_default()
                    .push(about.version);
            }
        }
        let description = described.unwrap_or_default();
        structures.insert(
            id.clone(),
            Structure {
                description,
                nodes: nodes.clone(),
            },
        );
    }
    structures
}

fn note_absent_structures(
    about: &About<'_>,
    structures: &BTreeMap<String, Structure>,
    events: &BTreeMap<String, String>,
    conflicts: &mut Conflicts,
) {
    for id in about
        .dict
        .into_iter()
        .flat_map(|dict| dict.structures.keys())
    {
        if !structures.contains_key(id) && !events.contains_key(id) && id.contains('_') {
            let text = "in hl7-dictionary only, left out".to_owned();
            conflicts
                .entry(("structure", id.clone(), text))
                .or_default()
                .push(about.version);
        }
    }
}

/// The segments with their own cardinality; groups are compared through what they contain.
fn flatten(nodes: &[RawNode], out: &mut Vec<String>) {
    for node in nodes {
        match node {
            RawNode::Segment(name, low, high) => out.push(cardinality(name, *low, *high)),
            RawNode::Group(_, _, _, kind, children) if kind == "choice" => {
                let mut inner = Vec::new();
                flatten(children, &mut inner);
                out.extend(inner.iter().map(|text| text.chars().take(3).collect()));
            }
            RawNode::Group(_, _, _, _, children) => flatten(children, out),
        }
    }
}

fn cardinality(name: &str, low: i32, high: i32) -> String {
    match (low, high) {
        (0, 1) => format!("{name}?"),
        (0, _) => format!("{name}*"),
        (_, 1) => name.to_owned(),
        (_, _) => format!("{name}+"),
    }
}

fn difference(left: &[String], right: &[String]) -> Option<String> {
    if left == right {
        return None;
    }
    let at = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let side = |side: &[String]| side.get(at).cloned().unwrap_or_else(|| "end".to_owned());
    Some(format!(
        "from segment {}: {} / {}",
        at + 1,
        side(left),
        side(right)
    ))
}

fn merge_events(
    sources: &Sources,
    version: &str,
    structures: &BTreeMap<String, Structure>,
) -> BTreeMap<String, String> {
    let mut events = BTreeMap::new();
    for known in [version, lookup(&BASE_OF, version)] {
        let Some(typ) = sources.hl7types.get(known) else {
            continue;
        };
        for start in typ.aliases.keys() {
            let mut target = start;
            // Aliases may chain; a chain longer than this would be a loop.
            for _ in 0..4 {
                match typ.aliases.get(target) {
                    Some(next) => target = next,
                    None => break,
                }
            }
            if !structures.contains_key(start) && structures.contains_key(target) {
                events
                    .entry(start.clone())
                    .or_insert_with(|| target.clone());
            }
        }
    }
    if version == "2.1" || version == "2.2" || version == "2.3" {
        return events;
    }
    // Table 0354 names each structure's events; it fills what is still open.
    let Some((_, rows)) = sources.hl7_dictionary.tables.get(&354) else {
        return events;
    };
    for (structure, list) in rows {
        let Some((code, _)) = structure.split_once('_') else {
            continue;
        };
        for trigger in list
            .split([',', '.', ' '])
            .filter(|trigger| trigger.len() == 3)
        {
            let event = format!("{code}_{trigger}");
            let Some(target) = structures.get(structure) else {
                continue;
            };
            let repeated = |own: &Structure| own.nodes == target.nodes;
            if event != *structure && structures.get(&event).is_none_or(repeated) {
                events.entry(event).or_insert_with(|| structure.clone());
            }
        }
    }
    events
}

fn merge_table(sources: &Sources, number: u16, title: &str, codes: &[String]) -> Table {
    let texts = sources.hl7_dictionary.tables.get(&number);
    let mut table = Table {
        name: title.trim().to_owned(),
        open: codes.is_empty() || number == SYSTEM_TABLE,
        codes: BTreeMap::new(),
    };
    for code in codes {
        let code = code.trim();
        let range =
            code.contains("...") || code.contains(" _") || code.contains('<') || code.contains(',');
        let prose = code.len() > 20 && code.contains(' ');
        if code.is_empty() || range || prose || code.contains('(') {
            table.open = true;
            continue;
        }
        let text = texts
            .and_then(|(_, texts)| texts.get(code))
            .map_or("", |text| text.trim());
        table.codes.insert(code.to_owned(), text.to_owned());
    }
    table
}
