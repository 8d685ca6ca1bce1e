//! Views of segments and of what lies in them. Views copy nothing and scan only what is asked for.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr;

use super::index::segment_key;
use super::{Message, SegText, is_header_key};
use crate::escape;

/// One segment of a message.
#[derive(Clone, Copy)]
pub struct Segment<'m> {
    message: &'m Message,
    index: usize,
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// How deep a [`Part`] lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A field with all its repetitions.
    Field,
    /// One repetition of a field.
    Repetition,
    /// A component.
    Component,
    /// A subcomponent.
    Subcomponent,
}

/// A field, a repetition, a component or a subcomponent.
#[derive(Clone, Copy)]
pub struct Part<'m> {
    pub(crate) message: &'m Message,
    /// What its span counts in.
    pub(crate) source: &'m [u8],
    pub(crate) segment: u32,
    pub(crate) field: u32,
    pub(crate) level: Level,
    /// The packed id of the segment.
    pub(crate) key: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("segment", &self.segment)
            .field("field", &self.field)
            .field("level", &self.level)
            .field("bytes", &self.end.saturating_sub(self.start))
            .finish_non_exhaustive()
    }
}

impl<'m> Segment<'m> {
    pub(crate) fn new(message: &'m Message, index: usize) -> Self {
        Self { message, index }
    }

    fn text(&self) -> SegText<'m> {
        self.message.seg_text(self.index).unwrap_or(SegText {
            source: &[],
            start: 0,
            end: 0,
            seps: &[],
            key: 0,
        })
    }

    /// Whether the segment has this id; `key` is the packed form of `id`.
    pub(crate) fn is(&self, key: u32, id: &[u8]) -> bool {
        match self.message.segs.get(self.index) {
            Some(seg) if key != 0 || seg.key != 0 => seg.key == key,
            Some(_) => self.text().id().eq_ignore_ascii_case(id),
            None => false,
        }
    }

    /// The message it belongs to.
    pub fn message(&self) -> &'m Message {
        self.message
    }

    /// Its index among the segments, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The id as written.
    pub fn id(&self) -> Cow<'m, str> {
        String::from_utf8_lossy(self.text().id())
    }

    /// The id in capitals; zeros where it is not three letters and digits.
    #[must_use]
    pub fn name(&self) -> [u8; 3] {
        let key = self.message.segs.get(self.index).map_or(0, |seg| seg.key);
        let [a, b, c, _] = key.to_le_bytes();
        [a, b, c]
    }

    /// Whether the id is this one, case ignored.
    pub fn has_id(&self, id: &str) -> bool {
        self.is(segment_key(id.as_bytes()), id.as_bytes())
    }

    /// The text of the segment without its terminator, in the set that values are read in.
    pub fn raw(&self) -> &'m [u8] {
        let text = self.text();
        text.slice(text.start, text.end)
    }

    /// The highest field number present, empty ones included.
    pub fn field_count(&self) -> u32 {
        self.text().field_count()
    }

    /// Field `n`, counted from 1; `None` where the segment ends before it.
    ///
    /// MSH-1 is the separator itself, MSH-2 the encoding characters.
    pub fn field(&self, n: u32) -> Option<Part<'m>> {
        let text = self.text();
        let (start, end) = text.field(n)?;
        Some(Part {
            message: self.message,
            source: text.source,
            segment: super::pos(self.index),
            field: n,
            level: Level::Field,
            key: text.key,
            start,
            end,
        })
    }

    /// All fields, empty ones included, from field 1.
    pub fn fields(&self) -> impl Iterator<Item = Part<'m>> + use<'m> {
        let (text, message) = (self.text(), self.message);
        let segment = super::pos(self.index);
        (1..=text.field_count()).filter_map(move |n| {
            let (start, end) = text.field(n)?;
            Some(Part {
                message,
                source: text.source,
                segment,
                field: n,
                level: Level::Field,
                key: text.key,
                start,
                end,
            })
        })
    }
}

impl<'m> Part<'m> {
    /// How deep it lies.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The segment it lies in.
    pub fn segment(&self) -> Segment<'m> {
        Segment::new(self.message, self.segment as usize)
    }

    /// The number of the field it is or lies in.
    pub fn field_number(&self) -> u32 {
        self.field
    }

    fn slice(&self, start: u32, end: u32) -> &'m [u8] {
        let span = start as usize..end as usize;
        self.source.get(span).unwrap_or_default()
    }

    /// The bytes as they stand in the message.
    pub fn raw(&self) -> &'m [u8] {
        self.slice(self.start, self.end)
    }

    /// Whether it has no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether it holds nothing, separators aside.
    pub fn is_blank(&self) -> bool {
        !self.is_separators() && self.message.delimiters.is_blank(self.raw())
    }

    /// MSH-1 and MSH-2 (FHS, BHS alike) are text of their own kind: nothing splits or escapes them.
    pub(crate) fn is_separators(&self) -> bool {
        self.field <= 2 && is_header_key(self.key)
    }

    /// The separator between its children, `None` at the lowest level.
    fn splitter(&self) -> Option<u8> {
        let delimiters = &self.message.delimiters;
        match self.level {
            Level::Field => Some(delimiters.repetition),
            Level::Repetition => Some(delimiters.component),
            Level::Component => Some(delimiters.subcomponent),
            Level::Subcomponent => None,
        }
    }

    /// Whether it holds no more than one value: no separator of a lower level occurs in it.
    pub fn is_leaf(&self) -> bool {
        if self.is_separators() {
            return true;
        }
        let d = &self.message.delimiters;
        let raw = self.raw();
        match self.level {
            Level::Field => {
                memchr::memchr3(d.repetition, d.component, d.subcomponent, raw).is_none()
            }
            Level::Repetition => memchr::memchr2(d.component, d.subcomponent, raw).is_none(),
            Level::Component => memchr(d.subcomponent, raw).is_none(),
            Level::Subcomponent => true,
        }
    }

    /// The value: decoded and unescaped. A composite is given as written, decoded only.
    pub fn text(&self) -> Cow<'m, str> {
        let raw = self.raw();
        if self.is_separators() || !self.is_leaf() {
            escape::decode(raw, &self.message.decoding)
        } else {
            escape::unescape(raw, &self.message.delimiters, &self.message.decoding)
        }
    }

    /// The value as plain text: escapes resolved, formatting commands as the line breaks and blanks
    /// that they stand for (HL7 v2.5.1 §2.7.6), highlighting left out. Separators of lower levels stay.
    pub fn plain_text(&self) -> Cow<'m, str> {
        let raw = self.raw();
        let message = self.message;
        if self.is_separators() || memchr(message.delimiters.escape, raw).is_none() {
            return escape::decode(raw, &message.decoding);
        }
        escape::plain(raw, &message.delimiters, &message.decoding)
    }

    /// The text of what is below it (component, subcomponent), without blanks around it. What is
    /// empty or null says nothing.
    #[must_use]
    pub fn said(&self, below: &[u32]) -> Option<Cow<'m, str>> {
        let mut part = *self;
        for &n in below {
            part = part.nth(n)?;
        }
        if part.is_blank() || part.is_null() {
            return None;
        }
        let text = match part.text() {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// The first value in it: what stands in front of any separator of a lower level; and whether
    /// there is an escape sequence in it.
    #[must_use]
    pub fn first_value(&self) -> (Self, bool) {
        if self.is_separators() {
            return (*self, false);
        }
        let delimiters = &self.message.delimiters;
        let subcomponent = delimiters.subcomponent;
        let component = match self.level {
            Level::Field | Level::Repetition => delimiters.component,
            Level::Component | Level::Subcomponent => subcomponent,
        };
        let repetition = match self.level {
            Level::Field => delimiters.repetition,
            Level::Repetition | Level::Component | Level::Subcomponent => subcomponent,
        };
        let raw = self.raw();
        let splits = self.level != Level::Subcomponent;
        let mut escaped = false;
        let mut length = raw.len();
        for (at, byte) in raw.iter().enumerate() {
            let ends = *byte == component || *byte == subcomponent || *byte == repetition;
            if ends && splits {
                length = at;
                break;
            }
            escaped |= *byte == delimiters.escape;
        }
        let end = self.start.saturating_add(super::pos(length));
        (self.child(Level::Subcomponent, self.start, end), escaped)
    }

    /// Where it stands in [`Message::utf8`].
    #[must_use]
    pub fn span(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// A field as the one repetition that it is where no separator of repetitions stands in it.
    #[must_use]
    pub fn only_repetition(&self) -> Self {
        self.child(self.lower(), self.start, self.end)
    }

    /// The explicit null `""`, which asks the receiver to delete the value.
    pub fn is_null(&self) -> bool {
        self.raw() == b"\"\""
    }

    fn child(&self, level: Level, start: u32, end: u32) -> Self {
        Self {
            level,
            start,
            end,
            ..*self
        }
    }

    fn lower(&self) -> Level {
        match self.level {
            Level::Field => Level::Repetition,
            Level::Repetition => Level::Component,
            Level::Component | Level::Subcomponent => Level::Subcomponent,
        }
    }

    /// The `n`th child, counted from 1. A subcomponent is its own only child.
    pub fn nth(&self, n: u32) -> Option<Self> {
        let splitter = match self.splitter() {
            Some(splitter) if !self.is_separators() => splitter,
            _ => return (n == 1).then(|| self.child(self.lower(), self.start, self.end)),
        };
        let mut skip = n.checked_sub(1)?;
        let mut start = self.start;
        loop {
            let at = memchr(splitter, self.slice(start, self.end));
            let end = at.map_or(self.end, |at| start.saturating_add(super::pos(at)));
            if skip == 0 {
                return Some(self.child(self.lower(), start, end));
            }
            at?;
            skip = skip.saturating_sub(1);
            start = end.saturating_add(1);
        }
    }

    /// The children: repetitions of a field, components of a repetition, subcomponents of a
    /// component; none of a subcomponent. Empty ones are included.
    pub fn children(&self) -> Children<'m> {
        Children {
            of: *self,
            next: (self.level != Level::Subcomponent).then_some(self.start),
        }
    }
}

/// Iterator over the children of a [`Part`].
#[derive(Clone, Debug)]
pub struct Children<'m> {
    of: Part<'m>,
    next: Option<u32>,
}

impl<'m> Iterator for Children<'m> {
    type Item = Part<'m>;

    fn next(&mut self) -> Option<Part<'m>> {
        let start = self.next.take()?;
        let splitter = self.of.splitter().filter(|_| !self.of.is_separators());
        let at = splitter.and_then(|s| memchr(s, self.of.slice(start, self.of.end)));
        let end = at.map_or(self.of.end, |at| start.saturating_add(super::pos(at)));
        self.next = at.map(|_| end.saturating_add(1));
        Some(self.of.child(self.of.lower(), start, end))
    }
}
