//! Changing JSON.

use bytes::Bytes;
use hilum_fhirpath::{NodeId, Tree};

use super::text::{is_number, quote, unquote};
use super::tree::ITEM;
use super::{JsonDocument, JsonKind, State, Value, write};
use crate::arena::{NONE, index_of, node_of};
use crate::limits::Limits;
use crate::path::{Index, Step};
use crate::places::Editable;

impl JsonDocument {
    /// Gives a place another value of one word; what was below it goes.
    fn put(&mut self, at: u32, kind: JsonKind, raw: String) {
        let raw = self.values.keep(raw);
        let below: Vec<u32> = self.values.children(at).collect();
        for child in below {
            self.values.hide(child);
        }
        self.values.edit(at, |value| {
            value.kind = kind;
            value.raw_text = raw;
            if value.state == State::Read {
                value.state = State::Replaced;
            }
        });
        self.values.touch(at);
    }

    pub(super) fn replace_scalar(&mut self, at: u32, text: &str) -> Result<(), &'static str> {
        let value = self.values.at(at);
        match value.kind {
            JsonKind::Object | JsonKind::Array if self.values.live(at).next().is_some() => {
                return Err("it is an object or a list, not a value");
            }
            JsonKind::Number if is_number(text) => {
                self.put(at, JsonKind::Number, text.to_owned());
            }
            JsonKind::Boolean if matches!(text, "true" | "false") => {
                self.put(at, JsonKind::Boolean, text.to_owned());
            }
            JsonKind::Object
            | JsonKind::Array
            | JsonKind::String
            | JsonKind::Number
            | JsonKind::Boolean
            | JsonKind::Null => self.put(at, JsonKind::String, quote(text)),
        }
        Ok(())
    }

    /// Replaces a place with a piece of JSON.
    pub(super) fn replace_json(&mut self, at: u32, json: &str) -> Result<(), &'static str> {
        let source = Bytes::copy_from_slice(json.as_bytes());
        let other = Self::parse(&source, &Limits::default()).map_err(|_| "this is not JSON")?;
        self.graft(at, &other, 0, 0)
    }

    /// Copies a value of another document to a place.
    fn graft(
        &mut self,
        at: u32,
        other: &Self,
        from: u32,
        depth: usize,
    ) -> Result<(), &'static str> {
        if depth > Limits::default().depth_max {
            return Err("nested too deep");
        }
        let kind = other.values.at(from).kind;
        match kind {
            JsonKind::Object | JsonKind::Array => {
                self.put(at, kind, String::new());
                for (child, value) in other.values.live(from) {
                    let key = other.raw_key(value).to_owned();
                    let added = self.append(at, NONE, (!key.is_empty()).then_some(key));
                    self.graft(added, other, child, depth + 1)?;
                }
            }
            JsonKind::String | JsonKind::Number | JsonKind::Boolean | JsonKind::Null => {
                self.put(at, kind, other.raw(other.values.at(from)).to_owned());
            }
        }
        Ok(())
    }

    /// Adds an empty child; `key` is in quotes.
    fn append(&mut self, of: u32, after: u32, key: Option<String>) -> u32 {
        let key_text = key.map_or(NONE, |key| self.values.keep(key));
        let raw_text = self.values.keep("null".to_owned());
        let value = Value {
            state: State::Added,
            key_text,
            raw_text,
            ..Value::default()
        };
        let after = if after == NONE {
            self.values.at(of).links.last
        } else {
            after
        };
        self.values.add(of, after, value)
    }

    /// Makes an empty leaf an object or an array, so that something can be added to it.
    fn open(&mut self, of: u32, kind: JsonKind) -> Result<(), &'static str> {
        let value = self.values.at(of);
        match value.kind {
            found if found == kind => Ok(()),
            JsonKind::Null => {
                self.put(of, kind, String::new());
                Ok(())
            }
            JsonKind::String if unquote(self.raw(value)).is_empty() => {
                self.put(of, kind, String::new());
                Ok(())
            }
            JsonKind::Object => Err("it is an object, not a list"),
            JsonKind::Array => Err("it is a list, not an object"),
            JsonKind::String | JsonKind::Number | JsonKind::Boolean => {
                Err("a value stands where an object is needed")
            }
        }
    }
}

impl Editable for JsonDocument {
    fn touched(&self) -> bool {
        self.values.touched()
    }

    fn write(&self) -> Bytes {
        if self.touched() {
            write::write(self).into()
        } else {
            self.source.clone()
        }
    }

    fn named(&self, of: NodeId, name: &str) -> Vec<NodeId> {
        let of = index_of(of);
        let nodes = |array: u32| {
            self.values
                .live(array)
                .map(|(index, _)| node_of(index))
                .collect()
        };
        match self.values.at(of).kind {
            JsonKind::Array if name == ITEM => nodes(of),
            JsonKind::Object => match self
                .values
                .live(of)
                .find(|(_, value)| self.key_is(value, name))
            {
                Some((index, value)) if value.kind == JsonKind::Array => nodes(index),
                Some((index, _)) => vec![node_of(index)],
                None => Vec::new(),
            },
            JsonKind::Array
            | JsonKind::String
            | JsonKind::Number
            | JsonKind::Boolean
            | JsonKind::Null => Vec::new(),
        }
    }

    /// A property appears as an array where the step has an index, else as a single value.
    fn add(&mut self, of: NodeId, step: &Step) -> Result<NodeId, &'static str> {
        let of = index_of(of);
        if step.name == ITEM && self.values.at(of).kind == JsonKind::Array {
            return Ok(node_of(self.append(of, NONE, None)));
        }
        self.open(of, JsonKind::Object)?;
        let found = self
            .values
            .live(of)
            .find(|(_, value)| self.key_is(value, &step.name));
        if let Some((index, value)) = found {
            return match value.kind {
                JsonKind::Array => Ok(node_of(self.append(index, NONE, None))),
                JsonKind::Object
                | JsonKind::String
                | JsonKind::Number
                | JsonKind::Boolean
                | JsonKind::Null => Err("it is a single value, not a list"),
            };
        }
        let property = self.append(of, NONE, Some(quote(&step.name)));
        match step.index {
            Index::First => Ok(node_of(property)),
            Index::At(_) | Index::Each => {
                self.put(property, JsonKind::Array, String::new());
                Ok(node_of(self.append(property, NONE, None)))
            }
        }
    }

    /// A number or a boolean stays one if the text is one; else the value becomes a string.
    fn write_value(&mut self, at: NodeId, value: &str) -> Result<(), &'static str> {
        self.replace_scalar(index_of(at), value)
    }

    fn take_out(&mut self, at: NodeId) -> Result<(), &'static str> {
        let at = index_of(at);
        let parent = self.values.at(at).links.parent;
        if parent == NONE {
            return Err("this is the whole document");
        }
        self.values.remove(at);
        Ok(())
    }

    /// A path may begin with the type of the resource, as expressions may.
    fn skip(&self, steps: &[Step]) -> usize {
        let first = steps.first().filter(|step| step.index == Index::First);
        let resource = self.type_of(self.root());
        usize::from(match (first, resource) {
            (Some(step), Some((_, name))) => name == step.name.as_str(),
            _ => false,
        })
    }
}
