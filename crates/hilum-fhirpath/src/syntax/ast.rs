//! The compiled form of an expression.

use regex::Regex;

use super::error::Span;
use super::function::Family;
use crate::value::Value;

/// One expression.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// `{}`.
    Empty,
    Literal(Value<'static>),
    /// Two or more values that depend on nothing.
    Constants(Vec<Value<'static>>),
    This,
    Index,
    Total,
    Variable(Variable),
    /// A literal of the dialect, by its place in the list.
    Path(usize),
    Steps {
        head: Box<Expr>,
        steps: Vec<Step>,
    },
    Sign {
        negative: bool,
        operand: Box<Expr>,
    },
    /// Operators of one precedence, applied from left to right.
    Chain {
        first: Box<Expr>,
        rest: Vec<Link>,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Variable {
    Resource,
    RootResource,
    Context,
    /// A fixed text: code systems, `%vs-…`, `%ext-…`.
    Text(String),
    /// Whatever the caller knows under this name.
    Named(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) kind: StepKind,
    /// From the start of the whole path to the end of this step.
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum StepKind {
    Child(String),
    /// The first name of a path: a child, or the type of where the path starts.
    Root(String),
    /// A literal of the dialect behind a variable, by its place in the list.
    Path(usize),
    Index(Expr),
    Call(Call),
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) family: Family,
    pub(crate) name: &'static str,
    pub(crate) args: Vec<Expr>,
    /// The argument of `is`, `as` and `ofType`.
    pub(crate) type_name: Option<TypeName>,
    /// A pattern that stands in the text, compiled once.
    pub(crate) regex: Option<Regex>,
    /// For `sort`: which keys descend.
    pub(crate) descending: Vec<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypeName {
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) operator: Operator,
    pub(crate) right: Right,
    /// From the start of the chain to the end of the right side.
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum Right {
    Expr(Expr),
    Type(TypeName),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Implies,
    Or,
    Xor,
    And,
    In,
    Contains,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Union,
    Is,
    As,
    Add,
    Subtract,
    Concatenate,
    Multiply,
    Divide,
    Div,
    Mod,
}

impl Operator {
    /// Binding strength; higher binds tighter.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Implies => 1,
            Self::Or | Self::Xor => 2,
            Self::And => 3,
            Self::In | Self::Contains => 4,
            Self::Equal | Self::NotEqual | Self::Equivalent | Self::NotEquivalent => 5,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => 6,
            Self::Union => 7,
            Self::Is | Self::As => 8,
            Self::Add | Self::Subtract | Self::Concatenate => 9,
            Self::Multiply | Self::Divide | Self::Div | Self::Mod => 10,
        }
    }

    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Implies => "implies",
            Self::Or => "or",
            Self::Xor => "xor",
            Self::And => "and",
            Self::In => "in",
            Self::Contains => "contains",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Equivalent => "~",
            Self::NotEquivalent => "!~",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Union => "|",
            Self::Is => "is",
            Self::As => "as",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Concatenate => "&",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Div => "div",
            Self::Mod => "mod",
        }
    }
}

impl Expr {
    /// Calls `visit` on this expression and every one inside it.
    pub(crate) fn walk<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        visit(self);
        match &self.kind {
            Kind::Steps { head, steps } => {
                head.walk(visit);
                for step in steps {
                    match &step.kind {
                        StepKind::Index(index) => index.walk(visit),
                        StepKind::Call(call) => call.args.iter().for_each(|a| a.walk(visit)),
                        StepKind::Child(_) | StepKind::Root(_) | StepKind::Path(_) => {}
                    }
                }
            }
            Kind::Sign { operand, .. } => operand.walk(visit),
            Kind::Chain { first, rest } => {
                first.walk(visit);
                for link in rest {
                    if let Right::Expr(right) = &link.right {
                        right.walk(visit);
                    }
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
}
