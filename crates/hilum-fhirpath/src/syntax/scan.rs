//! The scanner: white space, comments, names, texts, numbers, dates.

use super::error::{CompileError, Span};
use crate::value::{Iso, Value, decimal, iso, iso_time};

/// A place in the text of an expression.
#[derive(Clone, Debug)]
pub(super) struct Scanner<'s> {
    pub(super) text: &'s str,
    pub(super) pos: usize,
}

impl<'s> Scanner<'s> {
    pub(super) fn new(text: &'s str) -> Self {
        Self { text, pos: 0 }
    }

    pub(super) fn rest(&self) -> &'s str {
        self.text.get(self.pos..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn done(&self) -> bool {
        self.pos >= self.text.len()
    }

    pub(super) fn from(&self, start: usize) -> Span {
        start..self.pos
    }

    pub(super) fn slice(&self, span: &Span) -> &'s str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// The next character, for messages.
    pub(super) fn here(&self) -> Span {
        self.pos..self.pos + self.peek().map_or(0, char::len_utf8)
    }

    pub(super) fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.pos += token.len();
        }
        found
    }

    /// Skips white space and comments.
    pub(super) fn space(&mut self) -> Result<(), CompileError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.pos += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.pos += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                let inner = trimmed.get(2..).unwrap_or_default();
                let Some(end) = inner.find("*/") else {
                    let span = self.pos..self.text.len();
                    let error = CompileError::new(span, "comment is not closed");
                    return Err(error.hint("end it with */"));
                };
                self.pos += end + 4;
            } else {
                return Ok(());
            }
        }
    }

    /// A plain word of letters, digits and underscores, not consumed.
    pub(super) fn word(&self) -> &'s str {
        let rest = self.rest();
        let ok = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return "";
        }
        let end = rest.find(|c| !ok(c)).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Takes this word if it stands here as a whole.
    pub(super) fn keyword(&mut self, word: &str) -> bool {
        let found = self.word() == word;
        if found {
            self.pos += word.len();
        }
        found
    }

    /// A name, plain or in backticks.
    pub(super) fn name(&mut self) -> Result<Option<String>, CompileError> {
        if self.peek() == Some('`') {
            return self.quoted('`').map(Some);
        }
        let word = self.word();
        self.pos += word.len();
        Ok((!word.is_empty()).then(|| word.to_owned()))
    }

    /// A text between two `quote`s, its escapes resolved.
    pub(super) fn quoted(&mut self, quote: char) -> Result<String, CompileError> {
        let start = self.pos;
        self.pos += quote.len_utf8();
        let mut out = String::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(
                    CompileError::new(start..self.text.len(), "text is not closed")
                        .hint(format!("end it with {quote}")),
                );
            };
            let at = self.pos;
            self.pos += c.len_utf8();
            if c == quote {
                return Ok(out);
            }
            if c == '\\' {
                out.push(self.escape(at)?);
            } else {
                out.push(c);
            }
        }
    }

    fn escape(&mut self, start: usize) -> Result<char, CompileError> {
        let c = self.peek();
        self.pos += c.map_or(0, char::len_utf8);
        Ok(match c {
            Some(c @ ('\\' | '/' | '\'' | '"' | '`')) => c,
            Some('r') => '\r',
            Some('n') => '\n',
            Some('t') => '\t',
            Some('f') => '\u{c}',
            Some('u') => {
                let first = self.hex(start)?;
                let code = if (0xd800..0xdc00).contains(&first) && self.take("\\u") {
                    let second = self.hex(start)?;
                    0x10000 + ((first - 0xd800) << 10) + (second.wrapping_sub(0xdc00) & 0x3ff)
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(|| {
                    CompileError::new(self.from(start), "escape is not a character")
                })?
            }
            _ => {
                return Err(
                    CompileError::new(self.from(start), "unknown escape in text")
                        .hint("write \\\\ for a backslash"),
                );
            }
        })
    }

    fn hex(&mut self, start: usize) -> Result<u32, CompileError> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(digits) = digits else {
            return Err(CompileError::new(
                self.from(start),
                "\\u needs four hexadecimal digits",
            ));
        };
        self.pos += 4;
        u32::from_str_radix(digits, 16)
            .map_err(|_| CompileError::new(self.from(start), "escape is not a character"))
    }

    fn digits(&mut self) {
        let rest = self.rest();
        self.pos += rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
    }

    /// A number; the next character is a digit.
    pub(super) fn number(&mut self) -> Result<Value<'static>, CompileError> {
        let start = self.pos;
        self.digits();
        let mut rest = self.rest().chars();
        let whole = !(rest.next() == Some('.') && rest.next().is_some_and(|c| c.is_ascii_digit()));
        if !whole {
            self.pos += 1;
            self.digits();
        }
        let span = self.from(start);
        let text = self.slice(&span);
        if whole && let Ok(number) = text.parse() {
            return Ok(Value::Integer(number));
        }
        decimal(text)
            .map(Value::Decimal)
            .ok_or_else(|| CompileError::new(span, "number has more than 28 digits"))
    }

    /// A date, date and time, or time; the next character is `@`.
    pub(super) fn moment(&mut self) -> Result<Value<'static>, CompileError> {
        let start = self.pos;
        self.pos += 1;
        let time_only = self.take("T");
        let body = self.pos;
        self.moment_body(time_only);
        let text = self.slice(&(body..self.pos));
        let value = if time_only {
            iso_time(text).map(Value::Time)
        } else {
            iso(text).map(|read| match read {
                Iso::Date(m) => Value::Date(m),
                Iso::DateTime(m) => Value::DateTime(m),
            })
        };
        value.ok_or_else(|| {
            let message = if time_only {
                "not a time of day"
            } else {
                "not a date"
            };
            let form = if time_only {
                "@T14:30:00"
            } else {
                "@2024-01-31T14:30:00+01:00"
            };
            CompileError::new(self.from(start), message)
                .hint(format!("write it as {form}, or its start"))
        })
    }

    /// Moves over everything that could belong to the date, right or wrong.
    fn moment_body(&mut self, time_only: bool) {
        let mut timed = time_only;
        loop {
            let rest = self.rest();
            let mut chars = rest.chars();
            let (first, second) = (chars.next(), chars.next());
            let digit_next = second.is_some_and(|c| c.is_ascii_digit());
            match first {
                Some(c) if c.is_ascii_digit() => {}
                Some('T') if !timed => timed = true,
                Some('Z') if timed => {
                    self.pos += 1;
                    return;
                }
                Some('-') if digit_next => {}
                Some(':' | '+' | '.') if timed && digit_next => {}
                _ => return,
            }
            self.pos += 1;
        }
    }
}
