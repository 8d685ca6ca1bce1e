//! Writing a message back.

use bytes::Bytes;

use super::{Message, SegState};

impl Message {
    /// The message as bytes: untouched, the very bytes that were received.
    pub fn write(&self) -> Bytes {
        if !self.touched {
            return self.wide.clone().unwrap_or_else(|| self.buf.clone());
        }
        self.assemble()
    }

    /// Received bytes where a segment is untouched, else its text in the set of the wire.
    fn assemble(&self) -> Bytes {
        let wire = self.decoding.wire;
        let whole = self.wide.is_some() || wire.is_wide();
        let recode = !whole && self.decoding.view != wire;
        let raw = |start: u32, end: u32| {
            self.buf
                .get(start as usize..end as usize)
                .unwrap_or_default()
        };
        let overlays = self.overlays.iter();
        let added: usize = overlays.map(|overlay| overlay.bytes.len()).sum();
        let mut out = Vec::with_capacity(self.buf.len().saturating_add(added).saturating_add(16));
        out.extend_from_slice(raw(0, self.body_start));
        let last = self.segs.len().saturating_sub(1);
        for (index, seg) in self.segs.iter().enumerate() {
            let Some(text) = self.seg_text(index) else {
                continue;
            };
            match seg.state {
                SegState::Received => out.extend_from_slice(raw(seg.raw_start, seg.raw_end)),
                SegState::Edited | SegState::Added => {
                    let view = text.slice(text.start, text.end);
                    let decoded = recode.then(|| String::from_utf8_lossy(view));
                    // Every edit was checked against the wire's set, so that encoding succeeds.
                    match decoded.as_deref().map(|text| wire.encode(text)) {
                        Some(Ok(encoded)) => out.extend_from_slice(&encoded),
                        Some(Err(_)) | None => out.extend_from_slice(view),
                    }
                }
            }
            let ending = raw(seg.raw_end, seg.next);
            if seg.state == SegState::Added || (ending.is_empty() && index < last) {
                out.extend_from_slice(self.terminator.as_bytes());
            } else {
                out.extend_from_slice(ending);
            }
        }
        if whole {
            let text = String::from_utf8_lossy(&out);
            return Bytes::from(wire.encode(&text).unwrap_or_default().into_owned());
        }
        Bytes::from(out)
    }
}
