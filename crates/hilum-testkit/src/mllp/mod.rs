//! Peers that speak MLLP, written apart from the program's own framing so that both are checked.

mod client;
mod load;
mod receiver;

pub use client::Client;
pub use load::{Load, LoadReport, MessageOf, Percentiles};
pub use receiver::{Behaviour, Keep, Reaction, Received, Receiver};

use bytes::{Buf, Bytes, BytesMut};

/// Start of a block.
pub const VT: u8 = 0x0B;
/// End of a block, followed by CR.
pub const FS: u8 = 0x1C;
/// Carriage return.
pub const CR: u8 = 0x0D;

/// A message in its frame.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 3);
    out.push(VT);
    out.extend_from_slice(message);
    out.extend_from_slice(&[FS, CR]);
    out
}

/// Takes the next whole frame off the buffer; bytes before its VT are dropped.
fn next_frame(buffer: &mut BytesMut, searched: &mut usize) -> Option<Bytes> {
    if *searched == 0 {
        let start = buffer.iter().position(|&byte| byte == VT)?;
        buffer.advance(start);
    }
    let from = (*searched).max(1);
    let found = buffer
        .get(from..)?
        .windows(2)
        .position(|pair| pair == [FS, CR]);
    let Some(end) = found.map(|at| at + from) else {
        *searched = buffer.len().saturating_sub(1).max(1);
        return None;
    };
    *searched = 0;
    let frame = buffer.split_to(end + 2);
    Some(frame.freeze().slice(1..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let stream = [
            framed(b"one"),
            b"junk".to_vec(),
            framed(b""),
            framed(b"a\x1cb\rc"),
        ]
        .concat();
        for step in 1..=stream.len() {
            let (mut buffer, mut searched, mut found) = (BytesMut::new(), 0, Vec::new());
            for part in stream.chunks(step) {
                buffer.extend_from_slice(part);
                while let Some(frame) = next_frame(&mut buffer, &mut searched) {
                    found.push(frame);
                }
            }
            assert_eq!(
                found,
                [&b"one"[..], b"", b"a\x1cb\rc"],
                "in steps of {step}"
            );
        }
    }
}
