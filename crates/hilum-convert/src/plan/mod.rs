//! What the rows compile to: places, tests and ways of values, all found by number.
//!
//! A map is compiled once for each type that it fills (`CQ -> Quantity` fills a `Duration` too), so
//! that running it looks no name up.

mod codes;
mod compile;
mod condition;
mod facts;
mod identity;
pub(crate) mod merge;
mod message;
mod own;
mod portions;
mod reads;
mod rows;
pub(crate) mod source;
pub(crate) mod target;

use std::collections::HashMap;

use hilum_fhir::definitions::{Child, PrimitiveKind, TypeId};
use regex::Regex;

pub(crate) use compile::compile;
pub(crate) use condition::regex as condition_regex;
pub(crate) use message::newest;

use crate::problem::Spot;
use crate::text::{Compare, Function, Given, How, MapName};

/// The number of something in a plan.
pub(crate) type Number = u32;

/// The place of a row in the map files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowId {
    pub(crate) file: u32,
    pub(crate) spot: Spot,
}

/// A map made ready.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) name: MapName,
    /// The source is a segment and not a value.
    pub(crate) is_segment: bool,
    /// Place 0 is the target of the map.
    pub(crate) places: Vec<PlaceDef>,
    /// Elements of the resource itself that have a name: the maps of one resource share them.
    pub(crate) named: Vec<(Number, Box<str>)>,
    pub(crate) rows: Vec<Row>,
    /// Of each row the field or component of what the map is run for without which it does nothing;
    /// 0 where there is none.
    pub(crate) asked: Vec<u32>,
    /// Of each row the number of a condition that the segment answers and without which it does
    /// nothing; [`NO_FACT`] where there is none.
    pub(crate) guards: Vec<Number>,
    /// The components for which the map looks beyond the value or writes beyond its target; `None`
    /// where it always does.
    pub(crate) beyond: Option<Vec<u32>>,
    /// Its rows by the elements that they fill; none of a map that is not one of a segment, or whose
    /// rows cannot be told apart.
    pub(crate) portions: Portions,
}

/// The rows of a map by the elements that they fill.
#[derive(Debug, Default)]
pub(crate) struct Portions {
    pub(crate) groups: Vec<Portion>,
    /// Of each row of the map.
    pub(crate) reads: Vec<RowReads>,
    /// The segments beside the one at hand that are read.
    pub(crate) others: Vec<[u8; 3]>,
}

/// Rows that fill the same elements.
#[derive(Debug)]
pub(crate) struct Portion {
    /// In the order of the map.
    pub(crate) rows: Vec<Number>,
    /// The fields without which one of them does nothing.
    pub(crate) asked: Fields,
}

/// What a row reads of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowReads {
    /// To find out that its condition does not hold.
    pub(crate) test: Reads,
    /// Otherwise.
    pub(crate) all: Reads,
}

/// What is read of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reads {
    /// Fields of the segment at hand.
    pub(crate) own: Fields,
    /// Other segments, a bit for each of those that the map reads.
    pub(crate) others: u32,
    /// And more, which cannot be told.
    pub(crate) beyond: bool,
}

/// No condition.
pub(crate) const NO_FACT: Number = Number::MAX;

/// A place that rows of one map write to.
#[derive(Debug)]
pub(crate) struct PlaceDef {
    pub(crate) parent: Number,
    pub(crate) step: PlaceStep,
    /// What is there.
    pub(crate) child: Child,
    /// The primitive that it is.
    pub(crate) primitive: Option<PrimitiveKind>,
    /// Each repetition of the source has its own.
    pub(crate) each: bool,
    /// Each value has its own: the last element of a list, without a slot.
    pub(crate) fresh: bool,
    /// It or a place above it is one for each repetition.
    pub(crate) per_value: bool,
}

/// How a place is found from the one above it.
#[derive(Debug)]
pub(crate) enum PlaceStep {
    /// The target of the map.
    Target,
    /// The one element of this name.
    Single,
    /// A new element of a list: one for a run of the map, or one for each value.
    Append,
    /// The extension with this URL.
    Extension { url: Box<str>, url_child: Child },
    /// Another resource; `child` of the place is its root.
    Refer { reference: Reference, ty: TypeId },
    /// Another resource that refers to the target.
    Back { reference: Reference, ty: TypeId },
}

/// An element that holds a reference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    pub(crate) child: Child,
    pub(crate) text: Child,
    pub(crate) list: bool,
}

/// A row made ready.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: RowId,
    pub(crate) source: Src,
    /// More than one repetition may be written.
    pub(crate) many: bool,
    /// The source has a simple type: separators in it are text.
    pub(crate) whole: bool,
    pub(crate) condition: Option<Cond>,
    pub(crate) place: Number,
    pub(crate) way: Way,
}

/// A segment that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegRef {
    /// The one at hand.
    Own,
    /// The one with this id in the innermost group that has one.
    Other([u8; 3]),
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Src {
    /// Nothing; the row runs once.
    Once,
    /// A segment as a whole.
    Segment(SegRef),
    /// A field or what is in it.
    Field {
        segment: SegRef,
        field: u32,
        repetition: Option<u32>,
        component: u32,
        subcomponent: u32,
        /// It is the field of the row's own source: the repetition at hand is meant.
        own: bool,
    },
    /// The value at hand or what is in it.
    Value { component: u32, subcomponent: u32 },
}

/// A condition made ready.
#[derive(Debug)]
pub(crate) enum Cond {
    And(Vec<Cond>),
    Or(Vec<Cond>),
    Not(Box<Cond>),
    Valued(Src),
    Empty(Src),
    TargetEmpty,
    TargetExists,
    Same(Src, Compare, Src),
    Text(Src, Compare, Box<str>),
    In(Src, Vec<Box<str>>),
    Count(Src, Compare, u32),
    Length(Src, Compare, u32),
    StartsWith(Src, Box<str>),
    EndsWith(Src, Box<str>),
    Contains(Src, Box<str>),
    Matches(Src, Regex),
    Decimal(Src),
    Setting(Setting, Compare, Box<str>),
    SettingIn(Setting, Vec<Box<str>>),
    SettingExists(Setting),
    /// A condition whose answer is kept for the segment, or the repetition, at hand.
    Fact {
        number: Number,
        per_repetition: bool,
        of: Box<Cond>,
    },
}

impl Cond {
    /// What a condition itself looks at, without those that it is made of.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Src> {
        let (one, other) = match self {
            Self::Valued(src)
            | Self::Empty(src)
            | Self::Text(src, ..)
            | Self::In(src, _)
            | Self::Count(src, ..)
            | Self::Length(src, ..)
            | Self::StartsWith(src, _)
            | Self::EndsWith(src, _)
            | Self::Contains(src, _)
            | Self::Matches(src, _)
            | Self::Decimal(src) => (Some(src), None),
            Self::Same(left, _, right) => (Some(left), Some(right)),
            Self::And(_)
            | Self::Or(_)
            | Self::Not(_)
            | Self::Fact { .. }
            | Self::TargetEmpty
            | Self::TargetExists
            | Self::Setting(..)
            | Self::SettingIn(..)
            | Self::SettingExists(_) => (None, None),
        };
        one.into_iter().chain(other)
    }
}

/// A setting that conditions ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Country,
    Profile,
    Software,
}

impl Setting {
    pub(crate) const ALL: &'static [(&'static str, Self)] = &[
        ("country", Self::Country),
        ("profile", Self::Profile),
        ("software", Self::Software),
    ];
}

/// How a value gets to its place.
#[derive(Debug)]
pub(crate) enum Way {
    Type,
    Constant(Box<str>),
    Map {
        /// Where the value stands, if not at the source of the row.
        of: Option<Src>,
        map: Number,
        codes: Option<CodesUse>,
    },
    Codes(CodesUse),
    /// A reference to a resource of the message, by the text in the Reference.
    Role(Number, Child),
    Given(Given),
    Capture(Regex, Option<CodesUse>),
    Function(Function, Vec<Joined>, Option<CodesUse>),
}

/// A part of a text that is put together.
#[derive(Debug)]
pub(crate) enum Joined {
    Path(Src),
    Text(Box<str>),
}

/// A table of codes, and the elements that it fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodesUse {
    pub(crate) table: Number,
    pub(crate) into: CodesInto,
}

/// What a code is written to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CodesInto {
    /// A primitive.
    Primitive,
    /// A Coding.
    Coding(Coding),
    /// The first coding of a CodeableConcept.
    Concept { coding: Child, inside: Coding },
}

/// The elements of a Coding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coding {
    pub(crate) system: Child,
    pub(crate) code: Child,
    pub(crate) display: Child,
}

/// A table of codes made ready.
#[derive(Debug)]
pub(crate) struct CodeTable {
    pub(crate) name: String,
    pub(crate) from: Option<Box<str>>,
    pub(crate) rows: Vec<CodeTarget>,
    /// Rows of a code, in the order of the file.
    pub(crate) by_code: HashMap<Box<str>, Vec<Number>>,
    /// The same without regard to case.
    pub(crate) by_lower: HashMap<Box<str>, Vec<Number>>,
    /// The row `*`.
    pub(crate) other: Option<Number>,
}

impl CodeTable {
    /// Rows of a code: exactly as it stands, else without regard to case where no two codes of the
    /// table differ in nothing else.
    pub(crate) fn rows_of(&self, code: &str) -> impl Iterator<Item = &CodeTarget> {
        let exact = self.by_code.get(code);
        let rows = exact.or_else(|| self.by_lower.get(code.to_lowercase().as_str()));
        let rows = rows.map(Vec::as_slice).unwrap_or_default();
        rows.iter().filter_map(|row| self.rows.get(*row as usize))
    }
}

/// A row of a table of codes.
#[derive(Debug)]
pub(crate) struct CodeTarget {
    pub(crate) condition: Option<Cond>,
    pub(crate) code: Option<Box<str>>,
    pub(crate) system: Option<Box<str>>,
    pub(crate) display: Option<Box<str>>,
}

/// The rows of one structure.
#[derive(Debug)]
pub(crate) struct MessagePlan {
    /// The structure whose nodes these are.
    pub(crate) structure: &'static str,
    pub(crate) rows: Vec<SegmentRow>,
    /// Rows of a node of the structure.
    pub(crate) by_node: Vec<Vec<Number>>,
    /// Rows of a segment, wherever it stands.
    pub(crate) by_segment: HashMap<[u8; 3], Vec<Number>>,
    /// Fields of a segment that some row reads.
    pub(crate) reads: HashMap<[u8; 3], Fields>,
}

/// A set of field numbers; those above 127 are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(pub(crate) u128);

impl Fields {
    const fn bit(field: u32) -> u128 {
        1 << if field > 127 { 127 } else { field }
    }

    pub(crate) const fn add(&mut self, field: u32) {
        self.0 |= Self::bit(field);
    }

    pub(crate) const fn has(self, field: u32) -> bool {
        self.0 & Self::bit(field) != 0
    }
}

/// A role, by number.
#[derive(Debug)]
pub(crate) struct RoleDef {
    pub(crate) ty: TypeId,
}

/// A row of a message made ready.
#[derive(Debug)]
pub(crate) struct SegmentRow {
    pub(crate) role: Number,
    /// The role is the Bundle itself.
    pub(crate) is_bundle: bool,
    pub(crate) each: bool,
    pub(crate) condition: Option<Cond>,
    pub(crate) map: Option<Number>,
    pub(crate) holders: Vec<Holder>,
    /// Groups of its path, for a segment that stands elsewhere.
    pub(crate) depth: u32,
}

/// A resource that links are written to.
#[derive(Debug)]
pub(crate) struct Holder {
    /// The role; `None` for the row's own resource.
    pub(crate) role: Option<Number>,
    pub(crate) places: Vec<PlaceDef>,
    pub(crate) links: Vec<LinkDef>,
}

/// A link made ready.
#[derive(Debug)]
pub(crate) struct LinkDef {
    pub(crate) place: Number,
    /// The text in the Reference; of a constant the primitive itself.
    pub(crate) text: Child,
    pub(crate) to: LinkEnd,
}

/// The end of a link.
#[derive(Debug)]
pub(crate) enum LinkEnd {
    This,
    Role(Number),
    Text(Box<str>),
}

/// A row of the identity made ready.
#[derive(Debug)]
pub(crate) struct IdentityDef {
    pub(crate) ty: TypeId,
    pub(crate) key: KeyDef,
    pub(crate) condition: Option<Cond>,
    pub(crate) how: How,
}

/// How a resource is known again.
#[derive(Debug)]
pub(crate) enum KeyDef {
    /// An Identifier, by the way of elements to it, and the code of its type where only one will do.
    Element(Vec<Child>, Option<Box<str>>),
    /// Texts, which become an identifier.
    Join(Vec<Joined>),
    /// All that it says.
    Content,
    None,
}

/// Everything made ready.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The names of the files.
    pub(crate) files: Vec<String>,
    pub(crate) maps: Vec<Map>,
    pub(crate) codes: Vec<CodeTable>,
    pub(crate) roles: Vec<RoleDef>,
    pub(crate) messages: Vec<MessagePlan>,
    pub(crate) by_structure: HashMap<String, Number>,
    pub(crate) identity: Vec<IdentityDef>,
    /// How many conditions have a number.
    pub(crate) facts: usize,
}
