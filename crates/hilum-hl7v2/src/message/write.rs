//! Writing a message back.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Message, SegState};

impl Message {
    /// The message as bytes: untouched, the very bytes that were received.
    pub fn write(&self) -> Bytes {
        if !self.touched {
            return self.wide.clone().unwrap_or_else(|| self.buf.clone());
        }
        let wire = self.decoding.wire;
        if self.wide.is_some() || wire.is_wide() {
            let text = self.assemble(Cow::Borrowed);
            let text = String::from_utf8_lossy(&text);
            return Bytes::from(wire.encode(&text).unwrap_or_default().into_owned());
        }
        if self.decoding.view == wire {
            return Bytes::from(self.assemble(Cow::Borrowed));
        }
        Bytes::from(self.assemble(|view| {
            // Every edit was checked against the wire's set, so that this holds.
            let text = String::from_utf8_lossy(view);
            match wire.encode(&text) {
                Ok(bytes) => Cow::Owned(bytes.into_owned()),
                Err(_) => Cow::Borrowed(view),
            }
        }))
    }

    /// Received bytes where a segment is untouched, else its text through `encode`.
    pub(crate) fn assemble<'m>(&'m self, encode: impl Fn(&'m [u8]) -> Cow<'m, [u8]>) -> Vec<u8> {
        let raw = |start: u32, end: u32| {
            self.buf
                .get(start as usize..end as usize)
                .unwrap_or_default()
        };
        let added: usize = self
            .overlays
            .iter()
            .map(|overlay| overlay.bytes.len() + 2)
            .sum();
        let mut out = Vec::with_capacity(self.buf.len().saturating_add(added));
        out.extend_from_slice(raw(0, self.body_start));
        let last = self.segs.len().saturating_sub(1);
        for (index, seg) in self.segs.iter().enumerate() {
            match seg.state {
                SegState::Received => out.extend_from_slice(raw(seg.raw_start, seg.raw_end)),
                SegState::Edited | SegState::Added => {
                    let Some(text) = self.seg_text(index) else {
                        continue;
                    };
                    out.extend_from_slice(&encode(text.slice(text.start, text.end)));
                }
            }
            let ending = raw(seg.raw_end, seg.next);
            if seg.state == SegState::Added || (ending.is_empty() && index < last) {
                out.extend_from_slice(self.terminator.as_bytes());
            } else {
                out.extend_from_slice(ending);
            }
        }
        out
    }
}
