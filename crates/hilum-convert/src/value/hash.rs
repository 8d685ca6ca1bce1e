//! Ids that derive from what they name: the same message gives the same ids again.

use std::fmt::Write as _;

use siphasher::sip128::{Hasher128, SipHasher13};

/// Two numbers from these texts, which are told apart by their order and length.
pub(crate) fn digest(parts: &[&str]) -> (u64, u64) {
    use std::hash::Hasher as _;
    let mut hasher = SipHasher13::new_with_keys(0x6869_6c75_6d00_u64, 0x0063_6f6e_7665_7274);
    for part in parts {
        hasher.write_u64(part.len() as u64);
        hasher.write(part.as_bytes());
    }
    let hash = hasher.finish128();
    (hash.h1, hash.h2)
}

/// A UUID of version 8 (RFC 9562) from these texts: the same texts give the same one.
#[must_use]
pub fn uuid(parts: &[&str]) -> String {
    let (high, low) = digest(parts);
    let high = (high & !0xf000) | 0x8000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    let mut text = String::with_capacity(36);
    // Writing to a string cannot fail.
    let _ok = write!(
        text,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    );
    text
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
