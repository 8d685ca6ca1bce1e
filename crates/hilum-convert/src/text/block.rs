//! Blocks and their rows.

use super::condition::Condition;
use super::lines::Cell;
use super::path::{Source, Target};
use super::reverse::ReverseHead;
use super::scan::Scan;
use super::through::{self, JoinPart, Through};
use crate::problem::{Fault, Spot};

/// What a row does to the rows that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// None: a row of its block.
    Base,
    /// `+`: one row more.
    Add,
    /// `~`: in place of those with its source and target.
    Replace,
    /// `-`: takes out those with its source and target.
    Remove,
}

/// The name of a map: `CX -> RelatedPerson (mother)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapName {
    /// The segment or data type.
    pub from: String,
    /// The type, or an element of one, that is filled.
    pub to: String,
    /// Which of several maps of these two.
    pub variant: Option<String>,
}

impl MapName {
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        let mut scan = Scan::new(text);
        let wrong = |scan: &Scan<'_>| {
            scan.fault("neither a map nor anything else that a value can go through")
                .remedy("write a map such as `CX -> Identifier`, `codes NAME`, `'text'`, `join(...)` or a function such as `authority()`")
        };
        let from = scan
            .take_while(|c| c.is_ascii_alphanumeric() || c == '.')
            .to_owned();
        scan.blanks();
        if from.is_empty() || !scan.take("->") {
            return Err(wrong(&Scan::new(text)));
        }
        scan.blanks();
        let to = scan
            .take_while(|c| c.is_ascii_alphanumeric() || c == '.')
            .to_owned();
        if to.is_empty() {
            return Err(wrong(&scan));
        }
        scan.blanks();
        let variant = if scan.take("(") {
            Some(scan.parenthesis()?.trim().to_owned())
        } else {
            None
        };
        scan.end()?;
        Ok(Self { from, to, variant })
    }
}

impl std::fmt::Display for MapName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)?;
        match &self.variant {
            Some(variant) => write!(f, " ({variant})"),
            None => Ok(()),
        }
    }
}

/// Where a block comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A table of the guide, by its name (`segments/PID[Patient]`).
    Guide(String),
    /// Ours, or a site's.
    Ours,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// Rows from a segment or data type to elements.
    Map(MapName),
    /// Rows from the segments of a message to resources; `with` has the rows of another one.
    Message {
        /// The structure.
        id: String,
        /// The structure whose rows it has.
        with: Option<String>,
    },
    /// A table of codes.
    Codes(String),
    /// What a resource is known by.
    Identity,
    /// Rows of the way back.
    Reverse(ReverseHead),
}

/// One block of a file.
#[derive(Clone, Debug)]
pub struct Block {
    /// Where its header stands.
    pub spot: Spot,
    /// What it is.
    pub head: Head,
    /// Where it comes from; `None` where the header says nothing.
    pub origin: Option<Origin>,
    /// Its rows.
    pub rows: Rows,
}

/// The rows of a block.
#[derive(Clone, Debug)]
pub enum Rows {
    /// Of a map.
    Map(Vec<Entry<MapRow>>),
    /// Of a message.
    Message(Vec<Entry<MessageRow>>),
    /// Of a table of codes.
    Codes {
        /// The system of the codes as they come.
        from: Option<String>,
        /// The number of the HL7 table.
        table: Option<u16>,
        /// The system of the target codes.
        to: Option<String>,
        /// The rows.
        rows: Vec<Entry<CodeRow>>,
    },
    /// Of the identity.
    Identity(Vec<Entry<IdentityRow>>),
    /// Of the way back: the columns as they were written.
    Reverse(Vec<Entry<Vec<String>>>),
}

/// A row with its place, sign and reason.
#[derive(Clone, Debug)]
pub struct Entry<R> {
    /// Where it stands.
    pub spot: Spot,
    /// Where its columns stand, in the order of the row's fields.
    pub spots: Vec<Spot>,
    /// What it does to other rows.
    pub sign: Sign,
    /// What it says.
    pub row: R,
    /// Why it is there.
    pub why: Why,
}

/// Why a row is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// Lines of the guide's table.
    pub lines: Vec<u32>,
    /// A reason in words.
    pub reason: Option<String>,
}

/// A row of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct MapRow {
    /// Where it reads; `None` runs once.
    pub source: Option<Source>,
    /// Where it writes; `None` for a line of the guide that is not carried out.
    pub target: Option<Target>,
    /// When.
    pub condition: Option<Condition>,
    /// How.
    pub through: Through,
}

/// The name of a resource within a message: a type, and which one of several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role {
    /// The type.
    pub resource: String,
    /// `[name]`.
    pub name: Option<String>,
}

/// A row of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRow {
    /// The groups, outermost first.
    pub groups: Vec<String>,
    /// The segment.
    pub segment: String,
    /// Which place of the segment in its group, from 1, where a structure lists it more than once
    /// (`PID(2)` of ADT_A17); `None` for every place.
    pub place: Option<usize>,
    /// The resource; `None` for a line of the guide that is not carried out.
    pub role: Option<Role>,
    /// A new one for each segment.
    pub each: bool,
    /// When.
    pub condition: Option<Condition>,
    /// The map; none to make the resource and its links alone.
    pub map: Option<MapName>,
    /// References.
    pub links: Vec<Link>,
}

/// A reference between resources, or a constant beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Characters in front of it.
    pub at: usize,
    /// The resource that holds it; `None` for the row's own.
    pub holder: Option<Role>,
    /// The element.
    pub target: Target,
    /// What is written.
    pub to: LinkTo,
}

/// The end of a link.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkTo {
    /// The row's own resource.
    This,
    /// Another one.
    Role(Role),
    /// A constant.
    Text(String),
}

/// A row of a table of codes.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeRow {
    /// The code as it comes, `*` for every other one; `None` for lines of the guide that are not
    /// carried out.
    pub code: Option<String>,
    /// The target code; `None` where there is none.
    pub target: Option<String>,
    /// Its system where it is not that of the table.
    pub system: Option<String>,
    /// Its display.
    pub display: Option<String>,
    /// When.
    pub condition: Option<Condition>,
}

/// How a resource is known again.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// By an identifier in this element.
    Element(Target),
    /// By texts of the message, which become an identifier.
    Join(Vec<JoinPart>),
    /// By all that it says, where what it refers to is known.
    Content,
    /// By nothing.
    None,
}

/// What a transaction does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A new version of what is known by the key.
    Update,
    /// Only where there is none.
    Create,
}

/// A row of the identity.
#[derive(Clone, Debug, PartialEq)]
pub struct IdentityRow {
    /// The type of resource.
    pub resource: String,
    /// What it is known by.
    pub key: Key,
    /// When.
    pub condition: Option<Condition>,
    /// What is done.
    pub how: How,
}

type CellFault<'c, 't> = (&'c Cell<'t>, Fault);

impl Head {
    /// The block that a line opens; `None` where it is a row.
    pub(crate) fn read<'c, 't>(cells: &'c [Cell<'t>]) -> Option<Result<Block, CellFault<'c, 't>>> {
        let first = cells.first()?;
        let (word, rest) = first.text.split_once(' ').unwrap_or((first.text, ""));
        let rest = rest.trim();
        let at = first.text.len() - rest.len();
        let moved = |mut fault: Fault| {
            fault.at += at;
            (first, fault)
        };
        let head = match word {
            "map" => match MapName::read(rest) {
                Ok(name) if name.is_reverse() => Ok(Self::Reverse(ReverseHead::Map(name))),
                name => name.map(Self::Map).map_err(moved),
            },
            "message" => message(rest).map_err(moved),
            "codes" if rest.ends_with(" (reverse)") => {
                let name = rest.trim_end_matches(" (reverse)").trim_end();
                Ok(Self::Reverse(ReverseHead::Codes(name.to_owned())))
            }
            "events" => Ok(Self::Reverse(ReverseHead::Events)),
            "codes" if rest.is_empty() || rest.contains(' ') => Err((
                first,
                Fault::new(0, first.text, "a table of codes has one name"),
            )),
            "codes" => Ok(Self::Codes(rest.to_owned())),
            "identity" => Ok(Self::Identity),
            _ => return None,
        };
        Some(head.and_then(|head| block(head, first, cells)))
    }
}

fn message(text: &str) -> Result<Head, Fault> {
    let (id, with) = match text.split_once(" as ") {
        Some((id, with)) => (id.trim(), Some(with.trim().to_owned())),
        None => (text, None),
    };
    if let Some((from, structure)) = id.split_once("->") {
        return Ok(Head::Reverse(ReverseHead::Message {
            from: from.trim().to_owned(),
            structure: structure.trim().to_owned(),
            with,
        }));
    }
    if id.is_empty() || id.contains(' ') {
        return Err(Fault::new(0, text, "not the name of a message structure")
            .remedy("write `message ORU_R01` or `message ADT_A03 as ADT_A01`"));
    }
    Ok(Head::Message {
        id: id.to_owned(),
        with,
    })
}

fn block<'c, 't>(
    head: Head,
    first: &'c Cell<'t>,
    cells: &'c [Cell<'t>],
) -> Result<Block, CellFault<'c, 't>> {
    let origin = match cells.get(1) {
        None => None,
        Some(cell) if cell.text == "ours" => Some(Origin::Ours),
        Some(cell) => match cell.text.strip_prefix("guide ") {
            Some(name) => Some(Origin::Guide(name.trim().to_owned())),
            None => {
                let fault = Fault::new(0, cell.text, "not an origin");
                return Err((cell, fault.remedy("write `guide FOLDER/NAME` or `ours`")));
            }
        },
    };
    if let Some(more) = cells.get(2) {
        return Err((more, Fault::new(0, more.text, "a header has two columns")));
    }
    let rows = match &head {
        Head::Map(_) => Rows::Map(Vec::new()),
        Head::Message { .. } => Rows::Message(Vec::new()),
        Head::Codes(_) => Rows::Codes {
            from: None,
            table: None,
            to: None,
            rows: Vec::new(),
        },
        Head::Identity => Rows::Identity(Vec::new()),
        Head::Reverse(_) => Rows::Reverse(Vec::new()),
    };
    Ok(Block {
        spot: first.spot,
        head,
        origin,
        rows,
    })
}

/// The columns of a row, which may end early.
struct Columns<'c, 't, 'p> {
    cells: &'c [Cell<'t>],
    problem: &'p mut dyn FnMut(&Cell<'t>, Fault),
    failed: bool,
}

impl<'t> Columns<'_, 't, '_> {
    /// A column that says something.
    fn text(&self, at: usize) -> Option<&'t str> {
        self.cells
            .get(at)
            .filter(|cell| !cell.is_empty())
            .map(|cell| cell.text)
    }

    fn fail(&mut self, at: usize, fault: Fault) {
        self.failed = true;
        if let Some(cell) = self.cells.get(at).or(self.cells.last()) {
            (self.problem)(cell, fault);
        }
    }

    /// Reads a column, if it says something.
    fn read<T>(&mut self, at: usize, read: impl Fn(&str) -> Result<T, Fault>) -> Option<T> {
        match read(self.text(at)?) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.fail(at, fault);
                None
            }
        }
    }

    /// Reads a column that must be there.
    fn need<T>(
        &mut self,
        at: usize,
        what: &str,
        read: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        if self.text(at).is_none() {
            let text = self.cells.first().map_or("", |cell| cell.text);
            self.fail(at, Fault::new(0, text, format!("{what} is missing")));
        }
        self.read(at, read)
    }

    fn at_most(&mut self, count: usize) {
        if let Some(more) = self.cells.get(count) {
            let fault = Fault::new(
                0,
                more.text,
                format!("a row here has at most {count} columns"),
            )
            .remedy("within a column words are parted by one blank");
            self.fail(count, fault);
        }
    }

    fn why(&mut self, at: usize) -> Why {
        self.read(at, Why::read).unwrap_or_default()
    }

    fn entry<R>(self, sign: Sign, row: Option<R>, why: Why) -> Option<Entry<R>> {
        if self.failed {
            return None;
        }
        Some(Entry {
            spot: self.cells.first().map_or(Spot::default(), |cell| cell.spot),
            spots: self.cells.iter().map(|cell| cell.spot).collect(),
            sign,
            row: row?,
            why,
        })
    }
}

/// Lines that `first-last` may stand for.
const LINES_MAX: u32 = 10_000;

impl Why {
    fn read(text: &str) -> Result<Self, Fault> {
        let (numbers, reason) = match text.split_once(':') {
            Some((numbers, reason)) => (numbers, Some(reason.trim().to_owned())),
            None => (text, None),
        };
        if numbers.trim() == "ours" {
            return Ok(Self {
                lines: Vec::new(),
                reason: Some(reason.unwrap_or_default()),
            });
        }
        let mut lines = Vec::new();
        for word in numbers.split_whitespace() {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            match (first.parse::<u32>(), last.parse::<u32>()) {
                (Ok(first), Ok(last)) if last.saturating_sub(first) <= LINES_MAX => {
                    lines.extend(first..=last);
                }
                _ => {
                    return Err(Fault::new(0, word, "not the number of a line").remedy(
                        "write lines of the guide's table (`5 6`, `5-9`), `5: reason`, or `ours: reason`",
                    ));
                }
            }
        }
        Ok(Self { lines, reason })
    }
}

impl Block {
    /// Reads a row into the block.
    pub(crate) fn read_row<'t>(
        &mut self,
        sign: Sign,
        cells: &[Cell<'t>],
        problem: &mut dyn FnMut(&Cell<'t>, Fault),
    ) {
        let columns = Columns {
            cells,
            problem,
            failed: false,
        };
        match &mut self.rows {
            Rows::Map(rows) => rows.extend(map_row(sign, columns)),
            Rows::Message(rows) => rows.extend(message_row(sign, columns)),
            Rows::Identity(rows) => rows.extend(identity_row(sign, columns)),
            Rows::Reverse(rows) => {
                let texts = cells.iter().map(|cell| cell.text.to_owned()).collect();
                rows.extend(columns.entry(sign, Some(texts), Why::default()));
            }
            Rows::Codes {
                from,
                table,
                to,
                rows,
            } => {
                let first = cells.first().map_or("", |cell| cell.text);
                let second = cells.get(1).map(|cell| cell.text);
                if let Some(system) = first.strip_prefix("from ") {
                    *from = Some(system.trim().to_owned());
                    let number = second.and_then(|text| text.strip_prefix("table "));
                    *table = number.and_then(|number| number.trim().parse().ok());
                } else if let Some(system) = first.strip_prefix("to ") {
                    *to = Some(system.trim().to_owned());
                } else {
                    rows.extend(code_row(sign, columns));
                }
            }
        }
    }
}

fn map_row(sign: Sign, mut columns: Columns<'_, '_, '_>) -> Option<Entry<MapRow>> {
    columns.at_most(5);
    let row = MapRow {
        source: columns.read(0, Source::read),
        target: columns.read(1, Target::read),
        condition: columns.read(2, Condition::read),
        through: columns.read(3, Through::read).unwrap_or(Through::Type),
    };
    let why = columns.why(4);
    columns.entry(sign, Some(row), why)
}

pub(super) fn role(text: &str) -> Result<Role, Fault> {
    let mut scan = Scan::new(text);
    let resource = scan.take_while(|c| c.is_ascii_alphanumeric()).to_owned();
    if !resource.starts_with(|c: char| c.is_ascii_uppercase()) {
        return Err(Fault::new(0, text, "not a type of resource")
            .remedy("write a type such as `Patient` or `Provenance[source]`"));
    }
    let mut name = None;
    if scan.take("[") {
        name = Some(scan.take_while(|c| c != ']').to_owned());
        scan.expect("]")?;
    }
    scan.end()?;
    Ok(Role { resource, name })
}

/// A segment with the number of its place: `PID(2)`. What does not read so is left to the
/// compiler, which knows no segment of that name.
fn placed(text: &str) -> (String, Option<usize>) {
    let number = text
        .strip_suffix(')')
        .and_then(|text| text.split_once('('))
        .and_then(|(name, number)| Some((name, number.parse().ok().filter(|n| *n > 0)?)));
    match number {
        Some((name, number)) => (name.to_owned(), Some(number)),
        None => (text.to_owned(), None),
    }
}

fn message_row(sign: Sign, mut columns: Columns<'_, '_, '_>) -> Option<Entry<MessageRow>> {
    columns.at_most(6);
    let groups = columns.need(0, "the segment", |text| {
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        match names.iter().find(|name| name.is_empty()) {
            Some(_) => Err(Fault::new(0, text, "a group without a name")),
            None => Ok(names),
        }
    });
    let each = columns
        .text(1)
        .is_some_and(|text| text.starts_with("each "));
    let role = columns.read(1, |text| {
        role(text.strip_prefix("each ").unwrap_or(text).trim())
    });
    let condition = columns.read(2, Condition::read);
    let map = columns.read(3, MapName::read);
    let links = columns.read(4, links).unwrap_or_default();
    let why = columns.why(5);
    let row = groups.and_then(|mut groups| {
        let last = groups.pop()?;
        let (segment, place) = placed(&last);
        Some(MessageRow {
            groups,
            segment,
            place,
            role,
            each,
            condition,
            map,
            links,
        })
    });
    columns.entry(sign, row, why)
}

fn links(text: &str) -> Result<Vec<Link>, Fault> {
    let mut links = Vec::new();
    let mut at = 0;
    for part in text.split(';') {
        let lead = part.chars().count() - part.trim_start().chars().count();
        let link = link(part.trim(), at + lead).map_err(|mut fault| {
            fault.at += at + lead;
            fault
        })?;
        links.push(link);
        at += part.chars().count() + 1;
    }
    Ok(links)
}

fn link(text: &str, at: usize) -> Result<Link, Fault> {
    let Some((left, right)) = text.split_once('=') else {
        return Err(Fault::new(0, text, "not a link")
            .remedy("write `element = Role` or `Role.element = this`"));
    };
    let (left, right) = (left.trim(), right.trim());
    let mut scan = Scan::new(right);
    let to = match scan.quoted()? {
        Some(text) => {
            scan.end()?;
            LinkTo::Text(text)
        }
        None if right == "this" => LinkTo::This,
        None => LinkTo::Role(role(right)?),
    };
    let (holder, path) = match left.split_once('.') {
        Some((first, rest)) if first.starts_with(|c: char| c.is_ascii_uppercase()) => {
            (Some(role(first)?), rest)
        }
        _ => (None, left),
    };
    Ok(Link {
        at,
        holder,
        target: Target::read(path)?,
        to,
    })
}

/// A text that may stand in quotes.
fn plain(text: &str) -> Result<String, Fault> {
    let mut scan = Scan::new(text);
    match scan.quoted() {
        Ok(Some(quoted)) if scan.is_done() => Ok(quoted),
        _ => Ok(text.to_owned()),
    }
}

fn code_row(sign: Sign, mut columns: Columns<'_, '_, '_>) -> Option<Entry<CodeRow>> {
    columns.at_most(5);
    let code = columns.read(0, plain);
    let target = columns.read(1, plain);
    let (system, target) = match target {
        Some(text) => match text.split_once('|') {
            Some((system, code)) => (Some(system.to_owned()), Some(code.to_owned())),
            None => (None, Some(text)),
        },
        None => (None, None),
    };
    let display = columns.read(2, plain);
    let condition = columns.read(3, Condition::read);
    let why = columns.why(4);
    let row = CodeRow {
        code,
        target,
        system,
        display,
        condition,
    };
    columns.entry(sign, Some(row), why)
}

fn identity_row(sign: Sign, mut columns: Columns<'_, '_, '_>) -> Option<Entry<IdentityRow>> {
    columns.at_most(5);
    let resource = columns.need(0, "the type of resource", |text| Ok(text.to_owned()));
    let key = columns.read(1, |text| match text.strip_prefix("join(") {
        Some(rest) => {
            let mut scan = Scan::new(rest);
            let parts = through::join(&mut scan)?;
            scan.end()?;
            Ok(Key::Join(parts))
        }
        None if text == "content()" => Ok(Key::Content),
        None => Target::read(text).map(Key::Element),
    });
    let condition = columns.read(2, Condition::read);
    let how = columns.need(3, "`update` or `create`", |text| match text {
        "update" => Ok(How::Update),
        "create" => Ok(How::Create),
        _ => Err(Fault::new(0, text, "neither `update` nor `create`")),
    });
    let why = columns.why(4);
    let row = resource.zip(how).map(|(resource, how)| IdentityRow {
        resource,
        key: key.unwrap_or(Key::None),
        condition,
        how,
    });
    columns.entry(sign, row, why)
}
