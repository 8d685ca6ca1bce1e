//! Cursors as text: sealed, because they hold sort values, which are content and must not be seen
//! in a URL, and because nobody else may make one.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::id::{Pk, Seq};
use crate::query::{Cursor, SortValue};

/// Longest text of a cursor.
const TEXT_MAX: usize = 8192;

/// The key that cursors of one store are sealed with.
pub(crate) struct Seal(LessSafeKey);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// From the store's 32 random bytes; `None` if they are not as many.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let key = UnboundKey::new(&AES_256_GCM, key).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }

    /// The text, in hexadecimal digits; `None` if the system has no randomness.
    pub(crate) fn seal(&self, cursor: &Cursor) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut bytes = encode(cursor);
        let seal = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(seal, Aad::empty(), &mut bytes)
            .ok()?;
        let all = nonce.iter().chain(&bytes);
        let mut out = String::with_capacity((NONCE_LEN + bytes.len()) * 2);
        for byte in all {
            for digit in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(digit.into(), 16));
            }
        }
        Some(out)
    }

    /// The cursor, if this store sealed it.
    pub(crate) fn open(&self, text: &str) -> Option<Cursor> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let digit = |b: u8| {
            char::from(b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        let bytes: Option<Vec<u8>> = pairs
            .iter()
            .map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?))
            .collect();
        let bytes = bytes?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self
            .0
            .open_in_place(nonce, Aad::empty(), &mut sealed)
            .ok()?;
        decode(plain)
    }
}

fn encode(cursor: &Cursor) -> Vec<u8> {
    let mut out = vec![u8::from(cursor.back)];
    out.extend_from_slice(&cursor.seq.0.to_le_bytes());
    out.extend_from_slice(&cursor.last.0.to_le_bytes());
    for key in &cursor.keys {
        match key {
            SortValue::Missing => out.push(0),
            SortValue::Ordinal(value) => {
                out.push(1);
                out.extend_from_slice(&value.to_le_bytes());
            }
            SortValue::Text(text) => {
                out.push(2);
                let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
    out
}

fn decode(bytes: &[u8]) -> Option<Cursor> {
    let (back, bytes) = bytes.split_first()?;
    let (seq, bytes) = bytes.split_first_chunk::<8>()?;
    let (last, mut rest) = bytes.split_first_chunk::<8>()?;
    let mut keys = Vec::new();
    while let Some((kind, after)) = rest.split_first() {
        let (key, after) = match kind {
            0 => (SortValue::Missing, after),
            1 => {
                let (value, after) = after.split_first_chunk::<8>()?;
                (SortValue::Ordinal(i64::from_le_bytes(*value)), after)
            }
            2 => {
                let (len, after) = after.split_first_chunk::<4>()?;
                let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
                let (text, after) = after.split_at_checked(len)?;
                (
                    SortValue::Text(std::str::from_utf8(text).ok()?.into()),
                    after,
                )
            }
            _ => return None,
        };
        keys.push(key);
        rest = after;
    }
    Some(Cursor {
        seq: Seq(i64::from_le_bytes(*seq)),
        keys,
        last: Pk(i64::from_le_bytes(*last)),
        back: *back != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_sealing_and_nobody_else_makes_or_reads_them() {
        let seal = Seal::new(&[1; 32]).unwrap();
        let keys = vec![
            SortValue::Text("müller".into()),
            SortValue::Missing,
            SortValue::Ordinal(-7),
        ];
        let cursor = Cursor {
            seq: Seq(9),
            keys,
            last: Pk(4),
            back: true,
        };
        let text = seal.seal(&cursor).unwrap();
        assert!(seal.open(&text) == Some(cursor));
        assert!(Seal::new(&[2; 32]).unwrap().open(&text).is_none());
        for forged in [
            "",
            "00",
            "zz",
            &text.replace('a', "b"),
            &"0".repeat(TEXT_MAX + 2),
        ] {
            assert!(seal.open(forged).is_none());
        }
    }
}
