//! Types: primitives, data types and resources.

use super::ElementId;

/// A type, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub(super) u16);

impl TypeId {
    /// Its place in [`super::Definitions::types`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the decoder refuses tables of more types"
    )]
    pub(crate) const fn at(index: usize) -> Self {
        Self(index as u16)
    }
}

/// What a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TypeKind {
    /// A single value with a lexical form.
    Primitive(PrimitiveKind),
    /// A data type with children.
    Complex,
    /// A resource.
    Resource,
}

/// The primitives of FHIR R4 datatypes.html#primitive, which decide lexical form and JSON kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PrimitiveKind {
    /// `true` or `false`.
    Boolean,
    /// A signed 32 bit number.
    Integer,
    /// An integer from zero.
    UnsignedInt,
    /// An integer from one.
    PositiveInt,
    /// A decimal whose written precision is kept.
    Decimal,
    /// Text without leading or trailing demands, at least one character.
    String,
    /// A token without outer white space or doubled blanks.
    Code,
    /// 1 to 64 of `A-Z a-z 0-9 - .`.
    Id,
    /// Text in markdown.
    Markdown,
    /// Any URI.
    Uri,
    /// An absolute URL.
    Url,
    /// A URL of a definition, with an optional version after `|`.
    Canonical,
    /// `urn:oid:` and an OID.
    Oid,
    /// `urn:uuid:` and a UUID.
    Uuid,
    /// A date, possibly partial.
    Date,
    /// A date with or without time; with a time there is a zone.
    DateTime,
    /// A full date with time and zone.
    Instant,
    /// A time of day.
    Time,
    /// Bytes in base64.
    Base64Binary,
    /// Narrative markup.
    Xhtml,
}

impl PrimitiveKind {
    pub(super) const ALL: [(&'static str, Self); 20] = [
        ("boolean", Self::Boolean),
        ("integer", Self::Integer),
        ("unsignedInt", Self::UnsignedInt),
        ("positiveInt", Self::PositiveInt),
        ("decimal", Self::Decimal),
        ("string", Self::String),
        ("code", Self::Code),
        ("id", Self::Id),
        ("markdown", Self::Markdown),
        ("uri", Self::Uri),
        ("url", Self::Url),
        ("canonical", Self::Canonical),
        ("oid", Self::Oid),
        ("uuid", Self::Uuid),
        ("date", Self::Date),
        ("dateTime", Self::DateTime),
        ("instant", Self::Instant),
        ("time", Self::Time),
        ("base64Binary", Self::Base64Binary),
        ("xhtml", Self::Xhtml),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(own, _)| *own == name);
        found.map(|(_, kind)| *kind)
    }
}

/// What is said about a type.
#[derive(Debug)]
pub struct TypeDef {
    /// `Patient`.
    pub name: &'static str,
    /// Primitive, data type or resource.
    pub kind: TypeKind,
    /// What it is derived from.
    pub base: Option<TypeId>,
    /// No instance has this type itself (`Resource`, `DomainResource`, `Element`).
    pub is_abstract: bool,
    /// Its root element, the scope of its instances.
    pub root: ElementId,
    /// `http://hl7.org/fhir/StructureDefinition/Patient`.
    pub url: &'static str,
}

/// Stands where an id from elsewhere finds nothing.
pub(super) static NOTHING: TypeDef = TypeDef {
    name: "",
    kind: TypeKind::Complex,
    base: None,
    is_abstract: true,
    root: ElementId(u16::MAX),
    url: "",
};

impl TypeDef {
    /// The primitive it is.
    #[must_use]
    pub fn primitive(&self) -> Option<PrimitiveKind> {
        match self.kind {
            TypeKind::Primitive(kind) => Some(kind),
            TypeKind::Complex | TypeKind::Resource => None,
        }
    }

    /// Whether it is a resource type, abstract ones included.
    #[must_use]
    pub fn is_resource(&self) -> bool {
        self.kind == TypeKind::Resource
    }
}
