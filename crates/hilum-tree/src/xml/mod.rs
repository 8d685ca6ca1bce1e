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

use crate::arena::{Arena, Linked, Links, NONE, index_of};
use crate::error::ParseError;
use crate::limits::Limits;

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
}

/// One node. Places are bytes of the source; what an edit brought has texts of its own instead.
#[derive(Clone, Debug, Default)]
struct Node {
    links: Links,
    kind: Kind,
    state: State,
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
    /// With the names and values that edits brought.
    nodes: Arena<Node>,
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

    /// An element as XML, as it would be written.
    #[must_use]
    pub fn xml(&self, node: NodeId) -> Vec<u8> {
        write::write_node(self, index_of(node))
    }

    /// Where an element that was read stands in the source.
    #[must_use]
    pub fn range(&self, node: NodeId) -> Option<std::ops::Range<usize>> {
        let node = self.nodes.at(index_of(node));
        (node.kind == Kind::Element && node.state == State::Read && !node.links.removed)
            .then_some(node.start as usize..node.end as usize)
    }

    fn bytes(&self, start: u32, end: u32) -> &[u8] {
        self.source
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// The name with its prefix, as written.
    fn raw_name(&self, node: &Node) -> &[u8] {
        match self.nodes.text(node.name_text) {
            Some(name) => name.as_bytes(),
            None => self.bytes(node.name_start, node.name_end),
        }
    }
}
