//! Computes once what depends on nothing but the text of the expression: `('a' | 'b')`, `2 * 60`.
//!
//! Only operators between constants are folded. What fails or would grow stays as it is and fails,
//! if it is reached, when it is evaluated.

use std::borrow::Cow;

use super::Machine;
use crate::env::Env;
use crate::syntax::Parsed;
use crate::syntax::ast::{Expr, Kind, Right, StepKind};
use crate::tree::{NodeId, Scalar, Tree, Visit};
use crate::value::{Item, Moment, Value};

/// Fuel for one constant; far more than the texts that people write take.
const FOLD_FUEL: u64 = 10_000;

/// A document without anything in it.
struct Nothing;

impl Tree for Nothing {
    fn root(&self) -> NodeId {
        NodeId::default()
    }
    fn children(&self, _of: NodeId, _name: &str, _visit: &mut Visit<'_>) {}
    fn all_children(&self, _of: NodeId, _visit: &mut Visit<'_>) {}
    fn name(&self, _node: NodeId) -> Cow<'_, str> {
        Cow::Borrowed("")
    }
    fn value(&self, _node: NodeId) -> Option<Scalar<'_>> {
        None
    }
    fn location(&self, _node: NodeId) -> String {
        String::new()
    }
}

/// Folds an expression from the inside out.
pub(crate) fn fold(expr: &mut Expr) {
    match &mut expr.kind {
        Kind::Steps { head, steps } => {
            fold(head);
            for step in steps {
                match &mut step.kind {
                    StepKind::Index(index) => fold(index),
                    StepKind::Call(call) => call.args.iter_mut().for_each(fold),
                    StepKind::Child(_) | StepKind::Root(_) | StepKind::Path(_) => {}
                }
            }
        }
        Kind::Sign { operand, .. } => {
            fold(operand);
            if constant(operand) {
                compute(expr);
            }
        }
        Kind::Chain { first, rest } => {
            fold(first);
            let mut all = constant(first);
            for link in rest {
                match &mut link.right {
                    Right::Expr(right) => {
                        fold(right);
                        all &= constant(right);
                    }
                    // Whether a type exists is for the host to say.
                    Right::Type(_) => all = false,
                }
            }
            if all {
                compute(expr);
            }
        }
        Kind::Empty
        | Kind::Literal(_)
        | Kind::Constants(_)
        | Kind::This
        | Kind::Index
        | Kind::Total
        | Kind::Variable(_)
        | Kind::Path(_) => {}
    }
}

fn constant(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        Kind::Empty | Kind::Literal(_) | Kind::Constants(_)
    )
}

fn compute(expr: &mut Expr) {
    let blank = Parsed {
        root: Expr {
            kind: Kind::Empty,
            span: expr.span.clone(),
        },
        literals: Vec::new(),
    };
    let env = Env::new(Moment::from_unix_millis(0, 0)).with_fuel(FOLD_FUEL);
    let machine = Machine::new(&blank, &Nothing, NodeId::default(), env);
    let this = Item::Node(machine.context);
    let Ok(found) = machine.eval(expr, machine.outermost(&this)) else {
        return;
    };
    let values: Option<Vec<Value<'static>>> = found
        .into_iter()
        .map(|item| match item {
            Item::Value(value) => Some(value.owned()),
            Item::Node(_) => None,
        })
        .collect();
    let Some(mut values) = values else { return };
    expr.kind = match (values.pop(), values.is_empty()) {
        (None, _) => Kind::Empty,
        (Some(value), true) => Kind::Literal(value),
        (Some(last), false) => {
            values.push(last);
            Kind::Constants(values)
        }
    };
}
