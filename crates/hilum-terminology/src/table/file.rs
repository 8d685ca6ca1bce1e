//! A table as a file.
//!
//! All numbers are little-endian. The file is
//!
//! | Bytes | What |
//! |---|---|
//! | 8 | `hilumtab` |
//! | 4 | the version of the form, 1 |
//! | 32 | SHA-256 of everything behind it |
//! | 1 | 0 where the case of letters matters in codes, else 1 |
//! | | sections |
//!
//! A section is a count (u64) and so many items: bytes, u16 or u32. A column of texts is a section
//! of bytes and a section of their ends (u32). The sections are, in order: codes, order of codes
//! (u32), displays, definitions, flags (bytes); for parents and for children the starts of runs
//! (u32) and rows (u32); the starts of the runs of designations, languages, uses (system, code and
//! display with U+0001 between), language and use of each row (u16, 65535 for none), values; the
//! starts of the runs of properties, names, name of each row (u16), type of each row (bytes, in the
//! order of [`ValueKind`]), value of each row (u32), values; extensions of concepts and of
//! designations, each as a section of places (u32) and a column of texts.
//!
//! A file is read as a whole and checked: its checksum, then that every number points somewhere.

use sha2::{Digest, Sha256};

use super::strings::{Runs, Strings};
use super::{Case, NONE, Names, Table, ValueKind};

const MAGIC: &[u8; 8] = b"hilumtab";
const VERSION: u32 = 1;
/// Magic, version and checksum.
const HEAD: usize = 8 + 4 + 32;

/// Why a file is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damaged {
    /// It is something else.
    #[error("the file is no table of a code system")]
    Other,
    /// A later hilum wrote it.
    #[error("the table has form {0}, this program reads form 1; import it again")]
    Version(u32),
    /// Bytes have changed, or it was not written to its end.
    #[error("the checksum of the table does not fit; import it again")]
    Checksum,
    /// It has the right checksum, but its numbers do not fit together.
    #[error("the table does not hold together; import it again")]
    Form,
}

#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&(count as u64).to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn numbers(&mut self, numbers: &[u32]) {
        self.count(numbers.len());
        for number in numbers {
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(super) fn small(&mut self, numbers: &[u16]) {
        self.count(numbers.len());
        for number in numbers {
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// A text of its own.
    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn texts(&mut self, texts: &[(u32, Box<str>)]) {
        let places: Vec<u32> = texts.iter().map(|(at, _)| *at).collect();
        self.numbers(&places);
        let mut column = Strings::default();
        for (_, text) in texts {
            // Extensions are few; more than 4 GB of them cannot come from one resource.
            let _fits = column.push(text);
        }
        column.write(self);
    }
}

#[derive(Debug)]
pub(crate) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// A text of its own.
    pub(crate) fn text(&mut self) -> Result<&'b str, Damaged> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damaged::Form)
    }

    fn take(&mut self, bytes: usize) -> Result<&'b [u8], Damaged> {
        let (head, tail) = self.0.split_at_checked(bytes).ok_or(Damaged::Form)?;
        self.0 = tail;
        Ok(head)
    }

    fn items(&mut self, size: usize) -> Result<&'b [u8], Damaged> {
        let mut count = [0_u8; 8];
        count.copy_from_slice(self.take(8)?);
        let count = usize::try_from(u64::from_le_bytes(count)).map_err(|_| Damaged::Form)?;
        self.take(count.checked_mul(size).ok_or(Damaged::Form)?)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], Damaged> {
        self.items(1)
    }

    pub(crate) fn numbers(&mut self) -> Result<Vec<u32>, Damaged> {
        let (items, _) = self.items(4)?.as_chunks::<4>();
        Ok(items.iter().map(|item| u32::from_le_bytes(*item)).collect())
    }

    pub(super) fn small(&mut self) -> Result<Vec<u16>, Damaged> {
        let (items, _) = self.items(2)?.as_chunks::<2>();
        Ok(items.iter().map(|item| u16::from_le_bytes(*item)).collect())
    }

    pub(super) fn texts(&mut self, below: usize) -> Result<Vec<(u32, Box<str>)>, Damaged> {
        let places = self.numbers()?;
        let column = Strings::read(self)?;
        check(column.len() == places.len() && places.is_sorted())?;
        check(places.iter().all(|at| (*at as usize) < below))?;
        let text = |(row, at): (usize, u32)| (at, column.get(row as u32).into());
        Ok(places.into_iter().enumerate().map(text).collect())
    }
}

fn check(holds: bool) -> Result<(), Damaged> {
    if holds { Ok(()) } else { Err(Damaged::Form) }
}

fn within(numbers: &[u32], below: usize) -> bool {
    numbers.iter().all(|number| (*number as usize) < below)
}

fn named(numbers: &[u16], names: &Names) -> bool {
    let known = |number: &u16| *number == NONE || usize::from(*number) < names.all.len();
    numbers.iter().all(known)
}

impl Table {
    /// The bytes of a file with this table.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Writer(Vec::with_capacity(self.bytes() + HEAD + 1_024));
        out.0.extend_from_slice(MAGIC);
        out.0.extend_from_slice(&VERSION.to_le_bytes());
        out.0.extend_from_slice(&[0; 32]);
        out.0.push(u8::from(self.case == Case::Insensitive));
        self.codes.write(&mut out);
        out.numbers(&self.by_code);
        self.displays.write(&mut out);
        self.definitions.write(&mut out);
        out.bytes(&self.flags);
        self.parents.write(&mut out);
        out.numbers(&self.parent_rows);
        self.children.write(&mut out);
        out.numbers(&self.child_rows);
        self.designations.write(&mut out);
        self.languages.all.write(&mut out);
        self.uses.all.write(&mut out);
        out.small(&self.designation_language);
        out.small(&self.designation_use);
        self.designation_values.write(&mut out);
        self.properties.write(&mut out);
        self.property_names.all.write(&mut out);
        out.small(&self.property_name);
        out.bytes(&self.property_kind);
        out.numbers(&self.property_value);
        self.values.write(&mut out);
        out.texts(&self.extensions);
        out.texts(&self.designation_extensions);
        let digest = Sha256::digest(out.0.get(HEAD..).unwrap_or_default());
        if let Some(place) = out.0.get_mut(12..HEAD) {
            place.copy_from_slice(&digest);
        }
        out.0
    }

    /// The table in the bytes of a file.
    pub fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        let (head, body) = bytes.split_at_checked(HEAD).ok_or(Damaged::Other)?;
        let mut head = Reader(head);
        if head.take(8)? != MAGIC {
            return Err(Damaged::Other);
        }
        let mut version = [0; 4];
        version.copy_from_slice(head.take(4)?);
        let version = u32::from_le_bytes(version);
        if version != VERSION {
            return Err(Damaged::Version(version));
        }
        if head.take(32)? != Sha256::digest(body).as_slice() {
            return Err(Damaged::Checksum);
        }
        let from = &mut Reader(body);
        let case = match from.take(1)? {
            [0] => Case::Sensitive,
            _ => Case::Insensitive,
        };
        let table = Self::sections(from, case)?;
        check(from.0.is_empty())?;
        Ok(table)
    }

    fn sections(from: &mut Reader<'_>, case: Case) -> Result<Self, Damaged> {
        let codes = Strings::read(from)?;
        let concepts = codes.len();
        let by_code = from.numbers()?;
        check(by_code.len() == concepts && within(&by_code, concepts))?;
        let displays = Strings::read(from)?;
        let definitions = Strings::read(from)?;
        let flags = from.bytes()?.to_vec();
        check([displays.len(), definitions.len(), flags.len()] == [concepts; 3])?;
        let (parents, rows) = Runs::read(from, concepts)?;
        let parent_rows = from.numbers()?;
        check(parent_rows.len() == rows && within(&parent_rows, concepts))?;
        let (children, rows) = Runs::read(from, concepts)?;
        let child_rows = from.numbers()?;
        check(child_rows.len() == rows && within(&child_rows, concepts))?;
        let (designations, rows) = Runs::read(from, concepts)?;
        let names = |from: &mut Reader<'_>| Strings::read(from).map(|all| Names { all });
        let languages = names(from)?;
        let uses = names(from)?;
        let designation_language = from.small()?;
        let designation_use = from.small()?;
        let designation_values = Strings::read(from)?;
        let lengths = [designation_language.len(), designation_use.len()];
        check(lengths == [rows; 2] && designation_values.len() == rows)?;
        check(named(&designation_language, &languages) && named(&designation_use, &uses))?;
        let (properties, property_rows) = Runs::read(from, concepts)?;
        let property_names = names(from)?;
        let property_name = from.small()?;
        let property_kind = from.bytes()?.to_vec();
        let property_value = from.numbers()?;
        let values = Strings::read(from)?;
        let lengths = [
            property_name.len(),
            property_kind.len(),
            property_value.len(),
        ];
        check(lengths == [property_rows; 3] && named(&property_name, &property_names))?;
        check(within(&property_value, values.len()))?;
        check(
            property_kind
                .iter()
                .all(|kind| usize::from(*kind) < ValueKind::ALL.len()),
        )?;
        Ok(Self {
            case,
            codes,
            by_code,
            displays,
            definitions,
            flags,
            parents,
            parent_rows,
            children,
            child_rows,
            designations,
            languages,
            uses,
            designation_language,
            designation_use,
            designation_values,
            properties,
            property_names,
            property_name,
            property_kind,
            property_value,
            values,
            extensions: from.texts(concepts)?,
            designation_extensions: from.texts(rows)?,
        })
    }
}
