//! The parser: precedence climbing over the scanner, straight to the compiled form.

use super::ast::{Expr, Kind, Link, Operator, Right, Step, StepKind, Variable};
use super::error::{CompileError, Span};
use super::scan::Scanner;
use super::{EXPRESSION_BYTES_MAX, NESTING_MAX};
use crate::expression::Options;
use crate::tree::{Dialect, PathLiteral};
use crate::value::{CalendarUnit, Quantity, Unit, Value};

/// What parsing yields.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) root: Expr,
    /// The dialect's literals, with their place in the text.
    pub(crate) literals: Vec<(PathLiteral, Span)>,
}

pub(super) struct Parser<'s> {
    pub(super) scan: Scanner<'s>,
    pub(super) options: &'s Options<'s>,
    literals: Vec<(PathLiteral, Span)>,
    depth: usize,
}

pub(super) type Parse<T> = Result<T, CompileError>;

/// Parses a whole text.
pub(crate) fn parse(text: &str, options: &Options<'_>) -> Parse<Parsed> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let message = format!("expression is longer than {EXPRESSION_BYTES_MAX} bytes");
        return Err(CompileError::new(EXPRESSION_BYTES_MAX..text.len(), message));
    }
    let mut parser = Parser {
        scan: Scanner::new(text),
        options,
        literals: Vec::new(),
        depth: 0,
    };
    let root = parser.expression()?;
    if !parser.scan.done() {
        return Err(parser.unexpected("expected an operator or the end"));
    }
    Ok(Parsed {
        root,
        literals: parser.literals,
    })
}

impl<'s> Parser<'s> {
    pub(super) fn unexpected(&self, expected: &str) -> CompileError {
        let span = self.scan.here();
        let error = match self.scan.peek() {
            None => CompileError::new(span, format!("expression ends too early: {expected}")),
            Some(c) => CompileError::new(span, format!("unexpected `{c}`: {expected}")),
        };
        match self.scan.peek() {
            Some('"') => error.hint("texts stand between single quotes"),
            Some('&') if self.scan.rest().starts_with("&&") => error.hint("write `and`"),
            Some('|') => error.hint("write `or` for conditions"),
            Some('=') => error.hint("equality is a single `=`"),
            Some('!') => error.hint("write `.not()`"),
            Some(c) if c.is_ascii_uppercase() && self.word().is_some() => {
                let word = self.word().unwrap_or_default();
                error.hint(format!("operators are written small: `{word}`"))
            }
            Some('[' | ',') => error.hint("several values are written `('A' | 'B')`"),
            _ => error,
        }
    }

    /// The operator that stands here in capitals.
    fn word(&self) -> Option<&'static str> {
        let rest = self.scan.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic());
        let word = rest.get(..end.unwrap_or(rest.len()))?;
        let known = [
            "and", "or", "xor", "implies", "in", "contains", "is", "as", "div", "mod",
        ];
        known
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(word))
    }

    pub(super) fn expect(&mut self, token: &str) -> Parse<()> {
        self.scan.space()?;
        if self.scan.take(token) {
            return Ok(());
        }
        Err(self.unexpected(&format!("expected `{token}`")))
    }

    pub(super) fn expression(&mut self) -> Parse<Expr> {
        self.level(1)
    }

    /// Everything that binds at least as tightly as `min`.
    fn level(&mut self, min: u8) -> Parse<Expr> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            let message = format!("expression nests deeper than {NESTING_MAX} levels");
            return Err(CompileError::new(self.scan.here(), message));
        }
        let mut left = self.signed()?;
        loop {
            self.scan.space()?;
            let Some((operator, length)) = self.operator() else {
                break;
            };
            if operator.precedence() < min {
                break;
            }
            self.scan.pos += length;
            let start = left.span.start;
            let right = if matches!(operator, Operator::Is | Operator::As) {
                Right::Type(self.type_name()?)
            } else {
                Right::Expr(self.level(operator.precedence() + 1)?)
            };
            let end = match &right {
                Right::Expr(expr) => expr.span.end,
                Right::Type(_) => self.scan.pos,
            };
            left = chain(
                left,
                Link {
                    operator,
                    right,
                    span: start..end,
                },
            );
        }
        self.depth -= 1;
        Ok(left)
    }

    /// The operator that stands here, not consumed, with its length.
    fn operator(&self) -> Option<(Operator, usize)> {
        let word = self.scan.word();
        let named = match word {
            "implies" => Some(Operator::Implies),
            "or" => Some(Operator::Or),
            "xor" => Some(Operator::Xor),
            "and" => Some(Operator::And),
            "in" => Some(Operator::In),
            "contains" => Some(Operator::Contains),
            "is" => Some(Operator::Is),
            "as" => Some(Operator::As),
            "div" => Some(Operator::Div),
            "mod" => Some(Operator::Mod),
            _ => None,
        };
        if let Some(operator) = named {
            return Some((operator, word.len()));
        }
        let bytes = self.scan.rest().as_bytes();
        Some(match (bytes.first()?, bytes.get(1)) {
            (b'<', Some(b'=')) => (Operator::LessOrEqual, 2),
            (b'>', Some(b'=')) => (Operator::GreaterOrEqual, 2),
            (b'!', Some(b'=')) => (Operator::NotEqual, 2),
            (b'!', Some(b'~')) => (Operator::NotEquivalent, 2),
            (b'<', _) => (Operator::Less, 1),
            (b'>', _) => (Operator::Greater, 1),
            (b'=', _) => (Operator::Equal, 1),
            (b'~', _) => (Operator::Equivalent, 1),
            (b'|', _) => (Operator::Union, 1),
            (b'+', _) => (Operator::Add, 1),
            (b'-', _) => (Operator::Subtract, 1),
            (b'&', _) => (Operator::Concatenate, 1),
            (b'*', _) => (Operator::Multiply, 1),
            (b'/', _) => (Operator::Divide, 1),
            _ => return None,
        })
    }

    /// A path with any number of signs before it.
    fn signed(&mut self) -> Parse<Expr> {
        self.scan.space()?;
        let start = self.scan.pos;
        let (mut signed, mut negative) = (false, false);
        loop {
            if self.scan.take("-") {
                negative = !negative;
            } else if !self.scan.take("+") {
                break;
            }
            signed = true;
            self.scan.space()?;
        }
        let operand = self.path()?;
        if !signed {
            return Ok(operand);
        }
        let span = start..operand.span.end;
        // A sign before a number is part of the number.
        let kind = match operand.kind {
            Kind::Literal(Value::Integer(n)) => {
                Kind::Literal(Value::Integer(if negative { -n } else { n }))
            }
            Kind::Literal(Value::Decimal(d)) => {
                Kind::Literal(Value::Decimal(if negative { -d } else { d }))
            }
            _ => Kind::Sign {
                negative,
                operand: Box::new(operand),
            },
        };
        Ok(Expr { kind, span })
    }

    /// A term and the steps behind it.
    fn path(&mut self) -> Parse<Expr> {
        let start = self.scan.pos;
        let mut steps = Vec::new();
        let head = self.term(&mut steps)?;
        loop {
            let before = self.scan.pos;
            self.scan.space()?;
            let kind = if self.scan.take("[") {
                let index = self.expression()?;
                self.expect("]")?;
                StepKind::Index(index)
            } else if self.scan.take(".") {
                self.scan.space()?;
                let behind_variable =
                    steps.is_empty() && matches!(head.kind, Kind::Variable(Variable::Named(_)));
                let dialect = self.options.variable_dialect.filter(|_| behind_variable);
                match self.dialect_literal(dialect)? {
                    Some(literal) => StepKind::Path(literal),
                    None => self.invocation(false)?,
                }
            } else {
                self.scan.pos = before;
                break;
            };
            steps.push(Step {
                kind,
                span: start..self.scan.pos,
            });
        }
        if steps.is_empty() {
            return Ok(head);
        }
        let span = start..self.scan.pos;
        Ok(Expr {
            kind: Kind::Steps {
                head: Box::new(head),
                steps,
            },
            span,
        })
    }

    /// What a path starts with. A name or function without anything before it becomes the first
    /// step from `$this`.
    ///
    /// What nests has a function of its own with as little as possible on the stack.
    fn term(&mut self, steps: &mut Vec<Step>) -> Parse<Expr> {
        let start = self.scan.pos;
        if let Some(literal) = self.dialect_literal(self.options.dialect)? {
            return Ok(Expr {
                kind: Kind::Path(literal),
                span: self.scan.from(start),
            });
        }
        if self.scan.take("(") {
            let mut inner = self.expression()?;
            self.expect(")")?;
            inner.span = self.scan.from(start);
            return Ok(inner);
        }
        let kind = match self.atom()? {
            Some(kind) => kind,
            None => {
                let kind = self.invocation(true)?;
                steps.push(Step {
                    kind,
                    span: self.scan.from(start),
                });
                Kind::This
            }
        };
        Ok(Expr {
            kind,
            span: self.scan.from(start),
        })
    }

    /// A literal or a variable; `None` where a name stands.
    fn atom(&mut self) -> Parse<Option<Kind>> {
        Ok(Some(match self.scan.peek() {
            Some('{') => {
                self.scan.pos += 1;
                self.expect("}")?;
                Kind::Empty
            }
            Some('\'') => Kind::Literal(Value::String(self.scan.quoted('\'')?.into())),
            Some('@') => Kind::Literal(self.scan.moment()?),
            Some('%') => Kind::Variable(self.variable()?),
            Some('$') => self.dollar()?,
            Some(c) if c.is_ascii_digit() => {
                let number = self.scan.number()?;
                Kind::Literal(self.with_unit(number)?)
            }
            _ if self.scan.keyword("true") => Kind::Literal(Value::Boolean(true)),
            _ if self.scan.keyword("false") => Kind::Literal(Value::Boolean(false)),
            _ => return Ok(None),
        }))
    }

    /// A path of a dialect, by its place in the list.
    fn dialect_literal(&mut self, dialect: Option<&dyn Dialect>) -> Parse<Option<usize>> {
        let Some(dialect) = dialect else {
            return Ok(None);
        };
        let start = self.scan.pos;
        let rest = self.scan.rest();
        let Some((length, literal)) = dialect.literal(rest) else {
            return Ok(None);
        };
        if length == 0 || rest.get(..length).is_none() {
            return Ok(None);
        }
        self.scan.pos += length;
        if self.scan.rest().starts_with('-') {
            let message = format!("a {} path cannot go on with `-`", dialect.name());
            return Err(CompileError::new(start..self.scan.pos + 1, message)
                .hint("put spaces around `-` to subtract"));
        }
        self.literals.push((literal, self.scan.from(start)));
        Ok(Some(self.literals.len() - 1))
    }

    fn dollar(&mut self) -> Parse<Kind> {
        let start = self.scan.pos;
        self.scan.pos += 1;
        let word = self.scan.word();
        self.scan.pos += word.len();
        match word {
            "this" => Ok(Kind::This),
            "index" => Ok(Kind::Index),
            "total" => Ok(Kind::Total),
            _ => Err(
                CompileError::new(self.scan.from(start), "unknown name behind `$`")
                    .hint("there are $this, $index and $total"),
            ),
        }
    }

    fn variable(&mut self) -> Parse<Variable> {
        let start = self.scan.pos;
        self.scan.pos += 1;
        let name = if self.scan.peek() == Some('\'') {
            self.scan.quoted('\'')?
        } else if self.scan.peek() == Some('`') {
            self.scan.quoted('`')?
        } else {
            let mut end = self.scan.pos;
            let word = self.scan.word();
            end += word.len();
            // `%vs-name` and `%ext-name` may stand without quotes.
            if matches!(word, "vs" | "ext") {
                let rest = self.scan.rest();
                let ok = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                end = self.scan.pos + rest.find(|c| !ok(c)).unwrap_or(rest.len());
            }
            let name = self.scan.slice(&(self.scan.pos..end)).to_owned();
            self.scan.pos = end;
            name
        };
        let text = |t: &str| Ok(Variable::Text(t.to_owned()));
        match name.as_str() {
            "resource" => Ok(Variable::Resource),
            "rootResource" => Ok(Variable::RootResource),
            "context" => Ok(Variable::Context),
            "ucum" => text("http://unitsofmeasure.org"),
            "sct" => text("http://snomed.info/sct"),
            "loinc" => text("http://loinc.org"),
            other => {
                if let Some(id) = other.strip_prefix("vs-") {
                    return text(&format!("http://hl7.org/fhir/ValueSet/{id}"));
                }
                if let Some(id) = other.strip_prefix("ext-") {
                    return text(&format!("http://hl7.org/fhir/StructureDefinition/{id}"));
                }
                if self.options.variables.contains(&other) {
                    return Ok(Variable::Named(name));
                }
                let known: Vec<_> = self
                    .options
                    .variables
                    .iter()
                    .map(|n| format!("%{n}"))
                    .collect();
                let error = CompileError::new(self.scan.from(start), "unknown variable");
                Err(if known.is_empty() {
                    error.hint("no variables are defined here")
                } else {
                    error.hint(format!("there are {}", known.join(", ")))
                })
            }
        }
    }

    /// A number may carry a unit: a text, or a word of the calendar.
    fn with_unit(&mut self, number: Value<'static>) -> Parse<Value<'static>> {
        let value = match &number {
            Value::Integer(n) => (*n).into(),
            Value::Decimal(d) => *d,
            _ => return Ok(number),
        };
        let before = self.scan.pos;
        self.scan.space()?;
        let unit = if self.scan.peek() == Some('\'') {
            Some(Unit::Ucum(self.scan.quoted('\'')?.into()))
        } else {
            let word = self.scan.word();
            let unit = CalendarUnit::from_word(word);
            self.scan.pos += if unit.is_some() { word.len() } else { 0 };
            unit.map(Unit::Calendar)
        };
        let Some(unit) = unit else {
            self.scan.pos = before;
            return Ok(number);
        };
        Ok(Value::Quantity(Box::new(Quantity { value, unit })))
    }
}

/// Puts a link behind a chain of the same precedence, or starts a new chain.
///
/// Operators of one precedence apply from left to right, so a parenthesis around the left side
/// changes nothing and may be forgotten.
fn chain(left: Expr, link: Link) -> Expr {
    let span = link.span.clone();
    let precedence = link.operator.precedence();
    match left.kind {
        Kind::Chain { first, mut rest }
            if rest
                .first()
                .is_some_and(|l| l.operator.precedence() == precedence) =>
        {
            rest.push(link);
            Expr {
                kind: Kind::Chain { first, rest },
                span,
            }
        }
        kind => {
            let first = Box::new(Expr {
                kind,
                span: left.span,
            });
            Expr {
                kind: Kind::Chain {
                    first,
                    rest: vec![link],
                },
                span,
            }
        }
    }
}
