//! Hashed values: what searches compare and what order is kept by.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// The key under which identifiers are hashed, so that an index tells nothing by itself.
#[derive(Clone, Copy)]
pub struct IndexKey([u8; 16]);

impl IndexKey {
    /// From sixteen random bytes, made once per store and kept with it.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    fn hash(&self, parts: &[&[u8]]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish()
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey(…)")
    }
}

/// What a search compares instead of a value: 64 bits of a keyed hash (SipHash-2-4).
///
/// Every index value passes [`IndexToken::of`], so that encryption at rest needs no migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexToken(pub i64);

impl IndexToken {
    /// The token of `value` in the index called `field` (`control-id`, `patient`, `accession`).
    #[must_use]
    pub fn of(key: &IndexKey, field: &str, value: &str) -> Self {
        Self(key.hash(&[field.as_bytes(), value.as_bytes()]) as i64)
    }
}

/// What deliveries are kept in order by: a hash over the domain and the value.
///
/// Two channels that declare the same domain (`patient`) give equal keys for equal values; a key
/// from an expression is private to its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(pub u64);

impl OrderKey {
    /// A key that every channel of the domain shares.
    #[must_use]
    pub fn shared(key: &IndexKey, domain: &str, value: &str) -> Self {
        Self(key.hash(&[b"domain", domain.as_bytes(), value.as_bytes()]))
    }

    /// A key private to one channel.
    #[must_use]
    pub fn private(key: &IndexKey, channel: &str, value: &str) -> Self {
        Self(key.hash(&[b"channel", channel.as_bytes(), value.as_bytes()]))
    }

    /// The common lane of a channel, for messages that name no key.
    #[must_use]
    pub fn common(key: &IndexKey, channel: &str) -> Self {
        Self(key.hash(&[b"common", channel.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_depend_on_key_field_and_value_and_on_where_they_divide() {
        let (one, two) = (IndexKey::new([1; 16]), IndexKey::new([2; 16]));
        let base = IndexToken::of(&one, "patient", "42");
        assert_eq!(base, IndexToken::of(&one, "patient", "42"));
        assert_ne!(base, IndexToken::of(&two, "patient", "42"));
        assert_ne!(base, IndexToken::of(&one, "patien", "t42"));
        assert_ne!(
            OrderKey::shared(&one, "a", "b"),
            OrderKey::private(&one, "a", "b")
        );
        assert_eq!(format!("{one:?}"), "IndexKey(…)");
    }
}
