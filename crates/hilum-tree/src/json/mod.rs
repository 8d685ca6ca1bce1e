//! JSON that keeps what it was written like: order, white space, numbers, escapes.
//!
//! RFC 8259, with two additions that senders rely on and one restriction: a byte order mark is
//! skipped and kept, escapes of lone surrogates read as U+FFFD, and two properties of one name
//! are refused because readers disagree about which of them counts.

mod edit;
mod parse;
mod text;
mod tree;
mod write;

use bytes::Bytes;
use hilum_fhirpath::NodeId;

use crate::arena::{Arena, Linked, Links, NONE, index_of};
use crate::error::{EditError, ParseError};
use crate::limits::Limits;
use crate::places::refused;

/// The kinds of JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum JsonKind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, as written.
    Number,
    /// `true` or `false`
    Boolean,
    /// `null`
    #[default]
    Null,
}

/// One value. Places are bytes of the source; an added value has text of its own instead.
#[derive(Clone, Debug, Default)]
pub(crate) struct Value {
    links: Links,
    kind: JsonKind,
    state: State,
    /// The value, quotes and brackets included.
    start: u32,
    end: u32,
    /// Behind the comma or bracket before it.
    lead: u32,
    /// The key with its quotes; empty for items.
    key_start: u32,
    key_end: u32,
    /// Behind the last child that was read, or behind the opening bracket.
    tail: u32,
    /// Its place in the list of added texts, for what did not come from the source.
    key_text: u32,
    raw_text: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum State {
    /// From the source.
    #[default]
    Read,
    /// From the source, with another value now.
    Replaced,
    /// Not from the source.
    Added,
}

impl Linked for Value {
    fn links(&self) -> &Links {
        &self.links
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// A JSON document.
#[derive(Clone)]
pub struct JsonDocument {
    source: Bytes,
    /// With the keys and raw values that edits brought.
    values: Arena<Value>,
}

impl std::fmt::Debug for JsonDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "JsonDocument({} bytes, {} values)",
            self.source.len(),
            self.values.len()
        )
    }
}

impl JsonDocument {
    /// Reads a document.
    pub fn parse(source: &Bytes, limits: &Limits) -> Result<Self, ParseError> {
        parse::parse(source, limits)
    }

    /// Replaces one node with a piece of JSON.
    pub fn set_json(&mut self, node: NodeId, json: &str) -> Result<(), EditError> {
        let replaced = self.replace_json(index_of(node), json);
        refused(self, node, replaced)
    }

    /// The kind of a node.
    #[must_use]
    pub fn kind(&self, node: NodeId) -> JsonKind {
        self.values.at(index_of(node)).kind
    }

    /// A node as JSON, as it would be written.
    #[must_use]
    pub fn json(&self, node: NodeId) -> String {
        write::write_value(self, index_of(node))
    }

    fn slice(&self, start: u32, end: u32) -> &str {
        let bytes = self
            .source
            .get(start as usize..end as usize)
            .unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// A value as it stands in JSON, quotes included; only for what has nothing below it.
    fn raw(&self, value: &Value) -> &str {
        self.values
            .text(value.raw_text)
            .unwrap_or_else(|| self.slice(value.start, value.end))
    }

    /// The key of a property with its quotes; empty for an item.
    fn raw_key(&self, value: &Value) -> &str {
        self.values
            .text(value.key_text)
            .unwrap_or_else(|| self.slice(value.key_start, value.key_end))
    }
}

impl Value {
    fn new(kind: JsonKind, start: u32, lead: u32) -> Self {
        Self {
            kind,
            start,
            lead,
            key_text: NONE,
            raw_text: NONE,
            ..Self::default()
        }
    }
}
