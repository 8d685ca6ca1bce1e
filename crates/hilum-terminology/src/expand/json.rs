//! An expansion as a ValueSet in JSON.
//!
//! What FHIR R4 has no element for stands in the extensions that FHIR R5 defines for that: the
//! properties of an expansion and of its codes (hl7.org/fhir/5.0 extension-ValueSet.expansion).

use hilum_fhir::json::{Selection, write_selected, write_string};
use hilum_fhir::{Node, Style};

use super::{Entry, EntryName, Expansion, Value};
use crate::set::ValueSet;
use crate::table::{Property, ValueKind};

const PROPERTY: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.property";
const CONTAINS_PROPERTY: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property";
const UNCLOSED: &str = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed";
const UNCLOSED_REASON: &str = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed-reason";

/// What of a value set is given with its expansion even where the definition is not asked for.
const KEPT: [&str; 13] = [
    "language",
    "url",
    "identifier",
    "version",
    "name",
    "title",
    "status",
    "experimental",
    "date",
    "useContext",
    "jurisdiction",
    "immutable",
    "implicitRules",
];

/// What tells an expansion from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its name, a URI.
    pub identifier: String,
    /// When it was made, as FHIR writes an instant or a time.
    pub timestamp: String,
}

/// What is given of a value set: its definition as well, or not.
struct Kept(bool);

impl Selection for Kept {
    fn keeps(&self, node: Node<'_>) -> bool {
        let base = node
            .parent()
            .is_some_and(|parent| parent.parent().is_none());
        if !base {
            return true;
        }
        let name = node.name();
        let given = self.0 || KEPT.contains(&name);
        given && !matches!(name, "expansion" | "id" | "text" | "meta")
    }
}

impl Expansion {
    /// A ValueSet with this expansion as compact JSON.
    #[must_use]
    pub fn to_json(&self, set: &ValueSet, stamp: &Stamp) -> Vec<u8> {
        let mut out = Vec::with_capacity(1_024 + self.contains.len() * 128);
        match &set.resource {
            Some(resource) => {
                write_selected(
                    resource.root(),
                    &Kept(self.with_definition),
                    Style::Compact,
                    &mut out,
                );
                // The object goes on.
                out.pop();
            }
            None => {
                out.extend_from_slice(b"{\"resourceType\":\"ValueSet\"");
                for (name, value) in [("url", &set.url), ("version", &set.version)] {
                    if let Some(value) = value {
                        key(name, &mut out);
                        write_string(value, &mut out);
                    }
                }
                key("status", &mut out);
                write_string("active", &mut out);
            }
        }
        key("expansion", &mut out);
        out.push(b'{');
        self.extensions(&mut out);
        plain_key("identifier", &mut out);
        write_string(&stamp.identifier, &mut out);
        key("timestamp", &mut out);
        write_string(&stamp.timestamp, &mut out);
        key("total", &mut out);
        out.extend_from_slice(self.total.to_string().as_bytes());
        if let Some(offset) = self.offset {
            key("offset", &mut out);
            out.extend_from_slice(offset.to_string().as_bytes());
        }
        self.parameters(&mut out);
        if !self.contains.is_empty() {
            key("contains", &mut out);
            entries(&self.contains, &mut out);
        }
        out.extend_from_slice(b"}}");
        out
    }

    fn extensions(&self, out: &mut Vec<u8>) {
        if self.properties.is_empty() && self.unclosed.is_none() {
            return;
        }
        plain_key("extension", out);
        out.push(b'[');
        let mut first = true;
        let mut next = |out: &mut Vec<u8>| {
            if !std::mem::replace(&mut first, false) {
                out.push(b',');
            }
        };
        if let Some(why) = &self.unclosed {
            next(out);
            extension(UNCLOSED, "valueBoolean", out);
            out.extend_from_slice(b"true}");
            next(out);
            extension(UNCLOSED_REASON, "valueString", out);
            write_string(why, out);
            out.push(b'}');
        }
        for (code, uri) in &self.properties {
            next(out);
            extension(PROPERTY, "extension", out);
            out.push(b'[');
            extension("code", "valueCode", out);
            write_string(code, out);
            out.push(b'}');
            if let Some(uri) = uri {
                out.push(b',');
                extension("uri", "valueUri", out);
                write_string(uri, out);
                out.push(b'}');
            }
            out.extend_from_slice(b"]}");
        }
        out.extend_from_slice(b"],");
    }

    fn parameters(&self, out: &mut Vec<u8>) {
        if self.parameters.is_empty() {
            return;
        }
        key("parameter", out);
        out.push(b'[');
        for (at, (name, value)) in self.parameters.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.push(b'{');
            plain_key("name", out);
            write_string(name, out);
            match value {
                Value::Uri(text) => {
                    key("valueUri", out);
                    write_string(text, out);
                }
                Value::Code(text) => {
                    key("valueCode", out);
                    write_string(text, out);
                }
                Value::Text(text) => {
                    key("valueString", out);
                    write_string(text, out);
                }
                Value::Number(number) => {
                    key("valueInteger", out);
                    out.extend_from_slice(number.to_string().as_bytes());
                }
                Value::Flag(flag) => {
                    key("valueBoolean", out);
                    out.extend_from_slice(flag.to_string().as_bytes());
                }
            }
            out.push(b'}');
        }
        out.push(b']');
    }
}

/// `"name":`
fn plain_key(name: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// `,"name":`
fn key(name: &str, out: &mut Vec<u8>) {
    out.push(b',');
    plain_key(name, out);
}

/// The beginning of an extension, up to its value.
fn extension(url: &str, value: &str, out: &mut Vec<u8>) {
    out.push(b'{');
    plain_key("url", out);
    write_string(url, out);
    key(value, out);
}

fn entries(all: &[Entry], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, entry) in all.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        one(entry, out);
    }
    out.push(b']');
}

// A tree is as deep as the resource that it came from, which was bounded when it was read.
fn one(entry: &Entry, out: &mut Vec<u8>) {
    out.push(b'{');
    if !entry.extensions.is_empty() || !entry.properties.is_empty() {
        plain_key("extension", out);
        out.push(b'[');
        let mut first = true;
        for json in &entry.extensions {
            let inner = json
                .get(1..json.len().saturating_sub(1))
                .unwrap_or_default();
            if !std::mem::replace(&mut first, false) {
                out.push(b',');
            }
            out.extend_from_slice(inner.as_bytes());
        }
        for (code, kind, value) in &entry.properties {
            if !std::mem::replace(&mut first, false) {
                out.push(b',');
            }
            extension(CONTAINS_PROPERTY, "extension", out);
            out.push(b'[');
            extension("code", "valueCode", out);
            write_string(code, out);
            out.extend_from_slice(b"},{");
            plain_key("url", out);
            write_string("value", out);
            out.push(b',');
            typed(*kind, value, out);
            out.extend_from_slice(b"}]}");
        }
        out.extend_from_slice(b"],");
    }
    if let Some(system) = &entry.system {
        plain_key("system", out);
        write_string(system, out);
        out.push(b',');
    }
    if entry.is_abstract {
        out.extend_from_slice(b"\"abstract\":true,");
    }
    if entry.is_inactive {
        out.extend_from_slice(b"\"inactive\":true,");
    }
    if let Some(version) = &entry.version {
        plain_key("version", out);
        write_string(version, out);
        out.push(b',');
    }
    plain_key("code", out);
    write_string(&entry.code, out);
    if let Some(display) = &entry.display {
        key("display", out);
        write_string(display, out);
    }
    if !entry.designations.is_empty() {
        key("designation", out);
        out.push(b'[');
        for (at, name) in entry.designations.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            designation(name, out);
        }
        out.push(b']');
    }
    if !entry.contains.is_empty() {
        key("contains", out);
        entries(&entry.contains, out);
    }
    out.push(b'}');
}

/// `"valueCode":"x"` and the like: the value of a property as JSON writes it.
pub fn property_json(property: &Property<'_>, out: &mut Vec<u8>) {
    typed(property.kind, property.value, out);
}

/// The value of a property.
fn typed(kind: ValueKind, value: &str, out: &mut Vec<u8>) {
    let name = match kind {
        ValueKind::Code => "valueCode",
        ValueKind::Coding => "valueCoding",
        ValueKind::String => "valueString",
        ValueKind::Integer => "valueInteger",
        ValueKind::Boolean => "valueBoolean",
        ValueKind::DateTime => "valueDateTime",
        ValueKind::Decimal => "valueDecimal",
    };
    plain_key(name, out);
    match kind {
        // The resource that it is from was checked, so it is a number or a truth value.
        ValueKind::Integer | ValueKind::Boolean | ValueKind::Decimal => {
            out.extend_from_slice(value.as_bytes());
        }
        ValueKind::Coding => {
            let (system, code) = value.split_once('|').unwrap_or(("", value));
            out.push(b'{');
            if !system.is_empty() {
                plain_key("system", out);
                write_string(system, out);
                out.push(b',');
            }
            plain_key("code", out);
            write_string(code, out);
            out.push(b'}');
        }
        ValueKind::Code | ValueKind::String | ValueKind::DateTime => write_string(value, out),
    }
}

fn designation(name: &EntryName, out: &mut Vec<u8>) {
    out.push(b'{');
    if let Some(extensions) = &name.extensions {
        plain_key("extension", out);
        out.extend_from_slice(extensions.as_bytes());
        out.push(b',');
    }
    if let Some(language) = &name.language {
        plain_key("language", out);
        write_string(language, out);
        out.push(b',');
    }
    if let Some([system, code, display]) = &name.usage {
        plain_key("use", out);
        out.push(b'{');
        let mut first = true;
        for (name, text) in [("system", system), ("code", code), ("display", display)] {
            if text.is_empty() {
                continue;
            }
            if !std::mem::replace(&mut first, false) {
                out.push(b',');
            }
            plain_key(name, out);
            write_string(text, out);
        }
        out.extend_from_slice(b"},");
    }
    plain_key("value", out);
    write_string(&name.value, out);
    out.push(b'}');
}
