//! Changing XML.

use bytes::Bytes;
use hilum_fhirpath::NodeId;

use super::parse::{is_name, is_name_start};
use super::text::is_allowed;
use super::tree::TEXT;
use super::{Kind, Node, State, XmlDocument, write};
use crate::arena::{NONE, index_of, node_of};
use crate::path::Step;
use crate::places::Editable;

impl XmlDocument {
    fn insert(&mut self, of: u32, after: u32, kind: Kind, name: String) -> NodeId {
        let name_text = self.nodes.keep(name);
        let node = Node {
            state: State::Added,
            name_text,
            ..Node::new(kind, 0)
        };
        node_of(self.nodes.add(of, after, node))
    }

    fn add_element(&mut self, of: u32, name: &str) -> Result<NodeId, &'static str> {
        let parent = self.nodes.at(of);
        if parent.kind != Kind::Element {
            return Err("a document has one root element");
        }
        let text = self.node_text(parent).unwrap_or_default();
        if !text.trim().is_empty() {
            return Err("text stands where elements are needed");
        }
        let mut full = name.to_owned();
        let raw = self.raw_name(parent);
        if !name.contains(':')
            && let Some(at) = raw.iter().position(|byte| *byte == b':')
        {
            let prefix = String::from_utf8_lossy(raw.get(..=at).unwrap_or_default());
            full.insert_str(0, &prefix);
        }
        let same = self
            .nodes
            .live(of)
            .filter(|(_, node)| self.is_named(node, name))
            .last();
        let after = same.map_or(parent.links.last, |(index, _)| index);
        self.nodes.edit(of, |node| {
            node.has_elements = true;
            node.value_text = NONE;
        });
        Ok(self.insert(of, after, Kind::Element, full))
    }
}

fn is_valid_name(name: &str) -> bool {
    name.bytes().next().is_some_and(is_name_start) && name.bytes().all(is_name)
}

impl Editable for XmlDocument {
    fn touched(&self) -> bool {
        self.nodes.touched()
    }

    fn write(&self) -> Bytes {
        if self.touched() {
            write::write(self).into()
        } else {
            self.source.clone()
        }
    }

    /// An element, with its parent's prefix, or an attribute (`` `@name` ``).
    fn add(&mut self, of: NodeId, step: &Step) -> Result<NodeId, &'static str> {
        let of = index_of(of);
        if step.name == TEXT {
            return Err("text is set on its element");
        }
        if let Some(name) = step.name.strip_prefix('@') {
            let parent = self.nodes.at(of);
            if parent.kind != Kind::Element {
                return Err("only elements have attributes");
            }
            if !is_valid_name(name)
                || self
                    .nodes
                    .live(of)
                    .any(|(_, n)| self.is_named(n, &step.name))
            {
                return Err("there is one attribute of a name, and it is a name of XML");
            }
            let attributes = self
                .nodes
                .children(of)
                .filter(|&index| self.nodes.at(index).kind == Kind::Attribute);
            let after = attributes.last().unwrap_or(NONE);
            return Ok(self.insert(of, after, Kind::Attribute, name.to_owned()));
        }
        if !is_valid_name(&step.name) {
            return Err("it is no name of XML");
        }
        self.add_element(of, &step.name)
    }

    /// The text of an element without elements below it, or of an attribute.
    fn write_value(&mut self, at: NodeId, value: &str) -> Result<(), &'static str> {
        let at = index_of(at);
        let node = self.nodes.at(at);
        if node.kind == Kind::Document
            || self
                .nodes
                .live(at)
                .any(|(_, node)| node.kind == Kind::Element)
        {
            return Err("it has elements below it");
        }
        if !value.chars().all(is_allowed) {
            return Err("the value has a character that XML cannot hold");
        }
        let below: Vec<u32> = self.nodes.children(at).collect();
        for child in below {
            if self.nodes.at(child).kind == Kind::Text {
                self.nodes.hide(child);
            }
        }
        let value = self.nodes.keep(value.to_owned());
        self.nodes.edit(at, |node| {
            node.value_text = value;
            node.has_elements = false;
        });
        self.nodes.touch(at);
        Ok(())
    }

    fn take_out(&mut self, at: NodeId) -> Result<(), &'static str> {
        let at = index_of(at);
        let parent = self.nodes.at(at).links.parent;
        if parent == NONE || parent == 0 {
            return Err("this is the whole document");
        }
        self.nodes.remove(at);
        Ok(())
    }
}
