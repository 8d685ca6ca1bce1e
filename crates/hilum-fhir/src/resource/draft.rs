//! Making a resource from nothing, by ids of the tables and not by names.
//!
//! Elements come in any order and stand in that of the standard; text goes into one buffer. What
//! stays without value and children is gone in the end, so that a place may be made before it is
//! known whether anything is written there.

use super::build::{Builder, Kept, Kind};
use super::{Entry, NONE, Node, Resource, definitions};
use crate::definitions::{Child, ElementId, PrimitiveKind, TypeId};
use crate::lexical::Scan;

/// A resource in the making.
#[derive(Debug)]
pub struct Draft {
    builder: Builder,
}

/// An element of a [`Draft`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(u32);

impl At {
    /// Its number: elements are numbered as they are made, from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

const fn kind(child: Child) -> Kind {
    Kind {
        element: child.element,
        ty: child.ty,
        scope: child.scope,
    }
}

impl Draft {
    /// A resource of a type, with room for so many elements and bytes of text.
    #[must_use]
    pub fn new(ty: TypeId, nodes: usize, bytes: usize) -> Self {
        let root = definitions().type_def(ty).root;
        let kind = Kind {
            element: root,
            ty,
            scope: root,
        };
        Self {
            builder: Builder::empty(kind, nodes, bytes),
        }
    }

    /// The resource itself.
    #[must_use]
    pub const fn root(&self) -> At {
        At(0)
    }

    /// How many elements were made.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.builder.len()
    }

    /// The only element of this name, made where it is not there yet; `None` where the element has
    /// another type already (`valueString` beside `valueQuantity`).
    pub fn single(&mut self, parent: At, child: Child) -> Option<At> {
        let (mut before, mut other) = (NONE, None);
        for (at, entry) in self.builder.children(parent.0) {
            if entry.element < child.element {
                before = at;
            } else if entry.element == child.element {
                if entry.ty == child.ty {
                    return Some(At(at));
                }
                other = Some(at);
            } else {
                break;
            }
        }
        if let Some(other) = other {
            if !self.is_empty(At(other)) {
                return None;
            }
            self.builder.drop_out(other);
        }
        Some(At(self.builder.push_new(parent.0, before, kind(child))))
    }

    /// A new element, the last of its list.
    pub fn append(&mut self, parent: At, child: Child) -> At {
        let mut before = NONE;
        for (at, entry) in self.builder.children(parent.0) {
            if entry.element > child.element {
                break;
            }
            before = at;
        }
        At(self.builder.push_new(parent.0, before, kind(child)))
    }

    /// As [`Self::append`], where the last of the list is known.
    pub fn append_behind(&mut self, parent: At, last: Option<At>, child: Child) -> At {
        match last {
            Some(last) => At(self.builder.push_new(parent.0, last.0, kind(child))),
            None => self.append(parent, child),
        }
    }

    /// A new element, the first of its list.
    pub fn prepend(&mut self, parent: At, child: Child) -> At {
        let mut before = NONE;
        for (at, entry) in self.builder.children(parent.0) {
            if entry.element >= child.element {
                break;
            }
            before = at;
        }
        At(self.builder.push_new(parent.0, before, kind(child)))
    }

    /// Gives an element that holds a resource (`Bundle.entry.resource`) the type of it.
    #[must_use]
    pub fn typed(child: Child, ty: TypeId) -> Child {
        Child {
            ty,
            scope: definitions().type_def(ty).root,
            ..child
        }
    }

    /// The children of an element, in order.
    pub fn children(&self, of: At) -> impl Iterator<Item = (At, ElementId, TypeId)> {
        let children = self.builder.children(of.0);
        children.map(|(at, entry)| (At(at), entry.element, entry.ty))
    }

    /// The first child of this element and type.
    #[must_use]
    pub fn child(&self, of: At, child: Child) -> Option<At> {
        let mut children = self.children(of);
        let found = children.find(|(_, element, ty)| *element == child.element && *ty == child.ty);
        found.map(|(at, ..)| at)
    }

    fn entry(&self, at: At) -> Option<&Entry> {
        self.builder.entry(at.0)
    }

    /// The type of an element.
    #[must_use]
    pub fn type_id(&self, at: At) -> Option<TypeId> {
        self.entry(at).map(|entry| entry.ty)
    }

    /// The text of a primitive.
    #[must_use]
    pub fn text(&self, at: At) -> Option<&str> {
        self.builder.value(at.0)
    }

    /// Gives a primitive its value.
    ///
    /// # Errors
    /// Where the text has not the form of the type; the reason is without content.
    pub fn set(&mut self, at: At, text: &str) -> Result<(), &'static str> {
        let ty = self.entry(at).map(|entry| entry.ty);
        let kind = ty.and_then(|ty| definitions().type_def(ty).primitive());
        let Some(kind) = kind else {
            return Err("only a primitive has a value");
        };
        let scan = Scan::of(text.as_bytes());
        let fault = scan.fault(kind, text);
        if let Some(fault) = fault {
            return Err(fault);
        }
        if !self.builder.has_room(text.len()) {
            return Err("the resource becomes too large");
        }
        let number = matches!(
            kind,
            PrimitiveKind::Boolean
                | PrimitiveKind::Integer
                | PrimitiveKind::UnsignedInt
                | PrimitiveKind::PositiveInt
                | PrimitiveKind::Decimal
        );
        self.builder.set_text(at.0, text);
        if !number && !scan.special {
            self.builder.set_plain(at.0);
        }
        Ok(())
    }

    /// Whether there is no value at an element or below it.
    #[must_use]
    pub fn is_empty(&self, at: At) -> bool {
        self.builder.value(at.0).is_none()
            && self
                .builder
                .children(at.0)
                .all(|(child, _)| self.is_empty(At(child)))
    }

    /// Takes an element out, with everything in it.
    pub fn remove(&mut self, at: At) {
        self.builder.drop_out(at.0);
    }

    /// An element like another one that stands beside the resource and is no part of it: what
    /// [`Self::copy_into`] takes from.
    pub fn beside(&mut self, like: At) -> Option<At> {
        let entry = self.entry(like)?;
        let kind = Kind {
            element: entry.element,
            ty: entry.ty,
            scope: entry.scope,
        };
        Some(At(self.builder.push_beside(kind)))
    }

    /// Copies what is in an element into another one of the same type; false, and nothing is
    /// changed, where that has one of its children or its value already.
    pub fn copy_into(&mut self, from: At, to: At) -> bool {
        self.builder.copy_into(from.0, to.0)
    }

    /// Keeps the elements that were made since there were `since`, those below `top` among them.
    #[must_use]
    pub fn kept_since(&self, since: usize, top: At) -> Stretch {
        Stretch {
            top,
            kept: self.builder.kept_since(since, top.0),
        }
    }

    /// Makes kept elements again, those that stood below the one element below `to`, behind what
    /// is there. An element that stood below anything else stands in nothing until it is put there.
    pub fn make_again(&mut self, stretch: &Stretch, to: At) -> Moved {
        let first = stretch.kept.first;
        let by = self.builder.make_again(&stretch.kept, stretch.top.0, to.0);
        Moved {
            from: stretch.top,
            to,
            first,
            end: first + stretch.kept.entries.len() as u32,
            by,
        }
    }

    /// Puts an element that stands in nothing behind the child `last` of its parent.
    pub fn put_behind(&mut self, last: At, at: At) {
        let parent = self.entry(at).map_or(NONE, |entry| entry.parent);
        self.builder.link(parent, last.0, at.0);
    }

    /// By the number of an element whether there is a value at it or below it; `also` says where
    /// there is one that the draft does not know of. What was taken out has none.
    #[must_use]
    pub fn content(&self, also: impl Fn(At) -> bool) -> Vec<bool> {
        self.builder.content(|at| also(At(at)))
    }

    /// By the number of an element how many elements it is with those below it.
    #[must_use]
    pub fn sizes(&self) -> Vec<u32> {
        self.builder.sizes()
    }

    /// The first child of an element.
    #[must_use]
    pub fn first_child(&self, of: At) -> Option<At> {
        let first = self.entry(of)?.first;
        (first != NONE).then_some(At(first))
    }

    /// The next child of the same parent.
    #[must_use]
    pub fn next_sibling(&self, of: At) -> Option<At> {
        let next = self.entry(of)?.next;
        (next != NONE).then_some(At(next))
    }

    /// What an element is in; `None` for the resource itself.
    #[must_use]
    pub fn parent(&self, of: At) -> Option<At> {
        let parent = self.entry(of)?.parent;
        (parent != NONE).then_some(At(parent))
    }

    /// What an element is, as its parent has it.
    #[must_use]
    pub fn as_child(&self, at: At) -> Option<Child> {
        let entry = self.entry(at)?;
        Some(definitions().child_of(entry.element, entry.ty))
    }

    /// The resource.
    #[must_use]
    pub fn finish(self) -> Resource {
        self.builder.compact()
    }

    /// The resource, and which of its nodes an element became.
    #[must_use]
    pub fn finish_tracked(self) -> (Resource, Places) {
        let (resource, way) = self.builder.compact_tracked();
        (resource, Places(way))
    }
}

/// Elements that were made one after the other, as they were then.
#[derive(Clone, Debug)]
pub struct Stretch {
    top: At,
    kept: Kept,
}

/// Where elements of a [`Stretch`] are that were made again.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    from: At,
    to: At,
    first: u32,
    end: u32,
    by: u32,
}

impl Moved {
    /// The element that was made for one of the stretch; any other element is itself.
    #[must_use]
    pub fn at(&self, at: At) -> At {
        if (self.first..self.end).contains(&at.0) {
            return At(at.0 + self.by);
        }
        if at == self.from { self.to } else { at }
    }
}

/// Where the elements of a draft are in the resource.
#[derive(Clone, Debug)]
pub struct Places(Vec<u32>);

impl Places {
    /// The node that an element became; `None` where nothing was left of it.
    #[must_use]
    pub fn node<'r>(&self, resource: &'r Resource, at: At) -> Option<Node<'r>> {
        let index = self.0.get(at.0 as usize).copied()?;
        ((index as usize) < resource.entries.len()).then(|| Node::new(resource, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, Style};

    fn child(draft: &Draft, of: At, name: &str) -> Child {
        let scope = draft.entry(of).expect("an element").scope;
        definitions().child(scope, name).expect("a name")
    }

    fn written(resource: &Resource) -> String {
        let mut out = Vec::new();
        json::write(resource, Style::Compact, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn elements_stand_in_the_order_of_the_standard_whatever_order_they_came_in() {
        let patient = definitions().type_named("Patient").expect("a type");
        let mut draft = Draft::new(patient, 16, 64);
        let root = draft.root();
        let birth = draft
            .single(root, child(&draft, root, "birthDate"))
            .expect("free");
        draft.set(birth, "1970-01").expect("a date");
        let name = draft.append(root, child(&draft, root, "name"));
        for (element, text) in [("given", "Ann"), ("family", "O\"Hara"), ("given", "B.")] {
            let at = child(&draft, name, element);
            let at = draft.append(name, at);
            draft.set(at, text).expect("a text");
        }
        let empty = draft.append(root, child(&draft, root, "name"));
        assert!(draft.is_empty(empty) && !draft.is_empty(name));
        let first = draft.prepend(root, child(&draft, root, "name"));
        let text = child(&draft, first, "text");
        let text = draft.single(first, text).expect("free");
        draft.set(text, "first").expect("a text");
        let (resource, places) = draft.finish_tracked();
        assert_eq!(
            written(&resource),
            r#"{"resourceType":"Patient","name":[{"text":"first"},{"family":"O\"Hara","given":["Ann","B."]}],"birthDate":"1970-01"}"#
        );
        let place = |at| places.node(&resource, at).map(|node| node.path());
        assert_eq!(place(name).as_deref(), Some("Patient.name[1]"));
        assert_eq!(place(empty), None);
    }

    #[test]
    fn a_choice_has_one_type_and_a_value_has_the_form_of_its_type() {
        let observation = definitions().type_named("Observation").expect("a type");
        let mut draft = Draft::new(observation, 16, 64);
        let root = draft.root();
        let string = child(&draft, root, "valueString");
        let quantity = child(&draft, root, "valueQuantity");
        // What is empty gives way.
        draft.single(root, quantity).expect("free");
        let at = draft.single(root, string).expect("free");
        assert_eq!(draft.set(at, "\u{1}"), Err("a control character"));
        draft.set(at, "x").expect("a text");
        assert_eq!(draft.single(root, quantity), None);
        assert_eq!(draft.single(root, string), Some(at));
        assert_eq!(
            written(&draft.finish()),
            r#"{"resourceType":"Observation","valueString":"x"}"#
        );
    }
}
