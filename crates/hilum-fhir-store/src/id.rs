//! The store's own small numbers.

use std::fmt;

/// A resource type of this store, a small number that stays the same as long as the store lives.
///
/// Given out by [`Catalog::resource_type`](crate::Catalog::resource_type).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceType(pub(crate) u16);

/// A search parameter of one resource type (`Patient.birthdate`), a small number that stays the
/// same as long as the store lives.
///
/// Given out by [`Catalog::param`](crate::Catalog::param).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamKey(pub(crate) u32);

/// The kinds of search parameters (FHIR R4 search.html#ptypes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// A number.
    Number,
    /// A date, a time or a period.
    Date,
    /// Text for people.
    String,
    /// A code, an identifier, a boolean.
    Token,
    /// A reference to a resource.
    Reference,
    /// Several parameters of one element together.
    Composite,
    /// A number with a unit.
    Quantity,
    /// A URI.
    Uri,
}

/// A resource of this store: the number of the change that created it, so in order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pk(pub i64);

/// The number of a change: global, from 1, without gaps, in the order of `updated_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub i64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id under which a sender delivers something at most once.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DeliveryId(pub String);

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveryId({} bytes)", self.0.len())
    }
}
