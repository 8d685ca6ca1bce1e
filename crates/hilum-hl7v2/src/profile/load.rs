//! Reads the messages, segments and data types of a profile and ties the statements to them.

use std::collections::{BTreeSet, HashMap};

use super::model::{
    Book, Mapping, MessageDef, NodeInfo, SegmentDef, Slot, Statements, TypeDef, Usage, take,
};
use super::path::Position;
use super::statements::locations;
use super::values::{Binding, Strength, ValueSets};
use crate::dictionary::NodeKind;
use crate::structure::{GROUP_DEPTH_MAX, Grammar};
use crate::validate::Form;
use crate::xml::{Element, XmlError};

/// Groups, segments, fields and components of a profile.
const SLOTS_MAX: usize = 200_000;

/// The parts of a profile.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) types: Vec<TypeDef>,
    pub(crate) segments: Vec<SegmentDef>,
    pub(crate) messages: Vec<MessageDef>,
}

pub(crate) fn load(
    root: &Element,
    book: &Book,
    sets: &ValueSets,
    warnings: &mut Vec<String>,
) -> Result<Parts, XmlError> {
    if root.name != "ConformanceProfile" {
        return Err(XmlError::Root("ConformanceProfile"));
    }
    let list = |outer: &str| root.child(outer).map_or(&[][..], |found| &found.children);
    let types = list("Datatypes");
    let names: HashMap<&str, usize> = types
        .iter()
        .enumerate()
        .filter_map(|(at, found)| Some((found.attribute("ID")?, at)))
        .collect();
    let mut loader = Loader {
        types: names,
        segments: HashMap::new(),
        sets,
        warnings,
        slots: 0,
        undefined: BTreeSet::new(),
    };
    let mut parts = Parts::default();
    for element in types {
        let (id, name) = (
            element.required("ID")?,
            element.attribute("Name").unwrap_or_default(),
        );
        parts.types.push(TypeDef {
            form: Form::of(name),
            components: loader.slots(element, "Component")?,
            statements: take(&book.types, id, name),
        });
    }
    for element in list("Segments") {
        let (id, name) = (element.required("ID")?, element.required("Name")?);
        let at = parts.segments.len();
        loader.segments.insert(id.to_owned(), (at, name.to_owned()));
        parts.segments.push(SegmentDef {
            name: name.to_owned(),
            fields: loader.slots(element, "Field")?,
            mapping: loader.mapping(element),
            statements: take(&book.segments, id, name),
        });
    }
    for element in list("Messages") {
        parts.messages.push(loader.message(element, book)?);
    }
    if !loader.undefined.is_empty() {
        let names: Vec<&str> = loader.undefined.iter().map(String::as_str).collect();
        let text = format!(
            "value sets that are not defined are not checked: {}",
            names.join(", ")
        );
        loader.warnings.push(text);
    }
    if parts.messages.is_empty() {
        return Err(XmlError::Content("the profile has no message".to_owned()));
    }
    Ok(parts)
}

struct Loader<'a> {
    types: HashMap<&'a str, usize>,
    segments: HashMap<String, (usize, String)>,
    sets: &'a ValueSets,
    warnings: &'a mut Vec<String>,
    slots: usize,
    /// Value sets that are bound and not defined.
    undefined: BTreeSet<String>,
}

/// A number, where there is one; `NA` and `*` are none.
fn number(element: &Element, name: &str) -> Option<u32> {
    element.attribute(name)?.parse().ok()
}

impl Loader<'_> {
    fn count(&mut self) -> Result<(), XmlError> {
        self.slots = self.slots.saturating_add(1);
        if self.slots > SLOTS_MAX {
            Err(XmlError::Limit("elements of a profile"))
        } else {
            Ok(())
        }
    }

    fn slots(&mut self, owner: &Element, kind: &str) -> Result<Vec<Slot>, XmlError> {
        let mut slots = Vec::new();
        for element in owner.children_named(kind) {
            self.count()?;
            let data_type = element.attribute("Datatype");
            slots.push(Slot {
                name: element.attribute("Name").unwrap_or_default().to_owned(),
                usage: Usage::parse(element.attribute("Usage")),
                data_type: data_type.and_then(|id| self.types.get(id).copied()),
                min: number(element, "Min").unwrap_or(0),
                max: number(element, "Max"),
                length_min: number(element, "MinLength"),
                length_max: number(element, "MaxLength"),
                constant: element.attribute("ConstantValue").map(str::to_owned),
                binding: self.binding(owner, element),
            });
        }
        Ok(slots)
    }

    fn binding(&mut self, owner: &Element, element: &Element) -> Option<Binding> {
        let text = element.attribute("Binding")?;
        let owner = owner.attribute("ID").unwrap_or_default();
        let sets: Vec<String> = text.split(':').map(str::to_owned).collect();
        for set in sets.iter().filter(|set| !self.sets.is_known(set)) {
            self.undefined.insert(set.clone());
        }
        let location = element.attribute("BindingLocation");
        let Some(locations) = locations(location) else {
            self.warnings
                .push(format!("{owner}: binding location is not understood"));
            return None;
        };
        let strength = Strength::parse(element.attribute("BindingStrength"));
        Some(Binding {
            sets,
            strength,
            locations,
            system: None,
        })
    }

    fn mapping(&self, segment: &Element) -> Option<Mapping> {
        let mapping = segment.child("DynamicMapping")?.child("Mapping")?;
        let position = |name: &str| mapping.attribute(name).and_then(Position::parse);
        let cases = mapping.children_named("Case").filter_map(|case| {
            let data_type = case
                .attribute("Datatype")
                .and_then(|id| self.types.get(id).copied());
            let second = case.attribute("SecondValue").map(str::to_owned);
            Some((case.attribute("Value")?.to_owned(), second, data_type))
        });
        Some(Mapping {
            position: number(mapping, "Position")?,
            reference: position("Reference")?,
            second: position("SecondReference"),
            cases: cases.collect(),
        })
    }

    fn message(&mut self, element: &Element, book: &Book) -> Result<MessageDef, XmlError> {
        let structure = element.attribute("StructID").unwrap_or_default();
        let mut def = MessageDef {
            code: element.required("Type")?.to_owned(),
            event: element.attribute("Event").unwrap_or_default().to_owned(),
            structure: structure.to_owned(),
            grammar: Grammar::default(),
            nodes: Vec::new(),
        };
        let id = element.attribute("ID").unwrap_or_default();
        let root = def.grammar.open(structure, NodeKind::Group, 1, Some(1), 0);
        let statements = take(&book.messages, id, structure);
        def.nodes.push(NodeInfo {
            usage: Usage::Required,
            segment: None,
            statements,
        });
        self.children(element, root, &mut def, book, 0)?;
        def.grammar.close(root);
        Ok(def)
    }

    fn children(
        &mut self,
        element: &Element,
        parent: u16,
        def: &mut MessageDef,
        book: &Book,
        depth: usize,
    ) -> Result<(), XmlError> {
        if depth >= GROUP_DEPTH_MAX {
            return Err(XmlError::Limit("nesting of groups"));
        }
        for child in &element.children {
            self.count()?;
            let usage = Usage::parse(child.attribute("Usage"));
            // Only what is required has to stand; a minimum counts once something stands.
            let min = if usage == Usage::Required {
                number(child, "Min").unwrap_or(1).max(1)
            } else {
                0
            };
            let min = u16::try_from(min).unwrap_or(u16::MAX);
            let max = match usage {
                Usage::NotSupported => None,
                _ => number(child, "Max")
                    .and_then(|max| u16::try_from(max).ok())
                    .filter(|max| *max > 0),
            };
            match child.name.as_str() {
                "Segment" => {
                    let id = child.required("Ref")?;
                    let Some((at, name)) = self.segments.get(id) else {
                        return Err(XmlError::Content(format!("segment {id} is not defined")));
                    };
                    let node = def.grammar.open(name, NodeKind::Segment, min, max, parent);
                    def.grammar.close(node);
                    let statements = Statements::default();
                    def.nodes.push(NodeInfo {
                        usage,
                        segment: Some(*at),
                        statements,
                    });
                }
                "Group" => {
                    let name = child.required("Name")?;
                    let id = child.attribute("ID").unwrap_or_default();
                    let node = def.grammar.open(name, NodeKind::Group, min, max, parent);
                    let statements = take(&book.groups, id, name);
                    def.nodes.push(NodeInfo {
                        usage,
                        segment: None,
                        statements,
                    });
                    self.children(child, node, def, book, depth.saturating_add(1))?;
                    def.grammar.close(node);
                }
                other => self
                    .warnings
                    .push(format!("{other} in a message is not understood")),
            }
        }
        Ok(())
    }
}
