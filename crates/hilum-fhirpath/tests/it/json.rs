//! A document of JSON as a tree; objects with `resourceType` have that type of FHIR.

use std::borrow::Cow;

use hilum_fhirpath::{NodeId, Scalar, Tree, Visit};
use serde_json::Value;

struct Entry {
    name: String,
    value: Option<Value>,
    type_name: Option<String>,
    children: Vec<u64>,
}

pub(crate) struct Json {
    entries: Vec<Entry>,
}

impl Json {
    pub(crate) fn parse(text: &str) -> Self {
        let mut json = Self {
            entries: Vec::new(),
        };
        json.add("", &serde_json::from_str(text).unwrap());
        json
    }

    /// Two equal chains `x` and `y`, so many levels deep.
    pub(crate) fn chain(levels: usize) -> Self {
        let entry = |name: &str| Entry {
            name: name.to_owned(),
            value: None,
            type_name: None,
            children: vec![],
        };
        let mut entries = vec![entry("")];
        for top in ["x", "y"] {
            let mut parent = 0;
            for level in 0..levels {
                let index = entries.len();
                entries.push(entry(if level == 0 { top } else { "a" }));
                entries[parent].children.push(index as u64);
                parent = index;
            }
        }
        Self { entries }
    }

    fn add(&mut self, name: &str, value: &Value) -> u64 {
        let index = self.entries.len() as u64;
        let type_name = value
            .get("resourceType")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let leaf = (!value.is_object()).then(|| value.clone());
        self.entries.push(Entry {
            name: name.to_owned(),
            value: leaf,
            type_name,
            children: vec![],
        });
        let mut children = Vec::new();
        for (key, child) in value.as_object().into_iter().flatten() {
            let key = if key == "valueQuantity" { "value" } else { key };
            match child {
                Value::Array(items) => {
                    children.extend(items.iter().map(|item| self.add(key, item)));
                }
                _ if key == "resourceType" => {}
                other => children.push(self.add(key, other)),
            }
        }
        self.entries[index as usize].children = children;
        index
    }

    fn entry(&self, node: NodeId) -> &Entry {
        &self.entries[node.lo as usize]
    }
}

impl Tree for Json {
    fn root(&self) -> NodeId {
        NodeId::default()
    }

    fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>) {
        for &lo in &self.entry(of).children {
            if self.entries[lo as usize].name == name {
                visit(NodeId { hi: 0, lo });
            }
        }
    }

    fn all_children(&self, of: NodeId, visit: &mut Visit<'_>) {
        self.entry(of)
            .children
            .iter()
            .for_each(|&lo| visit(NodeId { hi: 0, lo }));
    }

    fn name(&self, node: NodeId) -> Cow<'_, str> {
        Cow::Borrowed(&self.entry(node).name)
    }

    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        Some(match self.entry(node).value.as_ref()? {
            Value::Bool(b) => Scalar::Boolean(*b),
            Value::Number(n) => match n.as_i64() {
                Some(n) => Scalar::Integer(n),
                None => Scalar::Decimal(n.to_string().into()),
            },
            // A marker in front makes a date of a text.
            Value::String(text) => match text.strip_prefix('@') {
                Some(date) if date.contains('T') => Scalar::DateTime(date.into()),
                Some(date) => Scalar::Date(date.into()),
                None => Scalar::String(text.into()),
            },
            _ => return None,
        })
    }

    fn type_of(&self, node: NodeId) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        let name = self.entry(node).type_name.as_ref()?;
        Some(("FHIR".into(), Cow::Borrowed(name)))
    }

    fn location(&self, node: NodeId) -> String {
        format!("#{}", node.lo)
    }
}
