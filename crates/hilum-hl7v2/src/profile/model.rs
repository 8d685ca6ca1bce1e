//! A profile in memory: messages, segments, data types with what is stated about each.

use std::collections::HashMap;

use super::expression::Expression;
use super::path::Position;
use super::values::Binding;
use crate::structure::Grammar;
use crate::validate::{Form, Severity};

/// Whether something must, should, may or must not be valued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Usage {
    Required,
    /// RE: supported, may be empty.
    RequiredOrEmpty,
    /// C and its kin: a predicate decides.
    Conditional,
    NotSupported,
    #[default]
    Optional,
    /// B: kept for older versions.
    Backward,
    Withdrawn,
}

impl Usage {
    pub(crate) fn parse(text: Option<&str>) -> Self {
        match text.unwrap_or("O") {
            "R" => Self::Required,
            "RE" => Self::RequiredOrEmpty,
            "X" => Self::NotSupported,
            "B" => Self::Backward,
            "W" => Self::Withdrawn,
            text if text.starts_with('C') => Self::Conditional,
            _ => Self::Optional,
        }
    }
}

/// A statement about the content.
#[derive(Debug, Clone)]
pub(crate) struct Constraint {
    pub(crate) id: Option<String>,
    pub(crate) text: String,
    pub(crate) severity: Severity,
    pub(crate) expression: Expression,
}

/// A condition that decides the usage of something.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    pub(crate) id: Option<String>,
    pub(crate) text: String,
    pub(crate) target: Position,
    pub(crate) when_true: Usage,
    pub(crate) when_false: Usage,
    pub(crate) condition: Expression,
}

/// Everything stated about one segment, data type, group or message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statements {
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) predicates: Vec<Predicate>,
    pub(crate) bindings: Vec<(Position, Binding)>,
}

impl Statements {
    pub(crate) fn is_empty(&self) -> bool {
        self.constraints.is_empty() && self.predicates.is_empty() && self.bindings.is_empty()
    }
}

/// A field or component.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) usage: Usage,
    /// Index of the data type; `None` where the profile does not describe it.
    pub(crate) data_type: Option<usize>,
    pub(crate) min: u32,
    pub(crate) max: Option<u32>,
    pub(crate) length_min: Option<u32>,
    pub(crate) length_max: Option<u32>,
    pub(crate) constant: Option<String>,
    pub(crate) binding: Option<Binding>,
}

/// A data type as the profile has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct TypeDef {
    pub(crate) form: Form,
    pub(crate) components: Vec<Slot>,
    pub(crate) statements: Statements,
}

/// The type of a field that another field decides.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    pub(crate) position: u32,
    pub(crate) reference: Position,
    pub(crate) second: Option<Position>,
    /// Value, second value, data type.
    pub(crate) cases: Vec<(String, Option<String>, Option<usize>)>,
}

/// A segment as the profile has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SegmentDef {
    pub(crate) name: String,
    pub(crate) fields: Vec<Slot>,
    pub(crate) mapping: Option<Mapping>,
    pub(crate) statements: Statements,
}

/// What the profile says of a node of a message's grammar.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeInfo {
    pub(crate) usage: Usage,
    /// Index of the segment; `None` for a group.
    pub(crate) segment: Option<usize>,
    pub(crate) statements: Statements,
}

/// A message as the profile has it.
#[derive(Debug)]
pub(crate) struct MessageDef {
    pub(crate) code: String,
    pub(crate) event: String,
    pub(crate) structure: String,
    pub(crate) grammar: Grammar,
    /// By node of the grammar.
    pub(crate) nodes: Vec<NodeInfo>,
}

/// Statements by the id or name of what they are about.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) types: HashMap<String, Statements>,
    pub(crate) segments: HashMap<String, Statements>,
    pub(crate) groups: HashMap<String, Statements>,
    pub(crate) messages: HashMap<String, Statements>,
}

impl Book {
    pub(crate) fn shelf(&mut self, kind: &str) -> Option<&mut HashMap<String, Statements>> {
        match kind {
            "Datatype" => Some(&mut self.types),
            "Segment" => Some(&mut self.segments),
            "Group" => Some(&mut self.groups),
            "Message" => Some(&mut self.messages),
            _ => None,
        }
    }
}

/// Statements for an id, or for a name.
pub(crate) fn take(shelf: &HashMap<String, Statements>, id: &str, name: &str) -> Statements {
    let mut found = shelf.get(id).cloned().unwrap_or_default();
    if let Some(more) = shelf.get(&format!("name:{name}")) {
        found.constraints.extend(more.constraints.iter().cloned());
        found.predicates.extend(more.predicates.iter().cloned());
        found.bindings.extend(more.bindings.iter().cloned());
    }
    found
}
