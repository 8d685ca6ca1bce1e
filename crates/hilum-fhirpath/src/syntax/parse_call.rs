//! The parser's other half: names, function calls and their arguments, type names.

use regex::Regex;

use super::ast::{Call, Expr, Kind, StepKind, TypeName};
use super::error::{CompileError, Span};
use super::function::{Family, Navigate, Subset, Text, find, similar};
use super::parse::{Parse, Parser};
use crate::eval::compile_pattern;
use crate::value::Value;

impl Parser<'_> {
    /// A name or a function call.
    pub(super) fn invocation(&mut self, first: bool) -> Parse<StepKind> {
        let start = self.scan.pos;
        let quoted = self.scan.peek() == Some('`');
        let Some(name) = self.scan.name()? else {
            return Err(self.unexpected("expected a value, a path or a function"));
        };
        let span = self.scan.from(start);
        let before = self.scan.pos;
        self.scan.space()?;
        if !quoted && self.scan.take("(") {
            return Ok(StepKind::Call(self.call(&name, span)?));
        }
        self.scan.pos = before;
        // Behind a dot no operator may stand, so a name may be one (`Patient.text.div`).
        if first
            && !quoted
            && matches!(
                name.as_str(),
                "and" | "or" | "xor" | "implies" | "div" | "mod"
            )
        {
            let message = format!("`{name}` stands where a value is expected");
            return Err(CompileError::new(span, message));
        }
        Ok(if first {
            StepKind::Root(name)
        } else {
            StepKind::Child(name)
        })
    }

    fn call(&mut self, name: &str, span: Span) -> Parse<Call> {
        let Some(&(name, family, min, max)) = find(name) else {
            let error = CompileError::new(span, format!("unknown function `{name}`"));
            return Err(match similar(name) {
                _ if name == "in" => error.hint("`in` is an operator: write ` in ('A' | 'B')`"),
                Some(other) => error.hint(format!("did you mean `{other}`?")),
                None => error,
            });
        };
        let mut call = Call {
            family,
            name,
            args: Vec::new(),
            type_name: None,
            regex: None,
            descending: Vec::new(),
        };
        let typed = matches!(
            family,
            Family::Navigate(Navigate::Is | Navigate::As | Navigate::OfType)
        );
        if typed {
            call.type_name = Some(self.type_name()?);
            self.expect(")")?;
            return Ok(call);
        }
        self.scan.space()?;
        if !self.scan.take(")") {
            loop {
                self.argument(&mut call)?;
                self.scan.space()?;
                if self.scan.take(",") {
                    continue;
                }
                self.expect(")")?;
                break;
            }
        }
        if !(min..=max).contains(&call.args.len()) {
            let count = if min == max {
                min.to_string()
            } else {
                format!("{min} to {max}")
            };
            let message = format!(
                "`{name}` takes {count} arguments and has {}",
                call.args.len()
            );
            return Err(CompileError::new(span.start..self.scan.pos, message));
        }
        precompile(&mut call)?;
        Ok(call)
    }

    fn argument(&mut self, call: &mut Call) -> Parse<()> {
        let mut descending = false;
        if call.family == Family::Subset(Subset::Sort) {
            self.scan.space()?;
            descending = self.scan.take("-");
        }
        let arg = self.expression()?;
        if call.family == Family::Subset(Subset::Sort) {
            self.scan.space()?;
            if self.scan.keyword("desc") {
                descending = true;
            } else {
                self.scan.keyword("asc");
            }
            call.descending.push(descending);
        }
        call.args.push(arg);
        Ok(())
    }

    /// `Patient`, `FHIR.Patient`, with or without backticks.
    pub(super) fn type_name(&mut self) -> Parse<TypeName> {
        self.scan.space()?;
        let Some(first) = self.scan.name()? else {
            return Err(self.unexpected("expected the name of a type"));
        };
        let before = self.scan.pos;
        self.scan.space()?;
        // A second name belongs to the type only behind a known namespace.
        let known = matches!(first.as_str(), "System" | "FHIR")
            || self.options.namespaces.contains(&first.as_str());
        if known && self.scan.take(".") {
            self.scan.space()?;
            let Some(name) = self.scan.name()? else {
                return Err(self.unexpected("expected the name of a type"));
            };
            return Ok(TypeName {
                namespace: Some(first),
                name,
            });
        }
        self.scan.pos = before;
        Ok(TypeName {
            namespace: None,
            name: first,
        })
    }
}

/// Compiles a pattern that stands in the text.
fn precompile(call: &mut Call) -> Parse<()> {
    let full = match call.family {
        Family::Text(Text::Matches | Text::ReplaceMatches) => false,
        Family::Text(Text::MatchesFull) => true,
        _ => return Ok(()),
    };
    let Some(Expr {
        kind: Kind::Literal(Value::String(pattern)),
        span,
    }) = call.args.first()
    else {
        return Ok(());
    };
    let regex: Regex = compile_pattern(pattern, full).map_err(|reason| {
        CompileError::new(span.clone(), "text is not a valid pattern").hint(reason)
    })?;
    call.regex = Some(regex);
    Ok(())
}
