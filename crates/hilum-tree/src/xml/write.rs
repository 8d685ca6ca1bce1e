//! Writing XML: what was read as it was read, what was added in the style of its neighbours.

use super::text::escape;
use super::{Kind, Node, State, XmlDocument};
use crate::arena::NONE;

pub(super) fn write(document: &XmlDocument) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.source.len().saturating_add(256));
    let mut at = 0;
    for (index, node) in document.nodes.live(0) {
        out.extend_from_slice(document.bytes(at, node.start));
        element(document, index, &mut out);
        at = node.end;
    }
    out.extend_from_slice(document.source.get(at as usize..).unwrap_or_default());
    out
}

pub(super) fn write_node(document: &XmlDocument, index: u32) -> Vec<u8> {
    let mut out = Vec::new();
    element(document, index, &mut out);
    out
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii_end()
}

/// Depth is bounded: that of the source by its limit, that of edits by the length of paths.
fn element(document: &XmlDocument, index: u32, out: &mut Vec<u8>) {
    let node = document.nodes.at(index);
    if !node.links.dirty {
        return out.extend_from_slice(document.bytes(node.start, node.end));
    }
    if node.kind == Kind::Text {
        return out.extend_from_slice(&replaced(document, node, false));
    }
    let mut body = Vec::new();
    content(document, index, &mut body);
    let name = document.raw_name(node);
    let closing = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"</");
        out.extend_from_slice(name);
        out.push(b'>');
    };
    if node.state == State::Added {
        out.push(b'<');
        out.extend_from_slice(name);
        attributes(document, index, 0, out);
        if body.is_empty() {
            return out.extend_from_slice(b"/>");
        }
        out.push(b'>');
        out.extend_from_slice(&body);
        return closing(out);
    }
    let at = attributes(document, index, node.start, out);
    if node.self_closing && !body.is_empty() {
        out.push(b'>');
        out.extend_from_slice(&body);
        return closing(out);
    }
    out.extend_from_slice(document.bytes(at, node.inner_start));
    out.extend_from_slice(&body);
    out.extend_from_slice(document.bytes(node.inner_end, node.end));
}

fn replaced(document: &XmlDocument, node: &Node, attribute: bool) -> Vec<u8> {
    let text = document.nodes.text(node.value_text).unwrap_or_default();
    escape(text, attribute, document.encoding)
}

/// Writes the tag from its start through its attributes; gives the place behind the last one.
fn attributes(document: &XmlDocument, of: u32, start: u32, out: &mut Vec<u8>) -> u32 {
    let element = document.nodes.at(of);
    let added = element.state == State::Added;
    let (mut at, mut end) = (start, element.name_end);
    let all = document
        .nodes
        .children(of)
        .map(|index| document.nodes.at(index));
    let mut new = Vec::new();
    for node in all.filter(|node| node.kind == Kind::Attribute) {
        if node.name_text == NONE {
            end = end.max(node.end);
        }
        match (node.links.removed, node.state) {
            (true, State::Read) => {
                out.extend_from_slice(trimmed(document.bytes(at, node.start)));
                at = node.end;
            }
            (true, State::Added) => {}
            (false, State::Read) if node.value_text == NONE => {}
            (false, State::Read) => {
                out.extend_from_slice(document.bytes(at, node.inner_start));
                let quote = document.bytes(node.inner_end, node.end);
                debug_assert!(quote.len() == 1, "an attribute ends with its quote");
                out.extend_from_slice(&replaced(document, node, true));
                at = node.inner_end;
            }
            (false, State::Added) => new.push(node),
        }
    }
    if !added {
        out.extend_from_slice(document.bytes(at, end));
    }
    for node in new {
        out.push(b' ');
        out.extend_from_slice(document.raw_name(node));
        out.extend_from_slice(b"=\"");
        out.extend_from_slice(&replaced(document, node, true));
        out.push(b'"');
    }
    end
}

fn content(document: &XmlDocument, of: u32, out: &mut Vec<u8>) {
    let element = document.nodes.at(of);
    if element.value_text != NONE {
        return out.extend_from_slice(&replaced(document, element, false));
    }
    let mut at = element.inner_start;
    for index in document.nodes.children(of) {
        let node = document.nodes.at(index);
        if node.kind == Kind::Attribute {
            continue;
        }
        match (node.links.removed, node.state) {
            (true, State::Read) => {
                out.extend_from_slice(trimmed(document.bytes(at, node.start)));
                at = node.end;
            }
            (true, State::Added) => {}
            (false, State::Read) => {
                out.extend_from_slice(document.bytes(at, node.start));
                self::element(document, index, out);
                at = node.end;
            }
            (false, State::Added) => {
                out.extend_from_slice(indent(document, of));
                self::element(document, index, out);
            }
        }
    }
    if element.state != State::Added {
        out.extend_from_slice(document.bytes(at, element.inner_end));
    }
}

/// The white space before the last child that was read.
fn indent(document: &XmlDocument, of: u32) -> &[u8] {
    let read = document
        .nodes
        .children(of)
        .map(|index| document.nodes.at(index));
    let model = read
        .filter(|node| node.kind == Kind::Element && node.name_text == NONE)
        .last();
    let Some(model) = model else { return &[] };
    let before = document.bytes(0, model.start);
    before.get(trimmed(before).len()..).unwrap_or_default()
}
