//! From a resource to XML.

use super::FHIR;
use crate::definitions::PrimitiveKind;
use crate::json::Style;
use crate::resource::{Node, Resource};

/// Writes a resource, its elements in the order of the standard.
pub fn write(resource: &Resource, style: Style, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let mut writer = Writer {
        out,
        style,
        depth: 0,
    };
    writer.line();
    writer.resource(resource.root(), true);
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    style: Style,
    depth: usize,
}

impl Writer<'_> {
    fn line(&mut self) {
        if self.style == Style::Pretty {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', self.depth * 2));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(b' ');
        self.text(name);
        self.text("=\"");
        for byte in value.bytes() {
            match byte {
                b'&' => self.text("&amp;"),
                b'<' => self.text("&lt;"),
                b'>' => self.text("&gt;"),
                b'"' => self.text("&quot;"),
                b'\t' => self.text("&#9;"),
                b'\n' => self.text("&#10;"),
                b'\r' => self.text("&#13;"),
                byte => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }

    fn resource(&mut self, node: Node<'_>, outermost: bool) {
        let name = node.type_name();
        self.out.push(b'<');
        self.text(name);
        if outermost {
            self.attribute("xmlns", FHIR);
        }
        self.content(node, name);
    }

    /// Writes what follows the name of a start tag, up to the end tag.
    fn content(&mut self, node: Node<'_>, name: &str) {
        let mut children: Vec<Node<'_>> = node.children().collect();
        if !children.is_sorted_by_key(|child| child.element_id()) {
            children.sort_by_key(|child| child.element_id());
        }
        let (attributes, elements): (Vec<_>, Vec<_>) = children
            .into_iter()
            .partition(|child| child.element().xml_attribute);
        for child in attributes {
            if let Some(text) = child.text() {
                self.attribute(child.name(), text);
            }
        }
        if let Some(text) = node.text() {
            self.attribute("value", text);
        }
        if elements.is_empty() {
            self.text("/>");
            return;
        }
        self.out.push(b'>');
        self.depth += 1;
        for child in elements {
            self.line();
            self.element(child);
        }
        self.depth -= 1;
        self.line();
        self.text("</");
        self.text(name);
        self.out.push(b'>');
    }

    fn element(&mut self, node: Node<'_>) {
        let def = node.type_def();
        if def.primitive() == Some(PrimitiveKind::Xhtml) {
            self.text(node.text().unwrap_or_default());
            return;
        }
        let name = node.json_name();
        self.out.push(b'<');
        self.text(name);
        if def.is_resource() {
            self.out.push(b'>');
            self.depth += 1;
            self.line();
            self.resource(node, false);
            self.depth -= 1;
            self.line();
            self.text("</");
            self.text(name);
            self.out.push(b'>');
        } else {
            self.content(node, name);
        }
    }
}
