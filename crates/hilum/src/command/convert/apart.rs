//! Large documents of a message, which stay where they are while it is converted: tokens stand for
//! them in its text, and in the Bundle they are put back as it is written.

use std::collections::BTreeMap;

use bytes::Bytes;
use hilum_convert::Outside;
use hilum_fhir::Base64Check;
use hilum_message::{BlobRange, BlobRef, Cut, Payload, Piece, Tokens};

/// A value at least this long is cut out, as where a channel takes a message.
const ATTACHMENT_MIN: usize = 256_000;
/// What stands before the data of ED that is base64 (HL7 v2.5.1 §2.A.24), without the separator.
const BASE64: &[u8] = b"BASE64";

/// What was cut out of a message.
pub(super) struct Apart {
    message: Bytes,
    tokens: Option<Tokens>,
}

impl Apart {
    /// Cuts the large documents out of a message; also the text that is left.
    pub(super) fn cut(message: Vec<u8>) -> (Bytes, Self) {
        let message = Bytes::from(message);
        let ranges = documents(&message);
        let (mut text, mut cuts, mut from) = (Vec::new(), Vec::new(), 0);
        for (at, length) in ranges {
            text.extend_from_slice(message.get(from..at).unwrap_or_default());
            from = at + length;
            cuts.push(Cut {
                at: text.len(),
                range: BlobRange {
                    blob: BlobRef {
                        partition: "".into(),
                        name: "".into(),
                    },
                    offset: at as u64,
                    length: length as u64,
                },
            });
        }
        if cuts.is_empty() {
            let tokens = None;
            return (message.clone(), Self { message, tokens });
        }
        text.extend_from_slice(message.get(from..).unwrap_or_default());
        let (text, tokens) = Tokens::embed(&Payload::with_cuts(text.into(), cuts));
        (text, Self { message, tokens })
    }

    /// What is said of each document, by its token in a text.
    pub(super) fn outside(&self, text: &[u8]) -> BTreeMap<String, Outside> {
        let mut found = BTreeMap::new();
        let Some(tokens) = &self.tokens else {
            return found;
        };
        for token in tokens.find(text) {
            let name = text.get(token.at..token.at + token.length);
            let name = name.and_then(|name| std::str::from_utf8(name).ok());
            let Some((name, range)) = name.zip(tokens.ranges().get(token.index)) else {
                continue;
            };
            let mut document = self.bytes(range);
            let read = |into: &mut [u8]| {
                let length = document.len().min(into.len());
                let now = document.split_to(length);
                into.get_mut(..length)?.copy_from_slice(&now);
                Some(length)
            };
            found.extend(Outside::read(read).map(|outside| (name.to_owned(), outside)));
        }
        found
    }

    /// The bytes of a document.
    fn bytes(&self, range: &BlobRange) -> Bytes {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let (from, to) = (range.offset, range.offset + range.length);
        let to = place(to).min(self.message.len());
        self.message.slice(place(from).min(to)..to)
    }

    /// A text with the documents in their places.
    pub(super) fn pieces(&self, text: Bytes) -> Vec<Bytes> {
        let Some(tokens) = &self.tokens else {
            return vec![text];
        };
        let pieces = tokens.extract(&text).pieces().into_iter();
        pieces
            .map(|piece| match piece {
                Piece::Inline(bytes) => bytes,
                Piece::Blob(range) => self.bytes(&range),
            })
            .collect()
    }
}

/// Place and length of each large value that is base64 as a whole and said to be so.
fn documents(message: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    // The separators of fields and components are those of MSH-1 and MSH-2.
    let (Some(field), Some(component)) = (message.get(3), message.get(4)) else {
        return found;
    };
    let mut at = 0;
    while let Some(rest) = message.get(at..).filter(|rest| !rest.is_empty()) {
        let ends = |byte: &u8| byte == field || byte == component || *byte == b'\r';
        let end = rest.iter().position(ends).unwrap_or(rest.len());
        if end >= ATTACHMENT_MIN && is_said(message.get(..at).unwrap_or_default(), *component) {
            let run = rest.get(..end).unwrap_or_default();
            let mut check = Base64Check::default();
            let is_plain = !run.iter().any(u8::is_ascii_whitespace);
            if is_plain && check.take(run) && check.holds() {
                found.push((at, end));
            }
        }
        at += end + 1;
    }
    found
}

/// Whether what stands before a value says that it is base64.
fn is_said(before: &[u8], component: u8) -> bool {
    let Some(before) = before.strip_suffix(&[component]) else {
        return false;
    };
    let from = before.len().saturating_sub(BASE64.len());
    let said = before.get(from..).unwrap_or_default();
    said.eq_ignore_ascii_case(BASE64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_cut_out_and_put_back() {
        let document = "QUJD".repeat(ATTACHMENT_MIN / 4);
        let of = |encoding: &str, data: &str| {
            format!("MSH|^~\\&|A\rOBX|1|ED|||^application^pdf^{encoding}^{data}||||||F\r")
        };
        let message = of("Base64", &document);
        let (text, apart) = Apart::cut(message.clone().into_bytes());
        assert!(text.len() < 200);
        let outside = apart.outside(&text);
        assert!(
            outside
                .keys()
                .all(|token| token.starts_with("hilumAttachment"))
        );
        assert_eq!(outside.len(), 1);
        assert!(apart.pieces(text).concat() == message.as_bytes());
        // What the conversion has to look at stays.
        let broken = document.replacen("DQ", "D Q", 1);
        for message in [
            of("Hex", &document),
            of("Base64", &"QUJD".repeat(ATTACHMENT_MIN / 4 - 1)),
            of("Base64", &format!("{document}Q")),
            of("Base64", &broken),
            of("A", &format!("{document}*")),
            "MSH".to_owned(),
        ] {
            let (text, apart) = Apart::cut(message.clone().into_bytes());
            // Their beginnings alone are told: the documents are large.
            let kept = text == message.as_bytes();
            assert!(kept, "{}", message.chars().take(80).collect::<String>());
            assert!(apart.pieces(text).concat() == message.as_bytes());
        }
    }
}
