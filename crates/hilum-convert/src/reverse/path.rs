//! Paths and conditions on elements, checked against the tables of FHIR.

use std::collections::HashSet;

use hilum_fhir::definitions::{Child, Definitions, ElementId, TypeId};

use super::compile::given;
use super::plan::{Begin, Cond, Path, Step};
use crate::plan::condition_regex;
use crate::plan::target::{below, reference, root, type_named};
use crate::problem::Fault;
use crate::text::{FhirCond, FhirPath, FhirStep, Start};

/// Makes paths ready and notes the references that they follow.
pub(super) struct Reader<'a> {
    pub(super) followed: &'a mut HashSet<ElementId>,
}

/// `Type.element.element`: the type, and the element that holds a reference to `to`.
fn type_at(text: &str, at: usize, to: Option<TypeId>) -> Result<(TypeId, Child), Fault> {
    let Some((ty, names)) = text.split_once('.') else {
        return Err(
            Fault::new(at, text, "a type and an element of it were expected")
                .remedy("write `DiagnosticReport.result`"),
        );
    };
    let mut child = type_named(ty, at)?;
    let holder = child.ty;
    for name in names.split('.') {
        child = below(child, name, at)?;
    }
    let tables = Definitions::r4();
    let element = tables.element(child.element);
    match to {
        Some(to) => {
            reference(child, element.name, tables.type_def(to).name, at)?;
        }
        None if child.ty != tables.known().reference => {
            return Err(Fault::new(
                at,
                text,
                "the element does not refer to a resource",
            ));
        }
        None => {}
    }
    Ok((holder, child))
}

/// Whether a path leads from one node to its children alone. An index counts what all nodes before it
/// have, and so it may stand only where there is one of them.
fn is_plain(steps: &[Step]) -> bool {
    let mut is_one = true;
    let mut steps = steps.iter().peekable();
    while let Some(step) = steps.next() {
        if !matches!(step, Step::Child { .. } | Step::Extension { .. }) {
            return false;
        }
        let is_indexed = steps.next_if(|next| matches!(next, Step::Index(_)));
        if is_indexed.is_some() && !is_one {
            return false;
        }
        is_one = is_indexed.is_some();
    }
    true
}

impl Reader<'_> {
    pub(super) fn path(&mut self, path: &FhirPath, context: Child) -> Result<Path, Fault> {
        let at = path.at;
        let tables = Definitions::r4();
        let mut child = context;
        let start = match &path.start {
            Start::Context => Begin::Context,
            Start::All(name) => {
                child = type_named(name, at)?;
                if !tables.type_def(child.ty).is_resource() {
                    return Err(Fault::new(at, name, "not a type of resource"));
                }
                Begin::All(child.ty)
            }
            Start::Subjects(text) => {
                let (text, to) = match text.split_once(',') {
                    Some((text, to)) => (text.trim(), to.trim()),
                    None => (text.as_str(), "Patient"),
                };
                let to = type_named(to, at)?;
                let (ty, element) = type_at(text, at, Some(to.ty))?;
                child = to;
                self.followed.insert(element.element);
                Begin::Subjects {
                    ty,
                    element: element.element,
                }
            }
        };
        let mut steps = Vec::new();
        for (at, step) in &path.steps {
            let (step, next) = self.step(*at, step, child)?;
            steps.push(step);
            child = next;
        }
        let plain = matches!(start, Begin::Context) && is_plain(&steps);
        Ok(Path {
            start,
            steps,
            plain,
            end: child,
        })
    }

    fn step(&mut self, at: usize, step: &FhirStep, of: Child) -> Result<(Step, Child), Fault> {
        let tables = Definitions::r4();
        Ok(match step {
            FhirStep::Child(name) => {
                let child = below(of, name, at)?;
                let ty = tables.element(child.element).choice.then_some(child.ty);
                (
                    Step::Child {
                        element: child.element,
                        ty,
                    },
                    child,
                )
            }
            FhirStep::Extension(url) => {
                let child = below(of, "extension", at)?;
                (
                    Step::Extension {
                        element: child.element,
                        url: url.as_str().into(),
                    },
                    child,
                )
            }
            FhirStep::Where(condition) => (Step::Where(self.condition(condition, of)?), of),
            FhirStep::Resolve(name) => {
                let element = tables.element(of.element);
                let (_, ty) = reference(of, element.name, name, at)?;
                self.followed.insert(of.element);
                (Step::Resolve(ty), root(ty))
            }
            FhirStep::Back(text) => {
                let (ty, element) = type_at(text, at, Some(of.ty))?;
                let element = element.element;
                (Step::Back { ty, element }, root(ty))
            }
            FhirStep::Index(number) => (Step::Index(*number), of),
            FhirStep::Skip(number) => (Step::Skip(*number), of),
        })
    }

    pub(super) fn condition(&mut self, of: &FhirCond, child: Child) -> Result<Cond, Fault> {
        let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        let text = |text: &String| text.as_str().into();
        Ok(match of {
            FhirCond::And(parts) => Cond::And(self.all(parts, child)?),
            FhirCond::Or(parts) => Cond::Or(self.all(parts, child)?),
            FhirCond::Not(inner) => Cond::Not(Box::new(self.condition(inner, child)?)),
            FhirCond::Exists(path) => Cond::Exists(self.path(path, child)?),
            FhirCond::Empty(path) => Cond::Empty(self.path(path, child)?),
            FhirCond::TargetEmpty => Cond::TargetEmpty,
            FhirCond::Compare(path, how, to) => {
                Cond::Compare(self.value(path, child)?, *how, text(to))
            }
            FhirCond::In(path, texts) => Cond::In(self.value(path, child)?, boxed(texts)),
            FhirCond::Count(path, how, number) => {
                Cond::Count(self.path(path, child)?, *how, *number)
            }
            FhirCond::StartsWith(path, to) => Cond::StartsWith(self.value(path, child)?, text(to)),
            FhirCond::EndsWith(path, to) => Cond::EndsWith(self.value(path, child)?, text(to)),
            FhirCond::Contains(path, to) => Cond::Contains(self.value(path, child)?, text(to)),
            FhirCond::Matches(path, to) => {
                Cond::Matches(self.value(path, child)?, condition_regex(to)?)
            }
            FhirCond::Given(name, how, to) => Cond::Given(given(name, 0)?, *how, text(to)),
            FhirCond::GivenIn(name, texts) => Cond::GivenIn(given(name, 0)?, boxed(texts)),
        })
    }

    /// A path whose end has a value.
    fn value(&mut self, path: &FhirPath, child: Child) -> Result<Path, Fault> {
        let ready = self.path(path, child)?;
        let def = Definitions::r4().type_def(ready.end.ty);
        if def.primitive().is_some() {
            return Ok(ready);
        }
        let reason = format!("a {} is not compared with a text", def.name);
        Err(Fault::new(path.at, &path.text, reason).remedy("name the element in it"))
    }

    fn all(&mut self, parts: &[FhirCond], child: Child) -> Result<Vec<Cond>, Fault> {
        parts
            .iter()
            .map(|part| self.condition(part, child))
            .collect()
    }
}
