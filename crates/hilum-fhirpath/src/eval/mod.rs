//! The evaluator: walks the compiled form over a document.
//!
//! Evaluation is recursive over the expression, whose nesting the parser bounds, and iterative
//! over documents, whatever their depth. Each step and each item costs fuel, text that is made
//! costs fuel by its length, so neither time nor memory can run away.

mod arith;
mod call;
mod compare;
mod fold;
mod quantity;
mod truth;
mod type_of;

use std::cell::Cell;

use crate::env::Env;
use crate::error::EvalError;
use crate::syntax::ast::{Expr, Kind, Operator, Right, Step, StepKind, Variable};
use crate::syntax::{Parsed, Span};
use crate::tree::{NodeId, Tree};
use crate::value::{Collection, Item, Node, Value};

pub use call::PATTERN_BYTES_MAX;
pub(crate) use call::compile_pattern;
pub use compare::COMPARE_DEPTH_MAX;
pub(crate) use fold::fold;

pub(crate) type Eval<T> = Result<T, EvalError>;

/// Bytes of text that cost one unit of fuel to make.
const BYTES_PER_FUEL: usize = 32;

/// One evaluation.
pub(crate) struct Machine<'t> {
    parsed: &'t Parsed,
    context: Node<'t>,
    env: Env<'t>,
    fuel: Cell<u64>,
}

/// What `$this`, `$index` and `$total` are, and from which node paths of the dialect are seen.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s, 't> {
    this: &'s Item<'t>,
    index: usize,
    total: Option<&'s Collection<'t>>,
    node: Node<'t>,
}

impl<'s, 't> Scope<'s, 't> {
    /// The scope of one item of an iteration.
    fn of(self, this: &'s Item<'t>, index: usize) -> Self {
        let node = match this {
            Item::Node(node) => *node,
            Item::Value(_) => self.node,
        };
        Self {
            this,
            index,
            node,
            ..self
        }
    }
}

impl<'t> Machine<'t> {
    pub(crate) fn new(parsed: &'t Parsed, tree: &'t dyn Tree, focus: NodeId, env: Env<'t>) -> Self {
        Self {
            parsed,
            context: Node { tree, id: focus },
            env,
            fuel: Cell::new(env.fuel),
        }
    }

    pub(crate) fn evaluate(&self) -> Eval<Collection<'t>> {
        let this = Item::Node(self.context);
        self.eval(&self.parsed.root, self.outermost(&this))
    }

    /// The condition's value; `None` where it is empty.
    pub(crate) fn test(&self) -> Eval<Option<bool>> {
        let this = Item::Node(self.context);
        self.truth(&self.parsed.root, self.outermost(&this))
    }

    fn outermost<'s>(&self, this: &'s Item<'t>) -> Scope<'s, 't> {
        Scope {
            this,
            index: 0,
            total: None,
            node: self.context,
        }
    }

    /// Takes fuel for so many steps.
    fn spend(&self, steps: usize) -> Eval<()> {
        match self.fuel.get().checked_sub(steps as u64) {
            Some(rest) => {
                self.fuel.set(rest);
                Ok(())
            }
            None => {
                self.fuel.set(0);
                Err(EvalError::Fuel {
                    limit: self.env.fuel,
                })
            }
        }
    }

    /// Takes fuel for text about to be made.
    fn spend_bytes(&self, bytes: usize) -> Eval<()> {
        self.spend(bytes / BYTES_PER_FUEL + 1)
    }

    fn eval(&self, expr: &'t Expr, scope: Scope<'_, 't>) -> Eval<Collection<'t>> {
        self.spend(1)?;
        match &expr.kind {
            Kind::Empty => Ok(Collection::new()),
            Kind::Literal(value) => Ok(Collection::one(value.borrowed())),
            Kind::Constants(values) => {
                self.spend(values.len())?;
                Ok(values.iter().map(|v| Item::Value(v.borrowed())).collect())
            }
            Kind::This => Ok(Collection::one(scope.this.clone())),
            Kind::Index => Ok(Collection::one(Value::Integer(scope.index as i64))),
            Kind::Total => Ok(scope.total.cloned().unwrap_or_default()),
            Kind::Variable(variable) => self.variable(variable, &expr.span),
            Kind::Path(literal) => self.path(*literal, scope.node),
            Kind::Steps { head, steps } => {
                let start = self.eval(head, scope)?;
                self.steps(start, steps, scope)
            }
            Kind::Sign { negative, operand } => {
                let operand = self.eval(operand, scope)?;
                self.sign(*negative, operand, &expr.span)
            }
            Kind::Chain { first, rest } => {
                // Conditions have a short way of their own.
                if rest.first().is_some_and(|l| l.operator.precedence() <= 3) {
                    return Ok(Collection::maybe(
                        self.truth(expr, scope)?.map(Value::Boolean),
                    ));
                }
                let mut left = self.eval(first, scope)?;
                for link in rest {
                    self.spend(1)?;
                    left = match &link.right {
                        Right::Expr(Expr {
                            kind: Kind::Constants(values),
                            ..
                        }) if link.operator == Operator::In => {
                            self.among(left, values, &link.span)?
                        }
                        Right::Expr(right) => {
                            let right = self.eval(right, scope)?;
                            self.binary(link.operator, left, right, &link.span)?
                        }
                        Right::Type(name) if link.operator == Operator::Is => {
                            self.is_type(left, name, &link.span)?
                        }
                        Right::Type(name) => self.as_type(left, name, &link.span)?,
                    };
                }
                Ok(left)
            }
        }
    }

    fn variable(&self, variable: &'t Variable, span: &Span) -> Eval<Collection<'t>> {
        let root = || Node {
            tree: self.context.tree,
            id: self.context.tree.root(),
        };
        Ok(match variable {
            Variable::Resource => Collection::one(self.env.resource.unwrap_or_else(root)),
            Variable::RootResource => Collection::one(self.env.root_resource.unwrap_or_else(root)),
            Variable::Context => Collection::one(self.context),
            Variable::Text(text) => Collection::one(Value::String(text.as_str().into())),
            Variable::Named(name) => match self.env.variables.variable(name) {
                Some(value) => value,
                None => {
                    return Err(EvalError::Variable {
                        name: name.clone(),
                        span: span.clone(),
                    });
                }
            },
        })
    }

    /// What a literal of the dialect selects, seen from a node.
    fn path(&self, literal: usize, from: Node<'t>) -> Eval<Collection<'t>> {
        let mut found = Collection::new();
        let tree = from.tree;
        if let Some((literal, _)) = self.parsed.literals.get(literal) {
            tree.literal(literal, from.id, &mut |id| found.push(Node { tree, id }));
        }
        self.spend(found.len())?;
        Ok(found)
    }

    fn steps(
        &self,
        mut input: Collection<'t>,
        steps: &'t [Step],
        scope: Scope<'_, 't>,
    ) -> Eval<Collection<'t>> {
        for step in steps {
            self.spend(1 + input.len())?;
            input = match &step.kind {
                StepKind::Child(name) => self.children(&input, name)?,
                StepKind::Root(name) => self.root(input, name)?,
                StepKind::Path(literal) => {
                    let mut found = Collection::new();
                    for item in input.iter() {
                        if let Item::Node(node) = item {
                            found.items.extend(self.path(*literal, *node)?.items);
                        }
                    }
                    found
                }
                StepKind::Index(index) => {
                    let index = self.eval(index, scope)?;
                    match self.integer(index, "[]", &step.span)? {
                        Some(n) => usize::try_from(n)
                            .ok()
                            .and_then(|n| input.items.into_iter().nth(n))
                            .map(Collection::one)
                            .unwrap_or_default(),
                        None => Collection::new(),
                    }
                }
                StepKind::Call(call) => self.call(call, &step.span, input, scope)?,
            };
        }
        Ok(input)
    }

    /// The children of this name.
    fn children(&self, input: &Collection<'t>, name: &str) -> Eval<Collection<'t>> {
        let mut found = Collection::new();
        for item in input.iter() {
            match item {
                Item::Node(Node { tree, id }) => {
                    tree.children(*id, name, &mut |id| found.push(Node { tree: *tree, id }));
                }
                Item::Value(Value::Type(info)) => match name {
                    "namespace" => found.push(Value::String(info.namespace.clone().into())),
                    "name" => found.push(Value::String(info.name.clone().into())),
                    _ => {}
                },
                Item::Value(_) => {}
            }
        }
        self.spend(found.len())?;
        Ok(found)
    }

    /// The first name of a path: the type of where it starts, or a child.
    fn root(&self, input: Collection<'t>, name: &str) -> Eval<Collection<'t>> {
        if name.starts_with(|c: char| c.is_ascii_uppercase())
            && let [Item::Node(node)] = input.items()
            && let Some((namespace, own)) = node.tree.type_of(node.id)
            && (own == name || self.env.host.is_subtype(&namespace, &own, name))
        {
            return Ok(input);
        }
        self.children(&input, name)
    }

    /// One value, or none.
    fn single(
        &self,
        items: Collection<'t>,
        operation: &'static str,
        span: &Span,
    ) -> Eval<Option<Item<'t>>> {
        if items.len() > 1 {
            let count = items.len();
            return Err(EvalError::NotSingle {
                operation,
                count,
                span: span.clone(),
            });
        }
        Ok(items.items.into_iter().next())
    }

    /// One whole number, or none.
    fn integer(
        &self,
        items: Collection<'t>,
        operation: &'static str,
        span: &Span,
    ) -> Eval<Option<i64>> {
        let Some(item) = self.single(items, operation, span)? else {
            return Ok(None);
        };
        match item.value() {
            Some(Value::Integer(n)) => Ok(Some(n)),
            _ => Err(wrong_type(operation, "a whole number", &item, span)),
        }
    }

    /// The first part of the expression that was empty and made it so, after an empty test.
    pub(crate) fn empty_path(&self) -> Option<Span> {
        let this = Item::Node(self.context);
        self.cause(&self.parsed.root, self.outermost(&this))
    }

    fn cause(&self, expr: &'t Expr, scope: Scope<'_, 't>) -> Option<Span> {
        if !self.eval(expr, scope).ok()?.is_empty() {
            return None;
        }
        match &expr.kind {
            Kind::Steps { head, steps } => {
                // A name without anything before it has no head of its own to blame.
                if !matches!(head.kind, Kind::This)
                    && let Some(span) = self.cause(head, scope)
                {
                    return Some(span);
                }
                let mut input = self.eval(head, scope).ok()?;
                for step in steps {
                    input = self.steps(input, std::slice::from_ref(step), scope).ok()?;
                    if input.is_empty() {
                        return Some(step.span.clone());
                    }
                }
                Some(expr.span.clone())
            }
            Kind::Sign { operand, .. } => self.cause(operand, scope),
            Kind::Chain { first, rest } => {
                let rights = rest.iter().filter_map(|link| match &link.right {
                    Right::Expr(expr) => Some(expr),
                    Right::Type(_) => None,
                });
                std::iter::once(&**first)
                    .chain(rights)
                    .find_map(|side| self.cause(side, scope))
                    .or_else(|| Some(expr.span.clone()))
            }
            Kind::Empty
            | Kind::Literal(_)
            | Kind::Constants(_)
            | Kind::This
            | Kind::Index
            | Kind::Total
            | Kind::Variable(_)
            | Kind::Path(_) => Some(expr.span.clone()),
        }
    }
}

/// The error for a value of the wrong type.
fn wrong_type(
    operation: &'static str,
    expected: &'static str,
    item: &Item<'_>,
    span: &Span,
) -> EvalError {
    EvalError::Type {
        operation,
        expected,
        found: type_of::name_of(item),
        span: span.clone(),
    }
}
