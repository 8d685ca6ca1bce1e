//! Writing JSON: what was read as it was read, what was added in the style of its neighbours.

use super::{JsonDocument, JsonKind, State, Value};
use crate::arena::NONE;

pub(super) fn write(document: &JsonDocument) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.source.len().saturating_add(256));
    let root = document.values.at(0);
    copy(document, 0, root.start, &mut out);
    value(document, 0, &mut out);
    out.extend_from_slice(document.source.get(root.end as usize..).unwrap_or_default());
    out
}

pub(super) fn write_value(document: &JsonDocument, index: u32) -> String {
    let mut out = Vec::new();
    value(document, index, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn copy(document: &JsonDocument, start: u32, end: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(document.slice(start, end).as_bytes());
}

fn value(document: &JsonDocument, index: u32, out: &mut Vec<u8>) {
    let found = document.values.at(index);
    if !found.links.dirty {
        return copy(document, found.start, found.end, out);
    }
    match found.kind {
        JsonKind::Object => container(document, index, out, *b"{}"),
        JsonKind::Array => container(document, index, out, *b"[]"),
        JsonKind::String | JsonKind::Number | JsonKind::Boolean | JsonKind::Null => {
            out.extend_from_slice(document.raw(found).as_bytes());
        }
    }
}

fn container(document: &JsonDocument, index: u32, out: &mut Vec<u8>, brackets: [u8; 2]) {
    let [open, close] = brackets;
    let found = document.values.at(index);
    out.push(open);
    let (mut written, mut before) = (0_usize, None);
    for child in document.values.children(index) {
        let value_of = document.values.at(child);
        if value_of.links.removed {
            before = None;
            continue;
        }
        match value_of.state {
            State::Read | State::Replaced => {
                lead(document, value_of, before, written, out);
                before = Some(value_of.end);
            }
            State::Added => {
                style(document, index, value_of, written, out);
                before = None;
            }
        }
        value(document, child, out);
        written += 1;
    }
    if found.state == State::Read && (written > 0 || found.links.first == NONE) {
        copy(document, found.tail, found.end.saturating_sub(1), out);
    }
    out.push(close);
}

/// What stands between the value before and this one: as read if both are neighbours still.
fn lead(
    document: &JsonDocument,
    value: &Value,
    before: Option<u32>,
    written: usize,
    out: &mut Vec<u8>,
) {
    let from = match before {
        Some(end) => end,
        None => {
            if written > 0 {
                out.push(b',');
            }
            value.lead
        }
    };
    copy(document, from, value.start, out);
}

/// Writes what precedes an added value, with the white space of a value that was read.
fn style(document: &JsonDocument, of: u32, added: &Value, written: usize, out: &mut Vec<u8>) {
    if written > 0 {
        out.push(b',');
    }
    let model = document.values.live(of).map(|(_, value)| value);
    let model = model.filter(|value| value.state != State::Added).last();
    let key = document.raw_key(added);
    let (mut before, mut between) = ("", ":");
    if let Some(model) = model {
        let keyed = model.key_end > 0;
        let key_start = if keyed { model.key_start } else { model.start };
        before = blank(document.slice(model.lead, key_start));
        if keyed {
            between = document.slice(model.key_end, model.start);
        }
    }
    out.extend_from_slice(before.as_bytes());
    if !key.is_empty() {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(between.as_bytes());
    }
}

fn blank(text: &str) -> &str {
    if text.trim().is_empty() { text } else { "" }
}
