//! Bodies on their way in: small ones inline, long runs of large ones into a blob.
//!
//! A run between two bytes that end an attachment in the channel's format, and longer than
//! [`ATTACHMENT_MIN`], goes to the blob as it comes; the text keeps everything else. So a body of
//! 100 MB with one large field needs memory for its other fields only.

use std::io;

use bytes::{Bytes, BytesMut};
use hilum_component::{BlobWriter, Intake};
use hilum_message::{BlobRange, Cut, Payload};

/// A run at least this long goes to a blob; a body below it stays in memory whole.
pub(crate) const ATTACHMENT_MIN: usize = 256_000;
/// How much of a refused body is kept for the record.
pub(crate) const HEAD_BYTES: usize = 4_096;

/// A body that comes in parts: small ones are gathered, large ones cut.
pub(crate) struct Gather {
    max: u64,
    count: u64,
    inline: BytesMut,
    cutter: Option<Cutter>,
}

/// Why a body could not be gathered.
#[derive(Debug)]
pub(crate) enum Ungathered {
    /// It is longer than allowed; its first bytes, for the record.
    TooLarge(Bytes),
    /// It could not be stored; its first bytes.
    Io(io::Error, Bytes),
}

impl Gather {
    pub(crate) fn new(max: u64) -> Self {
        Self {
            max,
            count: 0,
            inline: BytesMut::new(),
            cutter: None,
        }
    }

    pub(crate) async fn push(&mut self, intake: &Intake, bytes: &[u8]) -> Result<(), Ungathered> {
        self.count += bytes.len() as u64;
        if self.count > self.max {
            return Err(Ungathered::TooLarge(self.head(bytes)));
        }
        if self.cutter.is_none() {
            self.inline.extend_from_slice(bytes);
            if self.inline.len() < ATTACHMENT_MIN {
                return Ok(());
            }
        }
        let so_far = std::mem::take(&mut self.inline);
        let bytes = if so_far.is_empty() { bytes } else { &so_far };
        let cutter = self.cutter.get_or_insert_with(|| Cutter::new(intake));
        let pushed = cutter.push(intake, bytes).await;
        pushed.map_err(|error| Ungathered::Io(error, self.head(&[])))
    }

    pub(crate) async fn finish(self) -> Result<Payload, Ungathered> {
        let head = self.head(&[]);
        match self.cutter {
            None => Ok(Payload::inline(self.inline.freeze())),
            Some(cutter) => {
                let finished = cutter.finish().await;
                finished.map_err(|error| Ungathered::Io(error, head))
            }
        }
    }

    /// The first bytes, with those that came last.
    fn head(&self, last: &[u8]) -> Bytes {
        if let Some(cutter) = &self.cutter {
            return cutter.head(HEAD_BYTES);
        }
        let own = self.inline.iter().chain(last).take(HEAD_BYTES);
        own.copied().collect()
    }
}

/// A body that is cut while it comes in.
pub(crate) struct Cutter {
    ends: Box<[bool; 256]>,
    text: BytesMut,
    run_start: usize,
    in_blob: bool,
    blob: Option<Box<dyn BlobWriter>>,
    /// Place in the text, offset and length in the blob.
    cuts: Vec<(usize, u64, u64)>,
}

impl Cutter {
    pub(crate) fn new(intake: &Intake) -> Self {
        let mut ends = Box::new([false; 256]);
        for byte in u8::MIN..=u8::MAX {
            ends[usize::from(byte)] = intake.ends_attachment(byte);
        }
        Self {
            ends,
            text: BytesMut::new(),
            run_start: 0,
            in_blob: false,
            blob: None,
            cuts: Vec::new(),
        }
    }

    /// Takes the next bytes. After an error the body is lost: the blob goes with the cutter.
    pub(crate) async fn push(&mut self, intake: &Intake, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        loop {
            let end = rest.iter().position(|&byte| self.ends[usize::from(byte)]);
            let (run, after) = rest.split_at(end.unwrap_or(rest.len()));
            self.push_run(intake, run).await?;
            let Some((&ending, after)) = after.split_first() else {
                return Ok(());
            };
            self.in_blob = false;
            self.text.extend_from_slice(&[ending]);
            self.run_start = self.text.len();
            rest = after;
        }
    }

    async fn push_run(&mut self, intake: &Intake, run: &[u8]) -> io::Result<()> {
        if !self.in_blob {
            self.text.extend_from_slice(run);
            if self.text.len() - self.run_start < ATTACHMENT_MIN {
                return Ok(());
            }
            // The run is long enough: what the text holds of it moves to the blob.
            let run = self.text.split_off(self.run_start);
            self.in_blob = true;
            let offset = self.write(intake, &run).await?;
            self.cuts.push((self.run_start, offset, run.len() as u64));
            return Ok(());
        }
        self.write(intake, run).await?;
        if let Some((_, _, length)) = self.cuts.last_mut() {
            *length += run.len() as u64;
        }
        Ok(())
    }

    async fn write(&mut self, intake: &Intake, bytes: &[u8]) -> io::Result<u64> {
        if self.blob.is_none() {
            self.blob = Some(intake.blob().await?);
        }
        let Some(blob) = &mut self.blob else {
            return Ok(0);
        };
        let offset = blob.written();
        blob.write(bytes).await?;
        Ok(offset)
    }

    /// The first bytes, for the record of a body that is refused.
    pub(crate) fn head(&self, length: usize) -> Bytes {
        Bytes::copy_from_slice(
            self.text
                .get(..length.min(self.text.len()))
                .unwrap_or_default(),
        )
    }

    /// Makes the blob durable and gives the payload.
    pub(crate) async fn finish(self) -> io::Result<Payload> {
        let text = self.text.freeze();
        let Some(blob) = self.blob else {
            return Ok(Payload::inline(text));
        };
        let blob = blob.finish().await?;
        let cut = |(at, offset, length)| Cut {
            at,
            range: BlobRange {
                blob: blob.clone(),
                offset,
                length,
            },
        };
        Ok(Payload::with_cuts(
            text,
            self.cuts.into_iter().map(cut).collect(),
        ))
    }
}
