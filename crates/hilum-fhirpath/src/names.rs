//! Whether the names of an expression exist, before anything is evaluated.
//!
//! FHIRPath evaluates a name that nothing has to nothing. That is right for a document, and a trap
//! for whoever writes the expression; here it is held against the types instead (FHIRPath N1
//! §3.4, strict evaluation). What cannot be told beforehand (`resolve()`, `children()`, what a host
//! answers) is taken as right.

use crate::syntax::ast::{Call, Expr, Kind, Operator, Right, Step, StepKind, TypeName, Variable};
use crate::syntax::{Existence, Family, Navigate, Span, Subset, Utility};

/// A type, or a place in one, as the caller numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape(pub u64);

/// The types that names are held against.
pub trait Shapes {
    /// What the children of this name are; `None` where there is no such child. Without any shape
    /// the child exists and nothing is known of it.
    fn child(&self, of: Shape, name: &str) -> Option<Vec<Shape>>;
    /// The type with this name.
    fn named(&self, namespace: Option<&str>, name: &str) -> Option<Shape>;
    /// Whether a shape is of a type or of one below it.
    fn is(&self, shape: Shape, ty: Shape) -> bool;
    /// What a variable of the caller is; `None` where that is not known.
    fn variable(&self, _name: &str) -> Option<Vec<Shape>> {
        None
    }
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misnamed {
    /// Nothing that may stand before it has such a child.
    NoChild,
    /// The path begins with a type that the expression is not seen from.
    OtherType,
    /// Children have no order, so none of them is the first.
    NoOrder,
}

/// A name that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameProblem {
    /// Why.
    pub kind: Misnamed,
    /// The name.
    pub name: String,
    /// The bytes of the text, from the start of the path to the end of the name.
    pub span: Span,
}

/// What may be at a point of an expression; `None` is anything.
type Seen = Option<Vec<Shape>>;

/// What is known of an expression without a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The names that are wrong.
    pub problems: Vec<NameProblem>,
    /// What it may come to; `None` where that cannot be told.
    pub result: Option<Vec<Shape>>,
}

/// Holds the names of an expression against the types, seen from `start`.
pub(crate) fn named(root: &Expr, shapes: &dyn Shapes, start: &[Shape]) -> Named {
    let mut check = Check {
        shapes,
        start,
        problems: Vec::new(),
    };
    let result = check.expr(root, &Some(start.to_vec()));
    Named {
        problems: check.problems,
        result,
    }
}

struct Check<'s> {
    shapes: &'s dyn Shapes,
    start: &'s [Shape],
    problems: Vec<NameProblem>,
}

impl Check<'_> {
    fn expr(&mut self, expr: &Expr, focus: &Seen) -> Seen {
        match &expr.kind {
            Kind::This => focus.clone(),
            Kind::Variable(Variable::Context) => Some(self.start.to_vec()),
            Kind::Variable(Variable::Named(name)) => self.shapes.variable(name),
            Kind::Steps { head, steps } => {
                let mut seen = self.expr(head, focus);
                let mut unordered = false;
                for step in steps {
                    if unordered && needs_order(&step.kind) {
                        self.wrong(Misnamed::NoOrder, step_name(&step.kind), step);
                    }
                    unordered = is_unordered(&step.kind);
                    seen = self.step(step, &seen, focus);
                }
                seen
            }
            Kind::Sign { operand, .. } => {
                self.expr(operand, focus);
                None
            }
            Kind::Chain { first, rest } => {
                let mut seen = self.expr(first, focus);
                for link in rest {
                    seen = match (&link.right, link.operator) {
                        (Right::Type(name), Operator::As) => self.cast(name),
                        (Right::Type(_), _) => None,
                        (Right::Expr(right), Operator::Union) => {
                            let right = self.expr(right, focus);
                            both(seen, right)
                        }
                        (Right::Expr(right), _) => {
                            self.expr(right, focus);
                            None
                        }
                    };
                }
                seen
            }
            Kind::Empty
            | Kind::Literal(_)
            | Kind::Constants(_)
            | Kind::Index
            | Kind::Total
            | Kind::Variable(_)
            | Kind::Path(_) => None,
        }
    }

    fn step(&mut self, step: &Step, seen: &Seen, focus: &Seen) -> Seen {
        match &step.kind {
            StepKind::Child(name) => self.child(name, step, seen),
            StepKind::Root(name) => {
                let Some(ty) = self.shapes.named(None, name) else {
                    return self.child(name, step, seen);
                };
                let all = seen.as_ref()?;
                let own = all.iter().copied().filter(|one| self.shapes.is(*one, ty));
                let own: Vec<Shape> = own.collect();
                if own.is_empty() && !all.is_empty() {
                    // `code` is a type, and an element of many.
                    if all
                        .iter()
                        .any(|one| self.shapes.child(*one, name).is_some())
                    {
                        return self.child(name, step, seen);
                    }
                    self.wrong(Misnamed::OtherType, name, step);
                }
                Some(own)
            }
            StepKind::Path(_) => None,
            StepKind::Index(index) => {
                self.expr(index, focus);
                seen.clone()
            }
            StepKind::Call(call) => self.call(call, step, seen, focus),
        }
    }

    fn child(&mut self, name: &str, step: &Step, seen: &Seen) -> Seen {
        let all = seen.as_ref()?;
        let (mut found, mut known, mut open) = (Vec::new(), all.is_empty(), false);
        for shape in all {
            if let Some(inner) = self.shapes.child(*shape, name) {
                known = true;
                open |= inner.is_empty();
                found.extend(inner);
            }
        }
        if !known {
            self.wrong(Misnamed::NoChild, name, step);
        }
        found.sort_unstable();
        found.dedup();
        (!open).then_some(found)
    }

    fn call(&mut self, call: &Call, step: &Step, seen: &Seen, focus: &Seen) -> Seen {
        let mut inside = None;
        let of_items = matches!(
            call.family,
            Family::Existence(Existence::Exists | Existence::All)
                | Family::Subset(
                    Subset::Where
                        | Subset::Select
                        | Subset::Repeat
                        | Subset::RepeatAll
                        | Subset::Sort
                        | Subset::Aggregate
                )
                | Family::Utility(Utility::Iif | Utility::Trace)
        );
        for argument in &call.args {
            inside = self.expr(argument, if of_items { seen } else { focus });
        }
        match call.family {
            Family::Subset(
                Subset::Where
                | Subset::Single
                | Subset::First
                | Subset::Last
                | Subset::Tail
                | Subset::Skip
                | Subset::Take
                | Subset::Intersect
                | Subset::Exclude
                | Subset::Distinct
                | Subset::Sort,
            )
            | Family::Utility(Utility::Trace) => seen.clone(),
            Family::Subset(Subset::Select) => inside,
            Family::Subset(Subset::Union | Subset::Combine) => both(seen.clone(), inside),
            Family::Navigate(Navigate::OfType | Navigate::As) => {
                self.cast(call.type_name.as_ref()?)
            }
            Family::Navigate(Navigate::Extension) => self.child("extension", step, seen),
            Family::Subset(_)
            | Family::Navigate(_)
            | Family::Existence(_)
            | Family::Convert(_)
            | Family::Converts(_)
            | Family::Text(_)
            | Family::Math(_)
            | Family::Utility(_) => None,
        }
    }

    fn cast(&self, to: &TypeName) -> Seen {
        let shape = self.shapes.named(to.namespace.as_deref(), &to.name)?;
        Some(vec![shape])
    }

    fn wrong(&mut self, kind: Misnamed, name: &str, step: &Step) {
        self.problems.push(NameProblem {
            kind,
            name: name.to_owned(),
            span: step.span.clone(),
        });
    }
}

fn both(one: Seen, other: Seen) -> Seen {
    let (mut one, other) = (one?, other?);
    one.extend(other);
    one.sort_unstable();
    one.dedup();
    Some(one)
}

const fn is_unordered(kind: &StepKind) -> bool {
    matches!(
        kind,
        StepKind::Call(Call {
            family: Family::Navigate(Navigate::Children | Navigate::Descendants),
            ..
        })
    )
}

const fn needs_order(kind: &StepKind) -> bool {
    matches!(
        kind,
        StepKind::Index(_)
            | StepKind::Call(Call {
                family: Family::Subset(
                    Subset::First | Subset::Last | Subset::Tail | Subset::Skip | Subset::Take
                ),
                ..
            })
    )
}

fn step_name(kind: &StepKind) -> &str {
    match kind {
        StepKind::Call(call) => call.name,
        StepKind::Child(name) | StepKind::Root(name) => name,
        StepKind::Index(_) | StepKind::Path(_) => "[]",
    }
}
