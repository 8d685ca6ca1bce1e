//! Ids that derive from what they name: the same message gives the same ids again.

use std::hash::{BuildHasherDefault, Hasher};

use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// Texts and numbers as one number.
#[derive(Debug)]
pub(crate) struct Digest(SipHasher13);

impl Default for Digest {
    fn default() -> Self {
        Self(SipHasher13::new_with_keys(
            0x6869_6c75_6d00_u64,
            0x0063_6f6e_7665_7274,
        ))
    }
}

impl Digest {
    /// Adds a text, which is told from the next by its length.
    pub(crate) fn text(&mut self, text: &str) {
        self.0.write_u64(text.len() as u64);
        self.0.write(text.as_bytes());
    }

    pub(crate) fn number(&mut self, number: u32) {
        self.0.write_u32(number);
    }

    pub(crate) fn finish(&self) -> (u64, u64) {
        let hash = self.0.finish128();
        (hash.h1, hash.h2)
    }
}

/// Hashes of numbers that the run itself gave, which no sender can choose: they need no key.
pub(crate) type Numbers = BuildHasherDefault<NumberHasher>;

/// See [`Numbers`].
#[derive(Debug, Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        // An odd number near the golden ratio of 64 bits spreads neighbours (Knuth 6.4).
        let mixed = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A UUID of version 8 (RFC 9562) from these texts: the same texts give the same one.
#[must_use]
pub fn uuid(parts: &[&str]) -> String {
    uuid_behind("", parts)
}

/// As [`uuid`], behind a text.
pub(crate) fn uuid_behind(before: &str, parts: &[&str]) -> String {
    let mut digest = Digest::default();
    for part in parts {
        digest.text(part);
    }
    let (high, low) = digest.finish();
    let high = (high & !0xf000) | 0x8000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    let mut rest = u128::from(high) << 64 | u128::from(low);
    let digit = |half: u8| match half {
        0..=9 => b'0' + half,
        _ => b'a' + (half - 10),
    };
    // Into their places from the last on: a text that grows by two digits takes half as many
    // instructions again.
    let mut digits = [b'-'; 36];
    for (at, place) in digits.iter_mut().enumerate().rev() {
        if !matches!(at, 8 | 13 | 18 | 23) {
            *place = digit((rest & 15) as u8);
            rest >>= 4;
        }
    }
    let digits = std::str::from_utf8(&digits).unwrap_or_default();
    [before, digits].concat()
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn an_id_derives_from_all_of_its_parts() {
        let one = uuid(&["a", "bc"]);
        assert_eq!(one, uuid(&["a", "bc"]));
        assert_ne!(one, uuid(&["ab", "c"]));
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes().get(14), Some(&b'8'));
    }
}
