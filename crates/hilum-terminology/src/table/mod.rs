//! The concepts of one code system as columns.
//!
//! A table holds half a million concepts with two million designations in little more than their
//! texts: each kind of text is one allocation with a number of four bytes per text, codes of
//! properties, languages and uses are numbered, and what belongs to a concept is a run of rows.
//! Codes are found by binary search over their order. A table never changes, and [`Table::write`]
//! and [`Table::read`] keep it in a file (`file` describes the form).

mod build;
mod file;
mod kept;
mod places;
mod strings;

pub use build::{Full, TableBuilder};
pub use file::Damaged;
pub(crate) use file::{Reader, Writer};
pub use places::Places;

use strings::{Runs, Strings};

/// A concept of a table, by its place in the order of definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(pub(crate) u32);

impl At {
    /// Its place, from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whether the case of letters matters in codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// `a` and `A` are two codes.
    #[default]
    Sensitive,
    /// `a` and `A` are one code.
    Insensitive,
}

/// What a concept is, beside its texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// Not to be used any more.
    pub const INACTIVE: Self = Self(1);
    /// Not to be chosen: it groups others (`notSelectable`).
    pub const ABSTRACT: Self = Self(2);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether everything of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The type of a property's value (FHIR R4 codesystem-definitions.html#CodeSystem.property.type).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ValueKind {
    /// A code of the same system.
    Code,
    /// A code of any system.
    Coding,
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A date with or without time.
    DateTime,
    /// A number with its digits.
    Decimal,
}

impl ValueKind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Code,
        Self::Coding,
        Self::String,
        Self::Integer,
        Self::Boolean,
        Self::DateTime,
        Self::Decimal,
    ];

    /// The name of the type in FHIR.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Coding => "Coding",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::DateTime => "dateTime",
            Self::Decimal => "decimal",
        }
    }

    /// The type with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_name() == name)
    }
}

/// A property of a concept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property<'t> {
    /// The code of the property.
    pub name: &'t str,
    /// The type of the value.
    pub kind: ValueKind,
    /// The value as text; of a Coding `system|code`.
    pub value: &'t str,
}

/// What a designation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use<'t> {
    /// The system of the code.
    pub system: &'t str,
    /// The code.
    pub code: &'t str,
    /// What people read.
    pub display: &'t str,
}

/// Another name of a concept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Designation<'t> {
    /// Its language (BCP 47).
    pub language: Option<&'t str>,
    /// What it is for.
    pub usage: Option<Use<'t>>,
    /// The name.
    pub value: &'t str,
    /// Its extensions as a JSON array, where it has some that say something.
    pub extensions: Option<&'t str>,
}

const NONE: u16 = u16::MAX;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    all: Strings,
}

/// The concepts of a code system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    case: Case,
    codes: Strings,
    /// Places in the order of their codes (folded where case does not matter).
    by_code: Vec<u32>,
    /// Empty where no concept has one.
    displays: Strings,
    definitions: Strings,
    flags: Vec<u8>,
    parents: Runs,
    parent_rows: Vec<u32>,
    children: Runs,
    child_rows: Vec<u32>,
    designations: Runs,
    languages: Names,
    uses: Names,
    designation_language: Vec<u16>,
    designation_use: Vec<u16>,
    designation_values: Strings,
    properties: Runs,
    property_names: Names,
    property_name: Vec<u16>,
    property_kind: Vec<u8>,
    property_value: Vec<u32>,
    /// Each value once.
    values: Strings,
    /// Extensions of concepts, by place, as JSON arrays.
    extensions: Vec<(u32, Box<str>)>,
    /// Extensions of designations, by row.
    designation_extensions: Vec<(u32, Box<str>)>,
}

impl Table {
    /// How many concepts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there is no concept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the case of letters matters.
    #[must_use]
    pub const fn case(&self) -> Case {
        self.case
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let strings = [
            &self.codes,
            &self.displays,
            &self.definitions,
            &self.designation_values,
            &self.values,
        ];
        let runs = [
            &self.parents,
            &self.children,
            &self.designations,
            &self.properties,
        ];
        let extensions = self.extensions.iter().chain(&self.designation_extensions);
        strings.iter().map(|of| of.bytes()).sum::<usize>()
            + runs.iter().map(|of| of.bytes()).sum::<usize>()
            + (self.by_code.len() + self.parent_rows.len() + self.child_rows.len()) * 4
            + self.designation_language.len() * 4
            + self.property_name.len() * 7
            + self.flags.len()
            + extensions.map(|(_, text)| text.len() + 24).sum::<usize>()
    }

    /// Every concept in the order of definition.
    pub fn all(&self) -> impl ExactSizeIterator<Item = At> + use<> {
        // A table has no more concepts than fit in a u32.
        (0..self.codes.len()).map(|at| At(at as u32))
    }

    /// The concept with a code.
    #[must_use]
    pub fn find(&self, code: &str) -> Option<At> {
        let found = match self.case {
            Case::Sensitive => self
                .by_code
                .binary_search_by(|at| self.codes.get(*at).cmp(code)),
            Case::Insensitive => {
                let wanted = fold(code);
                let order = |at: &u32| fold(self.codes.get(*at)).cmp(&wanted);
                self.by_code.binary_search_by(order)
            }
        };
        self.by_code.get(found.ok()?).copied().map(At)
    }

    /// Its code, as it is defined.
    #[must_use]
    pub fn code(&self, at: At) -> &str {
        self.codes.get(at.0)
    }

    /// What people read.
    #[must_use]
    pub fn display(&self, at: At) -> Option<&str> {
        Some(self.displays.get(at.0)).filter(|text| !text.is_empty())
    }

    /// What it means.
    #[must_use]
    pub fn definition(&self, at: At) -> Option<&str> {
        Some(self.definitions.get(at.0)).filter(|text| !text.is_empty())
    }

    /// Whether it is inactive, or abstract.
    #[must_use]
    pub fn flags(&self, at: At) -> Flags {
        Flags(self.flags.get(at.index()).copied().unwrap_or_default())
    }

    /// The concepts right above it.
    pub fn parents(&self, at: At) -> impl ExactSizeIterator<Item = At> + '_ {
        let rows = self.parent_rows.get(self.parents.get(at.0));
        rows.unwrap_or_default().iter().copied().map(At)
    }

    /// The concepts right below it, in the order of definition.
    pub fn children(&self, at: At) -> impl ExactSizeIterator<Item = At> + DoubleEndedIterator + '_ {
        let rows = self.child_rows.get(self.children.get(at.0));
        rows.unwrap_or_default().iter().copied().map(At)
    }

    /// Whether any concept is below another.
    #[must_use]
    pub fn has_hierarchy(&self) -> bool {
        !self.child_rows.is_empty()
    }

    /// Whether `above` subsumes `below` and is another concept.
    #[must_use]
    pub fn is_above(&self, above: At, below: At) -> bool {
        // Upwards, since few have many ancestors while some have half a million descendants.
        let mut seen: Vec<u32> = Vec::new();
        let mut open: Vec<u32> = self.parents(below).map(|at| at.0).collect();
        while let Some(next) = open.pop() {
            if next == above.0 {
                return true;
            }
            // Systems may contain circles.
            if let Err(place) = seen.binary_search(&next) {
                seen.insert(place, next);
                open.extend(self.parents(At(next)).map(|at| at.0));
            }
        }
        false
    }

    /// Everything below a concept, without itself, in the order of definition.
    #[must_use]
    pub fn below(&self, of: At) -> Places {
        let mut found = Places::none(self.len());
        let mut open: Vec<At> = self.children(of).collect();
        while let Some(at) = open.pop() {
            if at != of && found.insert(at) {
                open.extend(self.children(at));
            }
        }
        found
    }

    /// Everything above a concept, without itself.
    #[must_use]
    pub fn above(&self, of: At) -> Places {
        let mut found = Places::none(self.len());
        let mut open: Vec<At> = self.parents(of).collect();
        while let Some(at) = open.pop() {
            if at != of && found.insert(at) {
                open.extend(self.parents(at));
            }
        }
        found
    }

    /// Other names of a concept.
    pub fn designations(&self, at: At) -> impl Iterator<Item = Designation<'_>> {
        self.designations.get(at.0).map(|row| {
            let number = |column: &[u16]| column.get(row).copied().unwrap_or(NONE);
            let language = number(&self.designation_language);
            let usage = number(&self.designation_use);
            // Rows are numbered with u32.
            let row = row as u32;
            Designation {
                language: (language != NONE).then(|| self.languages.get(language)),
                usage: (usage != NONE).then(|| split_use(self.uses.get(usage))),
                value: self.designation_values.get(row),
                extensions: extension(&self.designation_extensions, row),
            }
        })
    }

    /// The properties of a concept.
    pub fn properties(&self, at: At) -> impl Iterator<Item = Property<'_>> {
        self.properties.get(at.0).filter_map(|row| {
            let name = self.property_name.get(row).copied()?;
            let kind = self.property_kind.get(row).copied()?;
            Some(Property {
                name: self.property_names.get(name),
                kind: *ValueKind::ALL.get(usize::from(kind))?,
                value: self.values.get(self.property_value.get(row).copied()?),
            })
        })
    }

    /// The values of one property of a concept.
    pub fn property<'t>(&'t self, at: At, name: &'t str) -> impl Iterator<Item = Property<'t>> {
        self.properties(at).filter(move |one| one.name == name)
    }

    /// Whether any concept may have a property of this name.
    #[must_use]
    pub fn has_property(&self, name: &str) -> bool {
        let names = 0..self.property_names.all.len();
        let mut names = names.filter_map(|at| u16::try_from(at).ok());
        names.any(|at| self.property_names.get(at) == name)
    }

    /// Its extensions as a JSON array.
    #[must_use]
    pub fn extensions(&self, at: At) -> Option<&str> {
        extension(&self.extensions, at.0)
    }
}

impl Names {
    fn get(&self, at: u16) -> &str {
        self.all.get(u32::from(at))
    }
}

/// A code without its case.
pub(crate) fn fold(code: &str) -> String {
    code.to_lowercase()
}

/// Between the parts of a use: no code has it.
const BETWEEN: char = '\u{1}';

fn split_use(text: &str) -> Use<'_> {
    let mut parts = text.split(BETWEEN);
    let mut next = || parts.next().unwrap_or_default();
    Use {
        system: next(),
        code: next(),
        display: next(),
    }
}

fn extension(all: &[(u32, Box<str>)], of: u32) -> Option<&str> {
    let at = all.binary_search_by_key(&of, |(at, _)| *at).ok()?;
    all.get(at).map(|(_, text)| &**text)
}
