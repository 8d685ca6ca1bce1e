//! zstd frames without their headers.
//!
//! A header (RFC 8878 §3.1.1.1) repeats what a row says anyway: the format, the dictionary and the
//! plain length. On messages of a few hundred bytes it is a tenth of what is kept.

/// Magic number, then a descriptor: single segment, a length of eight bytes, no dictionary id.
const HEAD: [u8; 5] = [0x28, 0xB5, 0x2F, 0xFD, 0b1110_0000];

/// How many bytes of a frame are its header; nothing if it is none that [`whole`] can make again.
pub(super) fn header_bytes(frame: &[u8]) -> Option<usize> {
    let (magic, rest) = frame.split_at_checked(4)?;
    let &descriptor = rest.first()?;
    let has_checksum = descriptor & 0b100 != 0;
    if Some(magic) != HEAD.get(..4) || has_checksum {
        return None;
    }
    let is_single = descriptor >> 5 & 1;
    let window = 1 - is_single;
    let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 0b11))?;
    let lengths = [is_single, 2, 4, 8];
    let length = lengths.get(usize::from(descriptor >> 6))?;
    Some(magic.len() + 1 + usize::from(window + dictionary + length))
}

/// The frame of what is left of one without its header.
pub(super) fn whole(blocks: &[u8], plain_bytes: usize) -> Vec<u8> {
    let length = (plain_bytes as u64).to_le_bytes();
    [&HEAD[..], &length, blocks].concat()
}
