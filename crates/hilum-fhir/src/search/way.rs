//! Expressions of search parameters as ways through the tables.
//!
//! Nearly every parameter of R4 is a union of paths, some cut to a type or to what a child says.
//! Such an expression becomes a list of [`Way`]s, which are walked without evaluating anything.
//! `as` keeps of several items those that fit, which the standard's own expressions expect
//! (`Observation.component.value as Quantity`), though FHIRPath would refuse them.

use crate::definitions::{BindingStrength, Definitions, ElementId, PrimitiveKind, TypeId};
use crate::resource::Node;
use crate::search::reference::{ReferenceTarget, parse_reference};

/// One step from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// To the children that are this element.
    Child(ElementId),
    /// To one repetition of this element.
    Nth(ElementId, usize),
    /// Stays where the type is this one.
    As(TypeId),
    /// Stays where the reference points to this type.
    Resolves(String),
    /// Stays where a child has this text.
    Where(ElementId, String),
}

/// Where a way has come to in the tables.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Where children are looked up; `None` behind a choice or a resource of unknown type.
    scope: Option<ElementId>,
    element: ElementId,
}

/// One path.
#[derive(Clone, Debug)]
pub(super) struct Way {
    steps: Vec<Step>,
    place: Place,
    /// The system of a code that is required to come from it.
    pub(super) system: Option<&'static str>,
}

/// An expression that is a union of paths.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways(pub(super) Vec<Way>);

impl Ways {
    /// Reads an expression that is seen from a resource of this type; `None` where it is more than
    /// a union of paths.
    pub(super) fn compile(expression: &str, ty: TypeId) -> Option<Self> {
        let root = Definitions::r4().type_def(ty).root;
        let place = Place {
            scope: Some(root),
            element: root,
        };
        Self::compile_at(expression, place, Some(ty))
    }

    fn compile_at(expression: &str, place: Place, ty: Option<TypeId>) -> Option<Self> {
        let mut reader = Reader {
            rest: expression,
            start: Way {
                steps: Vec::new(),
                place,
                system: None,
            },
            ty,
        };
        let mut ways = reader.union()?;
        reader.blank();
        if !reader.rest.is_empty() {
            return None;
        }
        for way in &mut ways {
            way.system = system_of(way.place.element);
        }
        Some(Self(ways))
    }

    /// Visits what the paths lead to.
    pub(super) fn walk<'r>(&self, from: Node<'r>, visit: &mut dyn FnMut(&Way, Node<'r>)) {
        for way in &self.0 {
            walk(&way.steps, from, &mut |node| visit(way, node));
        }
    }
}

impl Way {
    /// Reads an expression that is seen from the end of this way.
    pub(super) fn compile_behind(&self, expression: &str) -> Option<Ways> {
        Ways::compile_at(expression, self.place, None)
    }

    /// Visits what the path leads to.
    pub(super) fn walk<'r>(&self, from: Node<'r>, visit: &mut dyn FnMut(Node<'r>)) {
        walk(&self.steps, from, visit);
    }
}

fn walk<'r>(steps: &[Step], from: Node<'r>, visit: &mut dyn FnMut(Node<'r>)) {
    let Some((step, rest)) = steps.split_first() else {
        return visit(from);
    };
    match step {
        Step::Child(element) => {
            for child in from.children() {
                if child.element_id() == *element {
                    walk(rest, child, visit);
                }
            }
        }
        Step::Nth(element, nth) => {
            let same = |child: &Node<'r>| child.element_id() == *element;
            if let Some(child) = from.children().filter(same).nth(*nth) {
                walk(rest, child, visit);
            }
        }
        Step::As(ty) if from.type_id() == *ty => walk(rest, from, visit),
        Step::Resolves(name) if target_type(from) == Some(name) => walk(rest, from, visit),
        Step::Where(element, text) => {
            let says = |child: Node<'r>| {
                child.element_id() == *element && child.text() == Some(text.as_str())
            };
            if from.children().any(says) {
                walk(rest, from, visit);
            }
        }
        Step::As(_) | Step::Resolves(_) => {}
    }
}

/// The type that a reference points to, as far as it says so itself.
fn target_type(node: Node<'_>) -> Option<&str> {
    let text = node.text().or_else(|| node.child_text("reference"));
    match text.map(parse_reference) {
        Some(
            ReferenceTarget::Relative { resource_type, .. }
            | ReferenceTarget::Absolute { resource_type, .. },
        ) => Some(resource_type),
        Some(ReferenceTarget::Contained(_) | ReferenceTarget::Uri(_)) | None => {
            node.child_text("type")
        }
    }
}

/// The only system of the value set that a code must come from.
fn system_of(element: ElementId) -> Option<&'static str> {
    let tables = Definitions::r4();
    let def = tables.element(element);
    let code = def
        .types
        .iter()
        .any(|known| tables.type_def(known.ty).primitive() == Some(PrimitiveKind::Code));
    let binding = def.binding.as_ref()?;
    if !code || binding.strength != BindingStrength::Required {
        return None;
    }
    let set = tables.value_set(binding.value_set)?;
    let first = set.concepts.first()?.system;
    let one = set.is_enumerated() && set.concepts.iter().all(|known| known.system == first);
    one.then_some(first)
}

struct Reader<'e> {
    rest: &'e str,
    start: Way,
    ty: Option<TypeId>,
}

impl<'e> Reader<'e> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, word: &str) -> bool {
        self.blank();
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn name(&mut self) -> Option<&'e str> {
        self.blank();
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    fn text(&mut self) -> Option<&'e str> {
        if !self.take("'") {
            return None;
        }
        let (text, rest) = self.rest.split_once('\'')?;
        self.rest = rest;
        (!text.contains('\\')).then_some(text)
    }

    fn union(&mut self) -> Option<Vec<Way>> {
        let mut ways = self.chain()?;
        while self.take("|") {
            ways.extend(self.chain()?);
        }
        Some(ways)
    }

    fn chain(&mut self) -> Option<Vec<Way>> {
        let mut ways = if self.take("(") {
            let inner = self.union()?;
            if !self.take(")") {
                return None;
            }
            inner
        } else {
            let name = self.name()?;
            self.first(name)?
        };
        loop {
            if self.take(".") {
                let name = self.name()?;
                if self.take("(") {
                    self.call(name, &mut ways)?;
                    if !self.take(")") {
                        return None;
                    }
                } else {
                    for way in &mut ways {
                        way.child(name)?;
                    }
                }
            } else if self.take("[") {
                let number = self.name()?.parse().ok()?;
                if !self.take("]") {
                    return None;
                }
                for way in &mut ways {
                    let Some(Step::Child(element)) = way.steps.last().cloned() else {
                        return None;
                    };
                    way.steps.pop();
                    way.steps.push(Step::Nth(element, number));
                }
            } else if self.take("as ") {
                let ty = self.type_name()?;
                ways.iter_mut().for_each(|way| way.cut(ty));
            } else {
                return Some(ways);
            }
        }
    }

    /// The first name of a path: the type it starts from, or a child of it.
    fn first(&self, name: &str) -> Option<Vec<Way>> {
        let tables = Definitions::r4();
        let mut way = self.start.clone();
        let is_start = self.ty.is_some_and(|own| {
            let named = tables.type_named(name);
            named.is_some_and(|named| tables.is_a(own, named))
        });
        if !is_start {
            way.child(name)?;
        }
        Some(vec![way])
    }

    fn call(&mut self, name: &str, ways: &mut [Way]) -> Option<()> {
        match name {
            "as" | "ofType" => {
                let ty = self.type_name()?;
                ways.iter_mut().for_each(|way| way.cut(ty));
            }
            "where" => {
                let child = self.name()?;
                if child == "resolve" {
                    if !(self.take("(") && self.take(")") && self.take("is ")) {
                        return None;
                    }
                    let ty = self.name()?;
                    for way in ways {
                        way.steps.push(Step::Resolves(ty.to_owned()));
                    }
                } else {
                    if !self.take("=") {
                        return None;
                    }
                    let text = self.text()?;
                    for way in ways {
                        let element = child_named(way.place.scope?, child)?;
                        way.steps.push(Step::Where(element, text.to_owned()));
                    }
                }
            }
            "extension" => {
                let url = self.text()?;
                for way in ways {
                    way.child("extension")?;
                    let element = child_named(way.place.scope?, "url")?;
                    way.steps.push(Step::Where(element, url.to_owned()));
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// A type; the standard itself writes `DateTime` for `dateTime`.
    fn type_name(&mut self) -> Option<TypeId> {
        let name = self.name()?;
        let tables = Definitions::r4();
        tables.type_named(name).or_else(|| {
            let mut chars = name.chars();
            let first = chars.next()?.to_ascii_lowercase();
            tables.type_named(&format!("{first}{}", chars.as_str()))
        })
    }
}

impl Way {
    fn child(&mut self, name: &str) -> Option<()> {
        let tables = Definitions::r4();
        let element = child_named(self.place.scope?, name)?;
        self.steps.push(Step::Child(element));
        let def = tables.element(element);
        let scope = match def.types.as_slice() {
            [only] if only.ty != tables.known().resource => {
                Some(tables.child_of(element, only.ty).scope)
            }
            _ if def.has_children() || def.content.is_some() => {
                let ty = def.types.first()?.ty;
                Some(tables.child_of(element, ty).scope)
            }
            _ => None,
        };
        self.place = Place { scope, element };
        Some(())
    }

    fn cut(&mut self, ty: TypeId) {
        self.steps.push(Step::As(ty));
        let scope = Definitions::r4().child_of(self.place.element, ty).scope;
        self.place.scope = Some(scope);
    }
}

fn child_named(scope: ElementId, name: &str) -> Option<ElementId> {
    let tables = Definitions::r4();
    let mut children = tables.children(scope);
    children.find(|child| tables.element(*child).name == name)
}
