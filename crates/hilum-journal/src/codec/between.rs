//! A text as the beginning and the end of another one with bytes of its own between them.
//!
//! Steps mostly change one place. Then this is smaller than what a compressor makes of it, and it
//! costs two comparisons.

use crate::bytes::{Unpack, put_u64};

/// Packs `text` against `other`; `None` if more than `between_max` bytes lie between what they have
/// in common.
pub(super) fn pack(text: &[u8], other: &[u8], between_max: usize) -> Option<Vec<u8>> {
    let shorter = text.len().min(other.len());
    let begin = common(text.iter(), other.iter()).min(shorter);
    let end = common(text.iter().rev(), other.iter().rev()).min(shorter - begin);
    let between = text.get(begin..text.len() - end)?;
    if between.len() > between_max {
        return None;
    }
    let mut out = Vec::with_capacity(between.len() + 8);
    put_u64(&mut out, begin as u64);
    put_u64(&mut out, end as u64);
    out.extend_from_slice(between);
    Some(out)
}

fn common<'a>(one: impl Iterator<Item = &'a u8>, two: impl Iterator<Item = &'a u8>) -> usize {
    one.zip(two).take_while(|(one, two)| one == two).count()
}

/// Restores `text_bytes` bytes; `None` if the packed ones are damaged.
pub(super) fn unpack(packed: &[u8], other: &[u8], text_bytes: usize) -> Option<Vec<u8>> {
    let mut from = Unpack(packed);
    let begin = usize::try_from(from.u64()?).ok()?;
    let end = usize::try_from(from.u64()?).ok()?;
    let between = from.0;
    let tail = other.get(other.len().checked_sub(end)?..)?;
    let bytes = [other.get(..begin)?, between, tail];
    let whole = begin.checked_add(between.len())?.checked_add(end)?;
    (whole == text_bytes).then(|| bytes.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, other: &str, packed_bytes: Option<usize>) {
        let packed = pack(text.as_bytes(), other.as_bytes(), 8);
        assert_eq!(
            packed.as_ref().map(Vec::len),
            packed_bytes,
            "{text} {other}"
        );
        if let Some(packed) = packed {
            let back = unpack(&packed, other.as_bytes(), text.len());
            assert_eq!(back.as_deref(), Some(text.as_bytes()));
            assert!(unpack(&packed, other.as_bytes(), text.len() + 1).is_none());
            assert!(
                unpack(&packed, b"", text.len()).is_none() || text.is_empty() || other.is_empty()
            );
        }
    }

    #[test]
    fn what_is_common_is_not_stored_again() {
        check("MSH|a|NORTH|b", "MSH|a||b", Some(2 + 5));
        check("MSH|a||b", "MSH|a|NORTH|b", Some(2));
        check("aaaa", "aa", Some(2 + 2));
        check("aa", "aaaa", Some(2));
        check("", "aa", Some(2));
        check("12345678", "", Some(2 + 8));
        check("123456789", "", None);
        assert!(unpack(&[0x80], b"aa", 2).is_none());
        assert!(unpack(&[9, 0], b"aa", 9).is_none());
        assert!(unpack(&[0, 9], b"aa", 9).is_none());
    }
}
