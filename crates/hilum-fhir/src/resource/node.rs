//! A place in a resource.

use std::fmt::{self, Write as _};

use hilum_fhirpath::NodeId;

use super::{NONE, PLAIN, Resource, definitions};
use crate::definitions::{ElementDef, ElementId, TypeDef, TypeId};

/// An element of a resource, with the resource.
#[derive(Clone, Copy)]
pub struct Node<'r> {
    resource: &'r Resource,
    index: u32,
}

impl<'r> Node<'r> {
    pub(crate) const fn new(resource: &'r Resource, index: u32) -> Self {
        Self { resource, index }
    }

    pub(crate) const fn index(self) -> u32 {
        self.index
    }

    fn at(self, index: u32) -> Option<Self> {
        (index != NONE).then_some(Self { index, ..self })
    }

    /// The resource it is in.
    #[must_use]
    pub const fn resource(self) -> &'r Resource {
        self.resource
    }

    /// The place as expressions know it.
    #[must_use]
    pub fn id(self) -> NodeId {
        NodeId {
            hi: 0,
            lo: u64::from(self.index),
        }
    }

    /// The place that an expression found in this resource.
    #[must_use]
    pub fn from_id(resource: &'r Resource, id: NodeId) -> Option<Self> {
        let index = u32::try_from(id.lo).ok()?;
        ((index as usize) < resource.entries.len()).then_some(Self { resource, index })
    }

    /// The element's id in the tables.
    #[must_use]
    pub fn element_id(self) -> ElementId {
        self.resource.entry(self.index).element
    }

    /// The element in the tables.
    #[must_use]
    pub fn element(self) -> &'static ElementDef {
        definitions().element(self.element_id())
    }

    /// Where its children are looked up in the tables.
    #[must_use]
    pub fn scope(self) -> ElementId {
        self.resource.entry(self.index).scope
    }

    /// The type of what is here (for `contained`, of the resource in it).
    #[must_use]
    pub fn type_id(self) -> TypeId {
        self.resource.entry(self.index).ty
    }

    /// The type in the tables.
    #[must_use]
    pub fn type_def(self) -> &'static TypeDef {
        definitions().type_def(self.type_id())
    }

    /// The name of the type: `Quantity`.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        self.type_def().name
    }

    /// The name of the element, without type where it is a choice: `value`. The name of the type
    /// for the root.
    #[must_use]
    pub fn name(self) -> &'static str {
        if self.index == 0 {
            return self.type_name();
        }
        self.element().name
    }

    /// The name as it is written: `valueQuantity`. The name of the type for the root.
    #[must_use]
    pub fn json_name(self) -> &'static str {
        if self.index == 0 {
            return self.type_name();
        }
        let entry = self.resource.entry(self.index);
        definitions().json_name(entry.element, entry.ty)
    }

    /// Whether this is a resource: the root, or one inside it.
    #[must_use]
    pub fn is_resource(self) -> bool {
        self.type_def().is_resource()
    }

    /// Whether its type is primitive.
    #[must_use]
    pub fn is_primitive(self) -> bool {
        self.type_def().primitive().is_some()
    }

    /// The text of a primitive's value.
    #[must_use]
    pub fn text(self) -> Option<&'r str> {
        self.resource.value(self.index)
    }

    /// The value stands in a string of JSON as it is.
    pub(crate) fn is_plain(self) -> bool {
        self.resource.entry(self.index).flags & PLAIN != 0
    }

    /// What it is in; `None` for the root.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        self.at(self.resource.entry(self.index).parent)
    }

    /// What it is in, and what that is in, up to the root.
    pub fn ancestors(self) -> Ancestors<'r> {
        Ancestors(self.parent())
    }

    /// The resource around it: the node itself, or the nearest ancestor that is one.
    #[must_use]
    pub fn nearest_resource(self) -> Self {
        std::iter::once(self)
            .chain(self.ancestors())
            .find(|node| node.is_resource())
            .unwrap_or(self.resource.root())
    }

    /// The next sibling.
    #[must_use]
    pub fn next_sibling(self) -> Option<Self> {
        self.at(self.resource.entry(self.index).next)
    }

    /// Its first child.
    pub(crate) fn children_head(self) -> Option<Self> {
        self.at(self.resource.entry(self.index).first)
    }

    /// Whether it has children.
    #[must_use]
    pub fn has_children(self) -> bool {
        self.children_head().is_some()
    }

    /// Its children in the order in which they are stored.
    pub fn children(self) -> Children<'r> {
        Children(self.children_head())
    }

    /// The children that are this element, of a choice with any type.
    pub fn children_of(self, element: ElementId) -> impl Iterator<Item = Self> {
        let mut next = self.resource.entry(self.index).first;
        std::iter::from_fn(move || {
            while next != NONE {
                let index = next;
                let entry = self.resource.entry(index);
                next = entry.next;
                if entry.element == element {
                    return Some(Self { index, ..self });
                }
            }
            None
        })
    }

    /// The children with this name (of a choice the name without type).
    pub fn children_named(self, name: &str) -> impl Iterator<Item = Self> {
        self.children().filter(move |child| child.name() == name)
    }

    /// The first child with this name (of a choice the name without type).
    #[must_use]
    pub fn child(self, name: &str) -> Option<Self> {
        self.children().find(|child| child.name() == name)
    }

    /// The text of the first child with this name.
    #[must_use]
    pub fn child_text(self, name: &str) -> Option<&'r str> {
        self.child(name)?.text()
    }

    /// How many siblings of the same element come before it.
    #[must_use]
    pub fn repetition(self) -> usize {
        let element = self.element_id();
        self.parent()
            .into_iter()
            .flat_map(Self::children)
            .take_while(|sibling| sibling.index != self.index)
            .filter(|sibling| sibling.element_id() == element)
            .count()
    }

    /// The place as a simple FHIRPath: `Patient.name[0].given[1]`.
    #[must_use]
    pub fn path(self) -> String {
        let mut way: Vec<Self> = std::iter::once(self).chain(self.ancestors()).collect();
        way.reverse();
        let mut path = String::with_capacity(way.len() * 12);
        for node in way {
            if node.index != 0 {
                path.push('.');
            }
            path.push_str(node.name());
            if node.index != 0 && node.element().max > 1 {
                // Writing to a string cannot fail.
                let _ok = write!(path, "[{}]", node.repetition());
            }
        }
        path
    }
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.resource, other.resource) && self.index == other.index
    }
}

impl Eq for Node<'_> {}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.path()).finish()
    }
}

/// See [`Node::children`].
#[derive(Clone, Debug)]
pub struct Children<'r>(Option<Node<'r>>);

impl<'r> Iterator for Children<'r> {
    type Item = Node<'r>;

    fn next(&mut self) -> Option<Node<'r>> {
        let node = self.0?;
        self.0 = node.next_sibling();
        Some(node)
    }
}

/// See [`Node::ancestors`].
#[derive(Clone, Debug)]
pub struct Ancestors<'r>(Option<Node<'r>>);

impl<'r> Iterator for Ancestors<'r> {
    type Item = Node<'r>;

    fn next(&mut self) -> Option<Node<'r>> {
        let node = self.0?;
        self.0 = node.parent();
        Some(node)
    }
}
