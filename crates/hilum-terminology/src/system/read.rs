//! Code systems from CodeSystem resources (FHIR R4 codesystem.html).

use std::sync::Arc;

use hilum_fhir::{Node, Resource, Style, json};

use super::{Body, Content, PropertyDef, Standing, System};
use crate::names;
use crate::table::{At, Case, Flags, Full, Table, TableBuilder, Use, ValueKind};

/// Why a resource is no code system, value set or concept map that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// An element is missing that it cannot do without.
    #[error("{0} has no {1}")]
    Missing(&'static str, &'static str),
    /// An element has a value that means nothing.
    #[error("{0} has a value that is not known: {1}")]
    Value(&'static str, String),
    /// It is larger than a table can be.
    #[error(transparent)]
    Full(#[from] Full),
    /// It contains more than a limit allows.
    #[error("{0} has more than {1} levels")]
    Deep(&'static str, usize),
}

/// The text of a child, where it has one.
pub(crate) fn text(node: Node<'_>, name: &str) -> Option<Box<str>> {
    node.child_text(name).map(Into::into)
}

/// The value of an extension of a node.
pub(crate) fn extension_value<'r>(node: Node<'r>, url: &str) -> Option<&'r str> {
    extension(node, url)?.child_text("value")
}

fn extension<'r>(node: Node<'r>, url: &str) -> Option<Node<'r>> {
    let mut all = node.children_named("extension");
    all.find(|one| one.child_text("url") == Some(url))
}

/// The extensions of a node that say something about a concept wherever it is listed, as a JSON
/// array.
pub(crate) fn kept_extensions(node: Node<'_>, kept: &[&str]) -> Option<String> {
    let mut out: Vec<u8> = Vec::new();
    for one in node.children_named("extension") {
        if one.child_text("url").is_some_and(|url| kept.contains(&url)) {
            out.push(if out.is_empty() { b'[' } else { b',' });
            json::write_node(one, Style::Compact, &mut out);
        }
    }
    if out.is_empty() {
        return None;
    }
    out.push(b']');
    String::from_utf8(out).ok()
}

impl Standing {
    /// What a definition says about itself.
    pub(crate) fn of(root: Node<'_>) -> Self {
        Self {
            status: text(root, "status").unwrap_or_default(),
            standards: extension_value(root, names::STANDARDS_STATUS).map(Into::into),
            experimental: root.child_text("experimental") == Some("true"),
        }
    }
}

impl System {
    /// Reads a CodeSystem.
    pub fn of(resource: &Resource) -> Result<Self, ReadError> {
        let root = resource.root();
        let missing = |name| ReadError::Missing("CodeSystem", name);
        let url = text(root, "url").ok_or(missing("url"))?;
        let content = root.child_text("content").ok_or(missing("content"))?;
        let content = Content::of(content)
            .ok_or_else(|| ReadError::Value("CodeSystem.content", content.to_owned()))?;
        let properties: Vec<PropertyDef> = root
            .children_named("property")
            .filter_map(|of| {
                Some(PropertyDef {
                    code: text(of, "code")?,
                    uri: text(of, "uri"),
                    kind: ValueKind::named(of.child_text("type")?)?,
                })
            })
            .collect();
        // FHIR R4 leaves open what is meant where it says nothing; names of people come that way.
        let case = match root.child_text("caseSensitive") {
            Some("false") => Case::Insensitive,
            _ => Case::Sensitive,
        };
        let table = table(root, case, &properties)?;
        Ok(Self {
            url,
            version: text(root, "version"),
            name: text(root, "name"),
            title: text(root, "title"),
            language: text(root, "language"),
            standing: Standing::of(root),
            content,
            version_needed: root.child_text("versionNeeded") == Some("true"),
            supplements: text(root, "supplements"),
            properties,
            body: Body::Table(Arc::new(table)),
        })
    }
}

/// What is put together while concepts are read.
struct Making<'p> {
    table: TableBuilder,
    properties: &'p [PropertyDef],
    /// Concepts within concepts are subsumed by them.
    nested: bool,
    /// Child and parent by code, as properties say.
    told: Vec<(String, String)>,
}

/// Concepts within concepts are subsumed unless `hierarchyMeaning` says that they are something
/// else; the properties `parent`, `subsumedBy` and `child` say the same
/// (FHIR R4 codesystem.html#hierarchy, #defined-props).
fn table(root: Node<'_>, case: Case, properties: &[PropertyDef]) -> Result<Table, ReadError> {
    let mut making = Making {
        table: TableBuilder::new(case),
        properties,
        nested: root.child_text("hierarchyMeaning").unwrap_or("is-a") == "is-a",
        told: Vec::new(),
    };
    for concept in root.children_named("concept") {
        making.add(concept, None)?;
    }
    for (child, parent) in std::mem::take(&mut making.told) {
        let found = (making.table.find(&child), making.table.find(&parent));
        if let (Some(child), Some(parent)) = found {
            making.table.place(child, parent);
        }
    }
    Ok(making.table.finish())
}

impl Making<'_> {
    // The depth of a resource is bounded where it is read.
    fn add(&mut self, concept: Node<'_>, parent: Option<At>) -> Result<(), ReadError> {
        let Some(code) = concept.child_text("code") else {
            return Ok(());
        };
        let (display, definition) = (
            concept.child_text("display"),
            concept.child_text("definition"),
        );
        let at = self.table.concept(code, display, definition)?;
        if let Some(parent) = parent.filter(|parent| self.nested && *parent != at) {
            self.table.place(at, parent);
        }
        for designation in concept.children_named("designation") {
            self.designation(at, designation)?;
        }
        for property in concept.children_named("property") {
            self.property(at, code, property)?;
        }
        for (url, name, kind) in names::EXTENSIONS_AS_PROPERTIES {
            if let Some(value) = extension_value(concept, url) {
                self.table.property(at, name, kind, value)?;
            }
        }
        if let Some(kept) = kept_extensions(concept, &names::KEPT_OF_SYSTEMS) {
            self.table.extensions(at, &kept);
        }
        for inner in concept.children_named("concept") {
            self.add(inner, Some(at))?;
        }
        Ok(())
    }

    fn designation(&mut self, at: At, node: Node<'_>) -> Result<(), ReadError> {
        let Some(value) = node.child_text("value") else {
            return Ok(());
        };
        let usage = node.child("use").map(|of| Use {
            system: of.child_text("system").unwrap_or_default(),
            code: of.child_text("code").unwrap_or_default(),
            display: of.child_text("display").unwrap_or_default(),
        });
        let kept = kept_extensions(node, &names::KEPT_OF_DESIGNATIONS);
        let language = node.child_text("language");
        self.table
            .designation(at, language, usage, value, kept.as_deref())?;
        Ok(())
    }

    fn property(&mut self, at: At, code: &str, node: Node<'_>) -> Result<(), ReadError> {
        let (Some(name), Some(value)) = (node.child_text("code"), node.child("value")) else {
            return Ok(());
        };
        let declared = self.properties.iter().find(|def| *def.code == *name);
        let uri = declared.and_then(|def| def.uri.as_deref());
        let meaning = uri.and_then(|uri| uri.strip_prefix(names::CONCEPT_PROPERTIES));
        let kind = ValueKind::named(value.type_name()).unwrap_or(ValueKind::String);
        let joined;
        let text = if kind == ValueKind::Coding {
            let part = |name| value.child_text(name).unwrap_or_default();
            joined = format!("{}|{}", part("system"), part("code"));
            joined.as_str()
        } else {
            value.text().unwrap_or_default()
        };
        // The code of a property counts where its URI says something else that is not defined.
        let defined = [
            "parent",
            "subsumedBy",
            "child",
            "notSelectable",
            "inactive",
            "status",
        ];
        let meaning = meaning.filter(|meaning| defined.contains(meaning));
        match (meaning.unwrap_or(name), text) {
            ("parent" | "subsumedBy", other) => {
                self.told.push((code.to_owned(), other.to_owned()));
                return Ok(());
            }
            ("child", other) => {
                self.told.push((other.to_owned(), code.to_owned()));
                return Ok(());
            }
            ("notSelectable" | "abstract", "true") => self.table.flag(at, Flags::ABSTRACT),
            ("inactive", "true") | ("status", "retired" | "inactive" | "withdrawn") => {
                self.table.flag(at, Flags::INACTIVE);
            }
            _ => {}
        }
        self.table.property(at, name, kind, text)?;
        Ok(())
    }
}
