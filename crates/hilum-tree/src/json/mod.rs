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

use crate::arena::{Arena, Linked, Links, NONE};
use crate::error::{EditError, ParseError};
use crate::limits::Limits;
use crate::path::Path;
use crate::places;

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
    dirty: bool,
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
    /// Left out.
    Removed,
}

impl Linked for Value {
    fn links(&self) -> &Links {
        &self.links
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
    fn is_dirty(&self) -> bool {
        self.dirty
    }
    fn mark_dirty(&mut self) {
        self.dirty = true;
    }
}

/// A JSON document.
#[derive(Clone)]
pub struct JsonDocument {
    source: Bytes,
    values: Arena<Value>,
    /// Keys and raw values that edits brought.
    texts: Vec<String>,
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

    /// The document as bytes; those it was read from where nothing was changed.
    #[must_use]
    pub fn write(&self) -> Bytes {
        if self.touched() {
            write::write(self).into()
        } else {
            self.source.clone()
        }
    }

    /// Something was changed since it was read.
    #[must_use]
    pub fn touched(&self) -> bool {
        self.values.at(0).dirty
    }

    /// Writes values to a place.
    ///
    /// A value stays a number or a boolean if the place held one and the text is one; else it is
    /// a string. A property that is missing on the way appears: as an array where the path has an
    /// index, else as a single value.
    pub fn set(&mut self, path: &Path, values: &[String]) -> Result<(), EditError> {
        places::set(self, path, values)
    }

    /// Replaces the value of one node.
    pub fn set_node(&mut self, node: NodeId, value: &str) -> Result<(), EditError> {
        let place = edit::index_of(node);
        self.replace_scalar(place, value)
            .map_err(|reason| self.edit_error(node, reason))
    }

    /// Replaces one node with a piece of JSON.
    pub fn set_json(&mut self, node: NodeId, json: &str) -> Result<(), EditError> {
        let place = edit::index_of(node);
        self.replace_json(place, json)
            .map_err(|reason| self.edit_error(node, reason))
    }

    /// Removes one node with all below it.
    pub fn remove(&mut self, node: NodeId) -> Result<(), EditError> {
        let removed = places::Places::remove(self, node);
        removed.map_err(|reason| self.edit_error(node, reason))
    }

    /// Removes a place with all below it.
    pub fn delete(&mut self, path: &Path) -> Result<(), EditError> {
        places::delete(self, path)
    }

    /// The nodes at a place, those that are `null` included.
    #[must_use]
    pub fn find(&self, path: &Path) -> Vec<NodeId> {
        places::find(self, path)
    }

    /// The kind of a node.
    #[must_use]
    pub fn kind(&self, node: NodeId) -> JsonKind {
        self.values.at(edit::index_of(node)).kind
    }

    /// A node as JSON, as it would be written.
    #[must_use]
    pub fn json(&self, node: NodeId) -> String {
        write::write_value(self, edit::index_of(node))
    }

    fn edit_error(&self, node: NodeId, reason: &'static str) -> EditError {
        EditError::new(&hilum_fhirpath::Tree::location(self, node), reason)
    }

    fn slice(&self, start: u32, end: u32) -> &str {
        let bytes = self
            .source
            .get(start as usize..end as usize)
            .unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn text(&self, index: u32) -> Option<&str> {
        self.texts.get(index as usize).map(String::as_str)
    }

    /// A value as it stands in JSON, quotes included; only for what has nothing below it.
    fn raw(&self, value: &Value) -> &str {
        self.text(value.raw_text)
            .unwrap_or_else(|| self.slice(value.start, value.end))
    }

    /// The key of a property with its quotes; empty for an item.
    fn raw_key(&self, value: &Value) -> &str {
        self.text(value.key_text)
            .unwrap_or_else(|| self.slice(value.key_start, value.key_end))
    }

    fn live(&self, of: u32) -> impl Iterator<Item = (u32, &Value)> {
        self.values
            .children(of)
            .map(|index| (index, self.values.at(index)))
            .filter(|(_, value)| value.state != State::Removed)
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
