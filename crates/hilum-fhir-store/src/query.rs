//! A search, as the store understands it: parameters are keys, values are parsed.

use std::fmt;

use crate::id::{ParamKey, Pk, ResourceType, Seq};

/// A search.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The types that are looked for; empty is all.
    pub types: Vec<ResourceType>,
    /// All of these must hold.
    pub criteria: Vec<Criterion>,
    /// The order; empty is the order of creation.
    pub sort: Vec<SortKey>,
    /// Matches of a page; 0 is allowed and only counts.
    pub count: u32,
    /// Where the page begins.
    pub after: Option<Cursor>,
    /// Whether to count all matches.
    pub total: Total,
}

/// Whether to count all matches (`_total`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Total {
    /// No.
    #[default]
    None,
    /// If it costs little.
    Estimate,
    /// Exactly.
    Accurate,
}

/// A condition on a resource. Where several parameters are given (one for each type of a search
/// over types, or the parameters of a compartment), any of them may fulfil it.
#[derive(Clone, Debug)]
pub enum Criterion {
    /// A parameter's value passes a test.
    Param {
        /// The parameters.
        params: Vec<ParamKey>,
        /// The test.
        test: Test,
    },
    /// No value of the parameters passes the test, or there is none (`:not`).
    ParamNot {
        /// The parameters.
        params: Vec<ParamKey>,
        /// The test.
        test: Test,
    },
    /// The parameter has no value (`true`) or has one (`false`) (`:missing`).
    Missing {
        /// The parameters.
        params: Vec<ParamKey>,
        /// Whether it must be missing.
        missing: bool,
    },
    /// A referenced resource fulfils conditions.
    Chain(Box<Chain>),
    /// A referencing resource fulfils conditions.
    Has(Box<Has>),
    /// A resource that it contains fulfils conditions (`_contained`).
    Contained(Box<Contained>),
    /// Its id is one of these (`_id`).
    Ids(Vec<String>),
    /// It is one of these resources (`_list`).
    Resources(Vec<(ResourceType, String)>),
    /// Its last change was then (`_lastUpdated`).
    LastUpdated(Vec<IntervalTest>),
    /// It is of one of these types (`_type`, compartments over types).
    Types(Vec<ResourceType>),
    /// All hold.
    And(Vec<Self>),
    /// One holds.
    Or(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
}

/// A condition on a resource that is contained. Chains lead out of it; `_has`, full text and another
/// such condition are not understood.
#[derive(Clone, Debug)]
pub struct Contained {
    /// Its types.
    pub types: Vec<ResourceType>,
    /// What it must fulfil.
    pub criteria: Vec<Criterion>,
}

/// A condition on the resource that a parameter references (`subject:Patient.name=peter`), also if it
/// is contained in the one that refers to it.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The reference parameters.
    pub params: Vec<ParamKey>,
    /// The types of the referenced resource; empty is all.
    pub types: Vec<ResourceType>,
    /// What it must fulfil.
    pub criteria: Vec<Criterion>,
}

/// A condition on a resource that references this one (`_has:Observation:patient:code=1234-5`).
#[derive(Clone, Debug)]
pub struct Has {
    /// The type of the referencing resource.
    pub resource_type: ResourceType,
    /// Its reference parameters.
    pub params: Vec<ParamKey>,
    /// What it must fulfil.
    pub criteria: Vec<Criterion>,
}

/// What a parameter's value must be; of several alternatives one is enough.
#[derive(Clone)]
pub enum Test {
    /// A token.
    Token(Vec<TokenTest>),
    /// Text of a token begins with one of these (`:text`).
    TokenText(Vec<String>),
    /// An identifier of a type (`:of-type`): system and code of the type, value.
    OfType(Vec<(Option<String>, String, String)>),
    /// A string.
    String(StringMode, Vec<String>),
    /// A date; half-open ranges in milliseconds.
    Date(Vec<IntervalTest>),
    /// A number.
    Number(Vec<NumberTest>),
    /// A quantity.
    Quantity(Vec<QuantityTest>),
    /// A reference.
    Reference(Vec<ReferenceTest>),
    /// The identifier of a logical reference (`:identifier`).
    ReferenceIdentifier(Vec<TokenTest>),
    /// A URI.
    Uri(UriMode, Vec<String>),
    /// A composite: alternatives, each with one test for each component.
    Composite(Vec<Vec<Self>>),
    /// Words of the full text, all of which must occur.
    FullText(Vec<String>),
}

/// Only the kind and the number of alternatives, never their content.
impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, count) = match self {
            Self::Token(of) => ("Token", of.len()),
            Self::TokenText(of) => ("TokenText", of.len()),
            Self::OfType(of) => ("OfType", of.len()),
            Self::String(_, of) => ("String", of.len()),
            Self::Date(of) => ("Date", of.len()),
            Self::Number(of) => ("Number", of.len()),
            Self::Quantity(of) => ("Quantity", of.len()),
            Self::Reference(of) => ("Reference", of.len()),
            Self::ReferenceIdentifier(of) => ("ReferenceIdentifier", of.len()),
            Self::Uri(_, of) => ("Uri", of.len()),
            Self::Composite(of) => ("Composite", of.len()),
            Self::FullText(of) => ("FullText", of.len()),
        };
        write!(f, "{kind}({count})")
    }
}

/// One alternative of a token search (FHIR R4 search.html#token).
#[derive(Clone, PartialEq, Eq)]
pub enum TokenTest {
    /// `code`: this code in any system or none.
    Code(String),
    /// `system|code`.
    SystemCode(String, String),
    /// `|code`: this code without a system.
    NoSystem(String),
    /// `system|`: any code of this system.
    System(String),
}

/// How a string is compared (FHIR R4 search.html#string).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringMode {
    /// The value begins with it; case and accents do not matter.
    Prefix,
    /// The value is exactly it (`:exact`).
    Exact,
    /// The value is it; case and accents do not matter (`eq` of a `_filter`).
    Equal,
    /// It occurs in the value; case and accents do not matter (`:contains`).
    Contains,
    /// The value ends with it; case and accents do not matter (`ew` of a `_filter`).
    Suffix,
}

/// How a URI is compared (FHIR R4 search.html#uri).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriMode {
    /// The same.
    Equal,
    /// The value is it or one of its ancestors by path (`:above`).
    Above,
    /// The value is it or below it by path (`:below`).
    Below,
}

/// Comparison of ordered values (FHIR R4 search.html#prefix).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefix {
    /// The value lies within the searched range.
    #[default]
    Eq,
    /// It does not.
    Ne,
    /// Some of the value lies above.
    Gt,
    /// Some of the value lies below.
    Lt,
    /// As `Gt`, or within.
    Ge,
    /// As `Lt`, or within.
    Le,
    /// All of the value lies above.
    Sa,
    /// All of the value lies below.
    Eb,
    /// The value overlaps the searched range, which the caller (dates) or the store (numbers: ten
    /// per cent) has widened.
    Ap,
}

/// A comparison with a range of time, half open, in milliseconds since 1970 UTC.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IntervalTest {
    /// How.
    pub prefix: Prefix,
    /// First millisecond.
    pub start_ms: i64,
    /// First millisecond after it.
    pub end_ms: i64,
}

/// A comparison with a number as it was written, because its digits say how precise it is.
#[derive(Clone, PartialEq, Eq)]
pub struct NumberTest {
    /// How.
    pub prefix: Prefix,
    /// The decimal (`5.40`, `1e3`).
    pub value: String,
}

/// The unit of a quantity search.
#[derive(Clone, PartialEq, Eq)]
pub enum UnitTest {
    /// Any unit (`5.4`).
    Any,
    /// This unit (`5.4|http://unitsofmeasure.org|mg`); UCUM units are compared by what they mean.
    System(String, String),
    /// This code or unit text in any system (`5.4||mg`).
    Code(String),
}

/// A comparison with a quantity.
#[derive(Clone, PartialEq, Eq)]
pub struct QuantityTest {
    /// The number.
    pub number: NumberTest,
    /// The unit.
    pub unit: UnitTest,
}

/// One alternative of a reference search.
#[derive(Clone, PartialEq, Eq)]
pub enum ReferenceTest {
    /// A resource of this server; without a type, of any type that the parameter allows.
    Local(Vec<ResourceType>, String),
    /// A resource elsewhere, or a canonical URL with an optional `|version`.
    Url(String),
}

macro_rules! masked {
    ($($name:ident),+) => {$(
        /// Masked: it holds content.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}
masked!(
    TokenTest,
    IntervalTest,
    NumberTest,
    UnitTest,
    QuantityTest,
    ReferenceTest,
    SortValue
);

/// What to sort by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// A parameter (one for each type of the search).
    Param(Vec<ParamKey>),
    /// `_id`.
    Id,
    /// `_lastUpdated`.
    LastUpdated,
}

/// Which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// One key of the order; resources without a value come last either way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// By what.
    pub by: SortBy,
    /// Which way.
    pub direction: Direction,
}

/// Where a page begins: behind the last match of the page before, or where it ends: before the first
/// match of the page that follows it, among what existed when the first page was read.
///
/// It holds sort values, which are content: only `Store::seal_cursor` makes text for a URL of it.
#[derive(Clone, PartialEq)]
pub struct Cursor {
    /// The last change that the first page could see.
    pub(crate) seq: Seq,
    /// The sort values of that match.
    pub(crate) keys: Vec<SortValue>,
    /// That match.
    pub(crate) last: Pk,
    /// The page ends before it.
    pub(crate) back: bool,
}

impl Cursor {
    /// Whether the page ends before a match, so that it is not the first one although it may begin
    /// where the first one does.
    #[must_use]
    pub const fn is_back(&self) -> bool {
        self.back
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.back { "before" } else { "after" };
        write!(f, "Cursor({side} {})", self.last.0)
    }
}

/// A value that matches are ordered by.
#[derive(Clone, PartialEq, PartialOrd)]
pub(crate) enum SortValue {
    /// Dates, numbers, quantities.
    Ordinal(i64),
    /// Strings, codes, URIs.
    Text(Box<str>),
    /// No value: last in either direction.
    Missing,
}
