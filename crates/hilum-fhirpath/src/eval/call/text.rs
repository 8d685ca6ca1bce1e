//! Functions on text. Positions and lengths count characters, not bytes.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use super::{Called, Eval, Machine};
use crate::error::EvalError;
use crate::syntax::Text;
use crate::value::{Collection, Value};

/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 4096;

/// Memory that a compiled pattern may take; `(a{1000}){1000}` is short and would take far more.
const PATTERN_COMPILED_BYTES_MAX: usize = 1 << 18;

/// Fuel for compiling a pattern that is not in the text of the expression.
const PATTERN_FUEL: usize = 2_000;

/// Bytes of text searched for a pattern that cost one unit of fuel.
const PATTERN_BYTES_PER_FUEL: usize = 8;

/// Compiles a pattern. A dot matches line ends too, as the specification has it.
///
/// The error is a reason to show to the pattern's author.
pub(crate) fn compile_pattern(pattern: &str, full: bool) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("pattern is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    let whole = if full {
        format!(r"\A(?:{pattern})\z")
    } else {
        pattern.to_owned()
    };
    RegexBuilder::new(&whole)
        .dot_matches_new_line(true)
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "pattern repeats too much".to_owned(),
            other => other
                .to_string()
                .lines()
                .last()
                .unwrap_or("not a pattern")
                .trim()
                .to_owned(),
        })
}

impl<'t> Machine<'t> {
    pub(super) fn text_call(
        &self,
        function: Text,
        input: Collection<'t>,
        called: &Called<'_, 't>,
    ) -> Eval<Collection<'t>> {
        if function == Text::Join {
            return self.join(&input, called);
        }
        let Some(text) = self.one_text(input, called)? else {
            return Ok(Collection::new());
        };
        self.spend_bytes(text.len())?;
        let string = |text: Cow<'t, str>| Collection::one(Value::String(text));
        let integer = |n: usize| Ok(Collection::one(Value::Integer(n as i64)));
        match function {
            Text::Upper => Ok(string(text.to_uppercase().into())),
            Text::Lower => Ok(string(text.to_lowercase().into())),
            Text::Length => integer(text.chars().count()),
            Text::Trim => Ok(string(match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
                Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
            })),
            Text::ToChars => {
                self.spend(text.len())?;
                Ok(text
                    .chars()
                    .map(|c| Value::String(c.to_string().into()).into())
                    .collect())
            }
            Text::Substring => self.substring(&text, called),
            Text::Replace => self.replace(&text, called),
            Text::ReplaceMatches => self.replace_matches(text, called),
            Text::Matches | Text::MatchesFull => {
                let full = function == Text::MatchesFull;
                let Some(regex) = self.pattern(full, called)? else {
                    return Ok(Collection::new());
                };
                self.spend(text.len() / PATTERN_BYTES_PER_FUEL)?;
                Ok(Collection::boolean(regex.is_match(&text)))
            }
            Text::IndexOf
            | Text::LastIndexOf
            | Text::StartsWith
            | Text::EndsWith
            | Text::Contains
            | Text::Split => self.search(function, &text, called),
            Text::Encode | Text::Decode | Text::Escape | Text::Unescape => {
                self.recode(function, &text, called)
            }
            // Handled above: it takes more than one text.
            Text::Join => Ok(Collection::new()),
        }
    }

    /// The functions that look for another text.
    fn search(&self, function: Text, text: &str, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let Some(wanted) = self.text_arg(called, 0)? else {
            return Ok(Collection::new());
        };
        let wanted = wanted.as_ref();
        let place = |at: Option<usize>| {
            let head = at.and_then(|at| text.get(..at));
            Value::Integer(head.map_or(-1, |head| head.chars().count() as i64))
        };
        Ok(Collection::one(match function {
            Text::IndexOf => place(text.find(wanted)),
            Text::LastIndexOf => place(text.rfind(wanted)),
            Text::StartsWith => Value::Boolean(text.starts_with(wanted)),
            Text::EndsWith => Value::Boolean(text.ends_with(wanted)),
            Text::Contains => Value::Boolean(text.contains(wanted)),
            _ => {
                if wanted.is_empty() {
                    return Ok(Collection::one(Value::String(text.to_owned().into())));
                }
                self.spend(text.matches(wanted).count())?;
                return Ok(text
                    .split(wanted)
                    .map(|part| Value::String(part.to_owned().into()).into())
                    .collect());
            }
        }))
    }

    fn substring(&self, text: &str, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let Some(start) = self.integer_arg(called, 0)? else {
            return Ok(Collection::new());
        };
        let length = match called.call.args.len() {
            2 => self.integer_arg(called, 1)?,
            _ => None,
        };
        let Ok(start) = usize::try_from(start) else {
            return Ok(Collection::new());
        };
        let Some((from, _)) = text.char_indices().nth(start) else {
            return Ok(Collection::new());
        };
        let rest = text.get(from..).unwrap_or_default();
        let end = match length {
            Some(length) => {
                let length = usize::try_from(length).unwrap_or(0);
                rest.char_indices()
                    .nth(length)
                    .map_or(rest.len(), |(at, _)| at)
            }
            None => rest.len(),
        };
        let part = rest.get(..end).unwrap_or_default();
        Ok(Collection::one(Value::String(part.to_owned().into())))
    }

    fn replace(&self, text: &str, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let (Some(old), Some(new)) = (self.text_arg(called, 0)?, self.text_arg(called, 1)?) else {
            return Ok(Collection::new());
        };
        let count = text.matches(old.as_ref()).count();
        self.spend_bytes(text.len().saturating_add(count.saturating_mul(new.len())))?;
        Ok(Collection::one(Value::String(
            text.replace(old.as_ref(), &new).into(),
        )))
    }

    fn replace_matches(&self, text: Cow<'t, str>, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let regex = self.pattern(false, called)?;
        let (Some(regex), Some(new)) = (regex, self.text_arg(called, 1)?) else {
            return Ok(Collection::new());
        };
        if regex.as_str().is_empty() {
            return Ok(Collection::one(Value::String(text)));
        }
        self.spend(text.len() / PATTERN_BYTES_PER_FUEL)?;
        let new = braced(&new);
        let (mut out, mut done) = (String::new(), 0);
        for captures in regex.captures_iter(&text) {
            let Some(whole) = captures.get(0) else {
                continue;
            };
            out.push_str(text.get(done..whole.start()).unwrap_or_default());
            let before = out.len();
            captures.expand(&new, &mut out);
            self.spend_bytes(out.len() - before)?;
            done = whole.end();
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Ok(Collection::one(Value::String(out.into())))
    }

    /// The first argument as a pattern, compiled now unless it stood in the text.
    fn pattern(&self, full: bool, called: &Called<'_, 't>) -> Eval<Option<Cow<'t, Regex>>> {
        if let Some(regex) = &called.call.regex {
            return Ok(Some(Cow::Borrowed(regex)));
        }
        let Some(pattern) = self.text_arg(called, 0)? else {
            return Ok(None);
        };
        self.spend(PATTERN_FUEL)?;
        compile_pattern(&pattern, full)
            .map(|r| Some(Cow::Owned(r)))
            .map_err(|_| EvalError::Pattern {
                operation: called.call.name,
                span: called.span.clone(),
            })
    }

    fn join(&self, input: &Collection<'t>, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        if input.is_empty() {
            return Ok(Collection::new());
        }
        let between = self.text_arg(called, 0)?.unwrap_or_default();
        let mut out = String::new();
        for (index, item) in input.iter().enumerate() {
            let Some(text) = item.text() else {
                return Err(self.refuse(called, "texts", item));
            };
            self.spend_bytes(between.len() + text.len())?;
            if index > 0 {
                out.push_str(&between);
            }
            out.push_str(&text);
        }
        Ok(Collection::one(Value::String(out.into())))
    }
}

/// Writes `$1` as `${1}`, so that a letter behind it is not taken for part of the group's name.
fn braced(new: &str) -> Cow<'_, str> {
    if !new.contains('$') {
        return Cow::Borrowed(new);
    }
    let mut out = String::with_capacity(new.len() + 8);
    let mut chars = new.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '$' && chars.peek().is_some_and(char::is_ascii_digit) {
            out.push('{');
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                out.push(digit);
            }
            out.push('}');
        }
    }
    Cow::Owned(out)
}
