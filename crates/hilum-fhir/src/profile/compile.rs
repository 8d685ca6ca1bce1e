//! From a StructureDefinition to a tree of constraints.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use hilum_fhirpath::{Expression, Options};

use super::{
    Constraint, Context, Discriminator, DiscriminatorKind, Fit, Given, Profile, ProfileRule,
    Slicing, SlicingRules, Step, TypeLimit, Value,
};
use crate::definitions::{BindingStrength, Definitions, ElementId, TypeId};
use crate::resource::{Node, Resource};

/// R4 has no element for the fewest characters.
const MIN_LENGTH: &str = "http://hl7.org/fhir/StructureDefinition/minLength";

/// Levels of nesting in a profile that are followed.
pub(super) const DEPTH_MAX: usize = 40;

/// Which part of a StructureDefinition is read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stated {
    /// The differential, which is laid over the base.
    Difference,
    /// The snapshot, because the base is not known.
    Whole,
}

/// The profile of a StructureDefinition whose base was compiled before; `None` where its type is
/// unknown.
pub(super) fn compile(
    resource: &Arc<Resource>,
    base: Option<&Profile>,
    read_first: Stated,
) -> Option<Profile> {
    let root = resource.root();
    let tables = Definitions::r4();
    if root.child_text("derivation") == Some("specialization") {
        return None;
    }
    let ty = tables.type_named(root.child_text("type")?)?;
    let mut constraint = match base.filter(|base| base.ty == ty) {
        Some(base) => base.root.clone(),
        None => Constraint {
            name: tables.type_def(ty).name.to_owned(),
            is_root: true,
            scope: Some(tables.type_def(ty).root),
            ..Constraint::default()
        },
    };
    let (difference, whole) = (root.child("differential"), root.child("snapshot"));
    let stated = match read_first {
        Stated::Difference => difference.or(whole),
        Stated::Whole => whole.or(difference),
    };
    let mut layer = Layer {
        source: resource,
        slices: Vec::new(),
        ignored: 0,
    };
    for element in stated.into_iter().flat_map(|s| s.children_named("element")) {
        layer.lay(&mut constraint, element);
    }
    let mut ignored = layer.ignored;
    let expression = |text: &str| Expression::compile(text, &Options::default());
    let mut contexts = Vec::new();
    for context in root.children_named("context") {
        let text = context.child_text("expression").unwrap_or_default();
        match context.child_text("type") {
            Some("element") => contexts.push(Context::Element(text.to_owned())),
            Some("extension") => contexts.push(Context::Extension(text.to_owned())),
            Some("fhirpath") => match expression(text) {
                Ok(expression) => contexts.push(Context::FhirPath(expression)),
                Err(_) => ignored += 1,
            },
            _ => ignored += 1,
        }
    }
    let texts = root
        .children_named("contextInvariant")
        .filter_map(Node::text);
    let context_rules = texts.filter_map(|text| expression(text).ok());
    Some(Profile {
        url: root.child_text("url")?.to_owned(),
        version: root.child_text("version").map(str::to_owned),
        ty,
        contexts,
        context_rules: context_rules.collect(),
        root: constraint,
        ignored,
    })
}

/// One step of an element's place.
struct Segment<'s> {
    name: &'s str,
    slice: Option<&'s str>,
}

/// Lays the elements of a differential over a tree.
struct Layer<'s> {
    source: &'s Arc<Resource>,
    /// The slices that are open, by path; for elements without `id`.
    slices: Vec<(&'s str, &'s str)>,
    ignored: usize,
}

impl<'s> Layer<'s> {
    fn lay(&mut self, root: &mut Constraint, element: Node<'s>) {
        let Some(segments) = self.segments(element) else {
            self.ignored += 1;
            return;
        };
        if segments.len() > DEPTH_MAX {
            self.ignored += 1;
            return;
        }
        let mut place = root;
        for segment in segments.iter().skip(1) {
            // What a primitive holds is no element of its own.
            if segment.name == "value" && place.scope.is_some_and(is_primitive) {
                return;
            }
            match enter(place, segment) {
                Some(inner) => place = inner,
                None => {
                    self.ignored += 1;
                    return;
                }
            }
        }
        self.fill(place, element);
    }

    /// The place from the element's id, or from its path and the slices that came before.
    fn segments(&mut self, element: Node<'s>) -> Option<Vec<Segment<'s>>> {
        let path = element.child_text("path")?;
        let id = element.child_text("id").filter(|id| fits(id, path));
        if let Some(id) = id {
            let segment = |part: &'s str| match part.split_once(':') {
                Some((name, slice)) => Segment {
                    name,
                    slice: Some(slice),
                },
                None => Segment {
                    name: part,
                    slice: None,
                },
            };
            return Some(id.split('.').map(segment).collect());
        }
        let inside = |own: &str| path.strip_prefix(own).is_some_and(|r| r.starts_with('.'));
        self.slices.retain(|(own, _)| inside(own));
        let mut segments = Vec::new();
        let mut end = 0;
        for part in path.split('.') {
            end += part.len();
            let so_far = path.get(..end)?;
            end += 1;
            let open = self.slices.iter().find(|(own, _)| *own == so_far);
            let slice = open.map(|(_, slice)| *slice);
            segments.push(Segment { name: part, slice });
        }
        if let Some(slice) = element.child_text("sliceName") {
            self.slices.push((path, slice));
            if let Some(last) = segments.last_mut() {
                last.slice = Some(slice);
            }
        }
        Some(segments)
    }

    fn fill(&mut self, into: &mut Constraint, element: Node<'s>) {
        if let Some(min) = element.child_text("min") {
            into.min = min.parse().ok();
        }
        match element.child_text("max") {
            Some("*") => into.max = Some(u32::MAX),
            Some(max) => into.max = max.parse().ok(),
            None => {}
        }
        if let Some(length) = element.child_text("maxLength") {
            into.max_length = length.parse().ok();
        }
        let mut extensions = element.children_named("extension");
        let least = extensions.find(|one| one.child_text("url") == Some(MIN_LENGTH));
        if let Some(length) = least.and_then(|one| one.child_text("value")) {
            into.min_length = length.parse().ok();
        }
        let value = |name: &str| {
            element
                .child(name)
                .map(|node| Value::new(self.source, node))
        };
        into.min_value = value("minValue").or(into.min_value.take());
        into.max_value = value("maxValue").or(into.max_value.take());
        let fixed = value("fixed").map(|value| (Fit::Exactly, value));
        let pattern = value("pattern").map(|value| (Fit::AtLeast, value));
        if let Some((fit, value)) = fixed.or(pattern) {
            into.given = Some(Given { fit, value });
        }
        self.types(into, element);
        if let Some(binding) = element.child("binding") {
            let strength = match binding.child_text("strength") {
                Some("required") => BindingStrength::Required,
                Some("extensible") => BindingStrength::Extensible,
                Some("preferred") => BindingStrength::Preferred,
                _ => BindingStrength::Example,
            };
            if let Some(url) = binding.child_text("valueSet") {
                into.binding = Some((strength, url.to_owned()));
            }
        }
        if let Some(slicing) = element.child("slicing") {
            into.slicing = self.slicing(slicing);
        }
        for rule in element.children_named("constraint") {
            self.rule(into, rule);
        }
    }

    fn types(&mut self, into: &mut Constraint, element: Node<'s>) {
        let tables = Definitions::r4();
        let mut types: Vec<TypeLimit> = Vec::new();
        for stated in element.children_named("type") {
            let code = stated.child_text("code").unwrap_or_default();
            let texts = |name: &str| {
                let texts = stated.children_named(name).filter_map(Node::text);
                texts.map(str::to_owned).collect()
            };
            types.push(TypeLimit {
                ty: tables.type_named(code),
                profiles: texts("profile"),
                targets: texts("targetProfile"),
                aggregation: texts("aggregation"),
            });
        }
        // Types of expressions (`http://hl7.org/fhirpath/System.String`) limit nothing.
        if types.is_empty() || types.iter().any(|limit| limit.ty.is_none()) {
            return;
        }
        // One type decides where names below are looked up, unless the element has its own children.
        if let [TypeLimit { ty: Some(ty), .. }] = types.as_slice()
            && into
                .scope
                .is_none_or(|scope| tables.element(scope).parent.is_none())
        {
            into.scope = Some(tables.type_def(*ty).root);
        }
        into.types = types;
    }

    fn slicing(&mut self, slicing: Node<'s>) -> Option<Slicing> {
        let mut discriminators = Vec::new();
        for one in slicing.children_named("discriminator") {
            let kind = match one.child_text("type")? {
                "value" | "pattern" => DiscriminatorKind::Value,
                "exists" => DiscriminatorKind::Exists,
                "type" => DiscriminatorKind::Type,
                "profile" => DiscriminatorKind::Profile,
                _ => DiscriminatorKind::Unknown,
            };
            let path = steps(one.child_text("path")?);
            let kind = match path {
                Some(_) => kind,
                None => DiscriminatorKind::Unknown,
            };
            self.ignored += usize::from(kind == DiscriminatorKind::Unknown);
            let path = path.unwrap_or_default();
            discriminators.push(Discriminator { kind, path });
        }
        Some(Slicing {
            discriminators,
            ordered: slicing.child_text("ordered") == Some("true"),
            rules: match slicing.child_text("rules") {
                Some("closed") => SlicingRules::Closed,
                Some("openAtEnd") => SlicingRules::OpenAtEnd,
                _ => SlicingRules::Open,
            },
        })
    }

    fn rule(&mut self, into: &mut Constraint, rule: Node<'s>) {
        let key = rule.child_text("key").unwrap_or_default();
        // A snapshot repeats what the standard says; that is tested there.
        let Some(text) = rule.child_text("expression").filter(|_| !is_standard(key)) else {
            return;
        };
        let Ok(expression) = Expression::compile(text, &Options::default()) else {
            self.ignored += 1;
            return;
        };
        into.rules.retain(|known| known.key != key);
        into.rules.push(Arc::new(ProfileRule {
            key: key.to_owned(),
            human: rule.child_text("human").unwrap_or_default().to_owned(),
            warning: rule.child_text("severity") == Some("warning"),
            expression,
        }));
    }
}

/// Whether an id says the same as a path, apart from slices.
fn fits(id: &str, path: &str) -> bool {
    let mut names = id
        .split('.')
        .map(|part| part.split_once(':').map_or(part, |(name, _)| name));
    let mut parts = path.split('.');
    loop {
        match (names.next(), parts.next()) {
            (None, None) => return true,
            (Some(name), Some(part)) if name == part => {}
            _ => return false,
        }
    }
}

fn is_standard(key: &str) -> bool {
    static KEYS: OnceLock<HashSet<&'static str>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let rules = Definitions::r4().invariants().iter();
        rules.map(|rule| rule.key).collect()
    });
    keys.contains(key)
}

/// The place one step below another, made where it is not there yet.
fn enter<'c>(place: &'c mut Constraint, segment: &Segment<'_>) -> Option<&'c mut Constraint> {
    let tables = Definitions::r4();
    let name = segment.name.strip_suffix("[x]").unwrap_or(segment.name);
    let scope = place.scope;
    let element = scope.and_then(|scope| {
        tables
            .children(scope)
            .find(|child| tables.element(*child).name == name)
    });
    if element.is_none()
        && let Some(found) = scope.and_then(|scope| tables.child(scope, name))
    {
        // `valueQuantity` stands for the slice of `value[x]` with that type.
        let choice = child(
            place,
            tables.element(found.element).name,
            Some(found.element),
        );
        let slice = slice(choice, name, Some(found.ty));
        slice.scope = Some(found.scope);
        return Some(slice);
    }
    if element.is_none() && scope.is_some_and(|scope| !is_abstract(scope)) {
        return None;
    }
    let found = child(place, name, element);
    match segment.slice {
        None => Some(found),
        Some(own) => {
            // A slice of a choice that has the JSON name of a type is of that type.
            let named = element.filter(|id| tables.element(*id).choice);
            let named = named.and_then(|_| tables.child(scope?, own));
            Some(slice(outer(found, own), own, named.map(|child| child.ty)))
        }
    }
}

/// What a slice is a slice of: `a/b` is one of the slice `a`, where there is such a slice (FHIR R4
/// profiling.html#reslicing).
fn outer<'c>(place: &'c mut Constraint, name: &str) -> &'c mut Constraint {
    let mut place = place;
    for (at, _) in name.match_indices('/').take(DEPTH_MAX) {
        let own = name.get(..at);
        let known = |slice: &Constraint| slice.slice.as_deref() == own;
        match place.slices.iter().position(known) {
            Some(at) => place = nth(&mut place.slices, at),
            None => break,
        }
    }
    place
}

fn child<'c>(
    place: &'c mut Constraint,
    name: &str,
    element: Option<ElementId>,
) -> &'c mut Constraint {
    let at = match place.children.iter().position(|child| child.name == name) {
        Some(at) => at,
        None => {
            place.children.push(Constraint {
                name: name.to_owned(),
                scope: element.and_then(scope_of),
                ..Constraint::default()
            });
            place.children.len() - 1
        }
    };
    nth(&mut place.children, at)
}

fn slice<'c>(place: &'c mut Constraint, name: &str, ty: Option<TypeId>) -> &'c mut Constraint {
    let known = |slice: &Constraint| slice.slice.as_deref() == Some(name);
    let at = match place.slices.iter().position(known) {
        Some(at) => at,
        None => {
            let types = ty.map(|ty| TypeLimit {
                ty: Some(ty),
                ..TypeLimit::default()
            });
            let scope = ty.map(|ty| Definitions::r4().type_def(ty).root);
            place.slices.push(Constraint {
                name: place.name.clone(),
                slice: Some(name.to_owned()),
                types: types.into_iter().collect(),
                scope: scope.or(place.scope),
                ..Constraint::default()
            });
            place.slices.len() - 1
        }
    };
    nth(&mut place.slices, at)
}

#[expect(
    clippy::indexing_slicing,
    reason = "the place was found or made in the line before"
)]
fn nth(list: &mut [Constraint], at: usize) -> &mut Constraint {
    &mut list[at]
}

fn is_primitive(scope: ElementId) -> bool {
    let tables = Definitions::r4();
    let mut types = tables.element(scope).types.iter();
    let primitive = types.any(|one| tables.type_def(one.ty).primitive().is_some());
    tables.element(scope).parent.is_none() && primitive
}

/// Below `Resource` any element may be meant.
fn is_abstract(scope: ElementId) -> bool {
    let tables = Definitions::r4();
    let types = tables.element(scope).types.iter();
    let mut types = types.map(|one| tables.type_def(one.ty));
    tables.element(scope).parent.is_none() && types.any(|ty| ty.is_abstract && ty.is_resource())
}

/// Where the children of an element are looked up, if it has one type only.
fn scope_of(element: ElementId) -> Option<ElementId> {
    let tables = Definitions::r4();
    match tables.element(element).types.as_slice() {
        [one] => Some(tables.child_of(element, one.ty).scope),
        _ => None,
    }
}

/// A path as discriminators may write it (FHIR R4 profiling.html#discriminator).
fn steps(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(['.', '(']).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        if let Some(inner) = tail.strip_prefix('(') {
            let (argument, after) = inner.split_once(')')?;
            let argument = argument.trim().trim_matches(['\'', '"']);
            steps.push(match name {
                "extension" => Step::Extension(argument.to_owned()),
                "resolve" => Step::Resolve,
                "ofType" => Step::OfType(argument.to_owned()),
                _ => return None,
            });
            rest = after;
        } else {
            if name != "$this" {
                let name = name.strip_suffix("[x]").unwrap_or(name);
                steps.push(Step::Child(name.to_owned()));
            }
            rest = tail;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    Some(steps)
}
