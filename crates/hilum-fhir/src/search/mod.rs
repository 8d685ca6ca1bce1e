//! What searches find a resource by (FHIR R4 search.html).
//!
//! A [`ParamSet`] holds the parameters of R4 and those added at run time; [`extract`] gives what
//! they say about a resource, as it stands there: nothing is folded, hashed or converted, which is
//! the index's work.
//!
//! A parameter of the standard is a path through the tables, so taking it out is a walk over a few
//! nodes; an expression that is more than that is evaluated as FHIRPath.
//!
//! It knows no URL of a request: reading a search is the server's work.

mod custom;
mod date;
mod params;
mod reference;
mod text;
mod value;
mod way;

use std::borrow::Cow;
use std::fmt;

pub use date::{date_range_ms, instant_ms};
pub use params::{CustomParam, ParamError, ParamId, ParamSet, SearchParam};
pub use reference::{ReferenceTarget, parse_reference};
pub use text::{content_text, narrative_text};
pub use value::{Extracted, below_mime_type, extract};

/// A value that a search finds, as it stands in the resource.
#[derive(Clone, PartialEq)]
pub enum SearchValue<'r> {
    /// A code, identifier, flag or contact point.
    Token {
        /// Its system; of a code with a required binding, the one it comes from.
        system: Option<Cow<'r, str>>,
        /// The code or value.
        code: Option<Cow<'r, str>>,
        /// The words for people, for `:text`.
        text: Option<Cow<'r, str>>,
    },
    /// An identifier with a coding of its type, for `:of-type`.
    OfType {
        /// The system of the type.
        system: Option<Cow<'r, str>>,
        /// The code of the type.
        code: Cow<'r, str>,
        /// The identifier's value.
        value: Cow<'r, str>,
    },
    /// Text for people.
    String(Cow<'r, str>),
    /// A date or period, half open, in milliseconds since 1970 UTC; `i64::MIN` and `i64::MAX` are
    /// open ends. Without a zone, UTC is assumed.
    Date {
        /// First millisecond.
        start_ms: i64,
        /// First millisecond after it.
        end_ms: i64,
    },
    /// A number, or a range with both ends included; infinities are open ends.
    Number {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// A number with a unit, or a range with both ends included; infinities are open ends.
    Quantity {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// The unit's system; `urn:iso:std:iso:4217` of money.
        system: Option<Cow<'r, str>>,
        /// The unit's code.
        code: Option<Cow<'r, str>>,
        /// The unit for people.
        unit: Option<Cow<'r, str>>,
    },
    /// A reference.
    Reference(Box<ReferenceValue<'r>>),
    /// A URI, a canonical one with its version.
    Uri(Cow<'r, str>),
    /// One tuple of a composite: for each component what it has there.
    Composite(Vec<Vec<Self>>),
}

/// A text that may be absent.
pub type MaybeText<'r> = Option<Cow<'r, str>>;

/// A reference as far as it says what it points to.
#[derive(Clone, PartialEq, Default)]
pub struct ReferenceValue<'r> {
    /// The type, from the URL or from `Reference.type`.
    pub resource_type: Option<Cow<'r, str>>,
    /// The logical id, from the URL.
    pub id: Option<Cow<'r, str>>,
    /// The version, from the URL or behind `|`.
    pub version: Option<Cow<'r, str>>,
    /// The URL without version, where it is absolute (`http:`, `urn:`) or a canonical one; `#id` of
    /// a contained resource.
    pub url: Option<Cow<'r, str>>,
    /// System and value of the logical identifier, for `:identifier`.
    pub identifier: Option<(MaybeText<'r>, MaybeText<'r>)>,
}

/// The kind only, never the content.
impl fmt::Debug for SearchValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token { .. } => "Token",
            Self::OfType { .. } => "OfType",
            Self::String(_) => "String",
            Self::Date { .. } => "Date",
            Self::Number { .. } => "Number",
            Self::Quantity { .. } => "Quantity",
            Self::Reference(_) => "Reference",
            Self::Uri(_) => "Uri",
            Self::Composite(_) => "Composite",
        })
    }
}

/// The type only, never the content.
impl fmt::Debug for ReferenceValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReferenceValue")
            .field("resource_type", &self.resource_type)
            .finish_non_exhaustive()
    }
}
