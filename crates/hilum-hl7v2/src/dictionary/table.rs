//! Reads the embedded table in place.
//!
//! Nothing is decoded ahead: a lookup reads the few bytes that it needs. The layout is described
//! where the table is written, in `xtask/src/codegen/encode.rs`. A place outside the table reads as
//! zero or empty; the tests walk every reference of the committed table, so that this cannot happen.

static DATA: &[u8] = include_bytes!("../generated/dictionary.bin");

/// Bytes before the section list: magic, layout, number of versions.
const HEADER: usize = 8;

/// The sections, in the order of the file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Section {
    StringEnds = 0,
    StringBytes = 1,
    Fields = 2,
    Numbers = 3,
    Codes = 4,
    Nodes = 5,
    Entries = 6,
    Versions = 7,
}

/// A list of entries that are sorted by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entries {
    start: u32,
    count: u32,
}

/// One entry: key and text as string numbers (for tables the key is the table number), and a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: u16,
    pub(super) text: u16,
    pub(super) place: u32,
}

#[inline]
fn u16_at(offset: usize) -> u16 {
    match DATA.get(offset..offset.saturating_add(2)) {
        Some(&[low, high]) => u16::from_le_bytes([low, high]),
        _ => 0,
    }
}

#[inline]
fn u32_at(offset: usize) -> u32 {
    match DATA.get(offset..offset.saturating_add(4)) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

#[inline]
fn u8_at(offset: usize) -> u8 {
    DATA.get(offset).copied().unwrap_or(0)
}

#[inline]
fn offset_of(section: Section) -> usize {
    u32_at(HEADER + section as usize * 8) as usize
}

/// How many items a section has.
pub(super) fn count_of(section: Section) -> usize {
    u32_at(HEADER + section as usize * 8 + 4) as usize
}

/// The magic and layout number that this reader understands.
#[cfg(test)]
pub(super) fn is_known_layout() -> bool {
    DATA.starts_with(b"HLMD") && u16_at(4) == 1
}

/// The string with this number.
#[inline]
pub(super) fn string(number: u16) -> &'static str {
    let ends = offset_of(Section::StringEnds);
    let number = usize::from(number);
    let start = if number == 0 {
        0
    } else {
        u32_at(ends + (number - 1) * 4) as usize
    };
    let end = u32_at(ends + number * 4) as usize;
    let bytes = offset_of(Section::StringBytes);
    let text = DATA.get(bytes + start..bytes + end).unwrap_or_default();
    std::str::from_utf8(text).unwrap_or_default()
}

/// The same without the check for UTF-8, for comparisons.
#[inline]
pub(super) fn string_bytes(number: u16) -> &'static [u8] {
    let ends = offset_of(Section::StringEnds);
    let number = usize::from(number);
    let start = if number == 0 {
        0
    } else {
        u32_at(ends + (number - 1) * 4) as usize
    };
    let end = u32_at(ends + number * 4) as usize;
    let bytes = offset_of(Section::StringBytes);
    DATA.get(bytes + start..bytes + end).unwrap_or_default()
}

/// A number of the section of numbers.
#[inline]
pub(super) fn number(place: usize) -> u16 {
    u16_at(offset_of(Section::Numbers) + place * 2)
}

/// Name, type, table, length, usage and maximum of a field.
#[inline]
pub(super) fn field(number: u16) -> (u16, u16, u16, u32, u8, u8) {
    let at = offset_of(Section::Fields) + usize::from(number) * 12;
    (
        u16_at(at),
        u16_at(at + 2),
        u16_at(at + 4),
        u32_at(at + 6),
        u8_at(at + 10),
        u8_at(at + 11),
    )
}

/// Code and text of a row of a table.
#[inline]
pub(super) fn code(number: u16) -> (u16, u16) {
    let at = offset_of(Section::Codes) + usize::from(number) * 4;
    (u16_at(at), u16_at(at + 2))
}

/// Name, minimum, maximum, kind and subtree size of a structure node.
#[inline]
pub(super) fn node(place: u32) -> (u16, u8, u8, u8, u16) {
    let at = offset_of(Section::Nodes) + place as usize * 8;
    (
        u16_at(at),
        u8_at(at + 2),
        u8_at(at + 3),
        u8_at(at + 4),
        u16_at(at + 6),
    )
}

/// The name of a version.
pub(super) fn version_name(version: u8) -> &'static str {
    string(u16_at(
        offset_of(Section::Versions) + usize::from(version) * 44,
    ))
}

/// One of the five entry lists of a version.
#[inline]
pub(super) fn entries(version: u8, list: usize) -> Entries {
    let at = offset_of(Section::Versions) + usize::from(version) * 44 + 4 + list * 8;
    Entries {
        start: u32_at(at),
        count: u32_at(at + 4),
    }
}

impl Entries {
    /// How many entries there are.
    pub(super) fn len(self) -> u32 {
        self.count
    }

    /// The entry at a position.
    #[inline]
    pub(super) fn at(self, position: u32) -> Entry {
        let at = offset_of(Section::Entries) + (self.start + position) as usize * 8;
        Entry {
            key: u16_at(at),
            text: u16_at(at + 2),
            place: u32_at(at + 4),
        }
    }

    /// The entry whose key is this string.
    #[inline]
    pub(super) fn find(self, key: &[u8]) -> Option<Entry> {
        self.search(|entry| string_bytes(entry.key).cmp(key))
    }

    /// The entry whose key is this number.
    #[inline]
    pub(super) fn find_number(self, key: u16) -> Option<Entry> {
        self.search(|entry| entry.key.cmp(&key))
    }

    fn search(self, compare: impl Fn(Entry) -> std::cmp::Ordering) -> Option<Entry> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.at(middle);
            match compare(entry) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(entry),
            }
        }
        None
    }
}
