//! Sets of concepts.

use super::At;

/// A set of concepts of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    bits: Vec<u64>,
}

impl Places {
    /// None of so many.
    #[must_use]
    pub fn none(of: usize) -> Self {
        Self {
            bits: vec![0; of.div_ceil(64)],
        }
    }

    /// All of so many.
    #[must_use]
    pub fn all(of: usize) -> Self {
        let mut places = Self {
            bits: vec![u64::MAX; of.div_ceil(64)],
        };
        if let (Some(last), rest @ 1..) = (places.bits.last_mut(), of % 64) {
            *last = (1 << rest) - 1;
        }
        places
    }

    /// Adds one; false if it was there.
    pub fn insert(&mut self, at: At) -> bool {
        let Some(word) = self.bits.get_mut(at.index() / 64) else {
            return false;
        };
        let bit = 1_u64 << (at.0 % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether one is in it.
    #[must_use]
    pub fn has(&self, at: At) -> bool {
        let word = self.bits.get(at.index() / 64).copied().unwrap_or_default();
        word & (1 << (at.0 % 64)) != 0
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bits
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Keeps those that are in the other as well.
    pub fn keep(&mut self, other: &Self) {
        for (word, of) in self.bits.iter_mut().zip(&other.bits) {
            *word &= of;
        }
    }

    /// Takes out those that are in the other.
    pub fn remove(&mut self, other: &Self) {
        for (word, of) in self.bits.iter_mut().zip(&other.bits) {
            *word &= !of;
        }
    }

    /// Those that are in it, in the order of definition.
    pub fn iter(&self) -> impl Iterator<Item = At> + '_ {
        self.bits.iter().enumerate().flat_map(|(word, bits)| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                if bit == 64 {
                    return None;
                }
                left &= left - 1;
                // A table numbers its concepts with u32.
                Some(At((word * 64) as u32 + bit))
            })
        })
    }
}
