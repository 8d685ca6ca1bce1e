//! Blocks of all files, with the signed rows of later files applied.

use std::collections::BTreeMap;

use crate::problem::{Problem, Spot, nearest};
use crate::text::{
    Block, CodeRow, Entry, Head, IdentityRow, MapFile, MapName, MapRow, MessageRow, Rows, Sign,
};

/// A row with the number of its file.
pub(crate) type Filed<R> = (u32, Entry<R>);

/// The rows of one name.
#[derive(Debug)]
pub(crate) struct Merged<R> {
    pub(crate) file: u32,
    pub(crate) spot: Spot,
    pub(crate) rows: Vec<Filed<R>>,
}

impl<R> Merged<R> {
    const fn new(file: u32, spot: Spot) -> Self {
        Self {
            file,
            spot,
            rows: Vec::new(),
        }
    }
}

/// A table of codes with what stands above its rows.
#[derive(Debug, Default)]
pub(crate) struct CodesHead {
    pub(crate) from: Option<String>,
    pub(crate) table: Option<u16>,
    pub(crate) to: Option<String>,
}

/// All blocks by name.
#[derive(Debug, Default)]
pub(crate) struct Everything {
    pub(crate) maps: BTreeMap<MapName, Merged<MapRow>>,
    pub(crate) messages: BTreeMap<String, (Option<String>, Merged<MessageRow>)>,
    pub(crate) codes: BTreeMap<String, (CodesHead, Merged<CodeRow>)>,
    pub(crate) identity: Vec<Filed<IdentityRow>>,
}

/// Where the rows of a block go.
struct Into<'a> {
    files: &'a [MapFile],
    file: u32,
    problems: &'a mut Vec<Problem>,
}

impl Into<'_> {
    fn problem(&mut self, spot: Spot, text: String, reason: &str, remedy: Option<String>) {
        let file = self
            .files
            .get(self.file as usize)
            .map_or("", |file| file.name.as_str());
        self.problems.push(Problem {
            file: file.to_owned(),
            spot,
            text,
            reason: reason.to_owned(),
            remedy,
        });
    }

    /// Applies rows; `key` is what a sign finds a row by.
    fn apply<R>(
        &mut self,
        into: &mut Vec<Filed<R>>,
        rows: Vec<Entry<R>>,
        key: impl Fn(&R) -> String,
    ) {
        for row in rows {
            let name = key(&row.row);
            let found = into.iter().position(|(_, other)| key(&other.row) == name);
            match (row.sign, found) {
                (Sign::Base | Sign::Add, _) => into.push((self.file, row)),
                (Sign::Remove, Some(_)) => into.retain(|(_, other)| key(&other.row) != name),
                (Sign::Replace, Some(at)) => {
                    // Rows of this file that replace the same one stand beside each other.
                    let own = self.file;
                    into.retain(|(file, other)| *file == own || key(&other.row) != name);
                    let at = at.min(into.len());
                    let behind = into
                        .iter()
                        .skip(at)
                        .take_while(|(file, other)| *file == own && key(&other.row) == name);
                    let at = at + behind.count();
                    into.insert(at, (own, row));
                }
                (Sign::Remove | Sign::Replace, None) => {
                    let names: Vec<String> =
                        into.iter().map(|(_, other)| key(&other.row)).collect();
                    let near = nearest(&name, names.iter().map(String::as_str));
                    let remedy = near.map(|near| format!("did you mean `{near}`?"));
                    self.problem(row.spot, name, "there is no such row to change", remedy);
                }
            }
        }
    }
}

fn is_signed<R>(rows: &[Entry<R>]) -> bool {
    !rows.is_empty() && rows.iter().all(|row| row.sign != Sign::Base)
}

pub(crate) fn map_key(row: &MapRow) -> String {
    let source = row
        .source
        .as_ref()
        .map_or("-".to_owned(), ToString::to_string);
    let target = row
        .target
        .as_ref()
        .map_or("-", |target| target.text.as_str());
    format!("{source} {target}")
}

fn message_key(row: &MessageRow) -> String {
    let mut key = row.groups.join(".");
    if !key.is_empty() {
        key.push('.');
    }
    key.push_str(&row.segment);
    if let Some(place) = row.place {
        key.push_str(&format!("({place})"));
    }
    if let Some(role) = &row.role {
        key.push(' ');
        key.push_str(&role.resource);
        if let Some(name) = &role.name {
            key.push_str(&format!("[{name}]"));
        }
    }
    key
}

fn identity_key(row: &IdentityRow) -> String {
    format!("{} {:?}", row.resource, row.key)
}

pub(crate) fn merge(files: &[MapFile], problems: &mut Vec<Problem>) -> Everything {
    let mut all = Everything::default();
    for (number, file) in files.iter().enumerate() {
        let mut into = Into {
            files,
            file: u32::try_from(number).unwrap_or(u32::MAX),
            problems,
        };
        for block in &file.blocks {
            all.add(block.clone(), &mut into);
        }
    }
    all
}

impl Everything {
    fn add(&mut self, block: Block, into: &mut Into<'_>) {
        let Block {
            spot, head, rows, ..
        } = block;
        let file = into.file;
        match (head, rows) {
            (Head::Map(name), Rows::Map(rows)) => {
                let text = name.to_string();
                let known = self.maps.contains_key(&name);
                let names: Vec<String> = self.maps.keys().map(ToString::to_string).collect();
                let names = names.iter().map(String::as_str);
                if !check(into, spot, &text, known, is_signed(&rows), names) {
                    return;
                }
                let merged = self.maps.entry(name).or_insert(Merged::new(file, spot));
                into.apply(&mut merged.rows, rows, map_key);
            }
            (Head::Message { id, with }, Rows::Message(rows)) => {
                let known = self.messages.contains_key(&id);
                let names: Vec<String> = self.messages.keys().cloned().collect();
                let names = names.iter().map(String::as_str);
                if !check(into, spot, &id, known, is_signed(&rows), names) {
                    return;
                }
                let fresh = || (with, Merged::new(file, spot));
                let (_, merged) = self.messages.entry(id).or_insert_with(fresh);
                into.apply(&mut merged.rows, rows, message_key);
            }
            (
                Head::Codes(name),
                Rows::Codes {
                    from,
                    table,
                    to,
                    rows,
                },
            ) => {
                let known = self.codes.contains_key(&name);
                let names: Vec<String> = self.codes.keys().cloned().collect();
                let names = names.iter().map(String::as_str);
                if !check(into, spot, &name, known, is_signed(&rows), names) {
                    return;
                }
                let fresh = || (CodesHead::default(), Merged::new(file, spot));
                let (head, merged) = self.codes.entry(name).or_insert_with(fresh);
                head.from = from.or(head.from.take());
                head.table = table.or(head.table.take());
                head.to = to.or(head.to.take());
                into.apply(&mut merged.rows, rows, |row| {
                    row.code.clone().unwrap_or_default()
                });
            }
            (Head::Identity, Rows::Identity(rows)) => {
                into.apply(&mut self.identity, rows, identity_key);
            }
            // Those of the way back are merged there; a block is read with the rows of its head.
            (
                Head::Map(_)
                | Head::Message { .. }
                | Head::Codes(_)
                | Head::Identity
                | Head::Reverse(_),
                _,
            ) => {}
        }
    }
}

/// Whether the rows of a block may be applied.
fn check<'n>(
    into: &mut Into<'_>,
    spot: Spot,
    name: &str,
    known: bool,
    signed: bool,
    names: impl Iterator<Item = &'n str>,
) -> bool {
    match (known, signed) {
        (true, false) => {
            let remedy = "give the rows signs (`+`, `~`, `-`) to change the block that is there";
            into.problem(
                spot,
                name.to_owned(),
                "this name is there already",
                Some(remedy.to_owned()),
            );
            false
        }
        (false, true) => {
            let near = nearest(name, names).map(|near| format!("did you mean `{near}`?"));
            into.problem(
                spot,
                name.to_owned(),
                "rows with signs change a block, and there is none",
                near,
            );
            false
        }
        (true, true) | (false, false) => true,
    }
}
