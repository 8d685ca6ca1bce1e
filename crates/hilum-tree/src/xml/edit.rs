//! Changing XML.

use hilum_fhirpath::{NodeId, Tree};

use super::parse::{is_name, is_name_start};
use super::text::is_allowed;
use super::tree::{TEXT, index_of, node_of};
use super::{Kind, Node, State, XmlDocument};
use crate::arena::NONE;
use crate::path::Step;
use crate::places::Places;

impl XmlDocument {
    fn keep(&mut self, text: String) -> u32 {
        let index = u32::try_from(self.texts.len()).unwrap_or(NONE);
        self.texts.push(text);
        index
    }

    fn insert(&mut self, of: u32, after: u32, kind: Kind, name: String) -> NodeId {
        let name_text = self.keep(name);
        let node = Node {
            state: State::Added,
            dirty: true,
            name_text,
            ..Node::new(kind, 0)
        };
        let index = self.nodes.insert(of, after, node);
        self.nodes.touch(of);
        node_of(index)
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

impl Places for XmlDocument {
    fn origin(&self) -> NodeId {
        self.root()
    }

    fn named(&self, of: NodeId, name: &str) -> Vec<NodeId> {
        let mut found = Vec::new();
        self.children(of, name, &mut |node| found.push(node));
        found
    }

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
            if !is_valid_name(name) || self.live(of).any(|(_, n)| self.is_named(n, &step.name)) {
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

    fn write_value(&mut self, at: NodeId, value: &str) -> Result<(), &'static str> {
        let at = index_of(at);
        let node = self.nodes.at(at);
        if node.kind == Kind::Document || self.live(at).any(|(_, node)| node.kind == Kind::Element)
        {
            return Err("it has elements below it");
        }
        if !value.chars().all(is_allowed) {
            return Err("the value has a character that XML cannot hold");
        }
        let below: Vec<u32> = self.nodes.children(at).collect();
        for child in below {
            if self.nodes.at(child).kind == Kind::Text {
                self.nodes.edit(child, |node| node.state = State::Removed);
            }
        }
        let value = self.keep(value.to_owned());
        self.nodes.edit(at, |node| {
            node.value_text = value;
            node.has_elements = false;
        });
        self.nodes.touch(at);
        Ok(())
    }

    fn remove(&mut self, at: NodeId) -> Result<(), &'static str> {
        let at = index_of(at);
        let parent = self.nodes.at(at).links.parent;
        if parent == NONE || parent == 0 {
            return Err("this is the whole document");
        }
        self.nodes.edit(at, |node| node.state = State::Removed);
        self.nodes.touch(parent);
        Ok(())
    }
}
