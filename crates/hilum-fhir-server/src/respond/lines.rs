//! Files as the body of an answer: read piece by piece as the client takes them, packed on the way.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use hilum_db::Files;
use http_body_util::channel::{Channel, Sender};

use crate::bulk::Parts;
use crate::request::Coding;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 128 * 1024;
/// A level that packs faster than a network carries.
const ZSTD_LEVEL: i32 = 1;

/// The body; it ends with an error if a file cannot be read, so that the client sees it is not
/// whole.
pub(super) fn body(parts: Parts, coding: Option<Coding>) -> io::Result<Channel<Bytes, io::Error>> {
    let (sender, body) = Channel::new(1);
    let reader = Reader {
        files: parts.files,
        paths: parts.paths,
        at: 0,
        offset: 0,
        packer: Packer::new(coding)?,
    };
    tokio::spawn(send(reader, sender));
    Ok(body)
}

async fn send(mut reader: Reader, mut sender: Sender<Bytes, io::Error>) {
    loop {
        let read = tokio::task::spawn_blocking(move || {
            let piece = reader.piece();
            (reader, piece)
        });
        let (next, piece) = match read.await {
            Ok(read) => read,
            Err(error) => return sender.abort(io::Error::other(error)),
        };
        reader = next;
        match piece {
            // Whoever asked may have gone.
            Ok(Some(piece)) => {
                if sender.send_data(piece).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "a file cannot be given to a FHIR client");
                return sender.abort(error);
            }
        }
    }
}

struct Reader {
    files: Arc<dyn Files>,
    paths: Vec<PathBuf>,
    at: usize,
    offset: u64,
    packer: Packer,
}

impl Reader {
    /// The next bytes of the answer; nothing behind the last ones.
    fn piece(&mut self) -> io::Result<Option<Bytes>> {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Some(path) = self.paths.get(self.at) {
            let read = self.files.read_at(path, self.offset, &mut buffer)?;
            if read == 0 {
                self.at += 1;
                self.offset = 0;
                continue;
            }
            self.offset += read as u64;
            let out = self.packer.pack(buffer.get(..read).unwrap_or_default())?;
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
        }
        let out = self.packer.finish()?;
        Ok((!out.is_empty()).then(|| out.into()))
    }
}

/// Packs what goes through it.
pub(super) enum Packer {
    Plain,
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
}

impl Packer {
    pub(super) fn new(coding: Option<Coding>) -> io::Result<Self> {
        Ok(match coding {
            None => Self::Plain,
            Some(Coding::Gzip) => {
                let level = flate2::Compression::fast();
                Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), level))
            }
            Some(Coding::Zstd) => Self::Zstd(Box::new(zstd::stream::write::Encoder::new(
                Vec::new(),
                ZSTD_LEVEL,
            )?)),
        })
    }

    /// What comes out when these bytes go in; it may be nothing yet.
    pub(super) fn pack(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(bytes.to_vec()),
            Self::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.write_all(bytes)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// What is still inside; nothing when it was taken out.
    pub(super) fn finish(&mut self) -> io::Result<Vec<u8>> {
        match std::mem::replace(self, Self::Plain) {
            Self::Plain => Ok(Vec::new()),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}
