//! Writing a message back.

use std::convert::Infallible;

use bytes::Bytes;

use super::convert::recoded;
use super::{CutAt, Message, SegState, pos};

/// A stretch of a message as it is written.
#[derive(Clone, PartialEq, Eq)]
pub enum WritePiece {
    /// These bytes.
    Inline(Bytes),
    /// What was cut out under this number.
    Cut(usize),
}

impl std::fmt::Debug for WritePiece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Cut(cut) => write!(f, "Cut({cut})"),
        }
    }
}

impl Message {
    /// The message as bytes: untouched, the very bytes that were received. What was cut out is
    /// not in it, see [`Self::write_pieces`].
    pub fn write(&self) -> Bytes {
        if !self.touched {
            return self.wide.clone().unwrap_or_else(|| self.buf.clone());
        }
        self.assemble().0
    }

    /// The message as a list of bytes and cuts.
    pub fn write_pieces(&self) -> Vec<WritePiece> {
        let (bytes, cuts) = if self.touched {
            self.assemble()
        } else {
            (self.write(), self.cut_places().to_vec())
        };
        let mut pieces = Vec::with_capacity(cuts.len().saturating_mul(2).saturating_add(1));
        let mut from = 0_usize;
        for place in cuts {
            let to = (place.at as usize).clamp(from, bytes.len());
            if to > from {
                pieces.push(WritePiece::Inline(bytes.slice(from..to)));
            }
            pieces.push(WritePiece::Cut(place.cut as usize));
            from = to;
        }
        if from < bytes.len() {
            pieces.push(WritePiece::Inline(bytes.slice(from..)));
        }
        pieces
    }

    /// Received bytes where a segment is untouched, else its text in the set of the wire.
    fn assemble(&self) -> (Bytes, Vec<CutAt>) {
        let wire = self.decoding.wire;
        let whole = self.wide.is_some() || wire.is_wide();
        let recode = !whole && self.decoding.view != wire;
        let raw = |start: u32, end: u32| {
            self.buf
                .get(start as usize..end as usize)
                .unwrap_or_default()
        };
        let added: usize = self
            .overlays
            .iter()
            .map(|overlay| overlay.bytes.len())
            .sum();
        let mut out = Vec::with_capacity(self.buf.len().saturating_add(added).saturating_add(16));
        let mut cuts = Vec::new();
        out.extend_from_slice(raw(0, self.body_start));
        let last = self.segs.len().saturating_sub(1);
        for (index, seg) in self.segs.iter().enumerate() {
            let Some(text) = self.seg_text(index) else {
                continue;
            };
            let (view, start, places) = match seg.state {
                SegState::Received => (
                    raw(seg.raw_start, seg.raw_end),
                    seg.raw_start,
                    self.cut_places(),
                ),
                SegState::Edited | SegState::Added => {
                    (text.slice(text.start, text.end), text.start, text.cuts)
                }
            };
            let as_it_is = |bytes: &[u8]| {
                // Every edit was checked against the wire's set, so that encoding succeeds.
                let encoded = (recode && seg.state != SegState::Received)
                    .then(|| {
                        wire.encode(&String::from_utf8_lossy(bytes))
                            .map(|e| e.into_owned())
                            .ok()
                    })
                    .flatten();
                Ok::<_, Infallible>(encoded.unwrap_or_else(|| bytes.to_vec()))
            };
            if places.is_empty() && (!recode || seg.state == SegState::Received) {
                out.extend_from_slice(view);
            } else {
                let Ok(written) = recoded(view, start, places, as_it_is);
                let base = pos(out.len());
                out.extend_from_slice(&written.bytes);
                cuts.extend(written.cuts.iter().map(|p| CutAt {
                    at: p.at.saturating_add(base),
                    ..*p
                }));
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
            return (
                Bytes::from(wire.encode(&text).unwrap_or_default().into_owned()),
                Vec::new(),
            );
        }
        (Bytes::from(out), cuts)
    }
}
