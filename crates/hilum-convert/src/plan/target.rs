//! Targets as places: each step checked against the tables of FHIR.

use std::collections::HashMap;

use hilum_fhir::definitions::{Child, Definitions, ElementDef, TypeId};

use super::{Number, PlaceDef, PlaceStep, Reference};
use crate::problem::Fault;
use crate::text::{EXTENSIONS, Place, Step, Target};

/// The places of one map or link.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) defs: Vec<PlaceDef>,
    /// Elements of the target itself that have a name.
    pub(super) named: Vec<(Number, Box<str>)>,
    known: HashMap<(Number, String), Number>,
}

fn tables() -> &'static Definitions {
    Definitions::r4()
}

fn primitive(child: Child) -> Option<hilum_fhir::definitions::PrimitiveKind> {
    tables().type_def(child.ty).primitive()
}

/// The names below a place, for a remedy.
fn names(of: Child) -> Vec<&'static str> {
    let below = tables().children(of.scope);
    below
        .flat_map(|id| tables().element(id).types.iter().map(|ty| ty.json_name))
        .collect()
}

/// The type or element that a map fills, by its name.
pub(crate) fn type_named(name: &str, at: usize) -> Result<Child, Fault> {
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or_default();
    let Some(ty) = tables().type_named(first) else {
        let names = tables().types().map(|(_, def)| def.name);
        return Err(Fault::new(at, first, "not a type of FHIR").nearest(names));
    };
    let mut child = root(ty);
    for part in parts {
        child = below(child, part, at)?;
    }
    Ok(child)
}

/// The root of a type.
pub(crate) fn root(ty: TypeId) -> Child {
    let root = tables().type_def(ty).root;
    Child {
        element: root,
        ty,
        scope: root,
    }
}

pub(crate) fn below(of: Child, name: &str, at: usize) -> Result<Child, Fault> {
    match tables().child(of.scope, name) {
        Some(child) => Ok(child),
        None => {
            let owner = tables().type_def(of.ty).name;
            let element = tables().element(of.element);
            let owner = if element.has_children() {
                element.path
            } else {
                owner
            };
            Err(Fault::new(at, name, format!("{owner} has no such element")).nearest(names(of)))
        }
    }
}

impl Places {
    pub(super) fn new(target: Child) -> Self {
        let defs = vec![PlaceDef {
            parent: 0,
            step: PlaceStep::Target,
            child: target,
            primitive: primitive(target),
            each: false,
            fresh: false,
            per_value: false,
        }];
        Self {
            defs,
            named: Vec::new(),
            known: HashMap::new(),
        }
    }

    pub(super) fn get(&self, number: Number) -> Option<&PlaceDef> {
        self.defs.get(number as usize)
    }

    /// The place of a target.
    pub(super) fn place(&mut self, target: &Target) -> Result<Number, Fault> {
        let mut at = 0;
        let count = target.steps.len();
        for (index, place) in target.steps.iter().enumerate() {
            at = self.step(at, place, index + 1 == count)?;
        }
        Ok(at)
    }

    /// Whether rows may write more than one repetition of their source there.
    pub(super) fn many(&self, mut at: Number, leaf: bool) -> bool {
        let mut last = leaf;
        while let Some(def) = self.get(at) {
            let list = match &def.step {
                PlaceStep::Append | PlaceStep::Back { .. } => last,
                PlaceStep::Refer { reference, .. } => last && reference.list,
                PlaceStep::Target | PlaceStep::Single | PlaceStep::Extension { .. } => false,
            };
            if def.each || list {
                return true;
            }
            if at == 0 {
                return false;
            }
            last = false;
            at = def.parent;
        }
        false
    }

    fn add(&mut self, key: (Number, String), def: PlaceDef) -> Number {
        let next = Number::try_from(self.defs.len()).unwrap_or(Number::MAX);
        *self.known.entry(key).or_insert_with(|| {
            self.defs.push(def);
            next
        })
    }

    fn step(&mut self, parent: Number, place: &Place, last: bool) -> Result<Number, Fault> {
        let element = root(tables().known().element);
        let of = self.get(parent).map_or(element, |def| def.child);
        let at = place.at;
        let (key, step, child, each) = match &place.step {
            Step::Element { name, slot, each } => {
                let child = below(of, name, at)?;
                let list = tables().element(child.element).is_list();
                if slot.is_some() && !list {
                    return Err(Fault::new(at, name, "only a list has slots")
                        .remedy("leave the brackets out"));
                }
                let step = if list {
                    PlaceStep::Append
                } else {
                    PlaceStep::Single
                };
                (
                    key(name, "", slot.as_deref(), *each, list && last),
                    step,
                    child,
                    *each,
                )
            }
            Step::Extension { name, url, each } => {
                let child = below(of, name, at)?;
                // In a map that fills an extension, those within have names.
                let inside = of.ty == tables().known().extension;
                let url = match url.strip_prefix(EXTENSIONS) {
                    Some(name) if inside => name,
                    _ => url.as_str(),
                };
                let url_child = below(child, "url", at)?;
                let step = PlaceStep::Extension {
                    url: url.into(),
                    url_child,
                };
                (key(name, url, Some(""), *each, false), step, child, *each)
            }
            Step::Refer {
                name,
                to,
                slot,
                each,
            } => {
                let child = below(of, name, at)?;
                let (reference, ty) = reference(child, name, to, at)?;
                let key = key(name, to, slot.as_deref(), *each, reference.list && last);
                (key, PlaceStep::Refer { reference, ty }, root(ty), *each)
            }
            Step::Back { from, name } => {
                let holder = type_named(from, at + 1)?;
                let child = below(holder, name, at)?;
                let (reference, _) = reference(child, name, tables().type_def(of.ty).name, at)?;
                let step = PlaceStep::Back {
                    reference,
                    ty: holder.ty,
                };
                (key(from, name, None, false, last), step, holder, false)
            }
        };
        let above = self.get(parent).is_some_and(|def| def.per_value);
        let def = PlaceDef {
            parent,
            step,
            child,
            primitive: primitive(child),
            each,
            fresh: key.ends_with('+'),
            per_value: above || each,
        };
        let number = self.add((parent, key), def);
        if parent == 0 {
            self.name(number, &place.step);
        }
        Ok(number)
    }

    /// Notes that a place of the target has a name.
    fn name(&mut self, number: Number, step: &Step) {
        if let Step::Element {
            slot: Some(slot),
            each: false,
            ..
        } = step
            && self.named.iter().all(|(known, _)| *known != number)
        {
            self.named.push((number, slot.as_str().into()));
        }
    }
}

/// What tells the places below one place apart. The last element of a list without a slot is a new
/// one for each value, and so not the one that stands in the middle of other targets.
fn key(name: &str, of: &str, slot: Option<&str>, each: bool, fresh: bool) -> String {
    let each = if each { "*" } else { "" };
    let fresh = if fresh && slot.is_none() { "+" } else { "" };
    format!("{name}({of})[{}{each}]{fresh}", slot.unwrap_or(""))
}

/// An element that refers to a type.
pub(crate) fn reference(
    child: Child,
    name: &str,
    to: &str,
    at: usize,
) -> Result<(Reference, TypeId), Fault> {
    if child.ty != tables().known().reference {
        return Err(Fault::new(
            at,
            name,
            "the element does not refer to a resource",
        ));
    }
    let ty = type_named(to, at + name.len() + 1)?.ty;
    if !tables().type_def(ty).is_resource() {
        return Err(Fault::new(at, to, "not a type of resource"));
    }
    let def: &ElementDef = tables().element(child.element);
    let targets = def
        .types
        .iter()
        .find(|of| of.ty == child.ty)
        .map(|of| of.targets.as_slice())
        .unwrap_or_default();
    if !targets.is_empty() && !targets.iter().any(|target| tables().is_a(ty, *target)) {
        let names = targets.iter().map(|target| tables().type_def(*target).name);
        let list: Vec<&str> = names.collect();
        return Err(
            Fault::new(at, to, format!("`{name}` does not refer to this type"))
                .remedy(format!("it refers to {}", list.join(", "))),
        );
    }
    let text = below(child, "reference", at)?;
    Ok((
        Reference {
            child,
            text,
            list: def.is_list(),
        },
        ty,
    ))
}
