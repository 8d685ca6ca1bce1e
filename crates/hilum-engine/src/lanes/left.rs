//! The keys of deliveries that were left in the journal, remembered roughly in fixed memory.

use hilum_message::OrderKey;

/// Bits of the memory: with a million keys one in thirty others is taken for one of them.
const BITS: u64 = 1 << 23;

/// Remembers keys; may take another key for one of them, never the other way round.
#[derive(Debug, Default)]
pub(super) struct Left(Vec<u64>);

impl Left {
    /// Remembers keys.
    pub(super) fn add(&mut self, keys: &[OrderKey]) {
        if self.0.is_empty() {
            self.0 = vec![0; usize::try_from(BITS / 64).unwrap_or(1)];
        }
        for (word, bit) in keys.iter().flat_map(places) {
            if let Some(word) = self.0.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// One of the keys may have been left.
    pub(super) fn may_hold(&self, keys: &[OrderKey]) -> bool {
        let is_set = |(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0);
        keys.iter().any(|key| places(key).into_iter().all(is_set))
    }

    /// Nothing is left any more.
    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

/// Three bits for a key: word and mask.
fn places(key: &OrderKey) -> [(usize, u64); 3] {
    [
        0x9E37_79B9_7F4A_7C15_u64,
        0xC2B2_AE3D_27D4_EB4F,
        0x1656_67B1_9E37_79F9,
    ]
    .map(|factor| {
        let place = (key.0.wrapping_mul(factor) >> 40) % BITS;
        (
            usize::try_from(place / 64).unwrap_or_default(),
            1 << (place % 64),
        )
    })
}
