//! Which character set a message is read in, and decoding before splitting where characters may
//! hide separators.

use bytes::Bytes;

use super::index::{mark_separators, pos, segment_key};
use super::{Message, Overlay, ParseOptions};
use crate::charset::{Charset, CharsetName};
use crate::warning::{Warning, WarningCode};

/// Text of bytes that are UTF-16 or UTF-32, told by a byte order mark or by how `MSH` is spelled.
///
/// The mark stays the first character of the text, so that writing brings it back.
pub(crate) fn wide(bytes: &[u8]) -> Option<(Charset, String)> {
    let charset = match bytes {
        [0xFF, 0xFE, 0, 0, ..] | [b'M', 0, 0, 0, b'S', ..] => Charset::Utf32Le,
        [0, 0, 0xFE, 0xFF, ..] | [0, 0, 0, b'M', 0, ..] => Charset::Utf32Be,
        [0xFF, 0xFE, ..] | [b'M', 0, b'S', 0, ..] => Charset::Utf16Le,
        [0xFE, 0xFF, ..] | [0, b'M', 0, b'S', ..] => Charset::Utf16Be,
        _ => return None,
    };
    Some((charset, charset.decode(bytes).0.into_owned()))
}

/// What the bytes and MSH-18 together say.
struct Choice {
    wire: Charset,
    warning: Option<(WarningCode, &'static str)>,
}

impl Message {
    /// Decides view and wire; decodes segments whose characters may hide separators.
    pub(super) fn choose_charset(&mut self, options: &ParseOptions) {
        let choice = self.choice(options);
        if let Some((code, text)) = choice.warning {
            self.warnings.push(Warning::new(code, text));
        }
        self.decoding.wire = choice.wire;
        if !choice.wire.hides_separators() {
            self.decoding.view = choice.wire;
        } else if self.decode_segments(choice.wire) {
            self.warnings.push(Warning::new(
                WarningCode::CharsetInvalidBytes,
                "bytes that the character set does not define",
            ));
        }
    }

    fn choice(&self, options: &ParseOptions) -> Choice {
        let (declared, warning) = self.declared();
        let plain = self.buf.is_ascii();
        let switching = declared == Some(Charset::Iso2022Jp);
        if plain && (!switching || memchr::memchr(0x1B, &self.buf).is_none()) {
            let wire = declared
                .filter(|set| !set.is_wide())
                .unwrap_or(Charset::Utf8);
            return Choice { wire, warning };
        }
        if !plain && std::str::from_utf8(&self.buf).is_ok() {
            let mismatch = declared.is_some_and(|set| set != Charset::Utf8);
            let text = "the bytes are UTF-8, MSH-18 says otherwise";
            let warning = if mismatch {
                Some((WarningCode::CharsetMismatch, text))
            } else {
                warning
            };
            return Choice {
                wire: Charset::Utf8,
                warning,
            };
        }
        match declared {
            Some(wire) if wire != Charset::Utf8 && wire != Charset::Ascii && !wire.is_wide() => {
                Choice { wire, warning }
            }
            _ => {
                let text = "not valid UTF-8, read in the fallback character set";
                Choice {
                    wire: options.charset_default,
                    warning: Some((WarningCode::CharsetFallback, text)),
                }
            }
        }
    }

    /// What MSH-18 names. Sets reached by escape sequences may be named by a later repetition.
    fn declared(&self) -> (Option<Charset>, Option<(WarningCode, &'static str)>) {
        let Some(field) = self.segment(0).and_then(|msh| msh.field(18)) else {
            return (None, None);
        };
        let mut first = None;
        let mut warning = None;
        for part in field.children() {
            if part.raw().is_empty() {
                continue;
            }
            match Charset::named(&String::from_utf8_lossy(part.raw())) {
                CharsetName::Known(Charset::Iso2022Jp) => {
                    return (Some(Charset::Iso2022Jp), warning);
                }
                CharsetName::Known(set) => first = first.or(Some(set)),
                CharsetName::Unknown => {
                    warning = Some((WarningCode::CharsetUnknown, "unknown MSH-18"));
                }
            }
        }
        (first, warning)
    }

    /// Lays the decoded text over every segment that is not plain ASCII; true if bytes were
    /// undefined. CR and LF are never part of a character in these sets, so segments stand.
    fn decode_segments(&mut self, wire: Charset) -> bool {
        let mut bad = false;
        for seg in &mut self.segs {
            let raw = self.buf.get(seg.raw_start as usize..seg.raw_end as usize);
            let raw = raw.unwrap_or_default();
            if raw.is_ascii() && memchr::memchr(0x1B, raw).is_none() {
                continue;
            }
            let (text, undefined) = wire.decode(raw);
            let bytes = text.into_owned().into_bytes();
            bad |= undefined;
            let mut seps = Vec::new();
            mark_separators(&bytes, 0, self.delimiters.field, &mut seps);
            let id = bytes.get(..seps.first().map_or(bytes.len(), |at| *at as usize));
            seg.key = segment_key(id.unwrap_or_default());
            (seg.start, seg.end) = (0, pos(bytes.len()));
            (seg.sep_start, seg.sep_end) = (0, pos(seps.len()));
            self.overlays.push(Overlay {
                bytes: Bytes::from(bytes),
                seps,
            });
            seg.source = pos(self.overlays.len());
        }
        bad
    }
}
