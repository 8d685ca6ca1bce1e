//! XML that keeps what it was written like: prefixes, quotes, white space, comments.
//!
//! XML 1.0 without a document type declaration: nothing is expanded, nothing is fetched. The
//! character set is UTF-8, or a single-byte set that the XML declaration names. Comments and
//! processing instructions are kept and seen by nobody; white space between elements likewise.

mod edit;
mod parse;
mod text;
mod tree;
mod write;

use bytes::Bytes;
use encoding_rs::Encoding;
use hilum_fhirpath::NodeId;

use crate::arena::{Arena, Linked, Links, NONE};
use crate::error::{EditError, ParseError};
use crate::limits::Limits;
use crate::path::Path;
use crate::places;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Kind {
    /// The node above the root element.
    #[default]
    Document,
    Element,
    Attribute,
    /// Text beside elements.
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum State {
    #[default]
    Read,
    Added,
    Removed,
}

/// One node. Places are bytes of the source; what an edit brought has texts of its own instead.
#[derive(Clone, Debug, Default)]
struct Node {
    links: Links,
    kind: Kind,
    state: State,
    dirty: bool,
    self_closing: bool,
    /// Elements lie below it.
    has_elements: bool,
    start: u32,
    end: u32,
    name_start: u32,
    name_end: u32,
    /// Content of an element, value of an attribute without its quotes.
    inner_start: u32,
    inner_end: u32,
    /// Places in the list of texts.
    name_text: u32,
    value_text: u32,
}

impl Linked for Node {
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

impl Node {
    fn new(kind: Kind, start: u32) -> Self {
        Self {
            kind,
            start,
            name_text: NONE,
            value_text: NONE,
            ..Self::default()
        }
    }
}

/// An XML document.
#[derive(Clone)]
pub struct XmlDocument {
    source: Bytes,
    /// `None` is UTF-8.
    encoding: Option<&'static Encoding>,
    nodes: Arena<Node>,
    /// Names and values that edits brought.
    texts: Vec<String>,
}

impl std::fmt::Debug for XmlDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "XmlDocument({} bytes, {} nodes)",
            self.source.len(),
            self.nodes.len()
        )
    }
}

impl XmlDocument {
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
        self.nodes.at(0).dirty
    }

    /// Writes values to a place: the text of an element without elements below it, or an
    /// attribute (`` `@name` ``). What is missing on the way appears, with its parent's prefix.
    pub fn set(&mut self, path: &Path, values: &[String]) -> Result<(), EditError> {
        places::set(self, path, values)
    }

    /// Replaces the value of one node.
    pub fn set_node(&mut self, node: NodeId, value: &str) -> Result<(), EditError> {
        places::Places::write_value(self, node, value)
            .map_err(|reason| self.edit_error(node, reason))
    }

    /// Removes one node with all below it.
    pub fn remove(&mut self, node: NodeId) -> Result<(), EditError> {
        places::Places::remove(self, node).map_err(|reason| self.edit_error(node, reason))
    }

    /// Removes a place with all below it.
    pub fn delete(&mut self, path: &Path) -> Result<(), EditError> {
        places::delete(self, path)
    }

    /// The nodes at a place.
    #[must_use]
    pub fn find(&self, path: &Path) -> Vec<NodeId> {
        places::find(self, path)
    }

    /// An element as XML, as it would be written.
    #[must_use]
    pub fn xml(&self, node: NodeId) -> Vec<u8> {
        write::write_node(self, tree::index_of(node))
    }

    /// Where an element that was read stands in the source.
    #[must_use]
    pub fn range(&self, node: NodeId) -> Option<std::ops::Range<usize>> {
        let node = self.nodes.at(tree::index_of(node));
        (node.kind == Kind::Element && node.state == State::Read)
            .then_some(node.start as usize..node.end as usize)
    }

    fn edit_error(&self, node: NodeId, reason: &'static str) -> EditError {
        EditError::new(&hilum_fhirpath::Tree::location(self, node), reason)
    }

    fn bytes(&self, start: u32, end: u32) -> &[u8] {
        self.source
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    fn text(&self, index: u32) -> Option<&str> {
        self.texts.get(index as usize).map(String::as_str)
    }

    /// The name with its prefix, as written.
    fn raw_name(&self, node: &Node) -> &[u8] {
        match self.text(node.name_text) {
            Some(name) => name.as_bytes(),
            None => self.bytes(node.name_start, node.name_end),
        }
    }

    fn live(&self, of: u32) -> impl Iterator<Item = (u32, &Node)> {
        self.nodes
            .children(of)
            .map(|index| (index, self.nodes.at(index)))
            .filter(|(_, node)| node.state != State::Removed)
    }
}
