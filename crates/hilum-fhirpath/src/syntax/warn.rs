//! Expressions that compile and likely do not mean what their author meant.
//!
//! The rules concern the literals of a dialect only: their own indexes count from one, and a path
//! of a message may yield several values or none where an author expects one.

use super::ast::{Expr, Kind, Operator, Right, StepKind};
use super::error::{Span, Warning, WarningKind};
use super::function::{Family, Navigate, Subset, Utility};
use crate::tree::PathLiteral;

/// All warnings of an expression, in the order of the text.
pub(crate) fn warnings(root: &Expr, literals: &[(PathLiteral, Span)]) -> Vec<Warning> {
    let mut found = Vec::new();
    if !literals.is_empty() {
        mixed_indexes(root, literals, &mut found);
        // Behind a variable a literal is of another message; of this one a name may well be an element.
        let mut of_dialect = false;
        root.walk(&mut |expr| of_dialect |= matches!(expr.kind, Kind::Path(_)));
        root.walk(&mut |expr| {
            comparisons(expr, literals, &mut found);
            if of_dialect {
                names(expr, &mut found);
            }
        });
    }
    found.sort_by_key(|w| w.span.start);
    found
}

fn mixed_indexes(root: &Expr, literals: &[(PathLiteral, Span)], found: &mut Vec<Warning>) {
    let Some((literal, _)) = literals.iter().find(|(l, _)| l.text.contains('[')) else {
        return;
    };
    let mut seen = None;
    root.walk(&mut |expr| {
        if let Kind::Steps { steps, .. } = &expr.kind {
            let index = steps.iter().find(|s| matches!(s.kind, StepKind::Index(_)));
            seen = seen.take().or_else(|| index.map(|s| s.span.clone()));
        }
    });
    let Some(span) = seen else { return };
    found.push(Warning {
        kind: WarningKind::MixedIndexes,
        span,
        message: format!(
            "this index counts from 0, the one in `{}` from 1",
            literal.text
        ),
        hint: "use first(), skip() or where() instead of one of them".to_owned(),
    });
}

/// Lone names that are compared: in a message of segments and fields they name nothing with a value.
fn names(expr: &Expr, found: &mut Vec<Warning>) {
    let Kind::Chain { first, rest } = &expr.kind else {
        return;
    };
    let compares = |operator| {
        matches!(
            operator,
            Operator::Equal
                | Operator::NotEqual
                | Operator::Equivalent
                | Operator::NotEquivalent
                | Operator::In
        )
    };
    let mut left: &Expr = first;
    for link in rest {
        let Right::Expr(right) = &link.right else {
            return;
        };
        if compares(link.operator) {
            lone(left, found);
            lone(right, found);
        }
        left = right;
    }
}

/// The lone names of a side of a comparison: itself, or the values of a list.
fn lone(side: &Expr, found: &mut Vec<Warning>) {
    match &side.kind {
        Kind::Steps { steps, .. } => {
            let [step] = steps.as_slice() else { return };
            let StepKind::Root(name) = &step.kind else {
                return;
            };
            found.push(Warning {
                kind: WarningKind::NameForText,
                span: step.span.clone(),
                message: format!("`{name}` is read as the name of an element, not as text"),
                hint: format!("a text constant is written '{name}'"),
            });
        }
        Kind::Chain { first, rest } => {
            let all = rest.iter().map(|link| match &link.right {
                Right::Expr(right) if link.operator == Operator::Union => Some(right),
                _ => None,
            });
            if let Some(values) = all.collect::<Option<Vec<_>>>() {
                lone(first, found);
                values.into_iter().for_each(|value| lone(value, found));
            }
        }
        _ => {}
    }
}

fn comparisons(expr: &Expr, literals: &[(PathLiteral, Span)], found: &mut Vec<Warning>) {
    let Kind::Chain { first, rest } = &expr.kind else {
        return;
    };
    let mut left: &Expr = first;
    for link in rest {
        let Right::Expr(right) = &link.right else {
            return;
        };
        if !matches!(link.operator, Operator::Equal | Operator::NotEqual) {
            left = right;
            continue;
        }
        for side in [left, right] {
            let Some(literal) = carried(side).and_then(|n| literals.get(n)) else {
                continue;
            };
            let (path, symbol) = (&literal.0.text, link.operator.symbol());
            if literal.0.repeats {
                found.push(Warning {
                    kind: WarningKind::EqualsOverRepeating,
                    span: link.span.clone(),
                    message: format!("`{path}` may yield several values, `{symbol}` compares all"),
                    hint: format!("write `{path}.exists($this {symbol} …)` or add an index"),
                });
            } else if literal.0.optional && link.operator == Operator::NotEqual {
                found.push(Warning {
                    kind: WarningKind::NotEqualsOverOptional,
                    span: link.span.clone(),
                    message: format!("`{path}` may be absent, and the condition then is false"),
                    hint: format!("write `({path} = …).not()` or test `{path}.exists()` too"),
                });
            }
        }
        left = right;
    }
}

/// The literal whose number of values an expression passes on.
fn carried(expr: &Expr) -> Option<usize> {
    match &expr.kind {
        Kind::Path(literal) => Some(*literal),
        Kind::Steps { head, steps } => {
            // A path behind a variable is what the variable's path is.
            let (behind, steps) = match steps.split_first() {
                Some((first, rest)) if matches!(first.kind, StepKind::Path(_)) => {
                    (Some(&first.kind), rest)
                }
                _ => (None, steps.as_slice()),
            };
            let keeps = steps.iter().all(|step| match &step.kind {
                StepKind::Child(_) => true,
                StepKind::Call(call) => matches!(
                    call.family,
                    Family::Subset(Subset::Where | Subset::Select | Subset::Distinct)
                        | Family::Navigate(Navigate::OfType | Navigate::GetValue)
                        | Family::Utility(Utility::Trace)
                ),
                StepKind::Root(_) | StepKind::Path(_) | StepKind::Index(_) => false,
            });
            match behind {
                _ if !keeps => None,
                Some(StepKind::Path(literal)) => Some(*literal),
                _ => carried(head),
            }
        }
        Kind::Empty
        | Kind::Literal(_)
        | Kind::Constants(_)
        | Kind::This
        | Kind::Index
        | Kind::Total
        | Kind::Variable(_)
        | Kind::Sign { .. }
        | Kind::Chain { .. } => None,
    }
}
