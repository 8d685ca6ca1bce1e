//! Maps: known keys, required keys, and the one key that names a component.

use hilum_component::ComponentKind;
use serde_json::{Map, Value};

use super::{Checker, Piece, check_at, clipped};
use crate::diagnostic::{Draft, Report, closest, did_you_mean};
use crate::yaml::{Key, Kind, Node, Span};

/// What the engine itself provides beside the components of the registry: kind, name, and the
/// schema of its configuration.
pub(crate) const BUILT_IN: [(ComponentKind, &str, &str); 3] = [
    (
        ComponentKind::Source,
        "topic",
        "Messages that channels of this site publish on a topic.",
    ),
    (
        ComponentKind::Source,
        "reply",
        "Replies that `then` of other channels hands over.",
    ),
    (
        ComponentKind::Destination,
        "topic",
        "Publishes to every channel that subscribes to the topic.",
    ),
];

impl<'a> Checker<'a> {
    pub(super) fn object(
        &mut self,
        node: &Node,
        entries: &[(Key, Node)],
        schema: &'a Map<String, Value>,
    ) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut values = Map::new();
        let mut components = Vec::new();
        for (key, value) in entries {
            if let Some(property) = properties.and_then(|known| known.get(&key.text)) {
                let found = self.below_key(key, value, property);
                if !(found.is_null() && value.is_null()) {
                    values.insert(key.text.clone(), found);
                }
                continue;
            }
            if schema.contains_key("x-component") {
                components.push((key, value));
                continue;
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => self.unknown(key, schema),
                Some(Value::Bool(true)) => {
                    values.insert(key.text.clone(), value.json());
                }
                Some(each) => {
                    self.key_name(key, schema);
                    values.insert(key.text.clone(), self.below_key(key, value, each));
                }
                None if properties.is_some() => self.unknown(key, schema),
                None => {
                    values.insert(key.text.clone(), value.json());
                }
            }
        }
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .map(Vec::as_slice);
        let written = |name: &str| entries.iter().any(|(key, _)| key.text == name);
        let missing = required
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_str);
        for name in missing.filter(|name| !written(name)) {
            self.missing(node, entries, name, properties);
        }
        if let Some(kind) = schema.get("x-component").and_then(Value::as_str) {
            let optional = values.get("removed") == Some(&Value::from("dead-letter"));
            self.components(node, kind, &components, schema, optional);
        }
        Value::Object(values)
    }

    /// Checks the value of a key; where nothing was written, problems point to the key.
    fn below_key(&mut self, key: &Key, value: &Node, schema: &'a Value) -> Value {
        if value.is_null() && value.span.start == value.span.end {
            let pointed = Node {
                span: key.span,
                kind: value.kind.clone(),
            };
            return self.below(&key.text, &pointed, schema);
        }
        self.below(&key.text, value, schema)
    }

    fn key_name(&mut self, key: &Key, schema: &Map<String, Value>) {
        let format = schema
            .get("propertyNames")
            .and_then(|names| names.get("format"));
        let Some(format) = format.and_then(Value::as_str) else {
            return;
        };
        let scalar = crate::yaml::Scalar::new(
            key.text.clone(),
            crate::yaml::Style::Plain,
            Some(key.span.start),
        );
        let node = Node {
            span: key.span,
            kind: Kind::Scalar(scalar),
        };
        self.at.push(key.text.clone());
        self.format(&node, &key.text, format);
        self.at.pop();
    }

    fn unknown(&mut self, key: &Key, schema: &Map<String, Value>) {
        let gone = schema
            .get("x-removed")
            .and_then(|gone| gone.get(&key.text))
            .and_then(Value::as_str);
        if let Some(successor) = gone {
            let text = format!("there is no key `{}`", key.text);
            self.report
                .push(Draft::error("E0106", key.span, text).remedy(successor));
            return;
        }
        let known = schema.get("properties").and_then(Value::as_object);
        let names = known.into_iter().flat_map(Map::keys).map(String::as_str);
        let text = format!("unknown key `{}`", clipped(&key.text));
        let remedy = did_you_mean(&key.text, "known keys", names);
        self.report
            .push(Draft::error("E0101", key.span, text).maybe_remedy(remedy));
    }

    fn missing(
        &mut self,
        node: &Node,
        entries: &[(Key, Node)],
        name: &str,
        properties: Option<&Map<String, Value>>,
    ) {
        // A misspelt key is reported as unknown, with this one as the remedy.
        let others = entries.iter().map(|(key, _)| key.text.as_str());
        let unknown =
            others.filter(|key| properties.is_some_and(|known| !known.contains_key(*key)));
        if closest(name, unknown).is_some() {
            return;
        }
        let about = properties
            .and_then(|known| known.get(name))
            .and_then(|p| p.get("description"));
        let about = about
            .and_then(Value::as_str)
            .and_then(|text| text.lines().next());
        let text = format!("the key `{name}` is missing");
        let remedy = about.map(|about| format!("`{name}`: {}", about.trim_end_matches('.')));
        let draft = Draft::error("E0102", head(node, entries), text).maybe_remedy(remedy);
        self.report.push(draft);
    }

    /// Exactly one of the keys must name a component.
    fn components(
        &mut self,
        node: &Node,
        kind: &str,
        found: &[(&Key, &Node)],
        schema: &'a Map<String, Value>,
        optional: bool,
    ) {
        let Some(kind) = component_kind(kind) else {
            return;
        };
        let known = self.names(kind);
        let is_known = |key: &Key| known.iter().any(|name| *name == key.text);
        let chosen: Vec<&(&Key, &Node)> = found.iter().filter(|(key, _)| is_known(key)).collect();
        for (key, _) in found.iter().filter(|(key, _)| !is_known(key)) {
            self.no_component(
                (kind, chosen.first().map(|(key, _)| *key)),
                key,
                &known,
                schema,
            );
        }
        match chosen.as_slice() {
            [] if found.is_empty() && !optional => {
                let text = format!("no {} is named", kind_word(kind));
                let remedy = format!("name one of: {}", known.join(", "));
                self.report
                    .push(Draft::error("E0109", head(node, node.entries()), text).remedy(remedy));
            }
            [] => {}
            [(key, value)] => self.component(kind, key, value),
            [(first, _), (second, _), ..] => {
                let text = format!(
                    "both `{}` and `{}` are named where one {} fits",
                    first.text,
                    second.text,
                    kind_word(kind)
                );
                let draft =
                    Draft::error("E0109", second.span, text).related(first.span, "the other");
                self.report
                    .push(draft.remedy("give each an entry of its own"));
            }
        }
    }

    fn no_component(
        &mut self,
        (kind, beside): (ComponentKind, Option<&Key>),
        key: &Key,
        known: &[&str],
        schema: &Map<String, Value>,
    ) {
        let keys = schema.get("properties").and_then(Value::as_object);
        let keys: Vec<&str> = keys
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect();
        let gone = schema
            .get("x-removed")
            .and_then(|gone| gone.get(&key.text))
            .and_then(Value::as_str);
        if let Some(successor) = gone {
            let text = format!("there is no key `{}`", key.text);
            self.report
                .push(Draft::error("E0106", key.span, text).remedy(successor));
        } else if let Some(component) = beside.filter(|one| self.has_setting(kind, one, key)) {
            let text = format!("unknown key `{}`", clipped(&key.text));
            let remedy = format!("write it below `{}`, whose setting it is", component.text);
            self.report
                .push(Draft::error("E0101", key.span, text).remedy(remedy));
        } else if beside.is_some() || closest(&key.text, keys.iter().copied()).is_some() {
            let text = format!("unknown key `{}`", clipped(&key.text));
            let remedy = did_you_mean(&key.text, "known keys", keys);
            self.report
                .push(Draft::error("E0101", key.span, text).maybe_remedy(remedy));
        } else {
            let word = kind_word(kind);
            let text = format!("no such {word} `{}`", clipped(&key.text));
            let remedy = did_you_mean(&key.text, &format!("known {word}s"), known.iter().copied());
            self.report
                .push(Draft::error("E0108", key.span, text).maybe_remedy(remedy));
        }
    }

    /// Whether a component has a setting of that name.
    fn has_setting(&self, kind: ComponentKind, component: &Key, key: &Key) -> bool {
        let spec = self.scope.registry.get(kind, &component.text);
        let schema = spec.map_or_else(|| built_in_schema(&component.text), |spec| (spec.schema)());
        let settings = schema.get("properties");
        settings.is_some_and(|settings| settings.get(&key.text).is_some())
    }

    fn names(&self, kind: ComponentKind) -> Vec<&'static str> {
        let built_in = BUILT_IN
            .iter()
            .filter(|(known, _, _)| *known == kind)
            .map(|(_, name, _)| *name);
        let mut names: Vec<&str> = self
            .scope
            .registry
            .of_kind(kind)
            .map(|spec| spec.name)
            .chain(built_in)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn component(&mut self, kind: ComponentKind, key: &Key, value: &Node) {
        let spec = self.scope.registry.get(kind, &key.text).cloned();
        let schema = spec
            .as_ref()
            .map_or_else(|| built_in_schema(&key.text), |spec| (spec.schema)());
        let shorthand = spec.as_ref().and_then(|spec| spec.shorthand);
        let bare = !matches!(value.kind, Kind::Map(_)) && !value.is_null();
        let node = match shorthand {
            Some(name) if bare => Node {
                span: value.span,
                kind: Kind::Map(vec![(
                    Key {
                        text: name.to_owned(),
                        span: value.span,
                    },
                    value.clone(),
                )]),
            },
            // Nothing written means nothing set.
            _ if value.is_null() && spec.is_some() => Node {
                span: key.span,
                kind: Kind::Map(Vec::new()),
            },
            _ => value.clone(),
        };
        let mut at = self.at.clone();
        at.push(key.text.clone());
        let mut report = Report::default();
        let (config, found) = check_at(self.scope, &schema, &node, &at, &mut report);
        let piece = Piece {
            kind,
            at: self.at.clone(),
            name: key.text.clone(),
            name_span: key.span,
            node,
            config,
            spec,
            clean: report.errors() == 0,
        };
        self.found.pieces.push(piece);
        self.found.uses.extend(found.uses);
        self.report.absorb(report);
    }
}

/// The configuration of what the engine provides.
pub(crate) fn built_in_schema(name: &str) -> Value {
    match name {
        "topic" => serde_json::json!({ "type": "string", "format": "topic" }),
        _ => {
            serde_json::json!({ "type": ["object", "null"], "properties": {}, "additionalProperties": false })
        }
    }
}

/// A schema with the keywords of one of its alternatives.
pub(super) fn merged(base: &Map<String, Value>, branch: &Value) -> Option<Value> {
    let (properties, branch) = (base.get("properties")?.as_object()?, branch.as_object()?);
    let mut all = base.clone();
    all.remove("oneOf");
    all.remove("anyOf");
    let mut keys = properties.clone();
    let more = branch.get("properties").and_then(Value::as_object);
    keys.extend(
        more.into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    all.insert("properties".to_owned(), Value::Object(keys));
    let both = [base.get("required"), branch.get("required")];
    let required = both
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten()
        .cloned();
    all.insert("required".to_owned(), required.collect());
    Some(Value::Object(all))
}

fn component_kind(word: &str) -> Option<ComponentKind> {
    match word {
        "format" => Some(ComponentKind::Format),
        "source" => Some(ComponentKind::Source),
        "step" => Some(ComponentKind::Step),
        "destination" => Some(ComponentKind::Destination),
        _ => None,
    }
}

/// A kind of component, for people.
pub(crate) const fn kind_word(kind: ComponentKind) -> &'static str {
    match kind {
        ComponentKind::Format => "format",
        ComponentKind::Source => "source",
        ComponentKind::Step => "step",
        ComponentKind::Destination => "destination",
    }
}

/// The beginning of a map: its first key, or the map itself where it is empty.
fn head(node: &Node, entries: &[(Key, Node)]) -> Span {
    entries.first().map_or(node.span, |(key, _)| key.span)
}
