//! JSON as expressions see it.

use std::borrow::Cow;

use hilum_fhirpath::{NodeId, Scalar, Tree, Visit};

use super::text::{plain_decimal, unquote};
use super::{JsonDocument, JsonKind, Value};
use crate::arena::{NONE, index_of, node_of};
use crate::path::quote as quote_name;

/// What items without a property of their own are called.
pub(super) const ITEM: &str = "item";

impl JsonDocument {
    /// The property name of a value; `item` for one without.
    pub(super) fn value_name(&self, value: &Value) -> Cow<'_, str> {
        let key = self.raw_key(value);
        if !key.is_empty() {
            return unquote(key);
        }
        let parent = self.values.at(value.links.parent);
        if value.links.parent == NONE {
            return Cow::Borrowed("");
        }
        let key = self.raw_key(parent);
        if key.is_empty() {
            Cow::Borrowed(ITEM)
        } else {
            unquote(key)
        }
    }

    pub(super) fn key_is(&self, value: &Value, name: &str) -> bool {
        let key = self.raw_key(value);
        if key.contains('\\') {
            return unquote(key) == name;
        }
        key.strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            == Some(name)
    }

    /// Visits a value as the repetitions that it stands for.
    fn visit_spread(&self, index: u32, visit: &mut Visit<'_>) {
        match self.values.at(index).kind {
            JsonKind::Null => {}
            JsonKind::Array => self.visit_items(index, visit),
            JsonKind::Object | JsonKind::String | JsonKind::Number | JsonKind::Boolean => {
                visit(node_of(index));
            }
        }
    }

    fn visit_items(&self, array: u32, visit: &mut Visit<'_>) {
        for (item, value) in self.values.live(array) {
            if value.kind != JsonKind::Null {
                visit(node_of(item));
            }
        }
    }

    fn is_listed(&self, value: &Value) -> bool {
        value.links.parent != NONE && self.values.at(value.links.parent).kind == JsonKind::Array
    }
}

impl Tree for JsonDocument {
    fn root(&self) -> NodeId {
        node_of(0)
    }

    fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>) {
        let of = index_of(of);
        match self.values.at(of).kind {
            JsonKind::Object => {
                if let Some((index, _)) = self
                    .values
                    .live(of)
                    .find(|(_, value)| self.key_is(value, name))
                {
                    self.visit_spread(index, visit);
                }
            }
            JsonKind::Array if name == ITEM => self.visit_items(of, visit),
            JsonKind::Array
            | JsonKind::String
            | JsonKind::Number
            | JsonKind::Boolean
            | JsonKind::Null => {}
        }
    }

    fn all_children(&self, of: NodeId, visit: &mut Visit<'_>) {
        let of = index_of(of);
        if self.values.at(of).kind == JsonKind::Array {
            return self.visit_items(of, visit);
        }
        for (index, _) in self.values.live(of) {
            self.visit_spread(index, visit);
        }
    }

    fn name(&self, node: NodeId) -> Cow<'_, str> {
        self.value_name(self.values.at(index_of(node)))
    }

    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        let value = self.values.at(index_of(node));
        let raw = self.raw(value);
        match value.kind {
            JsonKind::Object | JsonKind::Array | JsonKind::Null => None,
            JsonKind::String => Some(Scalar::String(unquote(raw))),
            JsonKind::Boolean => Some(Scalar::Boolean(raw == "true")),
            JsonKind::Number => Some(match raw.parse() {
                Ok(integer) => Scalar::Integer(integer),
                Err(_) => Scalar::Decimal(plain_decimal(raw)),
            }),
        }
    }

    fn type_of(&self, node: NodeId) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        let of = index_of(node);
        if self.values.at(of).kind != JsonKind::Object {
            return None;
        }
        let (_, value) = self
            .values
            .live(of)
            .find(|(_, value)| self.key_is(value, "resourceType"))?;
        (value.kind == JsonKind::String).then(|| (Cow::Borrowed("FHIR"), unquote(self.raw(value))))
    }

    fn location(&self, node: NodeId) -> String {
        let mut names = Vec::new();
        let mut at = index_of(node);
        while at != NONE {
            let value = self.values.at(at);
            let parent = value.links.parent;
            if parent == NONE {
                break;
            }
            let name = self.value_name(value);
            if self.is_listed(value) {
                let place = self
                    .values
                    .live(parent)
                    .take_while(|(index, _)| *index != at)
                    .count();
                names.push(format!("{}[{place}]", quote_name(&name)));
                // A listed property is named by its items.
                at = if self.raw_key(self.values.at(parent)).is_empty() {
                    parent
                } else {
                    self.values.at(parent).links.parent
                };
            } else {
                names.push(quote_name(&name).into_owned());
                at = parent;
            }
        }
        names.reverse();
        names.join(".")
    }
}
