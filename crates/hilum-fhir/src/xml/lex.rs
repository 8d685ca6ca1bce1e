//! The tokens of XML, as far as resources and narrative need them.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// Attributes of one element; they are compared with each other.
pub(crate) const ATTRIBUTES_MAX: usize = 100;

/// An attribute of the element that was read last.
#[derive(Clone, Copy)]
pub(crate) struct Attribute<'s> {
    /// The name as written, with prefix.
    pub(crate) name: &'s str,
    /// The value as written, without quotes.
    pub(crate) raw: &'s str,
    /// Where the value starts.
    pub(crate) at: usize,
}

/// A token.
#[derive(Clone, Copy)]
pub(crate) enum Event<'s> {
    /// A start tag, or a tag that is both.
    Start { name: &'s str, empty: bool },
    /// An end tag.
    End { name: &'s str },
    /// Text between tags, references as written.
    Text { raw: &'s str },
    /// The document has ended.
    Eof,
}

/// Why the text is no XML that is accepted.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) text: &'static str,
}

/// Reads tokens one by one. It does not look at whether tags match.
pub(crate) struct Lexer<'s> {
    text: &'s str,
    /// Where the next token starts.
    pub(crate) at: usize,
    /// Where the last token started, behind any comments.
    pub(crate) began: usize,
    /// The attributes of the last start tag.
    pub(crate) attributes: Vec<Attribute<'s>>,
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

const fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':') || byte >= 0x80
}

const fn is_name(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
}

impl<'s> Lexer<'s> {
    pub(crate) const fn new(text: &'s str) -> Self {
        Self {
            text,
            at: 0,
            began: 0,
            attributes: Vec::new(),
        }
    }

    fn rest(&self) -> &'s [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn slice(&self, start: usize, end: usize) -> &'s str {
        self.text.get(start..end).unwrap_or_default()
    }

    const fn fault<T>(&self, text: &'static str) -> Result<T, Fault> {
        Err(Fault { at: self.at, text })
    }

    /// Passes over the XML declaration, if the text starts with one.
    pub(crate) fn declaration(&mut self) -> Result<(), Fault> {
        if self.rest().starts_with(b"<?xml") && self.rest().get(5).copied().is_some_and(is_blank) {
            let Some(end) = memmem::find(self.rest(), b"?>") else {
                return self.fault("`?>` expected");
            };
            self.at += end + 2;
        }
        Ok(())
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Event<'s>, Fault> {
        loop {
            self.began = self.at;
            match self.rest() {
                [] => return Ok(Event::Eof),
                [b'<', b'/', ..] => return self.end(),
                [b'<', b'?', ..] => return self.fault("a processing instruction is refused"),
                [b'<', b'!', b'-', b'-', ..] => {
                    let Some(end) = memmem::find(self.rest(), b"--") // the opening one
                        .and_then(|open| {
                            let inner = self.rest().get(open + 2..)?;
                            memmem::find(inner, b"--").map(|end| open + 2 + end)
                        })
                    else {
                        return self.fault("the end of the comment expected");
                    };
                    self.at += end + 2;
                    if self.rest().first() != Some(&b'>') {
                        return self.fault("no `--` in a comment");
                    }
                    self.at += 1;
                }
                rest if rest.starts_with(b"<![CDATA[") => {
                    return self.fault("a CDATA section is refused");
                }
                [b'<', b'!', ..] => return self.fault("a document type declaration is refused"),
                [b'<', ..] => return self.start(),
                rest => {
                    let start = self.at;
                    self.at += memchr(b'<', rest).unwrap_or(rest.len());
                    let raw = self.slice(start, self.at);
                    check_references(raw, start)?;
                    return Ok(Event::Text { raw });
                }
            }
        }
    }

    fn name(&mut self) -> Result<&'s str, Fault> {
        let rest = self.rest();
        if !rest.first().copied().is_some_and(is_name_start) {
            return self.fault("a name expected");
        }
        let start = self.at;
        self.at += rest.iter().take_while(|byte| is_name(**byte)).count();
        Ok(self.slice(start, self.at))
    }

    fn blank(&mut self) -> bool {
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| is_blank(**byte)).count();
        self.at += length;
        length > 0
    }

    fn end(&mut self) -> Result<Event<'s>, Fault> {
        self.at += 2;
        let name = self.name()?;
        self.blank();
        if self.rest().first() != Some(&b'>') {
            return self.fault("`>` expected");
        }
        self.at += 1;
        Ok(Event::End { name })
    }

    fn start(&mut self) -> Result<Event<'s>, Fault> {
        self.at += 1;
        let name = self.name()?;
        self.attributes.clear();
        loop {
            let separated = self.blank();
            match self.rest() {
                [b'>', ..] => {
                    self.at += 1;
                    return Ok(Event::Start { name, empty: false });
                }
                [b'/', b'>', ..] => {
                    self.at += 2;
                    return Ok(Event::Start { name, empty: true });
                }
                [] => return self.fault("`>` expected"),
                _ if !separated => return self.fault("white space or `>` expected"),
                _ => self.attribute()?,
            }
        }
    }

    fn attribute(&mut self) -> Result<(), Fault> {
        let name = self.name()?;
        if self.attributes.iter().any(|known| known.name == name) {
            return self.fault("an attribute twice");
        }
        if self.attributes.len() >= ATTRIBUTES_MAX {
            return self.fault("more than 100 attributes");
        }
        self.blank();
        if self.rest().first() != Some(&b'=') {
            return self.fault("`=` expected");
        }
        self.at += 1;
        self.blank();
        let Some(&quote @ (b'"' | b'\'')) = self.rest().first() else {
            return self.fault("a quote expected");
        };
        self.at += 1;
        let at = self.at;
        let Some(length) = memchr(quote, self.rest()) else {
            return self.fault("a closing quote expected");
        };
        let raw = self.slice(at, at + length);
        if memchr(b'<', raw.as_bytes()).is_some() {
            return self.fault("no `<` in a value");
        }
        check_references(raw, at)?;
        self.at += length + 1;
        self.attributes.push(Attribute { name, raw, at });
        Ok(())
    }
}

/// The character that a reference without `&` and `;` stands for.
fn referred(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let (digits, radix) = match number.strip_prefix('x') {
                Some(hex) => (hex, 16),
                None => (number, 10),
            };
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let code = plain.then(|| u32::from_str_radix(digits, radix).ok())??;
            // XML 1.0 §2.2 Char.
            let allowed = matches!(code, 0x9 | 0xA | 0xD | 0x20..=0xFFFD | 0x1_0000..=0x10_FFFF);
            allowed.then(|| char::from_u32(code))?
        }
    }
}

fn check_references(raw: &str, start: usize) -> Result<(), Fault> {
    let mut from = 0;
    while let Some(found) = raw.get(from..).and_then(|rest| rest.find('&')) {
        let at = from + found;
        let behind = raw.get(at + 1..).unwrap_or_default();
        let known = behind
            .split_once(';')
            .and_then(|(name, _)| referred(name).map(|_| name.len()));
        let Some(length) = known else {
            return Err(Fault {
                at: start + at,
                text: "an entity that XML does not define is refused",
            });
        };
        from = at + length + 2;
    }
    Ok(())
}

/// The value of an attribute (XML 1.0 §3.3.3): references resolved, line breaks made blanks.
pub(crate) fn attribute_value(raw: &str) -> Cow<'_, str> {
    if !raw
        .bytes()
        .any(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r'))
    {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
        let (before, special) = rest.split_at(at);
        out.push_str(before);
        if let Some(behind) = special.strip_prefix('&') {
            let (name, behind) = behind.split_once(';').unwrap_or((behind, ""));
            out.push(referred(name).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = behind;
        } else {
            out.push(' ');
            let behind = special.strip_prefix("\r\n");
            rest = behind.unwrap_or_else(|| special.get(1..).unwrap_or_default());
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}
