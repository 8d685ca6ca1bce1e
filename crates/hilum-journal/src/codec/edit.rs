//! One run of bytes replaced: what most destinations make of what was received.
//!
//! Cheaper than compression by far, and smaller. Prefix and suffix lengths, then what lies between.

use bytes::Bytes;

use crate::bytes::{Unpack, put_u64};

/// Longest replacement that is surely smaller than what compression would make of the whole.
const REPLACED_MAX: usize = 64;
/// Bytes compared at once.
const STRIDE: usize = 32;

/// `text` as an edit of `of`; nothing if the two differ in too much.
pub(super) fn edit(text: &[u8], of: &[u8]) -> Option<Vec<u8>> {
    let head = common(
        text.iter().zip(of),
        text.chunks(STRIDE).zip(of.chunks(STRIDE)),
    );
    let (text, of) = (text.get(head..)?, of.get(head..)?);
    let tail = common(
        text.iter().rev().zip(of.iter().rev()),
        text.rchunks(STRIDE).zip(of.rchunks(STRIDE)),
    );
    let replaced = text.get(..text.len() - tail)?;
    if replaced.len() > REPLACED_MAX {
        return None;
    }
    let mut out = Vec::with_capacity(replaced.len() + 8);
    put_u64(&mut out, head as u64);
    put_u64(&mut out, tail as u64);
    out.extend_from_slice(replaced);
    Some(out)
}

/// How many bytes two texts have in common from where both begin.
fn common<'a>(
    bytes: impl Iterator<Item = (&'a u8, &'a u8)>,
    strides: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> usize {
    let whole = strides.take_while(|(one, two)| one.len() == STRIDE && one == two);
    let equal = whole.count() * STRIDE;
    equal
        + bytes
            .skip(equal)
            .take_while(|(one, two)| one == two)
            .count()
}

/// The reverse of [`edit`].
pub(super) fn restore(edit: &[u8], of: &[u8]) -> Option<Bytes> {
    let mut from = Unpack(edit);
    let head = usize::try_from(from.u64()?).ok()?;
    let tail = usize::try_from(from.u64()?).ok()?;
    let (head, tail) = (of.get(..head)?, of.get(of.len().checked_sub(tail)?..)?);
    Some([head, from.0, tail].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn an_edit_comes_back(
            of in proptest::collection::vec(0_u8..3, 0..300),
            new in proptest::collection::vec(0_u8..3, 0..80),
            at: proptest::sample::Index,
            gone in 0_usize..90,
        ) {
            let at = at.index(of.len() + 1);
            let (before, rest) = of.split_at(at);
            let after = rest.get(gone..).unwrap_or_default();
            let text = [before, &new, after].concat();
            match edit(&text, &of) {
                Some(packed) => prop_assert_eq!(restore(&packed, &of), Some(text.into())),
                None => prop_assert!(new.len() > REPLACED_MAX || gone > 0),
            }
        }

        #[test]
        fn a_damaged_edit_is_refused_without_panic(
            packed in proptest::collection::vec(any::<u8>(), 0..40),
            of in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            drop(restore(&packed, &of));
        }
    }
}
