//! What expressions compute with: values, items and collections.
//!
//! An [`Item`] is a node of a document or a computed [`Value`]; text is borrowed from the document
//! or the expression wherever it is not made anew. `Debug` of an item shows its kind only, never
//! its content.

mod calendar;
mod moment;
mod read;

use std::borrow::Cow;
use std::fmt;

use rust_decimal::Decimal;
use smallvec::SmallVec;

use crate::tree::{NodeId, Scalar, Tree};

pub use calendar::CalendarUnit;
pub(crate) use calendar::days_in;
pub use moment::{Moment, Precision, Time};
pub(crate) use read::{Iso, iso, iso_time, packed, packed_time};

/// A position in a document, with the document.
#[derive(Clone, Copy)]
pub struct Node<'t> {
    /// The document.
    pub tree: &'t dyn Tree,
    /// The position in it.
    pub id: NodeId,
}

impl<'t> Node<'t> {
    /// The leaf's value as expressions see it.
    pub fn value(&self) -> Option<Value<'t>> {
        self.tree.value(self.id).map(Value::from_scalar)
    }

    /// Whether both are the same place of the same document.
    pub fn same(&self, other: &Self) -> bool {
        std::ptr::addr_eq(self.tree, other.tree) && self.id == other.id
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.id).finish()
    }
}

/// The unit of a quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit<'t> {
    /// A word of the calendar: `4 days`.
    Calendar(CalendarUnit),
    /// A code of UCUM, as written: `4 'mg'`.
    Ucum(Cow<'t, str>),
}

/// A number with a unit.
#[derive(Clone, PartialEq, Eq)]
pub struct Quantity<'t> {
    /// The number.
    pub value: Decimal,
    /// The unit.
    pub unit: Unit<'t>,
}

impl fmt::Display for Quantity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Unit::Calendar(unit) => {
                let plural = if self.value.abs() == Decimal::ONE {
                    ""
                } else {
                    "s"
                };
                write!(f, "{} {}{plural}", self.value, unit.word())
            }
            Unit::Ucum(code) => write!(f, "{} '{code}'", self.value),
        }
    }
}

/// What `type()` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeInfo {
    /// `System`, `FHIR`, or what the document says.
    pub namespace: String,
    /// The type's name.
    pub name: String,
}

/// A computed value.
#[derive(Clone, PartialEq)]
pub enum Value<'t> {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// An exact decimal.
    Decimal(Decimal),
    /// Text.
    String(Cow<'t, str>),
    /// A date.
    Date(Moment),
    /// A date and time.
    DateTime(Moment),
    /// A time of day.
    Time(Time),
    /// A number with a unit.
    Quantity(Box<Quantity<'t>>),
    /// A type.
    Type(Box<TypeInfo>),
}

impl<'t> Value<'t> {
    /// Reads a leaf. What claims to be a number or a date and is not stays text.
    pub fn from_scalar(scalar: Scalar<'t>) -> Self {
        match scalar {
            Scalar::Boolean(b) => Self::Boolean(b),
            Scalar::Integer(n) => Self::Integer(n),
            Scalar::String(text) => Self::String(text),
            Scalar::Decimal(text) => match decimal(&text) {
                Some(number) => Self::Decimal(number),
                None => Self::String(text),
            },
            Scalar::Date(text) => match iso(&text) {
                Some(Iso::Date(m)) => Self::Date(m),
                Some(Iso::DateTime(m)) => Self::DateTime(m),
                None => Self::String(text),
            },
            Scalar::DateTime(text) => match iso(&text) {
                Some(Iso::Date(m) | Iso::DateTime(m)) => Self::DateTime(m),
                None => Self::String(text),
            },
            Scalar::Time(text) => match iso_time(&text) {
                Some(time) => Self::Time(time),
                None => Self::String(text),
            },
        }
    }

    /// The same value, borrowing its text.
    pub(crate) fn borrowed<'b>(&'b self) -> Value<'b> {
        match self {
            Self::Boolean(b) => Value::Boolean(*b),
            Self::Integer(n) => Value::Integer(*n),
            Self::Decimal(d) => Value::Decimal(*d),
            Self::String(s) => Value::String(Cow::Borrowed(s)),
            Self::Date(m) => Value::Date(*m),
            Self::DateTime(m) => Value::DateTime(*m),
            Self::Time(t) => Value::Time(*t),
            Self::Quantity(q) => Value::Quantity(Box::new(Quantity {
                value: q.value,
                unit: match &q.unit {
                    Unit::Calendar(unit) => Unit::Calendar(*unit),
                    Unit::Ucum(code) => Unit::Ucum(Cow::Borrowed(code)),
                },
            })),
            Self::Type(t) => Value::Type(t.clone()),
        }
    }

    /// The same value, owning its text.
    pub(crate) fn owned(self) -> Value<'static> {
        match self {
            Self::Boolean(b) => Value::Boolean(b),
            Self::Integer(n) => Value::Integer(n),
            Self::Decimal(d) => Value::Decimal(d),
            Self::String(s) => Value::String(Cow::Owned(s.into_owned())),
            Self::Date(m) => Value::Date(m),
            Self::DateTime(m) => Value::DateTime(m),
            Self::Time(t) => Value::Time(t),
            Self::Quantity(q) => Value::Quantity(Box::new(Quantity {
                value: q.value,
                unit: match q.unit {
                    Unit::Calendar(unit) => Unit::Calendar(unit),
                    Unit::Ucum(code) => Unit::Ucum(Cow::Owned(code.into_owned())),
                },
            })),
            Self::Type(t) => Value::Type(t),
        }
    }

    /// Name of the type in the `System` namespace.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "Boolean",
            Self::Integer(_) => "Integer",
            Self::Decimal(_) => "Decimal",
            Self::String(_) => "String",
            Self::Date(_) => "Date",
            Self::DateTime(_) => "DateTime",
            Self::Time(_) => "Time",
            Self::Quantity(_) => "Quantity",
            Self::Type(_) => "TypeInfo",
        }
    }

    /// The text that `toString()` gives; borrowed where the value is text.
    pub fn into_text(self) -> Cow<'t, str> {
        match self {
            Self::String(text) => text,
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Integer(n) => Cow::Owned(n.to_string()),
            Self::Decimal(d) => Cow::Owned(d.to_string()),
            Self::Date(m) | Self::DateTime(m) => Cow::Owned(m.to_string()),
            Self::Time(t) => Cow::Owned(t.to_string()),
            Self::Quantity(q) => Cow::Owned(q.to_string()),
            Self::Type(t) => Cow::Owned(format!("{}.{}", t.namespace, t.name)),
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}

impl fmt::Debug for Quantity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Quantity")
    }
}

/// Reads a decimal as FHIRPath writes it, an exponent included; the scale is kept.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !body.starts_with(|c: char| c.is_ascii_digit()) || body.ends_with('.') || body.contains('_')
    {
        return None;
    }
    if body.contains(['e', 'E']) {
        return Decimal::from_scientific(text).ok();
    }
    Decimal::from_str_exact(text.strip_prefix('+').unwrap_or(text)).ok()
}

/// One member of a collection.
#[derive(Clone, Debug)]
pub enum Item<'t> {
    /// A node of a document.
    Node(Node<'t>),
    /// A computed value.
    Value(Value<'t>),
}

impl<'t> Item<'t> {
    /// The position, where the item is a node.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Node(node) => Some(node.id),
            Self::Value(_) => None,
        }
    }

    /// The value: computed, or the leaf's.
    pub fn value(&self) -> Option<Value<'t>> {
        match self {
            Self::Node(node) => node.value(),
            Self::Value(value) => Some(value.clone()),
        }
    }

    /// The value as text, as `toString()` gives it.
    pub fn text(&self) -> Option<Cow<'t, str>> {
        match self {
            Self::Node(node) => Some(node.tree.value(node.id)?.into_text()),
            Self::Value(value) => Some(value.clone().into_text()),
        }
    }
}

impl<'t> From<Value<'t>> for Item<'t> {
    fn from(value: Value<'t>) -> Self {
        Self::Value(value)
    }
}

impl<'t> From<Node<'t>> for Item<'t> {
    fn from(node: Node<'t>) -> Self {
        Self::Node(node)
    }
}

/// An ordered collection, the result of every expression.
#[derive(Clone, Debug, Default)]
pub struct Collection<'t> {
    pub(crate) items: SmallVec<[Item<'t>; 2]>,
}

impl<'t> Collection<'t> {
    /// The empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// A collection of one.
    pub fn one(item: impl Into<Item<'t>>) -> Self {
        let mut items = SmallVec::new();
        items.push(item.into());
        Self { items }
    }

    /// A collection of one or none.
    pub fn maybe(value: Option<Value<'t>>) -> Self {
        value.map(Self::one).unwrap_or_default()
    }

    /// A boolean.
    pub fn boolean(value: bool) -> Self {
        Self::one(Value::Boolean(value))
    }

    /// Appends an item.
    pub fn push(&mut self, item: impl Into<Item<'t>>) {
        self.items.push(item.into());
    }

    /// The items, in order.
    pub fn items(&self) -> &[Item<'t>] {
        &self.items
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Item<'t>> {
        self.items.iter()
    }

    /// The text of every item that has a value, in order.
    pub fn strings(&self) -> Vec<Cow<'t, str>> {
        self.items.iter().filter_map(Item::text).collect()
    }

    /// The text of the first item that has a value.
    pub fn first_string(&self) -> Option<Cow<'t, str>> {
        self.items.iter().find_map(Item::text)
    }

    /// The nodes among the items, in order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.items.iter().filter_map(Item::node)
    }
}

impl<'t> IntoIterator for Collection<'t> {
    type Item = Item<'t>;
    type IntoIter = smallvec::IntoIter<[Item<'t>; 2]>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'t> FromIterator<Item<'t>> for Collection<'t> {
    fn from_iter<I: IntoIterator<Item = Item<'t>>>(iter: I) -> Self {
        Self {
            items: iter.into_iter().collect(),
        }
    }
}
