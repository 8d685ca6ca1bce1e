//! From one character set to another.

use super::{EditError, Message, SegState};
use crate::charset::{Charset, Unencodable};
use crate::escape;
use crate::path::{FieldPath, Path, Which};

impl Message {
    /// Writes the message in another character set from now on, and says so in MSH-18.
    ///
    /// Refused, and nothing changed, if the set lacks a character of the message.
    pub fn convert_charset(&mut self, charset: Charset) -> Result<(), EditError> {
        self.convert(charset)?;
        let field = FieldPath {
            field: 18,
            repetition: Which::Nth(1),
            component: 0,
            subcomponent: 0,
        };
        let path = Path::new(Vec::new(), "MSH".to_owned(), Which::Unsaid, Some(field));
        self.set(&path, charset.hl7_name())?;
        Ok(())
    }

    /// Lays text in the new set over every segment that needs it.
    pub(super) fn convert(&mut self, charset: Charset) -> Result<(), EditError> {
        let view = if charset.hides_separators() {
            Charset::Utf8
        } else {
            charset
        };
        let mut converted = Vec::new();
        for index in 0..self.segs.len() {
            let text =
                self.converted(index, charset, view)
                    .map_err(|_| EditError::NotInCharset {
                        path: self.segment_location(index),
                        charset: charset.hl7_name(),
                    })?;
            converted.extend(text.map(|text| (index, text)));
        }
        let lead = self.buf.get(..self.body_start as usize).unwrap_or_default();
        if !lead.is_ascii() && charset != Charset::Utf8 && !charset.is_wide() {
            // A byte order mark has no place in other sets.
            self.body_start = 0;
        }
        self.wide = None;
        self.decoding.wire = charset;
        self.decoding.view = view;
        for (index, text) in converted {
            self.replace_text(index, text);
        }
        self.touched = true;
        Ok(())
    }

    /// A segment's text in the new view; `None` where it is plain ASCII and stays.
    fn converted(
        &self,
        index: usize,
        wire: Charset,
        view: Charset,
    ) -> Result<Option<Vec<u8>>, Unencodable> {
        let Some(text) = self.seg_text(index) else {
            return Ok(None);
        };
        let raw = text.slice(text.start, text.end);
        // Received text that was decoded may have been more than ASCII on the wire.
        let decoded = self
            .segs
            .get(index)
            .is_some_and(|seg| seg.state == SegState::Received && seg.source > 0);
        if raw.is_ascii() && !decoded {
            return Ok(None);
        }
        let decoded = escape::decode(raw, &self.decoding);
        wire.encode(&decoded)?;
        Ok(Some(view.encode(&decoded)?.into_owned()))
    }
}
