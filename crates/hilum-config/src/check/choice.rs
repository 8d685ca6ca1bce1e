//! Values that may be of several kinds.

use serde_json::{Map, Value};

use super::{Checker, REF_DEPTH_MAX, clipped, constants, object, types, word};
use crate::diagnostic::{Draft, did_you_mean};
use crate::yaml::{Kind, Node};

impl<'a> Checker<'a> {
    pub(super) fn one_of_texts(&mut self, node: &Node, values: &[Value]) -> Value {
        if values.iter().any(Value::is_null) && node.is_null() {
            return Value::Null;
        }
        let known: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        let Some(text) = node.text() else {
            let text = format!("expected one of {}", known.join(", "));
            self.report.push(Draft::error("E0103", node.span, text));
            return Value::Null;
        };
        if known.contains(&text) || values.contains(&node.json()) {
            return if known.contains(&text) {
                text.into()
            } else {
                node.json()
            };
        }
        let message = format!(
            "`{}` is not one of the values that are known here",
            clipped(text)
        );
        let remedy = did_you_mean(text, "known values", known);
        self.report
            .push(Draft::error("E0104", node.span, message).maybe_remedy(remedy));
        Value::Null
    }

    /// The alternative that fits; problems are those of the one that comes closest.
    pub(super) fn one_of(
        &mut self,
        node: &Node,
        schema: &'a Map<String, Value>,
        branches: &'a [Value],
    ) -> Value {
        if node.is_null()
            && branches
                .iter()
                .any(|branch| branch.get("type") == Some(&Value::from("null")))
        {
            return Value::Null;
        }
        let texts: Option<Vec<Value>> = branches
            .iter()
            .map(constants)
            .collect::<Option<Vec<_>>>()
            .map(|all| all.concat());
        if let Some(texts) = texts {
            return self.one_of_texts(node, &texts);
        }
        let mut best: Option<(usize, Value, Self)> = None;
        for branch in branches
            .iter()
            .filter(|branch| branch.get("type") != Some(&Value::from("null")))
        {
            let merged = object::merged(schema, branch);
            let mut trial = self.apart(self.root);
            let value = match &merged {
                None => trial.value(node, branch),
                Some(merged) => trial.merged(node, merged),
            };
            let mut cost = trial.report.errors() * 4;
            if cost > 0 && !self.plausible(node, branch) {
                cost += 1_000;
            }
            if cost == 0 {
                self.absorb(trial);
                return value;
            }
            self.fuel = trial.fuel;
            if best.as_ref().is_none_or(|(known, _, _)| cost < *known) {
                best = Some((cost, value, trial));
            }
        }
        let Some((cost, value, trial)) = best else {
            return node.json();
        };
        if cost < 1_000 {
            self.absorb(trial);
            return value;
        }
        let kinds: Vec<String> = branches
            .iter()
            .flat_map(|branch| self.kinds(branch))
            .filter(|kind| kind != "nothing")
            .collect();
        let found = match &node.kind {
            Kind::Scalar(scalar) => scalar.word(),
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        };
        let text = format!("expected {}, found {found}", kinds.join(" or "));
        self.report.push(Draft::error("E0103", node.span, text));
        node.json()
    }

    /// Checks against a schema that was made for this value and does not live as long as the root.
    fn merged(&mut self, node: &Node, schema: &Value) -> Value {
        let mut other = Checker {
            scope: self.scope,
            root: schema,
            report: std::mem::take(&mut self.report),
            found: std::mem::take(&mut self.found),
            at: self.at.clone(),
            refs: self.refs,
            fuel: self.fuel,
        };
        let value = other.value(node, schema);
        self.report = other.report;
        self.found = other.found;
        self.fuel = other.fuel;
        value
    }

    /// The branch is for values of this kind.
    fn plausible(&self, node: &Node, branch: &Value) -> bool {
        let branch = self.resolved(branch);
        let Some(schema) = branch.as_object() else {
            return true;
        };
        let types = types(schema);
        match &node.kind {
            Kind::Map(entries) => {
                let properties = schema.get("properties").and_then(Value::as_object);
                let required = schema.get("required").and_then(Value::as_array);
                let tagged = required.is_none_or(|keys| {
                    let has = |key: &Value| {
                        entries
                            .iter()
                            .any(|(known, _)| Some(known.text.as_str()) == key.as_str())
                    };
                    keys.iter().any(has)
                });
                types.contains(&"object") && (tagged || properties.is_none())
            }
            Kind::List(_) => types.contains(&"array"),
            Kind::Scalar(_) => {
                types.is_empty()
                    || types
                        .iter()
                        .any(|kind| matches!(*kind, "string" | "integer" | "number" | "boolean"))
            }
        }
    }

    pub(super) fn resolved<'s>(&self, schema: &'s Value) -> &'s Value
    where
        'a: 's,
    {
        let mut schema = schema;
        for _ in 0..REF_DEPTH_MAX {
            let reference = schema.get("$ref").and_then(Value::as_str);
            let target = reference
                .and_then(|r| r.strip_prefix('#'))
                .and_then(|pointer| self.root.pointer(pointer));
            let Some(target) = target else { break };
            schema = target;
        }
        schema
    }

    fn kinds(&self, branch: &Value) -> Vec<String> {
        let branch = self.resolved(branch);
        let Some(schema) = branch.as_object() else {
            return Vec::new();
        };
        types(schema)
            .iter()
            .map(|kind| word(kind, schema))
            .collect()
    }
}
