//! Large content that lies outside a payload's text while a document is worked on.
//!
//! Where a payload has cuts, the document is parsed from its text with a token at the place of
//! each cut, and the tokens become cuts again when it is written. An attachment can so be moved,
//! copied or dropped by path like any other value, without its bytes ever being read.

use bytes::Bytes;
use memchr::memmem;

use crate::payload::{ATTACHMENT_TOKEN, BlobRange, Cut, Payload};

/// The ranges of the cuts of a payload, and the tokens that stand for them in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    prefix: String,
    ranges: Vec<BlobRange>,
}

/// A token in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenAt {
    /// Its first byte.
    pub at: usize,
    /// Its length in bytes.
    pub length: usize,
    /// For which of [`Tokens::ranges`] it stands.
    pub index: usize,
}

/// What ends a token; letters and digits only, so that no format needs to escape it.
const END: u8 = b'Z';

impl Tokens {
    /// The text to parse, and what stands behind the tokens in it, if there are any.
    #[must_use]
    pub fn embed(payload: &Payload) -> (Bytes, Option<Self>) {
        let text = payload.text();
        if payload.cuts().is_empty() {
            return (text.clone(), None);
        }
        // A sender cannot know which token is free in its own message.
        let mut prefix = String::new();
        for attempt in 0..u32::MAX {
            prefix = format!("{ATTACHMENT_TOKEN}{attempt}Q");
            if memmem::find(text, prefix.as_bytes()).is_none() {
                break;
            }
        }
        let mut out = Vec::with_capacity(text.len() + payload.cuts().len() * (prefix.len() + 8));
        let mut from = 0;
        for (index, cut) in payload.cuts().iter().enumerate() {
            out.extend_from_slice(text.get(from..cut.at).unwrap_or_default());
            from = from.max(cut.at.min(text.len()));
            out.extend_from_slice(prefix.as_bytes());
            // With a length that is a multiple of four the token is base64 as well.
            let digits = index.to_string();
            let length = prefix.len() + digits.len() + 1;
            out.extend(std::iter::repeat_n(
                b'0',
                length.next_multiple_of(4) - length,
            ));
            out.extend_from_slice(digits.as_bytes());
            out.push(END);
        }
        out.extend_from_slice(text.get(from..).unwrap_or_default());
        let ranges = payload.cuts().iter().map(|cut| cut.range.clone()).collect();
        (out.into(), Some(Self { prefix, ranges }))
    }

    /// What the tokens stand for.
    #[must_use]
    pub fn ranges(&self) -> &[BlobRange] {
        &self.ranges
    }

    /// The tokens in a text, in their order.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Vec<TokenAt> {
        let mut found = Vec::new();
        for at in memmem::find_iter(text, self.prefix.as_bytes()) {
            let number = text.get(at + self.prefix.len()..).unwrap_or_default();
            let digits = number
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let index = number
                .get(..digits)
                .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
            let index = index.filter(|index| *index < self.ranges.len());
            if let Some(index) = index.filter(|_| number.get(digits) == Some(&END)) {
                found.push(TokenAt {
                    at,
                    length: self.prefix.len() + digits + 1,
                    index,
                });
            }
        }
        found
    }

    /// The payload of a text whose tokens stand for attachments.
    #[must_use]
    pub fn extract(&self, text: &Bytes) -> Payload {
        let mut out = Vec::with_capacity(text.len());
        let mut cuts = Vec::new();
        let mut from = 0;
        for token in self.find(text) {
            out.extend_from_slice(text.get(from..token.at).unwrap_or_default());
            cuts.extend(self.ranges.get(token.index).map(|range| Cut {
                at: out.len(),
                range: range.clone(),
            }));
            from = token.at + token.length;
        }
        out.extend_from_slice(text.get(from..).unwrap_or_default());
        Payload::with_cuts(out.into(), cuts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::BlobRef;

    #[test]
    fn cuts_survive_a_text_even_if_they_move() {
        let blob = BlobRef {
            partition: "p".into(),
            name: "b".into(),
        };
        let range = |offset| BlobRange {
            blob: blob.clone(),
            offset,
            length: 9,
        };
        let text = Bytes::from_static(b"a||b hilumAttachment0Q0Z");
        let cuts = vec![
            Cut {
                at: 2,
                range: range(0),
            },
            Cut {
                at: 4,
                range: range(9),
            },
        ];
        let payload = Payload::with_cuts(text, cuts);
        let (text, attachments) = Tokens::embed(&payload);
        let attachments = attachments.unwrap();
        assert_eq!(attachments.extract(&text), payload);
        let longer = [b"xx", &text[..]].concat().into();
        assert_eq!(attachments.extract(&longer).cuts()[0].at, 4);
        assert!(
            Tokens::embed(&Payload::inline(Bytes::from_static(b"x")))
                .1
                .is_none()
        );
    }
}
