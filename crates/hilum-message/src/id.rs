//! Ids of messages, deliveries and plans.

use std::fmt;
use std::str::FromStr;

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a message id: 128 bits in base 32.
const ID_CHARS: usize = 26;

/// Sixteen bytes, sortable by arrival: 48 bits of Unix milliseconds, then 80 random bits (ULID).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// From the arrival time in Unix milliseconds and 80 random bits (the low ones of `random`).
    #[must_use]
    pub const fn new(arrived_ms: u64, random: u128) -> Self {
        let time = (arrived_ms as u128 & 0xFFFF_FFFF_FFFF) << 80;
        Self((time | (random & ((1 << 80) - 1))).to_be_bytes())
    }

    /// From the bytes that [`MessageId::bytes`] gave.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The sixteen bytes, in an order that sorts by time.
    #[must_use]
    pub const fn bytes(&self) -> [u8; 16] {
        self.0
    }

    /// The arrival time in Unix milliseconds.
    #[must_use]
    pub const fn arrived_ms(&self) -> u64 {
        (u128::from_be_bytes(self.0) >> 80) as u64
    }

    /// The id of the `ordinal`-th message derived from this one (a split, a topic hop): the same
    /// inputs give the same id, so a repeat after a crash is recognised.
    #[must_use]
    pub fn derive(&self, purpose: &str, ordinal: u64) -> Self {
        use std::hash::Hasher;
        let mut low = siphasher::sip::SipHasher13::new_with_keys(
            u64::from_be_bytes(half(&self.0, 0)),
            u64::from_be_bytes(half(&self.0, 8)),
        );
        low.write(purpose.as_bytes());
        low.write_u64(ordinal);
        let first = low.finish();
        low.write_u8(1);
        let random = (u128::from(first) << 64) | u128::from(low.finish());
        Self::new(self.arrived_ms(), random)
    }
}

fn half(bytes: &[u8; 16], from: usize) -> [u8; 8] {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[from..from + 8]);
    out
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        let mut text = [0_u8; ID_CHARS];
        for (at, slot) in text.iter_mut().enumerate() {
            let shift = 5 * (ID_CHARS - 1 - at);
            *slot = ALPHABET[((value >> shift) & 31) as usize];
        }
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a message id: expected {ID_CHARS} characters of base 32 (digits and letters without I, L, O, U)"
)]
pub struct ParseIdError;

impl FromStr for MessageId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if text.len() != ID_CHARS {
            return Err(ParseIdError);
        }
        let mut value: u128 = 0;
        for (at, byte) in text.bytes().enumerate() {
            let digit = ALPHABET
                .iter()
                .position(|&known| known == byte.to_ascii_uppercase())
                .ok_or(ParseIdError)?;
            if at == 0 && digit > 7 {
                return Err(ParseIdError);
            }
            value = (value << 5) | digit as u128;
        }
        Ok(Self(value.to_be_bytes()))
    }
}

/// One message on its way to one destination; the same on every attempt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// The message that is delivered.
    pub message: MessageId,
    /// Its place among the deliveries of that message, from 0.
    pub ordinal: u32,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.message, self.ordinal)
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DeliveryId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let (message, ordinal) = text.split_once('.').ok_or(ParseIdError)?;
        Ok(Self {
            message: message.parse()?,
            ordinal: ordinal.parse().map_err(|_| ParseIdError)?,
        })
    }
}

/// The digest of a checked plan: SHA-256 over everything its behaviour depends on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PlanDigest(pub [u8; 32]);

impl fmt::Display for PlanDigest {
    /// The first twelve hexadecimal digits, enough to tell plans of one site apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(6)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PlanDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_survive_their_text_form() {
        let early = MessageId::new(1_700_000_000_000, u128::MAX);
        let late = MessageId::new(1_700_000_000_001, 0);
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.arrived_ms(), 1_700_000_000_000);
        for id in [early, late] {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.to_string().to_lowercase().parse(), Ok(id));
            let delivery = DeliveryId {
                message: id,
                ordinal: 7,
            };
            assert_eq!(delivery.to_string().parse(), Ok(delivery));
        }
    }

    #[test]
    fn refuses_what_is_no_id() {
        for text in [
            "",
            "01J9Z6",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "0123456789ABCDEFGHIJKMNPQR",
        ] {
            assert_eq!(text.parse::<MessageId>(), Err(ParseIdError), "{text}");
        }
    }

    #[test]
    fn derived_ids_are_stable_and_differ() {
        let id = MessageId::new(1_700_000_000_000, 42);
        assert_eq!(id.derive("split", 1), id.derive("split", 1));
        assert_ne!(id.derive("split", 1), id.derive("split", 2));
        assert_ne!(id.derive("split", 1), id.derive("hop", 1));
        assert_eq!(id.derive("split", 1).arrived_ms(), id.arrived_ms());
    }
}
