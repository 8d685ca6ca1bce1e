//! Documents that lie outside memory while their message is converted.

use std::fmt;

use sha1::{Digest as _, Sha1};

use base64::Engine as _;

use super::encode::LENIENT;
use super::magic;

/// Bytes that are read at once; four digits are three bytes.
const PART_BYTES: usize = 64 * 1024;

/// What is said of a document although it lies outside memory: its size, its hash, and how it begins.
#[derive(Clone)]
pub struct Outside {
    /// Its bytes.
    pub(crate) size: usize,
    pub(crate) hash: [u8; 20],
    pub(crate) beginning: Vec<u8>,
}

impl Outside {
    /// Looks through a document in base64, part by part: `read` fills what it is given from the start
    /// or from where it stopped and says how much that was, 0 at the end. `None` where that is no
    /// base64 or cannot be read.
    #[must_use]
    pub fn read(mut read: impl FnMut(&mut [u8]) -> Option<usize>) -> Option<Self> {
        let (mut part, mut bytes) = (vec![0; PART_BYTES], vec![0; PART_BYTES / 4 * 3]);
        // Digits of the part before that were no whole four, and whether its padding has come.
        let (mut left, mut is_ended) = (0, false);
        let (mut size, mut sha1, mut beginning) = (0, Sha1::new(), Vec::new());
        loop {
            let length = read(part.get_mut(left..)?)?;
            let held = left + length;
            let whole = if length == 0 { held } else { held - held % 4 };
            let digits = part.get(..whole)?;
            if is_ended && !digits.is_empty() {
                return None;
            }
            is_ended |= digits.ends_with(b"=");
            let decoded = LENIENT.decode_slice(digits, &mut bytes).ok()?;
            let decoded = bytes.get(..decoded)?;
            let missing = magic::BEGINNING_BYTES.saturating_sub(beginning.len());
            beginning.extend(decoded.iter().take(missing));
            size += decoded.len();
            sha1.update(decoded);
            if length == 0 {
                let hash = sha1.finalize().into();
                return Some(Self {
                    size,
                    hash,
                    beginning,
                });
            }
            part.copy_within(whole..held, 0);
            left = held - whole;
        }
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outside(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::encode::from_base64;

    /// Read in parts of so many bytes.
    fn read(text: &str, part: usize) -> Option<Outside> {
        let mut rest = text.as_bytes();
        Outside::read(|into| {
            let length = part.min(rest.len()).min(into.len());
            let (now, later) = rest.split_at(length);
            into.get_mut(..length)?.copy_from_slice(now);
            rest = later;
            Some(length)
        })
    }

    #[test]
    fn a_document_is_the_same_outside_memory_as_in_it() {
        let long = "JVBERi0xLjQK".repeat(20_000);
        for text in [
            "JVBERi0xLjQK",
            "SGk=",
            "SG8gbw==",
            "SGk",
            &long,
            "SGk=SGk=",
            "S",
            "SGk*",
            "SGk===",
        ] {
            let bytes = from_base64(text);
            let hash = bytes
                .as_ref()
                .map(|bytes| <[u8; 20]>::from(Sha1::digest(bytes)));
            for part in [1, 3, 7, PART_BYTES] {
                let found = read(text, part);
                assert_eq!(found.as_ref().map(|found| found.hash), hash, "{part}");
                let size = bytes.as_ref().map(Vec::len);
                assert_eq!(found.as_ref().map(|found| found.size), size, "{part}");
                let start = bytes.as_ref().map(|bytes| {
                    let end = bytes.len().min(magic::BEGINNING_BYTES);
                    bytes[..end].to_vec()
                });
                assert_eq!(found.map(|found| found.beginning), start, "{part}");
            }
        }
        assert!(Outside::read(|_| None).is_none(), "it cannot be read");
    }
}
