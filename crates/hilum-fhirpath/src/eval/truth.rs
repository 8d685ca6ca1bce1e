//! Conditions: short-circuit, three-valued, without making collections where a yes or no will do.

use std::ops::ControlFlow;

use super::{Eval, Machine, Scope};
use crate::syntax::ast::{Expr, Kind, Link, Operator, Right, Step, StepKind};
use crate::syntax::{Existence, Family, Span};
use crate::tree::Scalar;
use crate::value::{Collection, Item, Value};

impl<'t> Machine<'t> {
    /// The expression as a condition; `None` where it is empty.
    pub(super) fn truth(&self, expr: &'t Expr, scope: Scope<'_, 't>) -> Eval<Option<bool>> {
        match &expr.kind {
            Kind::Literal(Value::Boolean(value)) => return Ok(Some(*value)),
            Kind::Chain { first, rest } => {
                if let Some(link) = rest.first() {
                    match link.operator {
                        Operator::And | Operator::Or | Operator::Xor | Operator::Implies => {
                            return self.logic(first, rest, scope);
                        }
                        Operator::Equal | Operator::NotEqual if rest.len() == 1 => {
                            if let Some(equal) = self.equals_text(first, link, scope)? {
                                return Ok(equal);
                            }
                        }
                        _ => {}
                    }
                }
            }
            Kind::Steps { head, steps } => {
                if let Some(answer) = self.existence(head, steps, scope)? {
                    return Ok(answer);
                }
            }
            Kind::Empty
            | Kind::Literal(_)
            | Kind::Constants(_)
            | Kind::This
            | Kind::Index
            | Kind::Total
            | Kind::Variable(_)
            | Kind::Path(_)
            | Kind::Sign { .. } => {}
        }
        let result = self.eval(expr, scope)?;
        self.as_truth(result, "condition", &expr.span)
    }

    /// A collection as a condition: one boolean is itself, one other value is true.
    pub(super) fn as_truth(
        &self,
        items: Collection<'t>,
        operation: &'static str,
        span: &Span,
    ) -> Eval<Option<bool>> {
        let Some(item) = self.single(items, operation, span)? else {
            return Ok(None);
        };
        Ok(Some(match item {
            Item::Value(Value::Boolean(value)) => value,
            Item::Value(_) => true,
            Item::Node(node) => !matches!(node.tree.value(node.id), Some(Scalar::Boolean(false))),
        }))
    }

    fn logic(&self, first: &'t Expr, rest: &'t [Link], scope: Scope<'_, 't>) -> Eval<Option<bool>> {
        let mut left = self.truth(first, scope)?;
        for link in rest {
            self.spend(1)?;
            let Right::Expr(right) = &link.right else {
                continue;
            };
            left = match (link.operator, left) {
                (Operator::And, Some(false)) => Some(false),
                (Operator::Or, Some(true)) | (Operator::Implies, Some(false)) => Some(true),
                (Operator::Xor, None) => {
                    self.truth(right, scope)?;
                    None
                }
                (operator, left) => combine(operator, left, self.truth(right, scope)?),
            };
        }
        Ok(left)
    }

    /// `path = 'text'` and `path != 'text'` where the path yields one text or nothing.
    ///
    /// The outer `None` leaves it to the general way, the inner one is the empty answer.
    fn equals_text(
        &self,
        first: &'t Expr,
        link: &'t Link,
        scope: Scope<'_, 't>,
    ) -> Eval<Option<Option<bool>>> {
        let (Kind::Path(path), Right::Expr(right)) = (&first.kind, &link.right) else {
            return Ok(None);
        };
        let Kind::Literal(Value::String(text)) = &right.kind else {
            return Ok(None);
        };
        let Some((literal, _)) = self.parsed.literals.get(*path) else {
            return Ok(None);
        };
        self.spend(2)?;
        let (tree, mut count, mut node) = (scope.node.tree, 0_usize, None);
        tree.literal(literal, scope.node.id, &mut |id| {
            count += 1;
            node = Some(id);
        });
        self.spend(count)?;
        match count {
            0 => return Ok(Some(None)),
            1 => {}
            _ => return Ok(None),
        }
        Ok(match node.and_then(|id| tree.value(id)) {
            Some(Scalar::String(found)) => {
                Some(Some((found == *text) == (link.operator == Operator::Equal)))
            }
            _ => None,
        })
    }

    /// A path that ends in `exists()`, `empty()` or `not()`.
    fn existence(
        &self,
        head: &'t Expr,
        steps: &'t [Step],
        scope: Scope<'_, 't>,
    ) -> Eval<Option<Option<bool>>> {
        let Some((last, before)) = steps.split_last() else {
            return Ok(None);
        };
        let StepKind::Call(call) = &last.kind else {
            return Ok(None);
        };
        let Family::Existence(function) = call.family else {
            return Ok(None);
        };
        let wanted = match function {
            Existence::Exists if call.args.is_empty() => true,
            Existence::Empty => false,
            Existence::Not => {
                // `x.exists().not()` stays on the short way.
                if let Some(inner) = self.existence(head, before, scope)? {
                    return Ok(Some(inner.map(|b| !b)));
                }
                return Ok(None);
            }
            _ => return Ok(None),
        };
        if let (Kind::Path(path), []) = (&head.kind, before) {
            self.spend(2)?;
            let Some((literal, _)) = self.parsed.literals.get(*path) else {
                return Ok(None);
            };
            let mut count = 0_usize;
            scope
                .node
                .tree
                .literal(literal, scope.node.id, &mut |_| count += 1);
            self.spend(count)?;
            return Ok(Some(Some((count > 0) == wanted)));
        }
        let start = self.eval(head, scope)?;
        let found = !self.steps(start, before, scope)?.is_empty();
        Ok(Some(Some(found == wanted)))
    }

    /// Calls `visit` with the criterion's value for each item until it breaks.
    pub(super) fn each_truth(
        &self,
        input: &Collection<'t>,
        criterion: &'t Expr,
        scope: Scope<'_, 't>,
        visit: &mut dyn FnMut(&Item<'t>, Option<bool>) -> ControlFlow<()>,
    ) -> Eval<()> {
        for (index, item) in input.iter().enumerate() {
            self.spend(1)?;
            let value = self.truth(criterion, scope.of(item, index))?;
            if visit(item, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn combine(operator: Operator, left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match operator {
        Operator::And => match (left, right) {
            (Some(true), Some(true)) => Some(true),
            (Some(false), _) | (_, Some(false)) => Some(false),
            _ => None,
        },
        Operator::Or => match (left, right) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Operator::Xor => Some(left? != right?),
        // Only `implies` is left: the caller passes logical operators.
        _ => match (left, right) {
            (Some(false), _) | (_, Some(true)) => Some(true),
            (Some(true), right) => right,
            (None, _) => None,
        },
    }
}
