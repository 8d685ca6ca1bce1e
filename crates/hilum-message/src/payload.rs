//! The bytes of a message, with their large parts elsewhere.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// How the token begins that stands for content outside memory while a message is worked on
/// (ADR 0008): letters and digits only, and base64 as a whole.
pub const ATTACHMENT_TOKEN: &str = "hilumAttachment";

/// A file beside a journal partition that holds large content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobRef {
    /// The partition whose folder holds the blob.
    pub partition: Arc<str>,
    /// The blob's name in that folder.
    pub name: Arc<str>,
}

/// Part of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobRange {
    /// The blob.
    pub blob: BlobRef,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

/// A run of bytes that lies in a blob instead of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where in the text the run belongs.
    pub at: usize,
    /// Where its bytes are.
    pub range: BlobRange,
}

/// The bytes of a message: a text, and the runs that were cut out of it.
///
/// The original is the text with each cut's range put back at its place. A message below 256 kB
/// has no cuts. Cloning is cheap. Prints its length only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Payload {
    text: Bytes,
    cuts: Option<Arc<[Cut]>>,
}

impl Payload {
    /// All bytes inline.
    #[must_use]
    pub const fn inline(text: Bytes) -> Self {
        Self { text, cuts: None }
    }

    /// A text and the runs cut out of it, in ascending order of their place.
    #[must_use]
    pub fn with_cuts(text: Bytes, cuts: Vec<Cut>) -> Self {
        debug_assert!(cuts.is_sorted_by_key(|cut| cut.at), "cuts ascend by place");
        Self {
            text,
            cuts: if cuts.is_empty() {
                None
            } else {
                Some(cuts.into())
            },
        }
    }

    /// The text without what was cut out.
    #[must_use]
    pub const fn text(&self) -> &Bytes {
        &self.text
    }

    /// The runs that were cut out.
    #[must_use]
    pub fn cuts(&self) -> &[Cut] {
        self.cuts.as_deref().unwrap_or_default()
    }

    /// The number of bytes of the whole.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.text.len() as u64 + self.cuts().iter().map(|cut| cut.range.length).sum::<u64>()
    }

    /// There is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes if all of them are inline.
    #[must_use]
    pub const fn as_inline(&self) -> Option<&Bytes> {
        match self.cuts {
            None => Some(&self.text),
            Some(_) => None,
        }
    }

    /// The whole as a list of inline runs and blob ranges, in order.
    #[must_use]
    pub fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::with_capacity(self.cuts().len() * 2 + 1);
        let mut from = 0;
        for cut in self.cuts() {
            let at = cut.at.min(self.text.len());
            if at > from {
                pieces.push(Piece::Inline(self.text.slice(from..at)));
                from = at;
            }
            pieces.push(Piece::Blob(cut.range.clone()));
        }
        if from < self.text.len() {
            pieces.push(Piece::Inline(self.text.slice(from..)));
        }
        pieces
    }
}

impl From<Bytes> for Payload {
    fn from(text: Bytes) -> Self {
        Self::inline(text)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.len())
    }
}

/// One run of a payload.
#[derive(Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes in memory.
    Inline(Bytes),
    /// Bytes in a blob.
    Blob(BlobRange),
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Blob(range) => write!(f, "Blob({} bytes)", range.length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_put_the_cuts_back_in_their_places() {
        let blob = BlobRef {
            partition: "p".into(),
            name: "b".into(),
        };
        let cut = |at, offset| Cut {
            at,
            range: BlobRange {
                blob: blob.clone(),
                offset,
                length: 10,
            },
        };
        let payload =
            Payload::with_cuts(Bytes::from_static(b"headtail"), vec![cut(4, 0), cut(8, 10)]);
        assert_eq!(payload.len(), 28);
        let shape: Vec<String> = payload
            .pieces()
            .iter()
            .map(|piece| format!("{piece:?}"))
            .collect();
        assert_eq!(
            shape,
            [
                "Inline(4 bytes)",
                "Blob(10 bytes)",
                "Inline(4 bytes)",
                "Blob(10 bytes)"
            ]
        );
        assert_eq!(format!("{payload:?}"), "Payload(28 bytes)");
    }
}
