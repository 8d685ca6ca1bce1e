//! A spanned tree against a JSON schema, every problem at once.
//!
//! The schemas are those that `schemars` makes of the structs of this crate and of components, so
//! only what it emits is understood. Two keywords are our own: `x-component` marks a map in which
//! one key names a component, and `x-removed` tells what a key that is gone was replaced by.
//!
//! Checking gives the tree as JSON in the shape that the schema asks for: where only text fits, a
//! number stays the text that was written.

mod choice;
mod format;
mod object;
mod uses;

use std::sync::Arc;

use hilum_component::{ComponentKind, ComponentSpec, Format, Registry};
use serde_json::{Map, Value};

pub(crate) use format::{ORDER_DOMAINS, parse_address};
pub(crate) use object::{BUILT_IN, built_in_schema, kind_word};
pub use uses::{Use, UseKind};

use crate::diagnostic::{Draft, Report};
use crate::site::SiteView;
use crate::yaml::{Kind, Node, Scalar, Span, Value as Meaning};

/// References that a schema may follow without descending in the tree.
const REF_DEPTH_MAX: usize = 16;
/// Values that are looked at for one file, alternatives counted each time.
const FUEL: usize = 2_000_000;

/// What values are checked against besides their schema.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The components that may be named.
    pub(crate) registry: &'a Registry,
    /// The format in whose dialect expressions are written, where it is known.
    pub(crate) format: Option<&'a Arc<dyn Format>>,
    /// Where replies are worked on: the format of the messages that ask.
    pub(crate) original: Option<&'a Arc<dyn Format>>,
    /// Systems, files and secrets.
    pub(crate) site: &'a SiteView<'a>,
    /// The destinations of the channel.
    pub(crate) destinations: &'a [String],
}

/// A component that a file names, with its configuration.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Source, step or destination.
    pub(crate) kind: ComponentKind,
    /// Where it stands: `to`, `ehr`.
    pub(crate) at: Vec<String>,
    /// Its name, with the place of the key.
    pub(crate) name: String,
    pub(crate) name_span: Span,
    /// Its configuration, with the shorthand resolved.
    pub(crate) node: Node,
    /// The same as JSON.
    pub(crate) config: Value,
    /// Its specification; none for what the engine itself provides.
    pub(crate) spec: Option<Arc<ComponentSpec>>,
    /// Nothing is wrong with it so far.
    pub(crate) clean: bool,
}

/// What checking a tree gives besides problems.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The components that it names.
    pub(crate) pieces: Vec<Piece>,
    /// Expressions, paths, files, systems and secrets that it uses.
    pub(crate) uses: Vec<Use>,
}

/// Checks a tree against a schema.
pub(crate) struct Checker<'a> {
    scope: Scope<'a>,
    root: &'a Value,
    report: Report,
    found: Found,
    at: Vec<String>,
    refs: usize,
    fuel: usize,
}

/// Checks `node` against `schema` and gives it as JSON.
pub(crate) fn check(
    scope: Scope<'_>,
    schema: &Value,
    node: &Node,
    report: &mut Report,
) -> (Value, Found) {
    check_at(scope, schema, node, &[], report)
}

/// The same for a part of a tree, which stands at `at`.
pub(crate) fn check_at(
    scope: Scope<'_>,
    schema: &Value,
    node: &Node,
    at: &[String],
    report: &mut Report,
) -> (Value, Found) {
    let mut checker = Checker {
        scope,
        root: schema,
        report: Report::default(),
        found: Found::default(),
        at: at.to_vec(),
        refs: 0,
        fuel: FUEL,
    };
    let value = checker.value(node, schema);
    report.absorb(checker.report);
    (value, checker.found)
}

impl<'a> Checker<'a> {
    /// A checker of the same place that keeps its findings to itself.
    fn apart(&self, root: &'a Value) -> Self {
        Self {
            scope: self.scope,
            root,
            report: Report::default(),
            found: Found::default(),
            at: self.at.clone(),
            refs: self.refs,
            fuel: self.fuel,
        }
    }

    fn absorb(&mut self, other: Self) {
        self.report.absorb(other.report);
        self.found.pieces.extend(other.found.pieces);
        self.found.uses.extend(other.found.uses);
        self.fuel = other.fuel;
    }

    fn below(&mut self, part: &str, node: &Node, schema: &'a Value) -> Value {
        self.at.push(part.to_owned());
        let value = self.value(node, schema);
        self.at.pop();
        value
    }

    fn value(&mut self, node: &Node, schema: &'a Value) -> Value {
        if self.fuel == 0 {
            self.report.push(Draft::error(
                "E0004",
                node.span,
                "the file is too intricate to check",
            ));
            return Value::Null;
        }
        self.fuel -= 1;
        let Some(object) = schema.as_object() else {
            // `true` allows anything.
            return node.json();
        };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            return self.reference(node, reference);
        }
        if let Some(branches) = alternatives(object) {
            return self.one_of(node, object, branches);
        }
        if let Some(constant) = object.get("const") {
            return self.one_of_texts(node, std::slice::from_ref(constant));
        }
        if let Some(values) = object.get("enum").and_then(Value::as_array) {
            return self.one_of_texts(node, values);
        }
        self.of_type(node, object)
    }

    fn reference(&mut self, node: &Node, reference: &str) -> Value {
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        match target {
            Some(schema) if self.refs < REF_DEPTH_MAX => {
                self.refs += 1;
                let value = self.value(node, schema);
                self.refs -= 1;
                value
            }
            _ => node.json(),
        }
    }

    fn of_type(&mut self, node: &Node, schema: &'a Map<String, Value>) -> Value {
        let types = types(schema);
        if node.is_null() && types.contains(&"null") {
            return Value::Null;
        }
        let refs = std::mem::take(&mut self.refs);
        let value = match &node.kind {
            Kind::Map(entries) if types.is_empty() || types.contains(&"object") => {
                self.object(node, entries, schema)
            }
            Kind::List(items) if types.is_empty() || types.contains(&"array") => {
                self.list(node, items, schema)
            }
            Kind::Scalar(scalar) => self.scalar(node, scalar, schema, &types),
            Kind::Map(_) | Kind::List(_) => self.mismatch(node, schema, &types),
        };
        self.refs = refs;
        value
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &'a Map<String, Value>) -> Value {
        let each = schema.get("items").unwrap_or(&Value::Bool(true));
        let values = items
            .iter()
            .enumerate()
            .map(|(at, item)| self.below(&at.to_string(), item, each))
            .collect();
        for (key, wrong) in [("minItems", "few"), ("maxItems", "many")] {
            let Some(limit) = schema.get(key).and_then(Value::as_u64) else {
                continue;
            };
            let outside = if key == "minItems" {
                (items.len() as u64) < limit
            } else {
                items.len() as u64 > limit
            };
            if outside {
                let text = format!(
                    "too {wrong} items: {} where {limit} is the limit",
                    items.len()
                );
                self.report.push(Draft::error("E0105", node.span, text));
            }
        }
        Value::Array(values)
    }

    fn scalar(
        &mut self,
        node: &Node,
        scalar: &Scalar,
        schema: &'a Map<String, Value>,
        types: &[&str],
    ) -> Value {
        let fits = |kind: &str| types.contains(&kind);
        if types.is_empty() {
            return match schema.get("format").and_then(Value::as_str) {
                Some(_) => self.text(node, scalar, schema),
                None => scalar.json(),
            };
        }
        match scalar.value {
            Meaning::Boolean(value) if fits("boolean") => value.into(),
            Meaning::Integer(value) if fits("integer") || fits("number") => {
                self.bounds(node, value as f64, schema);
                value.into()
            }
            Meaning::Decimal(value) if fits("number") => {
                self.bounds(node, value, schema);
                scalar.json()
            }
            Meaning::Text | Meaning::Boolean(_) | Meaning::Integer(_) | Meaning::Decimal(_)
                if fits("string") =>
            {
                self.text(node, scalar, schema)
            }
            Meaning::Null
            | Meaning::Text
            | Meaning::Boolean(_)
            | Meaning::Integer(_)
            | Meaning::Decimal(_) => self.mismatch(node, schema, types),
        }
    }

    fn bounds(&mut self, node: &Node, value: f64, schema: &Map<String, Value>) {
        let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
        let wrong = match (
            limit("minimum"),
            limit("maximum"),
            limit("exclusiveMinimum"),
        ) {
            (Some(least), _, _) if value < least => format!("at least {least}"),
            (_, Some(most), _) if value > most => format!("at most {most}"),
            (_, _, Some(bound)) if value <= bound => format!("more than {bound}"),
            _ => return,
        };
        let text = format!("the number is out of range: it must be {wrong}");
        self.report.push(Draft::error("E0105", node.span, text));
    }

    fn text(&mut self, node: &Node, scalar: &Scalar, schema: &Map<String, Value>) -> Value {
        let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
        if (scalar.text.chars().count() as u64) < least {
            self.report
                .push(Draft::error("E0105", node.span, "the text is empty"));
        }
        if let Some(format) = schema.get("format").and_then(Value::as_str) {
            self.format(node, &scalar.text, format);
        }
        scalar.text.clone().into()
    }

    fn mismatch(&mut self, node: &Node, schema: &Map<String, Value>, types: &[&str]) -> Value {
        let wanted: Vec<String> = types
            .iter()
            .filter(|kind| **kind != "null")
            .map(|kind| word(kind, schema))
            .collect();
        let found = match &node.kind {
            Kind::Scalar(scalar) => scalar.word(),
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        };
        let text = format!("expected {}, found {found}", wanted.join(" or "));
        let draft = Draft::error("E0103", node.span, text);
        let remedy = match (types.first().copied(), &node.kind) {
            (Some("object"), Kind::Scalar(_) | Kind::List(_)) => {
                Some("write `key: value` pairs below it, indented")
            }
            (Some("array"), Kind::Scalar(_) | Kind::Map(_)) => {
                Some("write one `- ` line for each, or [a, b]")
            }
            (Some("integer" | "number" | "boolean"), Kind::Scalar(scalar))
                if scalar.style == crate::yaml::Style::Quoted =>
            {
                Some("leave the quotes out")
            }
            _ => None,
        };
        self.report
            .push(draft.maybe_remedy(remedy.map(str::to_owned)));
        node.json()
    }
}

/// The alternatives of a schema.
fn alternatives(schema: &Map<String, Value>) -> Option<&Vec<Value>> {
    ["oneOf", "anyOf"]
        .iter()
        .find_map(|key| schema.get(*key))
        .and_then(Value::as_array)
}

/// The texts that a branch allows, if it allows only certain texts.
fn constants(branch: &Value) -> Option<Vec<Value>> {
    if let Some(constant) = branch.get("const") {
        return Some(vec![constant.clone()]);
    }
    branch.get("enum").and_then(Value::as_array).cloned()
}

fn types(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ if schema.contains_key("properties") || schema.contains_key("x-component") => {
            vec!["object"]
        }
        _ => Vec::new(),
    }
}

/// A type, for people.
fn word(kind: &str, schema: &Map<String, Value>) -> String {
    match (kind, schema.get("format").and_then(Value::as_str)) {
        ("string", Some("duration")) => "a duration such as 30s".to_owned(),
        ("string", Some("size")) => "a size such as 10MB".to_owned(),
        ("string", Some("expression")) => "an expression".to_owned(),
        ("string", Some("system")) => "the name of a system".to_owned(),
        ("string", Some("site-file")) => "a file of the site".to_owned(),
        ("string", Some("secret")) => "a reference to a secret".to_owned(),
        ("string", Some("path")) => "a path".to_owned(),
        ("string", _) => "a text".to_owned(),
        ("integer", _) => "a whole number".to_owned(),
        ("number", _) => "a number".to_owned(),
        ("boolean", _) => "true or false".to_owned(),
        ("array", _) => "a list".to_owned(),
        ("object", _) => "a map".to_owned(),
        ("null", _) => "nothing".to_owned(),
        (other, _) => other.to_owned(),
    }
}

/// A text short enough for a message.
pub(crate) fn clipped(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(60)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}
