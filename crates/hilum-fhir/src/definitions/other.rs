//! Search parameters, compartments and operations.

use super::TypeId;

/// A search parameter on a resource type, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SearchParamDefId(pub(super) u16);

impl SearchParamDefId {
    /// Its place in [`super::Definitions::all_search_params`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// FHIR R4 search.html#ptypes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SearchParamKind {
    /// A number.
    Number,
    /// A date, time or period.
    Date,
    /// Text.
    String,
    /// A code, identifier or flag.
    Token,
    /// A reference.
    Reference,
    /// Several parameters at once.
    Composite,
    /// A number with a unit.
    Quantity,
    /// A URI.
    Uri,
    /// Says itself how it works.
    Special,
}

impl SearchParamKind {
    /// The code (FHIR R4 valueset-search-param-type.html).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::String => "string",
            Self::Token => "token",
            Self::Reference => "reference",
            Self::Composite => "composite",
            Self::Quantity => "quantity",
            Self::Uri => "uri",
            Self::Special => "special",
        }
    }

    /// The kind with this code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    pub(super) const ALL: [Self; 9] = [
        Self::Number,
        Self::Date,
        Self::String,
        Self::Token,
        Self::Reference,
        Self::Composite,
        Self::Quantity,
        Self::Uri,
        Self::Special,
    ];
}

/// A search parameter on one resource type. A parameter that the standard defines on several types
/// is here once for each, with its expression cut to that type.
#[derive(Debug)]
pub struct SearchParamDef {
    /// Its place.
    pub id: SearchParamDefId,
    /// The name in a URL.
    pub code: &'static str,
    /// Its canonical URL.
    pub url: &'static str,
    /// How values are compared.
    pub kind: SearchParamKind,
    /// The type it is on; `Resource` and `DomainResource` stand for all below them.
    pub resource: TypeId,
    /// FHIRPath from the resource; empty for those without (`_text`, `_content`, `_filter`).
    pub expression: &'static str,
    /// What a reference may point at; empty for any.
    pub targets: Vec<TypeId>,
    /// The parts of a composite.
    pub components: Vec<SearchComponent>,
    /// `xpathUsage` is phonetic: the values sound alike.
    pub phonetic: bool,
}

/// A part of a composite search parameter.
#[derive(Debug)]
pub struct SearchComponent {
    /// The parameter it is of, on the same type where there is one.
    pub param: SearchParamDefId,
    /// FHIRPath from what the composite's own expression selects.
    pub expression: &'static str,
}

/// A compartment: which resources belong to a patient, encounter, device and so on.
#[derive(Debug)]
pub struct Compartment {
    /// The type of resource that it is about.
    pub resource: TypeId,
    /// The types in it.
    pub members: Vec<CompartmentMember>,
}

/// A resource type in a compartment.
#[derive(Debug)]
pub struct CompartmentMember {
    /// The type.
    pub resource: TypeId,
    /// The codes of the search parameters that link it; `{def}` is the focus itself.
    pub params: Vec<&'static str>,
}

/// An operation that the standard defines.
#[derive(Debug)]
pub struct Operation {
    /// The name after `$`.
    pub code: &'static str,
    /// Its canonical URL.
    pub url: &'static str,
    /// The types it is on.
    pub resources: Vec<TypeId>,
    /// Called on the server itself.
    pub system: bool,
    /// Called on a type.
    pub on_type: bool,
    /// Called on one resource.
    pub instance: bool,
    /// It changes something, so it is not a GET.
    pub affects_state: bool,
}
