//! Writes a message as XML (HL7 v2.xml encoding: groups as elements, components named by type).

use super::element::XmlError;
use crate::dictionary::{DataType, Version};
use crate::escape;
use crate::message::{Level, Message, Part};
use crate::structure::{DictionaryStructures, structure_of, version_of};

/// The namespace of the encoding.
pub const NAMESPACE: &str = "urn:hl7-org:v2xml";

/// A message as XML: groups of its structure as elements, components named by data type.
///
/// What the dictionary does not name is named by its position (`ZPI.3.1`), so that nothing is lost.
/// Escape sequences that mean a character become the character; others become
/// `<escape V="..."/>`. The order of segments is kept, also where the structure has another.
pub fn write(message: &Message, structures: &DictionaryStructures) -> Result<String, XmlError> {
    let mut out = Writer {
        version: version_of(message),
        text: String::new(),
        depth: 0,
    };
    out.text
        .push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let root = root_name(message);
    out.text
        .push_str(&format!("<{root} xmlns=\"{NAMESPACE}\">\n"));
    out.depth = 1;
    let mut open: Vec<(u32, String)> = Vec::new();
    let assigned = structures.assign(message);
    for (index, segment) in message.segments().enumerate() {
        let mut chain: Vec<(u32, String)> = Vec::new();
        if let Some((grammar, assignment)) = &assigned {
            let mut at = assignment
                .places
                .get(index)
                .map_or(0, |place| place.occurrence);
            while let Some(found) = assignment.occurrences.get(at as usize).filter(|_| at != 0) {
                let name = grammar
                    .rule(found.node)
                    .map_or("", |rule| rule.name.as_str());
                chain.push((at, format!("{root}.{name}")));
                at = found.parent;
            }
        }
        chain.reverse();
        let common = open
            .iter()
            .zip(&chain)
            .take_while(|(left, right)| left == right)
            .count();
        for (_, name) in open.drain(common..).rev() {
            out.close(&name);
        }
        for group in chain.into_iter().skip(common) {
            out.open(&group.1);
            open.push(group);
        }
        out.segment(&segment)?;
    }
    for (_, name) in open.into_iter().rev() {
        out.close(&name);
    }
    out.depth = 0;
    out.close(&root);
    Ok(out.text)
}

/// The structure's id where it is known, else what MSH-9 says where XML can name it.
fn root_name(message: &Message) -> String {
    if let Some((_, structure)) = structure_of(message) {
        return structure.id().to_owned();
    }
    let part = |n| message.component("MSH", 9, n).unwrap_or_default();
    let named = part(3).into_owned();
    let joined = format!("{}_{}", part(1), part(2));
    let found = [named, joined].into_iter().find(|name| is_name(name));
    found.unwrap_or_else(|| "MESSAGE".to_owned())
}

/// Letters, digits and underscores, a letter first.
fn is_name(name: &str) -> bool {
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    letters
        && name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic())
}

struct Writer {
    version: Version,
    text: String,
    depth: usize,
}

impl Writer {
    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }

    fn open(&mut self, name: &str) {
        self.indent();
        self.text.push_str(&format!("<{name}>\n"));
        self.depth = self.depth.saturating_add(1);
    }

    fn close(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.indent();
        self.text.push_str(&format!("</{name}>\n"));
    }

    fn segment(&mut self, segment: &crate::message::Segment<'_>) -> Result<(), XmlError> {
        let id = segment.id().to_ascii_uppercase();
        if !is_name(&id) || !(2..=8).contains(&id.len()) || id.contains('_') {
            let number = segment.index().saturating_add(1);
            return Err(XmlError::Content(format!(
                "segment {number} has no id that XML can name"
            )));
        }
        let known = self.version.segment(&id);
        self.open(&id);
        for field in segment.fields() {
            // Empty fields need no element, trailing ones are kept by the last of them.
            if field.is_blank()
                && field.raw().is_empty()
                && field.field_number() != segment.field_count()
            {
                continue;
            }
            let number = field.field_number();
            let named = known
                .and_then(|known| known.field(u16::try_from(number).ok()?))
                .map_or("", |found| found.data_type());
            let observed = (id == "OBX" && number == 5)
                .then(|| segment.field(2))
                .flatten()
                .map(|kind| kind.text().into_owned());
            let data_type = self.version.data_type(observed.as_deref().unwrap_or(named));
            let name = format!("{id}.{number}");
            if field.is_separators() {
                self.leaf(&name, field);
                continue;
            }
            for repetition in field.children() {
                self.part(&name, data_type, repetition);
            }
        }
        self.close(&id);
        Ok(())
    }

    /// A repetition, component or subcomponent.
    fn part(&mut self, name: &str, data_type: Option<DataType>, part: Part<'_>) {
        let composite = data_type.filter(|found| found.component_count() > 0);
        let composite = composite.filter(|_| part.level() != Level::Subcomponent);
        if part.raw().is_empty() {
            self.indent();
            self.text.push_str(&format!("<{name}/>\n"));
            return;
        }
        let divided = !part.is_leaf();
        // An explicit null is said of the whole.
        if !divided && (composite.is_none() || part.is_null()) {
            self.leaf(name, part);
            return;
        }
        self.open(name);
        let count = part.children().count();
        for (at, child) in part.children().enumerate() {
            let number = at.saturating_add(1);
            if child.raw().is_empty() && number != count {
                continue;
            }
            let described = composite.zip(u16::try_from(number).ok());
            let described = described.and_then(|(found, number)| found.component(number));
            let inner = described.and_then(|found| self.version.data_type(found.data_type()));
            let prefix: &str = composite.map_or(name, |found| found.name());
            self.part(&format!("{prefix}.{number}"), inner, child);
        }
        self.close(name);
    }

    fn leaf(&mut self, name: &str, part: Part<'_>) {
        self.indent();
        self.text.push_str(&format!("<{name}>"));
        let message = part.message;
        let decoded = escape::decode(part.raw(), &message.decoding);
        if part.is_separators() {
            self.characters(&decoded);
        } else {
            self.escaped(&decoded, message);
        }
        self.text.push_str(&format!("</{name}>\n"));
    }

    /// Text with escape sequences.
    fn escaped(&mut self, text: &str, message: &Message) {
        let d = message.delimiters;
        let mark = char::from(d.escape);
        let mut rest = text;
        while let Some((plain, tail)) = rest.split_once(mark) {
            self.characters(plain);
            let Some((body, after)) = tail.split_once(mark) else {
                self.characters(mark.encode_utf8(&mut [0; 4]));
                rest = tail;
                continue;
            };
            let meant = match body {
                "F" => Some(d.field),
                "S" => Some(d.component),
                "T" => Some(d.subcomponent),
                "R" => Some(d.repetition),
                "E" => Some(d.escape),
                "P" => d.truncation,
                _ => None,
            };
            if let Some(byte) = meant {
                self.characters(char::from(byte).encode_utf8(&mut [0; 4]));
            } else if is_escape(body) {
                self.text.push_str(&format!("<escape V=\"{body}\"/>"));
            } else {
                // No escape sequence: the character stands for itself.
                self.characters(mark.encode_utf8(&mut [0; 4]));
                rest = tail;
                continue;
            }
            rest = after;
        }
        self.characters(rest);
    }

    fn characters(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '&' => self.text.push_str("&amp;"),
                '\t' => self.text.push('\t'),
                '\n' => self.text.push_str("&#10;"),
                '\r' => self.text.push_str("&#13;"),
                // XML has no other controls, not even as references.
                letter if letter < ' ' => {
                    self.text
                        .push_str(&format!("<escape V=\"X{:02X}\"/>", u32::from(letter)));
                }
                '\u{FFFE}' | '\u{FFFF}' => self.text.push('\u{FFFD}'),
                letter => self.text.push(letter),
            }
        }
    }
}

/// Sequences that format or spell bytes; they stay sequences.
pub(super) fn is_escape(body: &str) -> bool {
    let mut letters = body.bytes();
    let first = letters.next();
    let plain = body
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'));
    match first {
        Some(b'H' | b'N') => body.len() == 1,
        Some(b'.') => plain && body.len() > 2,
        Some(b'X' | b'C' | b'M') => body.len() > 1 && letters.all(|byte| byte.is_ascii_hexdigit()),
        Some(b'Z') => plain && body.len() > 1,
        _ => false,
    }
}
