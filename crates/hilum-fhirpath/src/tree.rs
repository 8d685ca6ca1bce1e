//! What an expression walks over: a document as a tree of cheap handles.
//!
//! A document implements [`Tree`]; a position in it is a [`NodeId`], sixteen bytes that only the
//! tree understands. Nothing here allocates per node, so a filter on a parsed message costs what
//! its path costs. A format that has its own way of writing paths (`PID-3[1].1`) hands over a
//! [`Dialect`]; what the dialect compiled, the tree evaluates.
//!
//! This module knows no format and no engine.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A position in one [`Tree`], meaningless in any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId {
    /// First half; its meaning is the tree's own.
    pub hi: u64,
    /// Second half; its meaning is the tree's own.
    pub lo: u64,
}

/// The value of a leaf as the document writes it.
///
/// Numbers and dates stay text: the expression parses them where it needs them, so that decimals
/// are exact and dates keep their precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar<'t> {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A decimal, as written.
    Decimal(Cow<'t, str>),
    /// Text, and everything an untyped format (HL7 v2, delimited text, XML) holds in a leaf.
    String(Cow<'t, str>),
    /// A date in ISO 8601 form, possibly partial (`2024-05`).
    Date(Cow<'t, str>),
    /// A date and time in ISO 8601 form, possibly partial.
    DateTime(Cow<'t, str>),
    /// A time of day in ISO 8601 form.
    Time(Cow<'t, str>),
}

impl<'t> Scalar<'t> {
    /// The value as text, as the document wrote it: no reading, no writing.
    #[must_use]
    pub fn into_text(self) -> Cow<'t, str> {
        match self {
            Self::String(text)
            | Self::Decimal(text)
            | Self::Date(text)
            | Self::DateTime(text)
            | Self::Time(text) => text,
            Self::Boolean(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Self::Integer(value) => Cow::Owned(value.to_string()),
        }
    }
}

/// Receives nodes one by one, in document order.
pub type Visit<'v> = dyn FnMut(NodeId) + 'v;

/// A parsed document as expressions see it.
pub trait Tree: Send + Sync {
    /// The root node.
    fn root(&self) -> NodeId;

    /// Visits the children of `of` with this name, in document order.
    fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>);

    /// Visits every child of `of`, in document order.
    fn all_children(&self, of: NodeId, visit: &mut Visit<'_>);

    /// The name by which the parent knows this node; empty for the root.
    fn name(&self, node: NodeId) -> Cow<'_, str>;

    /// The value of a leaf; `None` for a node that only has children.
    fn value(&self, node: NodeId) -> Option<Scalar<'_>>;

    /// Namespace and name of the node's type where the format has types (`("FHIR", "Patient")`).
    fn type_of(&self, _node: NodeId) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        None
    }

    /// Visits what a literal of the tree's own dialect selects, seen from `focus`.
    fn literal(&self, _literal: &PathLiteral, _focus: NodeId, _visit: &mut Visit<'_>) {}

    /// The node's place in the words of the format (`OBX[3]-5`), for findings and traces.
    fn location(&self, node: NodeId) -> String;
}

/// A path literal that a [`Dialect`] compiled.
#[derive(Clone)]
pub struct PathLiteral {
    /// The literal as written, white space excluded.
    pub text: String,
    /// The path may yield more than one node.
    pub repeats: bool,
    /// The path may yield none in a valid document.
    pub optional: bool,
    /// What the dialect compiled; its tree downcasts it.
    pub compiled: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for PathLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathLiteral")
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

/// A format's own way of writing paths.
pub trait Dialect: Send + Sync {
    /// The name of the format, for messages.
    fn name(&self) -> &str;

    /// The longest literal at the very start of `text`, with the number of bytes it takes.
    ///
    /// `None` where `text` does not start with a literal; an identifier of FHIRPath then gets its
    /// chance.
    fn literal(&self, text: &str) -> Option<(usize, PathLiteral)>;

    /// Why a path of this dialect likely names nothing, for whoever wrote it.
    fn doubt(&self, _literal: &PathLiteral) -> Option<String> {
        None
    }
}
