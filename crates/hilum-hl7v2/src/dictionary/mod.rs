//! The HL7 v2 dictionary of 2.1 to 2.8.2: structures, segments, fields, data types, tables.
//!
//! One committed table (`generated/dictionary.bin`) is read in place: nothing is built at start, a
//! lookup is a binary search, every value is a small `Copy` handle. Where the table comes from and
//! where its sources disagree is written beside it. 2.9 is absent: no package carries it.
//!
//! The dictionary knows what the standard says. What a site agreed on is a profile.

mod structure;
mod table;
#[cfg(test)]
mod tests;

pub use structure::{Children, Node, NodeKind, Structure};

use table::{Entries, Section};

/// The version that stands in for a missing or unreadable one.
pub const DEFAULT_VERSION: &str = "2.5.1";

const SEGMENTS: usize = 0;
const DATA_TYPES: usize = 1;
const TABLES: usize = 2;
const STRUCTURES: usize = 3;
const EVENTS: usize = 4;

/// The whole dictionary; a handle without content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dictionary;

impl Dictionary {
    /// The dictionary.
    #[must_use]
    pub fn get() -> Self {
        Self
    }

    /// The version with exactly this name, such as `2.5.1`.
    #[must_use]
    pub fn version(self, name: &str) -> Option<Version> {
        self.versions().find(|version| version.name() == name)
    }

    /// The version that fits best: the named one; else the newest that is not newer (`2.9` reads as
    /// `2.8.2`, `2.5.3` as `2.5.1`); below 2.1 the oldest; without a readable number 2.5.1.
    #[must_use]
    pub fn nearest(self, name: &str) -> Version {
        if let Some(version) = self.version(name) {
            return version;
        }
        let wanted = numbers(name).or_else(|| numbers(DEFAULT_VERSION));
        let fits = |version: &Version| numbers(version.name()) <= wanted;
        self.versions().rfind(fits).unwrap_or(Version { number: 0 })
    }

    /// All versions, oldest first.
    pub fn versions(self) -> impl DoubleEndedIterator<Item = Version> {
        let count = u8::try_from(table::count_of(Section::Versions)).unwrap_or(u8::MAX);
        (0..count).map(|number| Version { number })
    }
}

/// `2.5.1` as numbers; what follows the number (`2.5.1^USA`) is left out.
fn numbers(name: &str) -> Option<[u16; 3]> {
    let mut out = [0; 3];
    let end = name
        .trim()
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let digits = name.trim().get(..end.unwrap_or(name.trim().len()))?;
    for (slot, part) in out.iter_mut().zip(digits.split('.')) {
        *slot = part.parse().ok()?;
    }
    Some(out)
}

/// One version of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    number: u8,
}

impl Version {
    /// Its name, such as `2.5.1`.
    #[must_use]
    pub fn name(self) -> &'static str {
        table::version_name(self.number)
    }

    /// Its position among all versions, oldest first.
    #[must_use]
    pub fn position(self) -> usize {
        usize::from(self.number)
    }

    #[inline]
    fn list(self, list: usize) -> Entries {
        table::entries(self.number, list)
    }

    /// The structure with this id, such as `ADT_A01`.
    #[must_use]
    pub fn structure(self, id: &str) -> Option<Structure> {
        Some(Structure::at(self.list(STRUCTURES).find(id.as_bytes())?))
    }

    /// The structure of a message: MSH-9.3 where it names one, else what the standard assigns to
    /// code and trigger event, else the structure of that name, else the one named like the code.
    #[must_use]
    pub fn structure_for(
        self,
        code: &str,
        trigger: &str,
        structure: Option<&str>,
    ) -> Option<Structure> {
        if let Some(found) = structure.and_then(|id| self.structure(id)) {
            return Some(found);
        }
        // Longer than any known id: not in the dictionary, so no need to build the name.
        let mut buffer = [0_u8; 16];
        let event = join(&mut buffer, code, trigger)?;
        if let Some(entry) = self.list(EVENTS).find(event) {
            return self
                .list(STRUCTURES)
                .find(table::string_bytes(entry.text))
                .map(Structure::at);
        }
        let named = self.list(STRUCTURES).find(event);
        named
            .or_else(|| self.list(STRUCTURES).find(code.as_bytes()))
            .map(Structure::at)
    }

    /// The segment with this id, such as `PID`.
    #[must_use]
    pub fn segment(self, id: &str) -> Option<Segment> {
        self.segment_bytes(id.as_bytes())
    }

    /// [`Self::segment`] by the bytes of a message.
    #[must_use]
    pub fn segment_bytes(self, id: &[u8]) -> Option<Segment> {
        let entry = self.list(SEGMENTS).find(id)?;
        Some(Segment {
            id: entry.key,
            text: entry.text,
            list: List { place: entry.place },
        })
    }

    /// The data type with this name, such as `XPN`; a primitive one has no components.
    #[must_use]
    pub fn data_type(self, name: &str) -> Option<DataType> {
        self.data_type_bytes(name.as_bytes())
    }

    /// [`Self::data_type`] by the bytes of a message.
    #[must_use]
    pub fn data_type_bytes(self, name: &[u8]) -> Option<DataType> {
        let entry = self.list(DATA_TYPES).find(name)?;
        Some(DataType {
            id: entry.key,
            text: entry.text,
            list: List { place: entry.place },
        })
    }

    /// The table with this number.
    #[must_use]
    pub fn table(self, number: u16) -> Option<Table> {
        let entry = self.list(TABLES).find_number(number)?;
        Some(Table {
            number,
            name: entry.text,
            place: entry.place,
        })
    }

    /// All structures, by id.
    pub fn structures(self) -> impl Iterator<Item = Structure> {
        let list = self.list(STRUCTURES);
        (0..list.len()).map(move |at| Structure::at(list.at(at)))
    }

    /// All segments, by id.
    pub fn segments(self) -> impl Iterator<Item = Segment> {
        let list = self.list(SEGMENTS);
        (0..list.len()).map(move |at| {
            let entry = list.at(at);
            Segment {
                id: entry.key,
                text: entry.text,
                list: List { place: entry.place },
            }
        })
    }

    /// All data types, by name.
    pub fn data_types(self) -> impl Iterator<Item = DataType> {
        let list = self.list(DATA_TYPES);
        (0..list.len()).map(move |at| {
            let entry = list.at(at);
            DataType {
                id: entry.key,
                text: entry.text,
                list: List { place: entry.place },
            }
        })
    }

    /// All tables, by number.
    pub fn tables(self) -> impl Iterator<Item = Table> {
        let list = self.list(TABLES);
        (0..list.len()).map(move |at| {
            let entry = list.at(at);
            Table {
                number: entry.key,
                name: entry.text,
                place: entry.place,
            }
        })
    }

    /// All events that use a structure of another name: event such as `ADT_A04`, structure id.
    pub fn events(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let list = self.list(EVENTS);
        (0..list.len()).map(move |at| {
            let entry = list.at(at);
            (table::string(entry.key), table::string(entry.text))
        })
    }
}

fn join<'a>(buffer: &'a mut [u8; 16], code: &str, trigger: &str) -> Option<&'a [u8]> {
    let end = code.len() + 1 + trigger.len();
    buffer
        .get_mut(..code.len())?
        .copy_from_slice(code.as_bytes());
    *buffer.get_mut(code.len())? = b'_';
    buffer
        .get_mut(code.len() + 1..end)?
        .copy_from_slice(trigger.as_bytes());
    buffer.get(..end)
}

/// A list of fields or components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct List {
    place: u32,
}

impl List {
    #[inline]
    fn len(self) -> u16 {
        table::number(self.place as usize)
    }

    #[inline]
    fn at(self, position: u16) -> Option<Field> {
        if position == 0 || position > self.len() {
            return None;
        }
        let number = table::number(self.place as usize + usize::from(position));
        if number == u16::MAX {
            return None;
        }
        let (name, data_type, table, length, usage, max) = table::field(number);
        Some(Field {
            position,
            name,
            data_type,
            table,
            length,
            usage: Usage::from(usage),
            max,
        })
    }
}

/// A segment and its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    id: u16,
    text: u16,
    list: List,
}

impl Segment {
    /// Its id, such as `PID`.
    #[must_use]
    pub fn id(self) -> &'static str {
        table::string(self.id)
    }

    /// What it is, such as `Patient Identification`; may be empty.
    #[must_use]
    pub fn description(self) -> &'static str {
        table::string(self.text)
    }

    /// How many positions it defines.
    #[must_use]
    pub fn field_count(self) -> u16 {
        self.list.len()
    }

    /// The field at a position, from 1.
    #[must_use]
    pub fn field(self, position: u16) -> Option<Field> {
        self.list.at(position)
    }

    /// All fields in order.
    pub fn fields(self) -> impl Iterator<Item = Field> {
        (1..=self.list.len()).filter_map(move |position| self.list.at(position))
    }
}

/// A data type and its components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataType {
    id: u16,
    text: u16,
    list: List,
}

impl DataType {
    /// Its name, such as `XPN`.
    #[must_use]
    pub fn name(self) -> &'static str {
        table::string(self.id)
    }

    /// What it is, such as `Extended Person Name`; may be empty.
    #[must_use]
    pub fn description(self) -> &'static str {
        table::string(self.text)
    }

    /// How many components it has; 0 for a primitive type.
    #[must_use]
    pub fn component_count(self) -> u16 {
        self.list.len()
    }

    /// The component at a position, from 1.
    #[must_use]
    pub fn component(self, position: u16) -> Option<Field> {
        self.list.at(position)
    }

    /// All components in order.
    pub fn components(self) -> impl Iterator<Item = Field> {
        (1..=self.list.len()).filter_map(move |position| self.list.at(position))
    }
}

/// Whether a field must, may or must not be valued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// O
    Optional,
    /// R
    Required,
    /// C: the standard's text says when
    Conditional,
    /// X
    NotSupported,
    /// W: withdrawn in this version
    Withdrawn,
}

impl Usage {
    fn from(code: u8) -> Self {
        match code {
            1 => Self::Required,
            2 => Self::Conditional,
            3 => Self::NotSupported,
            4 => Self::Withdrawn,
            _ => Self::Optional,
        }
    }

    /// The letter that the standard uses.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Optional => 'O',
            Self::Required => 'R',
            Self::Conditional => 'C',
            Self::NotSupported => 'X',
            Self::Withdrawn => 'W',
        }
    }
}

/// A field of a segment or a component of a data type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    position: u16,
    name: u16,
    data_type: u16,
    table: u16,
    length: u32,
    usage: Usage,
    max: u8,
}

impl Field {
    /// Its position, from 1.
    #[must_use]
    pub fn position(self) -> u16 {
        self.position
    }

    /// What it is called, such as `Patient Name`.
    #[must_use]
    pub fn name(self) -> &'static str {
        table::string(self.name)
    }

    /// The name of its data type; `varies` where another field decides.
    #[must_use]
    pub fn data_type(self) -> &'static str {
        table::string(self.data_type)
    }

    /// Equal for equal data types within the dictionary; for maps of precomputed facts.
    #[must_use]
    pub fn data_type_number(self) -> u16 {
        self.data_type
    }

    /// The table of its codes.
    #[must_use]
    pub fn table(self) -> Option<u16> {
        (self.table != 0).then_some(self.table)
    }

    /// Its maximum length in characters, where known.
    #[must_use]
    pub fn length(self) -> Option<u32> {
        (self.length != 0).then_some(self.length)
    }

    /// Whether it must be valued.
    #[must_use]
    pub fn usage(self) -> Usage {
        self.usage
    }

    /// How often it may repeat; `None` is without limit.
    #[must_use]
    pub fn repetitions_max(self) -> Option<u8> {
        (self.max != 0).then_some(self.max)
    }
}

/// A table of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    number: u16,
    name: u16,
    place: u32,
}

impl Table {
    /// Its number, such as 76.
    #[must_use]
    pub fn number(self) -> u16 {
        self.number
    }

    /// What it lists.
    #[must_use]
    pub fn name(self) -> &'static str {
        table::string(self.name)
    }

    /// It lists ranges, examples or nothing: a code that is not in it is not wrong.
    #[must_use]
    pub fn is_open(self) -> bool {
        table::number(self.place as usize) != 0
    }

    /// How many codes it lists.
    #[must_use]
    pub fn code_count(self) -> u16 {
        table::number(self.place as usize + 1)
    }

    fn row(self, position: u16) -> (u16, u16) {
        table::code(table::number(
            self.place as usize + 2 + usize::from(position),
        ))
    }

    /// All codes with their texts (which may be empty), sorted by code.
    pub fn codes(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        (0..self.code_count()).map(move |position| {
            let (code, text) = self.row(position);
            (table::string(code), table::string(text))
        })
    }

    /// The text of a code, empty where none is known; `None` where the table does not list it.
    #[must_use]
    pub fn text(self, code: &str) -> Option<&'static str> {
        self.find(code.as_bytes()).map(table::string)
    }

    /// Whether the table lists this code.
    #[must_use]
    pub fn contains(self, code: &[u8]) -> bool {
        self.find(code).is_some()
    }

    fn find(self, wanted: &[u8]) -> Option<u16> {
        let (mut low, mut high) = (0, self.code_count());
        while low < high {
            let middle = low + (high - low) / 2;
            let (code, text) = self.row(middle);
            match table::string_bytes(code).cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(text),
            }
        }
        None
    }
}
