//! Writes the table that `hilum-hl7v2::dictionary` reads in place.
//!
//! All numbers are little-endian. Layout: a header of magic, layout version, number of versions
//! and the offset and count of each section; then the sections:
//!
//! 0. string ends (u32 each, exclusive, into section 1); the strings are sorted
//! 1. string bytes
//! 2. fields, 12 bytes: name, type, table (u16 each), length (u32), usage, max (u8 each)
//! 3. numbers (u16): lists of field numbers, and tables
//! 4. code rows, 4 bytes: code, text (u16 each)
//! 5. structure nodes, 8 bytes: name (u16), min, max, kind, pad (u8 each), nodes in the subtree (u16)
//! 6. entries, 8 bytes: key, text (u16 each), place (u32)
//! 7. versions, 44 bytes: name (u16), pad (u16), then start and count (u32) of the entries of segments, data
//!    types, tables, structures, events
//!
//! Equal definitions are stored once, whichever versions use them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use anyhow::{Context as _, Result};

use super::merge::{ANY_SEGMENT, Composite, Field, Structure, Table, Version};
use super::packages::RawNode;

const MAGIC: &[u8; 4] = b"HLMD";
const LAYOUT: u16 = 1;
const SECTIONS: usize = 8;
/// Stands for a position that a segment or data type does not define.
const HOLE: u16 = u16::MAX;

const KIND_SEGMENT: u8 = 0;
const KIND_GROUP: u8 = 1;
const KIND_CHOICE: u8 = 2;
const KIND_ANY: u8 = 3;

pub(crate) fn encode(versions: &[Version]) -> Result<Vec<u8>> {
    let mut writer = Writer {
        strings: all_strings(versions),
        ..Writer::default()
    };
    let mut rows = Vec::new();
    for version in versions {
        rows.push(writer.version(version)?);
    }
    writer.finish(&rows)
}

/// Distinct values in the order of their first use.
#[derive(Debug)]
struct Pool<T> {
    index: HashMap<T, u32>,
    items: Vec<T>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            index: HashMap::new(),
            items: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Pool<T> {
    fn put(&mut self, item: T) -> Result<u32> {
        if let Some(found) = self.index.get(&item) {
            return Ok(*found);
        }
        let number = u32::try_from(self.items.len()).context("number the items of a pool")?;
        self.index.insert(item.clone(), number);
        self.items.push(item);
        Ok(number)
    }
}

#[derive(Debug, Default)]
struct Writer {
    strings: Vec<String>,
    fields: Pool<[u8; 12]>,
    codes: Pool<[u8; 4]>,
    numbers: Vec<u16>,
    lists: HashMap<Vec<u16>, u32>,
    nodes: Vec<[u8; 8]>,
    trees: HashMap<Vec<[u8; 8]>, u32>,
    entries: Vec<[u8; 8]>,
}

type VersionRow = [u8; 44];

fn all_strings(versions: &[Version]) -> Vec<String> {
    fn nodes<'a>(list: &'a [RawNode], out: &mut BTreeSet<&'a str>) {
        for node in list {
            match node {
                RawNode::Segment(name, _, _) => {
                    out.insert(name);
                }
                RawNode::Group(name, _, _, _, children) => {
                    out.insert(name);
                    nodes(children, out);
                }
            }
        }
    }
    let mut all = BTreeSet::from([""]);
    for version in versions {
        all.insert(version.name);
        for (id, composite) in version.segments.iter().chain(&version.types) {
            all.extend([id.as_str(), composite.description.as_str()]);
            for field in composite.fields.iter().flatten() {
                all.extend([field.name.as_str(), field.data_type.as_str()]);
            }
        }
        for table in version.tables.values() {
            all.insert(&table.name);
            all.extend(
                table
                    .codes
                    .iter()
                    .flat_map(|(code, text)| [code.as_str(), text.as_str()]),
            );
        }
        for (id, structure) in &version.structures {
            all.extend([id.as_str(), structure.description.as_str()]);
            nodes(&structure.nodes, &mut all);
        }
        all.extend(
            version
                .events
                .iter()
                .flat_map(|(event, id)| [event.as_str(), id.as_str()]),
        );
    }
    all.into_iter().map(str::to_owned).collect()
}

impl Writer {
    fn string(&self, text: &str) -> Result<u16> {
        let found = self
            .strings
            .binary_search_by(|item| item.as_str().cmp(text));
        let number = found
            .ok()
            .with_context(|| format!("number the string {text:?}"))?;
        u16::try_from(number).context("the strings fit into two bytes")
    }

    fn version(&mut self, version: &Version) -> Result<VersionRow> {
        let mut row = [0; 44];
        put_u16(&mut row, 0, self.string(version.name)?);
        let mut place = 4;
        let segments = self.composites(&version.segments)?;
        let types = self.composites(&version.types)?;
        let mut tables = Vec::new();
        for (number, table) in &version.tables {
            tables.push(entry(
                *number,
                self.string(&table.name)?,
                self.table(table)?,
            ));
        }
        let mut structures = Vec::new();
        for (id, structure) in &version.structures {
            let tree = self.structure(id, structure)?;
            structures.push(entry(
                self.string(id)?,
                self.string(&structure.description)?,
                tree,
            ));
        }
        let mut events = Vec::new();
        for (event, id) in &version.events {
            events.push(entry(self.string(event)?, self.string(id)?, 0));
        }
        for list in [segments, types, tables, structures, events] {
            put_u32(&mut row, place, u32::try_from(self.entries.len())?);
            put_u32(&mut row, place + 4, u32::try_from(list.len())?);
            place += 8;
            self.entries.extend(list);
        }
        Ok(row)
    }

    fn composites(&mut self, composites: &BTreeMap<String, Composite>) -> Result<Vec<[u8; 8]>> {
        let mut list = Vec::new();
        for (id, composite) in composites {
            let mut numbers = vec![u16::try_from(composite.fields.len())?];
            for field in &composite.fields {
                numbers.push(match field {
                    Some(field) => self.field(field)?,
                    None => HOLE,
                });
            }
            let place = self.list(numbers)?;
            list.push(entry(
                self.string(id)?,
                self.string(&composite.description)?,
                place,
            ));
        }
        Ok(list)
    }

    fn field(&mut self, field: &Field) -> Result<u16> {
        let mut bytes = [0; 12];
        put_u16(&mut bytes, 0, self.string(&field.name)?);
        put_u16(&mut bytes, 2, self.string(&field.data_type)?);
        put_u16(&mut bytes, 4, field.table);
        put_u32(&mut bytes, 6, field.length);
        bytes[10] = field.usage as u8;
        bytes[11] = field.max;
        u16::try_from(self.fields.put(bytes)?).context("the fields fit into two bytes")
    }

    fn table(&mut self, table: &Table) -> Result<u32> {
        let mut numbers = vec![u16::from(table.open), u16::try_from(table.codes.len())?];
        for (code, text) in &table.codes {
            let mut bytes = [0; 4];
            put_u16(&mut bytes, 0, self.string(code)?);
            put_u16(&mut bytes, 2, self.string(text)?);
            numbers.push(
                u16::try_from(self.codes.put(bytes)?).context("the codes fit into two bytes")?,
            );
        }
        self.list(numbers)
    }

    fn list(&mut self, numbers: Vec<u16>) -> Result<u32> {
        if let Some(place) = self.lists.get(&numbers) {
            return Ok(*place);
        }
        let place = u32::try_from(self.numbers.len())?;
        self.numbers.extend(&numbers);
        self.lists.insert(numbers, place);
        Ok(place)
    }

    fn structure(&mut self, id: &str, structure: &Structure) -> Result<u32> {
        let mut tree = Vec::new();
        self.node(
            &RawNode::Group(
                id.to_owned(),
                1,
                1,
                "sequence".to_owned(),
                structure.nodes.clone(),
            ),
            &mut tree,
        )?;
        if let Some(place) = self.trees.get(&tree) {
            return Ok(*place);
        }
        let place = u32::try_from(self.nodes.len())?;
        self.nodes.extend(&tree);
        self.trees.insert(tree, place);
        Ok(place)
    }

    fn node(&self, node: &RawNode, tree: &mut Vec<[u8; 8]>) -> Result<()> {
        let (name, low, high, kind) = match node {
            RawNode::Segment(name, low, high) if name == ANY_SEGMENT => {
                (name, *low, *high, KIND_ANY)
            }
            RawNode::Segment(name, low, high) => (name, *low, *high, KIND_SEGMENT),
            RawNode::Group(name, low, high, kind, _) if kind == "choice" => {
                (name, *low, *high, KIND_CHOICE)
            }
            RawNode::Group(name, low, high, _, _) => (name, *low, *high, KIND_GROUP),
        };
        let mut bytes = [0; 8];
        put_u16(&mut bytes, 0, self.string(name)?);
        bytes[2] = u8::try_from(low).context("the minimum fits a byte")?;
        bytes[3] = u8::try_from(high.max(0)).context("the maximum fits a byte")?;
        bytes[4] = kind;
        let place = tree.len();
        tree.push(bytes);
        if let RawNode::Group(_, _, _, _, children) = node {
            for child in children {
                self.node(child, tree)?;
            }
        }
        let size = u16::try_from(tree.len() - place)?;
        if let Some(bytes) = tree.get_mut(place) {
            put_u16(bytes, 6, size);
        }
        Ok(())
    }

    fn finish(&self, rows: &[VersionRow]) -> Result<Vec<u8>> {
        let mut ends = Vec::new();
        let mut bytes = Vec::new();
        for text in &self.strings {
            bytes.extend(text.as_bytes());
            ends.extend(u32::try_from(bytes.len())?.to_le_bytes());
        }
        let numbers = self
            .numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        let sections: [(Vec<u8>, usize); SECTIONS] = [
            (ends, self.strings.len()),
            (bytes.clone(), bytes.len()),
            (self.fields.items.concat(), self.fields.items.len()),
            (numbers, self.numbers.len()),
            (self.codes.items.concat(), self.codes.items.len()),
            (self.nodes.concat(), self.nodes.len()),
            (self.entries.concat(), self.entries.len()),
            (rows.concat(), rows.len()),
        ];
        let mut out = MAGIC.to_vec();
        out.extend(LAYOUT.to_le_bytes());
        out.extend(u16::try_from(rows.len())?.to_le_bytes());
        let mut offset = out.len() + SECTIONS * 8;
        for (section, count) in &sections {
            out.extend(u32::try_from(offset)?.to_le_bytes());
            out.extend(u32::try_from(*count)?.to_le_bytes());
            offset += section.len();
        }
        for (section, _) in &sections {
            out.extend(section);
        }
        Ok(out)
    }
}

fn entry(key: u16, text: u16, place: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    put_u16(&mut bytes, 0, key);
    put_u16(&mut bytes, 2, text);
    put_u32(&mut bytes, 4, place);
    bytes
}

fn put_u16(bytes: &mut [u8], place: usize, value: u16) {
    if let Some(slot) = bytes.get_mut(place..place + 2) {
        slot.copy_from_slice(&value.to_le_bytes());
    }
}

fn put_u32(bytes: &mut [u8], place: usize, value: u32) {
    if let Some(slot) = bytes.get_mut(place..place + 4) {
        slot.copy_from_slice(&value.to_le_bytes());
    }
}
