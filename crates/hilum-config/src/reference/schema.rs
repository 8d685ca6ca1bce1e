//! The JSON schemas that editors use, with every component of the program filled in.

use hilum_component::{ComponentKind, ComponentSpec, Registry};
use serde_json::{Map, Value, json};

use crate::check::{BUILT_IN, built_in_schema};
use crate::file::{
    AlertsFile, ChannelFile, EnvironmentFile, NodeFile, SystemFile, TestFile, schema_of,
};

/// The schemas by name, and the files that each is for.
pub const SCHEMA_FILES: [(&str, &str); 6] = [
    ("site", "hilum.yaml"),
    ("system", "systems/**/*.yaml"),
    ("channel", "channels/**/!(*.test).yaml"),
    ("test", "channels/**/*.test.yaml"),
    ("alerts", "alerts.yaml"),
    ("environment", "environments/*.yaml"),
];

/// The editor schemas of all files of a site, by the names of [`SCHEMA_FILES`].
#[must_use]
pub fn schema(registry: &Registry) -> Value {
    let mut all = Map::new();
    for (name, _) in SCHEMA_FILES {
        let raw = match name {
            "site" => schema_of::<NodeFile>(),
            "system" => schema_of::<SystemFile>(),
            "channel" => schema_of::<ChannelFile>(),
            "test" => schema_of::<TestFile>(),
            "alerts" => schema_of::<AlertsFile>(),
            _ => schema_of::<EnvironmentFile>(),
        };
        let mut filler = Filler {
            registry,
            definitions: Map::new(),
        };
        let mut filled = filler.fill(&raw);
        if let Some(root) = filled.as_object_mut() {
            let own = root
                .get("$defs")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            let mut definitions = own;
            definitions.extend(filler.definitions);
            root.insert("$defs".to_owned(), Value::Object(definitions));
            root.insert("title".to_owned(), format!("hilum {name}").into());
        }
        all.insert(name.to_owned(), filled);
    }
    Value::Object(all)
}

struct Filler<'r> {
    registry: &'r Registry,
    definitions: Map<String, Value>,
}

impl Filler<'_> {
    fn fill(&mut self, schema: &Value) -> Value {
        match schema {
            Value::Object(object) => {
                let mut out = Map::new();
                for (key, value) in object.iter().filter(|(key, _)| !key.starts_with("x-")) {
                    out.insert(key.clone(), self.fill(value));
                }
                self.format(&mut out);
                if let Some(kind) = object.get("x-component").and_then(Value::as_str) {
                    self.component(kind, &mut out);
                }
                Value::Object(out)
            }
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            other => other.clone(),
        }
    }

    /// Formats of our own become patterns and lists that any editor understands.
    fn format(&self, schema: &mut Map<String, Value>) {
        let Some(format) = schema.get("format").and_then(Value::as_str) else {
            return;
        };
        let pattern = match format {
            "duration" => r"^[0-9]+ ?(ms|s|m|h|d)$",
            "size" => r"^[0-9]+ ?(B|kB|MB|GB)$",
            "secret" => r"^(env:[A-Za-z0-9_]+|file:.+)$",
            "name" | "topic" => r"^[a-z0-9][a-z0-9.-]{0,63}$",
            "address" => r"^.+:[0-9]+$",
            "message-format" => {
                let names = self
                    .registry
                    .of_kind(ComponentKind::Format)
                    .map(|spec| spec.name);
                schema.insert("enum".to_owned(), names.collect());
                return;
            }
            _ => return,
        };
        schema.insert("pattern".to_owned(), pattern.into());
        // Text is what the pattern is for; an editor would take a number for a mistake otherwise.
        schema.remove("format");
    }

    fn component(&mut self, word: &str, schema: &mut Map<String, Value>) {
        let kind = match word {
            "source" => ComponentKind::Source,
            "step" => ComponentKind::Step,
            "destination" => ComponentKind::Destination,
            _ => ComponentKind::Format,
        };
        let mut properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let mut names = Vec::new();
        let specs: Vec<_> = self.registry.of_kind(kind).cloned().collect();
        for spec in &specs {
            let reference = self.define(word, spec);
            properties.insert(spec.name.to_owned(), reference);
            names.push(spec.name);
        }
        for (_, name, summary) in BUILT_IN.iter().filter(|(known, _, _)| *known == kind) {
            let mut own = self.fill(&built_in_schema(name));
            if let Some(own) = own.as_object_mut() {
                own.insert("description".to_owned(), (*summary).into());
            }
            properties.insert((*name).to_owned(), own);
            names.push(name);
        }
        let one: Vec<Value> = names
            .iter()
            .map(|name| json!({ "required": [name] }))
            .collect();
        // A destination that is gone needs no component.
        let gone = json!({ "properties": { "removed": { "const": "dead-letter" } }, "required": ["removed"] });
        let choices = if kind == ComponentKind::Destination {
            [one, vec![gone]].concat()
        } else {
            one
        };
        schema.insert("properties".to_owned(), Value::Object(properties));
        schema.insert("additionalProperties".to_owned(), false.into());
        schema.insert("anyOf".to_owned(), choices.into());
    }

    fn define(&mut self, word: &str, spec: &ComponentSpec) -> Value {
        let name = format!("{word}-{}", spec.name);
        let own = (spec.schema)();
        let mut filled = self.fill(&rooted(&own, &name));
        if let Some(filled) = filled.as_object_mut() {
            filled.remove("$schema");
        }
        let described = match spec
            .shorthand
            .and_then(|key| filled.get("properties")?.get(key))
        {
            Some(bare) => json!({ "description": spec.summary, "anyOf": [bare, filled] }),
            None => json!({ "description": spec.summary, "allOf": [filled] }),
        };
        self.definitions.insert(
            name.clone(),
            filled_definitions(described, filled.get("$defs")),
        );
        json!({ "$ref": format!("#/$defs/{name}"), "description": spec.summary })
    }
}

/// The definitions of a component's own schema stay below its definition.
fn filled_definitions(mut schema: Value, definitions: Option<&Value>) -> Value {
    if let (Some(schema), Some(definitions)) = (schema.as_object_mut(), definitions) {
        schema.insert("$defs".to_owned(), definitions.clone());
    }
    schema
}

/// References to `#/$defs/X` of a component's own schema, as seen from the file's schema.
fn rooted(schema: &Value, name: &str) -> Value {
    match schema {
        Value::Object(object) => {
            let each = object.iter().map(|(key, value)| {
                let text = value
                    .as_str()
                    .and_then(|text| text.strip_prefix("#/$defs/"));
                match text.filter(|_| key == "$ref") {
                    Some(rest) => (key.clone(), format!("#/$defs/{name}/$defs/{rest}").into()),
                    None => (key.clone(), rooted(value, name)),
                }
            });
            Value::Object(each.collect())
        }
        Value::Array(items) => items.iter().map(|item| rooted(item, name)).collect(),
        other => other.clone(),
    }
}
