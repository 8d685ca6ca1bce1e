//! A message: the received bytes, an index over them, and edits laid over both.
//!
//! Invariants: an untouched message is written as the very bytes that were received; an edit
//! replaces the text of one segment and leaves every other byte, terminators included, as it was.
//! Parsing refuses only what has no usable MSH ([`Reject`]); everything else is kept, with
//! [`Warning`]s. Meaning (which segment may stand where, what a field is called) is not known
//! here: it is handed in as [`Grouping`] and [`Placement`].

mod convert;
mod decode;
mod delete;
mod edit;
mod findings;
mod index;
mod part;
mod place;
mod structure;
mod write;

pub(crate) use decode::wide;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub use edit::EditError;
pub use index::Terminator;
pub use part::{Level, Part, Segment};
pub use structure::{Group, GroupId, GroupStep, Grouping, Groups, Placement, Structures};

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape::Decoding;
use crate::warning::{Reject, Warning, WarningCode};

pub(crate) use index::{Seg, SegState, pos, segment_key};

/// What a channel says about the bytes it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// The character set of bytes that are not valid UTF-8 and that MSH-18 does not explain.
    pub charset_default: Charset,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            charset_default: Charset::LATIN_1,
        }
    }
}

/// Text of a segment that is not the received bytes: edited, added, or decoded before splitting.
#[derive(Clone, Debug)]
pub(crate) struct Overlay {
    pub(crate) bytes: Bytes,
    pub(crate) seps: Vec<u32>,
}

/// A parsed HL7 v2 message. Cheap to clone; prints without content.
#[derive(Clone)]
pub struct Message {
    /// The bytes that the index refers to, in the view's character set.
    pub(crate) buf: Bytes,
    /// What was received, where that is UTF-16 or UTF-32 and `buf` its UTF-8.
    pub(crate) wide: Option<Bytes>,
    pub(crate) segs: Vec<Seg>,
    pub(crate) seps: Arc<Vec<u32>>,
    pub(crate) overlays: Vec<Overlay>,
    /// Where the first segment begins.
    pub(crate) body_start: u32,
    pub(crate) delimiters: Delimiters,
    pub(crate) terminator: Terminator,
    pub(crate) decoding: Decoding,
    pub(crate) touched: bool,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) structures: Option<Arc<dyn Structures>>,
    pub(crate) groups: OnceLock<Arc<Groups>>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("bytes", &self.buf.len())
            .field("segments", &self.segs.len())
            .field("touched", &self.touched)
            .finish_non_exhaustive()
    }
}

/// A segment's source: bytes, span of its text, separators.
#[derive(Clone, Copy)]
pub(crate) struct SegText<'m> {
    pub(crate) source: &'m [u8],
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) seps: &'m [u32],
    pub(crate) key: u32,
}

impl<'m> SegText<'m> {
    pub(crate) fn slice(&self, start: u32, end: u32) -> &'m [u8] {
        self.source
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// MSH, FHS and BHS count their separator as field 1.
    pub(crate) fn is_header(&self) -> bool {
        is_header_key(self.key)
    }

    pub(crate) fn id(&self) -> &'m [u8] {
        self.slice(self.start, self.seps.first().copied().unwrap_or(self.end))
    }

    /// Span of field `n`, counted from 1, as far as the segment reaches.
    pub(crate) fn field(&self, n: u32) -> Option<(u32, u32)> {
        let at = if self.is_header() {
            if n == 1 {
                return self.seps.first().map(|sep| (*sep, sep.saturating_add(1)));
            }
            n.checked_sub(2)? as usize
        } else {
            n.checked_sub(1)? as usize
        };
        let start = self.seps.get(at)?.saturating_add(1);
        let end = self
            .seps
            .get(at.saturating_add(1))
            .copied()
            .unwrap_or(self.end);
        Some((start, end))
    }

    /// The number of fields up to the end of the segment.
    pub(crate) fn field_count(&self) -> u32 {
        let more = u32::from(self.is_header() && !self.seps.is_empty());
        pos(self.seps.len()).saturating_add(more)
    }
}

/// Whether a packed id is that of a segment that carries separators.
pub(crate) fn is_header_key(key: u32) -> bool {
    key == segment_key(b"MSH") || key == segment_key(b"FHS") || key == segment_key(b"BHS")
}

impl Message {
    /// Parses one message with the default options.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, Reject> {
        Self::parse_with(bytes, &ParseOptions::default())
    }

    /// Parses one message. Batches are split first, see [`crate::batch`].
    pub fn parse_with(bytes: impl Into<Bytes>, options: &ParseOptions) -> Result<Self, Reject> {
        let received: Bytes = bytes.into();
        let mut warnings = Vec::new();
        let (buf, wide) = match decode::wide(&received) {
            Some((charset, text)) => (Bytes::from(text), Some((received, charset))),
            None => (received, None),
        };
        if buf.len() >= u32::MAX as usize {
            return Err(Reject::TooLarge);
        }
        let start = leading(&buf, &mut warnings);
        let delimiters = header(&buf, start, &mut warnings)?;
        let (mut segs, terminator) =
            index::split_segments(&buf, start, delimiters.field, &mut warnings);
        let seps = index::mark_segments(&buf, &mut segs, delimiters.field, &mut warnings);
        let utf8 = Decoding {
            view: Charset::Utf8,
            wire: Charset::Utf8,
            fallback: options.charset_default,
        };
        let mut message = Self {
            buf,
            wide: None,
            segs,
            seps: Arc::new(seps),
            overlays: Vec::new(),
            body_start: pos(start),
            delimiters,
            terminator,
            decoding: utf8,
            touched: false,
            warnings,
            structures: None,
            groups: OnceLock::new(),
        };
        match wide {
            Some((received, charset)) => {
                message.wide = Some(received);
                message.decoding.wire = charset;
            }
            None => message.choose_charset(options),
        }
        Ok(message)
    }

    /// Hands over what knows where segments belong; paths with groups and placed insertions use it.
    pub fn set_structures(&mut self, structures: Arc<dyn Structures>) {
        self.structures = Some(structures);
        self.groups = OnceLock::new();
    }

    /// The whole message as text, where it is one without a look at each value: it is in UTF-8 and
    /// was not edited. [`Part::span`] counts in it.
    #[must_use]
    pub fn utf8(&self) -> Option<&str> {
        let plain = matches!(self.decoding.view, Charset::Ascii | Charset::Utf8);
        (plain && self.overlays.is_empty())
            .then(|| std::str::from_utf8(&self.buf).ok())
            .flatten()
    }

    /// The separators in use.
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// What ends segments that are added.
    pub fn terminator(&self) -> Terminator {
        self.terminator
    }

    /// The character set of the wire.
    pub fn charset(&self) -> Charset {
        self.decoding.wire
    }

    /// Whether anything was edited.
    pub fn is_touched(&self) -> bool {
        self.touched
    }

    /// What was odd about separators, terminators, ids and characters; content is looked at by
    /// [`Self::findings`].
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The number of segments.
    pub fn segment_count(&self) -> usize {
        self.segs.len()
    }

    /// The segment at an index counted from 0.
    pub fn segment(&self, index: usize) -> Option<Segment<'_>> {
        self.segs.get(index).map(|_| Segment::new(self, index))
    }

    /// The segments in order.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Segment<'_>> + ExactSizeIterator {
        (0..self.segs.len()).map(|index| Segment::new(self, index))
    }

    /// The segments with an id, in order.
    pub fn segments_named<'m, 'i>(
        &'m self,
        id: &'i str,
    ) -> impl Iterator<Item = Segment<'m>> + use<'m, 'i> {
        let key = segment_key(id.as_bytes());
        self.segments()
            .filter(move |segment| segment.is(key, id.as_bytes()))
    }

    /// Text of the first leaf or composite at a place, counted from 1; empty and absent are `None`.
    ///
    /// A short cut for headers: `field("MSH", 10)`.
    pub fn field(&self, id: &str, field: u32) -> Option<Cow<'_, str>> {
        let part = self.segments_named(id).next()?.field(field)?;
        Some(part.text()).filter(|text| !text.is_empty())
    }

    /// Text of one component of the first repetition of a field of the first such segment.
    pub fn component(&self, id: &str, field: u32, component: u32) -> Option<Cow<'_, str>> {
        let field = self.segments_named(id).next()?.field(field)?;
        let part = field.nth(1)?.nth(component)?;
        Some(part.text()).filter(|text| !text.is_empty())
    }

    /// Source and index of a segment.
    pub(crate) fn seg_text(&self, index: usize) -> Option<SegText<'_>> {
        let seg = self.segs.get(index)?;
        let (source, seps) = match (seg.source as usize).checked_sub(1) {
            None => (&self.buf, self.seps.as_slice()),
            Some(at) => {
                let overlay = self.overlays.get(at)?;
                (&overlay.bytes, overlay.seps.as_slice())
            }
        };
        Some(SegText {
            source,
            start: seg.start,
            end: seg.end,
            seps: seps
                .get(seg.sep_start as usize..seg.sep_end as usize)
                .unwrap_or_default(),
            key: seg.key,
        })
    }
}

/// Skips what may stand before MSH.
fn leading(buf: &[u8], warnings: &mut Vec<Warning>) -> usize {
    let mut start = 0;
    if buf.starts_with(b"\xEF\xBB\xBF") {
        start = 3;
        warnings.push(Warning::new(
            WarningCode::ByteOrderMark,
            "byte order mark before MSH",
        ));
    }
    let rest = buf.get(start..).unwrap_or_default();
    let blank = rest
        .iter()
        .take_while(|b| b.is_ascii_whitespace() || **b == 0x0B)
        .count();
    if blank > 0 {
        warnings.push(Warning::new(
            WarningCode::LeadingBytes,
            "leading white space",
        ));
    }
    start.saturating_add(blank)
}

/// Reads MSH-1 and MSH-2.
fn header(buf: &[u8], start: usize, warnings: &mut Vec<Warning>) -> Result<Delimiters, Reject> {
    let (id, rest) = match buf.get(start..).unwrap_or_default() {
        [] => return Err(Reject::Empty),
        [a, b, c, rest @ ..] => ([*a, *b, *c], rest),
        _ => return Err(Reject::NoHeader),
    };
    if id != *b"MSH" && id != *b"msh" {
        let batch = [b"FHS", b"BHS"].contains(&&id);
        return Err(if batch {
            Reject::Batch
        } else {
            Reject::NoHeader
        });
    }
    let Some((separator, rest)) = rest.split_first() else {
        return Err(Reject::NoHeader);
    };
    if separator.is_ascii_alphanumeric() {
        return Err(Reject::NoHeader);
    }
    if !Delimiters::usable(*separator) {
        return Err(Reject::BadSeparator);
    }
    let end = rest
        .iter()
        .position(|b| b == separator || matches!(b, b'\r' | b'\n'));
    let encoding = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    let (delimiters, notes) = Delimiters::read(*separator, encoding);
    let mut note = |code, text| warnings.push(Warning::new(code, text).at(0));
    if notes.short {
        note(
            WarningCode::EncodingCharactersShort,
            "MSH-2 shorter than four",
        );
    }
    if notes.long {
        note(
            WarningCode::EncodingCharactersLong,
            "MSH-2 longer than five",
        );
    }
    if notes.ambiguous {
        note(
            WarningCode::EncodingCharactersAmbiguous,
            "MSH-2 has an unusable separator",
        );
    }
    Ok(delimiters)
}
