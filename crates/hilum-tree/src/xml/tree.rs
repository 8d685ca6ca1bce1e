//! XML as expressions see it.

use std::borrow::Cow;

use hilum_fhirpath::{NodeId, Scalar, Tree, Visit};

use super::text::{decode, value};
use super::{Kind, Node, State, XmlDocument};
use crate::arena::{NONE, index_of, node_of};
use crate::path::quote;

/// What text beside elements is called.
pub(super) const TEXT: &str = "#text";

/// A name without its prefix.
fn local(name: &[u8]) -> &[u8] {
    name.rsplit(|byte| *byte == b':').next().unwrap_or(name)
}

impl XmlDocument {
    pub(super) fn is_named(&self, node: &Node, name: &str) -> bool {
        let same = |name: &str| {
            let raw = self.raw_name(node);
            let raw = if name.contains(':') { raw } else { local(raw) };
            if name.is_ascii() {
                raw == name.as_bytes()
            } else {
                decode(raw, self.encoding) == name
            }
        };
        match node.kind {
            Kind::Document => false,
            Kind::Text => name == TEXT,
            Kind::Element => same(name),
            Kind::Attribute => name.strip_prefix('@').is_some_and(same),
        }
    }

    pub(super) fn node_name(&self, node: &Node) -> Cow<'_, str> {
        let raw = self.raw_name(node);
        match node.kind {
            Kind::Document => Cow::Borrowed(""),
            Kind::Text => Cow::Borrowed(TEXT),
            Kind::Element => decode(local(raw), self.encoding),
            Kind::Attribute => Cow::Owned(format!("@{}", decode(raw, self.encoding))),
        }
    }

    /// The text of an attribute, of text, or of an element without elements.
    pub(super) fn node_text(&self, node: &Node) -> Option<Cow<'_, str>> {
        let leaf = match node.kind {
            Kind::Document => false,
            Kind::Attribute | Kind::Text => true,
            Kind::Element => !node.has_elements,
        };
        if !leaf {
            return None;
        }
        Some(match self.nodes.text(node.value_text) {
            Some(text) => Cow::Borrowed(text),
            None if node.state == State::Added => Cow::Borrowed(""),
            None => value(self.bytes(node.inner_start, node.inner_end), self.encoding),
        })
    }
}

impl Tree for XmlDocument {
    fn root(&self) -> NodeId {
        node_of(0)
    }

    fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>) {
        for (index, node) in self.nodes.live(index_of(of)) {
            if self.is_named(node, name) {
                visit(node_of(index));
            }
        }
    }

    fn all_children(&self, of: NodeId, visit: &mut Visit<'_>) {
        for (index, _) in self.nodes.live(index_of(of)) {
            visit(node_of(index));
        }
    }

    fn name(&self, node: NodeId) -> Cow<'_, str> {
        self.node_name(self.nodes.at(index_of(node)))
    }

    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        let text = self.node_text(self.nodes.at(index_of(node)))?;
        (!text.is_empty()).then_some(Scalar::String(text))
    }

    fn location(&self, node: NodeId) -> String {
        let mut names = Vec::new();
        let mut at = index_of(node);
        while at != NONE && at != 0 {
            let node = self.nodes.at(at);
            let name = self.node_name(node);
            let parent = node.links.parent;
            let same = || {
                self.nodes
                    .live(parent)
                    .filter(|(_, other)| self.is_named(other, &name))
            };
            let mut part = quote(&name).into_owned();
            if same().nth(1).is_some() {
                part.push_str(&format!(
                    "[{}]",
                    same().take_while(|(index, _)| *index != at).count()
                ));
            }
            names.push(part);
            at = parent;
        }
        names.reverse();
        names.join(".")
    }
}
