//! Index rows as the caller gives them: what a parameter says about a resource, not yet normalised.

use std::fmt;

use crate::id::{ParamKey, ResourceType};

/// One value of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexRow {
    /// The parameter.
    pub param: ParamKey,
    /// The value.
    pub value: IndexValue,
}

impl IndexRow {
    /// What the parameters of a contained resource's type say about it: its type with the type's
    /// name, its id, its rows.
    #[must_use]
    pub fn contained(of: ResourceType, resource_type: &str, id: &str, rows: Vec<Self>) -> Self {
        Self {
            param: ParamKey(crate::entry::contained(of.0)),
            value: IndexValue::Contained {
                resource_type: resource_type.to_owned(),
                id: id.to_owned(),
                rows,
            },
        }
    }
}

/// A value by kind, as it stands in the resource; the store folds, hashes and rounds it.
#[derive(Clone, PartialEq)]
pub enum IndexValue {
    /// A code, identifier, boolean or contact point.
    Token {
        /// Its system, if any.
        system: Option<String>,
        /// Its code or value, if any.
        code: Option<String>,
    },
    /// Text that `:text` of a token parameter finds (display, text).
    TokenText(String),
    /// An identifier with its type, for `:of-type`.
    OfType {
        /// System of the type's coding.
        system: Option<String>,
        /// Code of the type's coding.
        code: String,
        /// The identifier's value.
        value: String,
    },
    /// Text for people.
    String(String),
    /// A date or period, half open, in milliseconds since 1970 UTC; `i64::MIN` and `i64::MAX` are
    /// open ends.
    Date {
        /// First millisecond.
        start_ms: i64,
        /// First millisecond after it.
        end_ms: i64,
    },
    /// A number or a range, both ends included; infinities are open ends.
    Number {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// A number with a unit, both ends included; infinities are open ends.
    Quantity {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// The unit's system.
        system: Option<String>,
        /// The unit's code.
        code: Option<String>,
        /// The unit for people.
        unit: Option<String>,
    },
    /// A reference to a resource of this server.
    Reference {
        /// The type's name.
        resource_type: String,
        /// The id.
        id: String,
    },
    /// A reference to elsewhere, or a canonical one (then without its version).
    ReferenceUrl {
        /// The URL.
        url: String,
        /// Its version, if it has one.
        version: Option<String>,
    },
    /// A logical reference, for `:identifier`.
    ReferenceIdentifier {
        /// The identifier's system.
        system: Option<String>,
        /// The identifier's value.
        value: Option<String>,
    },
    /// A URI.
    Uri(String),
    /// The values of a composite's components, one tuple each; a component with several values has
    /// all of them in its place.
    Composite(Vec<CompositePart>),
    /// A contained resource, made by [`IndexRow::contained`].
    Contained {
        /// The type's name.
        resource_type: String,
        /// Its id within the resource, without `#`.
        id: String,
        /// Its own rows.
        rows: Vec<IndexRow>,
    },
    /// Text whose words are found: of the narrative for a parameter with the code `_text`, of
    /// everything for `_content`.
    FullText(String),
}

/// The values of one component of a composite.
#[derive(Clone, PartialEq)]
pub struct CompositePart(pub Vec<IndexValue>);

impl fmt::Debug for CompositePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// Only the kind, never the content.
impl fmt::Debug for IndexValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token { .. } => "Token",
            Self::TokenText(_) => "TokenText",
            Self::OfType { .. } => "OfType",
            Self::String(_) => "String",
            Self::Date { .. } => "Date",
            Self::Number { .. } => "Number",
            Self::Quantity { .. } => "Quantity",
            Self::Reference { .. } => "Reference",
            Self::ReferenceUrl { .. } => "ReferenceUrl",
            Self::ReferenceIdentifier { .. } => "ReferenceIdentifier",
            Self::Uri(_) => "Uri",
            Self::Composite(_) => "Composite",
            Self::Contained { .. } => "Contained",
            Self::FullText(_) => "FullText",
        })
    }
}
