//! Snapshots: what a profile says with everything that it is built on (FHIR R4
//! profiling.html#snapshot).
//!
//! The elements of the base are a tree; the differential is laid over it. Where it goes into a data
//! type, into what another profile says or into a content reference, the tree grows there.
//!
//! Invariants: it ends on any input, in bounded depth and size; what it is built on is brought by
//! the caller, and what is missing is named. It does not check that a profile makes sense: of
//! contradictions only those are refused that leave no element to speak of.

mod base;
mod choice;
mod element;
mod lay;
mod parts;
mod parts_scan;
#[cfg(test)]
mod tests;
mod tree;

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::definitions::Definitions;
use crate::json;
use crate::limits::Limits;
use crate::resource::Resource;

use element::Element;
use tree::Node;

/// Profiles within profiles that are followed.
const NESTED_MAX: usize = 16;
/// Trees that one snapshot looks at.
const LOOKS_MAX: usize = 2_000;
/// Elements of a snapshot.
pub const ELEMENTS_MAX: usize = 20_000;

/// Why there is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It is no StructureDefinition, or one without a type.
    #[error("it is no StructureDefinition with a type and a base")]
    NoDefinition,
    /// It is built on what is not known.
    #[error("{0} is not known")]
    Unknown(String),
    /// It is built on something of another type.
    #[error("the base {0} is of another type")]
    BaseType(String),
    /// Profiles are built on each other, in a circle or too deep.
    #[error("{0} is built on itself, or on too many others")]
    Circle(String),
    /// An element that its base does not have.
    #[error("there is no element {0} to constrain")]
    Path(String),
    /// An element that is constrained in two places.
    #[error("{0} is constrained twice; slices need names")]
    Twice(String),
    /// A type that the base does not allow there.
    #[error("{path} cannot have the type {ty}")]
    Type {
        /// The element.
        path: String,
        /// The type.
        ty: String,
    },
    /// A fixed value or a pattern of a type that the element does not have.
    #[error("{path} has a fixed value or pattern of the type {ty}, which it does not have")]
    Value {
        /// The element.
        path: String,
        /// The type.
        ty: String,
    },
    /// Something below an element of several types.
    #[error("{0} has several types, so nothing below it can be constrained")]
    Ambiguous(String),
    /// More slices have to be there than there may be elements.
    #[error("the slices of {0} have to be there more often than it may")]
    TooMany(String),
    /// A slice by type that has not the name of the type.
    #[error("the slice {slice} of {path} has another name than its type gives it")]
    SliceName {
        /// The element.
        path: String,
        /// The slice.
        slice: String,
    },
    /// A slice without its name.
    #[error("{0} is a slice without `sliceName`")]
    Nameless(String),
    /// What the base demands is not demanded any more.
    #[error("the base says that {0} is to be supported, which cannot be taken back")]
    Loosened(String),
    /// More elements than a snapshot may have.
    #[error("the snapshot has more than {ELEMENTS_MAX} elements")]
    Size,
    /// What came out cannot be read as a resource.
    #[error("the snapshot cannot be read as a StructureDefinition")]
    Unreadable,
}

/// Profiles and logical models that snapshots are built on, beside the types of the standard.
#[derive(Debug, Default)]
pub struct Library {
    known: HashMap<String, Arc<Resource>>,
}

impl Library {
    /// Without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a StructureDefinition by its URL; anything else is left out.
    pub fn add(&mut self, resource: Arc<Resource>) {
        if resource.type_name() != "StructureDefinition" {
            return;
        }
        if let Some(url) = resource.root().child_text("url").map(str::to_owned) {
            self.known.insert(url, resource);
        }
    }

    fn get(&self, canonical: &str) -> Option<Arc<Resource>> {
        let url = canonical.split('|').next().unwrap_or(canonical);
        let known = self.known.get(url).cloned();
        known.or_else(|| crate::profile::standard_resource(url).map(Arc::new))
    }
}

/// The StructureDefinition with its snapshot, in the place of the one that it had.
pub fn with_snapshot(definition: &Resource, library: &Library) -> Result<Resource, SnapshotError> {
    let tree = Maker::new(library).tree(definition, Wanted::Anew)?;
    let elements = tree.list();
    if elements.len() > ELEMENTS_MAX {
        return Err(SnapshotError::Size);
    }
    let elements: Vec<String> = elements.iter().map(Element::json).collect();
    let snapshot = format!("{{\"element\":[{}]}}", elements.join(","));
    let text = compact(definition);
    let mut out = String::with_capacity(text.len() + snapshot.len());
    out.push('{');
    let mut placed = false;
    for (name, value) in parts::members(&text) {
        if name == "snapshot" || name == "_snapshot" {
            continue;
        }
        if name == "differential" {
            out.push_str(&format!("\"snapshot\":{snapshot},"));
            placed = true;
        }
        out.push_str(&format!("\"{name}\":{value},"));
    }
    if !placed {
        out.push_str(&format!("\"snapshot\":{snapshot},"));
    }
    out.pop();
    out.push('}');
    let limits = Limits {
        nodes_max: usize::MAX,
        bytes_max: usize::MAX,
        ..Limits::default()
    };
    json::parse(out.as_bytes(), &limits).map_err(|_| SnapshotError::Unreadable)
}

fn compact(resource: &Resource) -> String {
    let mut bytes = Vec::new();
    json::write(resource, json::Style::Compact, &mut bytes);
    // What is written is UTF-8, because all texts of a resource are.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Whether the snapshot of a definition may be the one that it brings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Anew,
    Any,
}

/// Makes trees of what is in a library.
struct Maker<'l> {
    library: &'l Library,
    /// What is being made, each for the sake of the one before.
    chain: Vec<String>,
    /// Trees that may still be looked at.
    looks: Rc<Cell<usize>>,
}

impl<'l> Maker<'l> {
    fn new(library: &'l Library) -> Self {
        Self {
            library,
            chain: Vec::new(),
            looks: Rc::new(Cell::new(LOOKS_MAX)),
        }
    }
}

impl Maker<'_> {
    /// The tree of a StructureDefinition.
    fn tree(&self, definition: &Resource, wanted: Wanted) -> Result<Node, SnapshotError> {
        let root = definition.root();
        let part = |name: &str| {
            let node = root.child(name)?;
            let mut bytes = Vec::new();
            json::write_node(node, json::Style::Compact, &mut bytes);
            let text = String::from_utf8(bytes).ok()?;
            let all = parts::members(&text);
            let elements = all.into_iter().find(|(name, _)| *name == "element")?.1;
            Some(Element::list(elements))
        };
        let ty = root.child_text("type").ok_or(SnapshotError::NoDefinition)?;
        // A logical model has a URL as its type; paths begin with its last part.
        let ty = ty.rsplit('/').next().unwrap_or(ty);
        if wanted == Wanted::Any
            && let Some(list) = part("snapshot")
        {
            return Node::of(list, ty);
        }
        let Some(base) = root.child_text("baseDefinition") else {
            return Node::of(part("differential").unwrap_or_default(), ty);
        };
        let mut tree = self.named(base)?;
        if root.child_text("derivation") == Some("constraint") && tree.name != ty {
            return Err(SnapshotError::BaseType(base.to_owned()));
        }
        ty.clone_into(&mut tree.name);
        let stated = part("differential").unwrap_or_default();
        if let Some(nameless) = stated.iter().find(|element| element.lacks_its_name()) {
            return Err(SnapshotError::Nameless(
                nameless.text("path").unwrap_or_default(),
            ));
        }
        let difference = Node::of(stated, ty)?;
        let own = root.child_text("url").unwrap_or_default();
        let types = difference.element.types();
        if types
            .iter()
            .any(|ty| ty.profiles.iter().any(|profile| profile == own))
        {
            return Err(SnapshotError::Circle(own.to_owned()));
        }
        let specialization = root.child_text("derivation") != Some("constraint");
        lay::Layer {
            maker: self,
            whole: tree.clone(),
            specialization,
        }
        .lay(&mut tree, &difference, ty)?;
        Ok(tree)
    }

    /// The tree of what has a URL.
    fn named(&self, canonical: &str) -> Result<Node, SnapshotError> {
        let url = canonical.split('|').next().unwrap_or(canonical);
        let in_work = self.chain.iter().any(|known| known == url);
        let Some(left) = self.looks.get().checked_sub(1) else {
            return Err(SnapshotError::Size);
        };
        self.looks.set(left);
        if in_work || self.chain.len() > NESTED_MAX {
            return Err(SnapshotError::Circle(canonical.to_owned()));
        }
        if let Some(ty) = Definitions::r4().type_at(url)
            && let Some(list) = base::elements(url)
        {
            return Node::of(list, Definitions::r4().type_def(ty).name);
        }
        let unknown = || SnapshotError::Unknown(canonical.to_owned());
        let definition = self.library.get(canonical).ok_or_else(unknown)?;
        let inner = Maker {
            library: self.library,
            chain: [self.chain.as_slice(), &[url.to_owned()]].concat(),
            looks: Rc::clone(&self.looks),
        };
        inner.tree(&definition, Wanted::Any)
    }
}
