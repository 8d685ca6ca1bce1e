//! Reading JSON.

use std::collections::HashSet;

use bytes::Bytes;

use super::text::unquote;
use super::{JsonDocument, JsonKind, Value};
use crate::arena::{Arena, NONE};
use crate::error::ParseError;
use crate::limits::Limits;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) fn parse(source: &Bytes, limits: &Limits) -> Result<JsonDocument, ParseError> {
    if source.len() > limits.bytes_max || u32::try_from(source.len()).is_err() {
        return Err(ParseError::TooLarge(
            limits.bytes_max.min(u32::MAX as usize),
        ));
    }
    if let Err(error) = std::str::from_utf8(source) {
        return Err(ParseError::NotText(error.valid_up_to()));
    }
    let at = if source.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    let document = JsonDocument {
        source: source.clone(),
        values: Arena::new(),
    };
    let mut parser = Parser {
        source,
        at,
        limits,
        document,
    };
    parser.value(NONE, at, (0, 0), 0)?;
    parser.blank();
    if parser.at != source.len() {
        return parser.expected("the end");
    }
    Ok(parser.document)
}

struct Parser<'s> {
    source: &'s [u8],
    at: usize,
    limits: &'s Limits,
    document: JsonDocument,
}

/// The source is shorter than 4 GB, so positions fit.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked before the first call"
)]
const fn pos(at: usize) -> u32 {
    at as u32
}

impl Parser<'_> {
    fn expected<T>(&self, what: &'static str) -> Result<T, ParseError> {
        Err(ParseError::Expected { at: self.at, what })
    }

    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(
        &mut self,
        parent: u32,
        lead: usize,
        key: (usize, usize),
        depth: usize,
    ) -> Result<(), ParseError> {
        self.blank();
        let kind = match self.peek() {
            Some(b'{') => JsonKind::Object,
            Some(b'[') => JsonKind::Array,
            Some(b'"') => JsonKind::String,
            Some(b't' | b'f') => JsonKind::Boolean,
            Some(b'n') => JsonKind::Null,
            Some(b'-' | b'0'..=b'9') => JsonKind::Number,
            _ => return self.expected("a value"),
        };
        if self.document.values.len() >= self.limits.nodes_max {
            return Err(ParseError::TooManyNodes(self.limits.nodes_max));
        }
        let mut value = Value::new(kind, pos(self.at), pos(lead));
        (value.key_start, value.key_end) = (pos(key.0), pos(key.1));
        let index = self.document.values.push(parent, value);
        let mut tail = 0;
        match kind {
            JsonKind::Object => tail = self.container(index, depth, b'}')?,
            JsonKind::Array => tail = self.container(index, depth, b']')?,
            JsonKind::String => self.string()?,
            JsonKind::Number => self.number()?,
            JsonKind::Boolean if self.peek() == Some(b't') => self.word(b"true")?,
            JsonKind::Boolean => self.word(b"false")?,
            JsonKind::Null => self.word(b"null")?,
        }
        let end = pos(self.at);
        self.document.values.edit(index, |value| {
            value.end = end;
            value.tail = pos(tail);
        });
        Ok(())
    }

    /// Reads up to the closing bracket; gives the place behind the last child.
    fn container(&mut self, index: u32, depth: usize, close: u8) -> Result<usize, ParseError> {
        if depth >= self.limits.depth_max {
            return Err(ParseError::TooDeep(self.limits.depth_max));
        }
        self.at += 1;
        let mut tail = self.at;
        let mut lead = self.at;
        self.blank();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(tail);
        }
        loop {
            let mut key = (0, 0);
            if close == b'}' {
                self.blank();
                let from = self.at;
                if self.peek() != Some(b'"') {
                    return self.expected("a key in quotes");
                }
                self.string()?;
                key = (from, self.at);
                self.blank();
                if self.peek() != Some(b':') {
                    return self.expected("`:`");
                }
                self.at += 1;
            }
            self.value(index, lead, key, depth + 1)?;
            tail = self.at;
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => break,
                _ => return self.expected("`,` or the closing bracket"),
            }
            lead = self.at;
        }
        self.at += 1;
        if close == b'}' {
            self.unique(index)?;
        }
        Ok(tail)
    }

    fn unique(&self, index: u32) -> Result<(), ParseError> {
        let document = &self.document;
        let mut seen = HashSet::new();
        for (_, value) in document.values.live(index) {
            if !seen.insert(unquote(document.raw_key(value))) {
                return Err(ParseError::Repeated(value.key_start as usize));
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), ParseError> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                            self.at += 1
                        }
                        Some(b'u') => {
                            let digits = self.source.get(self.at + 1..self.at + 5);
                            if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
                                return self.expected("four hexadecimal digits");
                            }
                            self.at += 5;
                        }
                        _ => return self.expected("an escape"),
                    }
                }
                Some(0..=0x1F) => return self.expected("an escaped control character"),
                Some(_) => self.at += 1,
                None => return self.expected("`\"`"),
            }
        }
    }

    fn number(&mut self) -> Result<(), ParseError> {
        let length = number_length(self.source.get(self.at..).unwrap_or_default());
        if length == 0 {
            return self.expected("a number");
        }
        self.at += length;
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), ParseError> {
        if !self
            .source
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word))
        {
            return self.expected("true, false or null");
        }
        self.at += word.len();
        Ok(())
    }
}

/// How many bytes at the start are a number of JSON; 0 if they are none.
pub(super) fn number_length(text: &[u8]) -> usize {
    let digits = |from: usize| {
        text.get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && text.get(at) == Some(&b'0')) {
        return 0;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return 0;
        }
        at += 1 + fraction;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return 0;
        }
        at += 1 + sign + exponent;
    }
    at
}
