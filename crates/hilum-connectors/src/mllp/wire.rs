//! Frames on their way out, in as few system calls as possible.

use std::io::{self, IoSlice};

use hilum_component::BlobReader;
use hilum_hl7v2::mllp::{CR, END, START};
use hilum_message::{Payload, Piece};
use tokio::io::{AsyncWrite, AsyncWriteExt};

const OPEN: &[u8] = &[START];
const CLOSE: &[u8] = &[END, CR];
/// How much of a blob is read at once.
const BLOB_CHUNK: usize = 64 * 1024;

/// A blob holds the byte that ends a frame; nothing whole was sent.
#[derive(Debug)]
pub(super) struct EndByte;

impl std::fmt::Display for EndByte {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the content holds the end byte of MLLP")
    }
}

impl std::error::Error for EndByte {}

/// Writes a frame around inline content with one vectored write.
pub(super) async fn write_frame<W: AsyncWrite + Unpin>(
    out: &mut W,
    content: &[u8],
) -> io::Result<()> {
    write_all(out, [OPEN, content, CLOSE]).await?;
    out.flush().await
}

/// Writes a frame around any payload; its blobs are read as they are sent.
pub(super) async fn write_payload<W: AsyncWrite + Unpin>(
    out: &mut W,
    payload: &Payload,
    blobs: &dyn BlobReader,
) -> io::Result<()> {
    if let Some(inline) = payload.as_inline() {
        return write_frame(out, inline).await;
    }
    out.write_all(OPEN).await?;
    for piece in payload.pieces() {
        match piece {
            Piece::Inline(bytes) => out.write_all(&bytes).await?,
            Piece::Blob(range) => {
                let mut offset = 0;
                while offset < range.length {
                    let chunk = blobs.read(&range, offset, BLOB_CHUNK).await?;
                    if chunk.is_empty() {
                        return Err(io::Error::other("a blob is shorter than its range"));
                    }
                    if memchr::memchr(END, &chunk).is_some() {
                        return Err(io::Error::other(EndByte));
                    }
                    out.write_all(&chunk).await?;
                    offset += chunk.len() as u64;
                }
            }
        }
    }
    out.write_all(CLOSE).await?;
    out.flush().await
}

async fn write_all<W: AsyncWrite + Unpin>(out: &mut W, parts: [&[u8]; 3]) -> io::Result<()> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let mut done = 0;
    while done < total {
        let mut skip = done;
        let left = parts.map(|part| {
            let from = skip.min(part.len());
            skip -= from;
            IoSlice::new(part.get(from..).unwrap_or_default())
        });
        match out.write_vectored(&left).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => done += count,
        }
    }
    Ok(())
}
