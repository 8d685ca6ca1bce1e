//! Reading XML: well-formedness as far as it protects a reader, without a recursion.

use std::collections::HashSet;

use bytes::Bytes;
use encoding_rs::Encoding;
use memchr::{memchr, memmem};

use super::text::check_references;
use super::{Kind, Node, XmlDocument};
use crate::arena::{Arena, NONE};
use crate::error::ParseError;
use crate::limits::Limits;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) fn parse(source: &Bytes, limits: &Limits) -> Result<XmlDocument, ParseError> {
    if source.len() > limits.bytes_max || u32::try_from(source.len()).is_err() {
        return Err(ParseError::TooLarge(
            limits.bytes_max.min(u32::MAX as usize),
        ));
    }
    let at = if source.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    let encoding = declared(source.get(at..).unwrap_or_default())?;
    if encoding.is_none()
        && let Err(error) = std::str::from_utf8(source)
    {
        return Err(ParseError::NotText(error.valid_up_to()));
    }
    if let Some(at) = memchr(0, source) {
        return Err(ParseError::NotText(at));
    }
    let mut nodes = Arena::new();
    nodes.push(
        NONE,
        Node {
            end: pos(source.len()),
            ..Node::new(Kind::Document, 0)
        },
    );
    let document = XmlDocument {
        source: source.clone(),
        encoding,
        nodes,
    };
    let mut parser = Parser {
        source,
        at,
        limits,
        document,
        open: Vec::new(),
        rooted: false,
    };
    parser.run()?;
    Ok(parser.document)
}

/// The single-byte character set that the XML declaration names; UTF-8 and ASCII need none.
fn declared(start: &[u8]) -> Result<Option<&'static Encoding>, ParseError> {
    if start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF") || start.get(1) == Some(&0)
    {
        return Err(ParseError::Encoding);
    }
    let Some(declaration) = start.strip_prefix(b"<?xml") else {
        return Ok(None);
    };
    let end = memmem::find(declaration, b"?>").unwrap_or(0);
    let declaration = declaration.get(..end).unwrap_or_default();
    let Some(place) = memmem::find(declaration, b"encoding") else {
        return Ok(None);
    };
    let mut parts = declaration
        .get(place..)
        .unwrap_or_default()
        .split(|b| matches!(b, b'"' | b'\''));
    let label = parts.nth(1).unwrap_or_default();
    match Encoding::for_label(label) {
        Some(found) if found == encoding_rs::UTF_8 || label.eq_ignore_ascii_case(b"us-ascii") => {
            Ok(None)
        }
        Some(found) if found.is_single_byte() => Ok(Some(found)),
        _ => Err(ParseError::Encoding),
    }
}

/// The source is shorter than 4 GB, so positions fit.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked before the first call"
)]
const fn pos(at: usize) -> u32 {
    at as u32
}

/// An element whose end has not been read.
struct Open {
    index: u32,
    /// Where the text run at hand began, and whether it is more than white space.
    run: usize,
    text: bool,
}

struct Parser<'s> {
    source: &'s [u8],
    at: usize,
    limits: &'s Limits,
    document: XmlDocument,
    open: Vec<Open>,
    rooted: bool,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

pub(super) fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':') || byte >= 0x80
}

pub(super) fn is_name(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
}

impl Parser<'_> {
    fn expected<T>(&self, what: &'static str) -> Result<T, ParseError> {
        Err(ParseError::Expected { at: self.at, what })
    }

    fn rest(&self) -> &[u8] {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn run(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = self.rest();
            let text = memchr(b'<', rest).unwrap_or(rest.len());
            self.characters(self.at + text)?;
            if self.at == self.source.len() {
                break;
            }
            match self.rest() {
                [b'<', b'/', ..] => self.close()?,
                [b'<', b'?', ..] => self.skip(2, b"?>", "`?>`")?,
                [b'<', b'!', b'-', b'-', ..] => self.skip(4, b"-->", "`-->`")?,
                rest if rest.starts_with(b"<![CDATA[") => {
                    let Some(open) = self.open.last_mut() else {
                        return self.expected("an element");
                    };
                    open.text = true;
                    self.skip(9, b"]]>", "`]]>`")?;
                }
                rest if rest
                    .get(..9)
                    .is_some_and(|r| r.eq_ignore_ascii_case(b"<!doctype")) =>
                {
                    return Err(ParseError::Doctype(self.at));
                }
                [b'<', b'!', ..] => return self.expected("an element"),
                _ => self.element()?,
            }
        }
        match (self.open.is_empty(), self.rooted) {
            (true, true) => Ok(()),
            (true, false) => self.expected("a root element"),
            (false, _) => self.expected("an end tag"),
        }
    }

    /// Text up to `end`.
    fn characters(&mut self, end: usize) -> Result<(), ParseError> {
        let text = self.source.get(self.at..end).unwrap_or_default();
        let blank = text.iter().all(|byte| is_blank(*byte));
        match self.open.last_mut() {
            Some(open) => open.text |= !blank,
            None if blank => {}
            None => return self.expected("an element"),
        }
        if !blank {
            check_references(text, self.at)?;
        }
        self.at = end;
        Ok(())
    }

    fn skip(&mut self, from: usize, end: &[u8], what: &'static str) -> Result<(), ParseError> {
        let inner = self.rest().get(from..).unwrap_or_default();
        let Some(found) = memmem::find(inner, end) else {
            return self.expected(what);
        };
        self.at += from + found + end.len();
        Ok(())
    }

    fn push(&mut self, parent: u32, node: Node) -> Result<u32, ParseError> {
        if self.document.nodes.len() > self.limits.nodes_max {
            return Err(ParseError::TooManyNodes(self.limits.nodes_max));
        }
        Ok(self.document.nodes.push(parent, node))
    }

    /// Text beside elements becomes a node of its own.
    fn flush(&mut self) -> Result<(), ParseError> {
        let at = self.at;
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        let (parent, start) = (open.index, open.run);
        if std::mem::take(&mut open.text) {
            let node = Node {
                end: pos(at),
                inner_start: pos(start),
                inner_end: pos(at),
                ..Node::new(Kind::Text, pos(start))
            };
            self.push(parent, node)?;
        }
        Ok(())
    }

    fn name(&mut self) -> Result<(u32, u32), ParseError> {
        let start = self.at;
        let rest = self.rest();
        if !rest.first().copied().is_some_and(is_name_start) {
            return self.expected("a name");
        }
        let length = rest.iter().take_while(|byte| is_name(**byte)).count();
        self.at += length;
        Ok((pos(start), pos(self.at)))
    }

    fn blank(&mut self) -> bool {
        let length = self
            .rest()
            .iter()
            .take_while(|byte| is_blank(**byte))
            .count();
        self.at += length;
        length > 0
    }

    fn element(&mut self) -> Result<(), ParseError> {
        if self.open.len() >= self.limits.depth_max {
            return Err(ParseError::TooDeep(self.limits.depth_max));
        }
        self.flush()?;
        let parent = self.open.last().map_or(0, |open| open.index);
        if parent == 0 && std::mem::replace(&mut self.rooted, true) {
            return self.expected("the end");
        }
        self.document
            .nodes
            .edit(parent, |node| node.has_elements = true);
        let start = self.at;
        self.at += 1;
        let (name_start, name_end) = self.name()?;
        let node = Node {
            name_start,
            name_end,
            ..Node::new(Kind::Element, pos(start))
        };
        let index = self.push(parent, node)?;
        self.attributes(index)?;
        let self_closing = self.rest().starts_with(b"/>");
        self.at += if self_closing { 2 } else { 1 };
        let end = pos(self.at);
        self.document.nodes.edit(index, |node| {
            node.self_closing = self_closing;
            (node.end, node.inner_start, node.inner_end) = (end, end, end);
        });
        if self_closing {
            if let Some(open) = self.open.last_mut() {
                open.run = self.at;
            }
        } else {
            self.open.push(Open {
                index,
                run: self.at,
                text: false,
            });
        }
        Ok(())
    }

    /// Reads attributes up to the end of the tag, which stays.
    fn attributes(&mut self, element: u32) -> Result<(), ParseError> {
        let mut names: HashSet<&[u8]> = HashSet::new();
        let source = self.source;
        loop {
            let separated = self.blank();
            match self.rest() {
                [b'>', ..] | [b'/', b'>', ..] => return Ok(()),
                [] => return self.expected("`>`"),
                _ if !separated => return self.expected("white space or `>`"),
                _ => {}
            }
            let start = self.at;
            let (name_start, name_end) = self.name()?;
            let name = source
                .get(name_start as usize..name_end as usize)
                .unwrap_or_default();
            if !names.insert(name) {
                return Err(ParseError::Repeated(start));
            }
            self.blank();
            if !self.rest().starts_with(b"=") {
                return self.expected("`=`");
            }
            self.at += 1;
            self.blank();
            let Some(&quote @ (b'"' | b'\'')) = self.rest().first() else {
                return self.expected("a quote");
            };
            self.at += 1;
            let inner_start = self.at;
            let Some(length) = memchr(quote, self.rest()) else {
                return self.expected("a closing quote");
            };
            let value = self.rest().get(..length).unwrap_or_default();
            if memchr(b'<', value).is_some() {
                return self.expected("a value without `<`");
            }
            check_references(value, self.at)?;
            self.at += length;
            let inner_end = pos(self.at);
            self.at += 1;
            let node = Node {
                end: pos(self.at),
                name_start,
                name_end,
                inner_start: pos(inner_start),
                inner_end,
                ..Node::new(Kind::Attribute, pos(start))
            };
            self.push(element, node)?;
        }
    }

    fn close(&mut self) -> Result<(), ParseError> {
        let Some(index) = self.open.last().map(|open| open.index) else {
            return self.expected("an element");
        };
        if self.document.nodes.at(index).has_elements {
            self.flush()?;
        }
        let inner_end = pos(self.at);
        self.at += 2;
        let (start, end) = self.name()?;
        let node = self.document.nodes.at(index);
        if self.document.bytes(start, end) != self.document.raw_name(node) {
            self.at = start as usize;
            return self.expected("the end tag of the open element");
        }
        self.blank();
        if !self.rest().starts_with(b">") {
            return self.expected("`>`");
        }
        self.at += 1;
        let end = pos(self.at);
        self.document
            .nodes
            .edit(index, |node| (node.inner_end, node.end) = (inner_end, end));
        self.open.pop();
        if let Some(open) = self.open.last_mut() {
            open.run = self.at;
        }
        Ok(())
    }
}
