//! Any JSON as a tree that can be changed; numbers keep their text and properties their order.

use crate::json::write_string;
use crate::lexical::number_length;

/// Objects and arrays within each other.
const DEPTH_MAX: usize = 200;

/// A value of JSON.
#[derive(Clone, PartialEq)]
pub(super) enum Json {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    Text(String),
    /// A number, `true`, `false` or `null`, as written.
    Bare(String),
}

impl Json {
    /// Reads a document; the error says what is wrong.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
        let mut reader = Reader {
            text,
            source: bytes,
            at: 0,
        };
        let value = reader.value(0)?;
        reader.blank();
        if reader.at < bytes.len() {
            return Err("not JSON: the end expected");
        }
        Ok(value)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Object(members) => {
                out.push(b'{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    write_string(name, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
            Self::Array(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Text(text) => write_string(text, out),
            Self::Bare(word) => out.extend_from_slice(word.as_bytes()),
        }
    }

    /// About as many bytes as it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Object(members) => members.iter().map(|(n, v)| n.len() + v.size() + 8).sum(),
            Self::Array(items) => items.iter().map(|item| item.size() + 8).sum(),
            Self::Text(text) | Self::Bare(text) => text.len() + 8,
        }
    }

    /// The member of an object.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                let mut members = members.iter();
                members.find(|(own, _)| own == name).map(|(_, value)| value)
            }
            Self::Array(_) | Self::Text(_) | Self::Bare(_) => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Object(_) | Self::Array(_) | Self::Bare(_) => None,
        }
    }

    /// Equal as RFC 6902 §4.6 has it: the order of properties and the writing of numbers do not
    /// count.
    pub(super) fn equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(name, value)| other.member(name).is_some_and(|o| value.equal(o)))
            }
            (Self::Array(a), Self::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equal(b))
            }
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bare(a), Self::Bare(b)) => {
                let number = |text: &str| text.parse::<f64>().ok();
                a == b || number(a).is_some_and(|a| number(b) == Some(a))
            }
            _ => false,
        }
    }
}

struct Reader<'s> {
    text: &'s str,
    source: &'s [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.blank();
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn value(&mut self, depth: usize) -> Result<Json, &'static str> {
        if depth > DEPTH_MAX {
            return Err("nested too deep");
        }
        self.blank();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => {
                self.at += 1;
                let mut items = Vec::new();
                if self.take(b']') {
                    return Ok(Json::Array(items));
                }
                loop {
                    items.push(self.value(depth + 1)?);
                    if self.take(b']') {
                        return Ok(Json::Array(items));
                    }
                    if !self.take(b',') {
                        return Err("not JSON: `,` or `]` expected");
                    }
                }
            }
            Some(b'"') => self.string().map(Json::Text),
            _ => {
                let rest = self.source.get(self.at..).unwrap_or_default();
                let words: [&[u8]; 3] = [b"true", b"false", b"null"];
                let word = words.iter().find(|word| rest.starts_with(word));
                let length = word.map_or_else(|| number_length(rest), |word| word.len());
                if length == 0 {
                    return Err("not JSON: a value expected");
                }
                let end = self.at + length;
                let bare = self.text.get(self.at..end).unwrap_or_default();
                self.at = end;
                Ok(Json::Bare(bare.to_owned()))
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, &'static str> {
        self.at += 1;
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut names = std::collections::HashSet::new();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.blank();
            if self.peek() != Some(b'"') {
                return Err("not JSON: a property in quotes expected");
            }
            let name = self.string()?;
            if !names.insert(name.clone()) {
                return Err("a property twice");
            }
            if !self.take(b':') {
                return Err("not JSON: `:` expected");
            }
            members.push((name, self.value(depth + 1)?));
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err("not JSON: `,` or `}` expected");
            }
        }
    }

    fn string(&mut self) -> Result<String, &'static str> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(0..=0x1F) => return Err("not JSON: a control character in a string"),
                Some(_) => self.at += 1,
                None => return Err("not JSON: a closing quote expected"),
            }
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        crate::json::unescape(raw).ok_or("not JSON: a wrong escape")
    }
}
