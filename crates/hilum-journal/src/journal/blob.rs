//! Large content: files beside a partition, streamed and synced by the task that receives.
//!
//! A blob never passes through the writer. It is on disk, name included, before the row that
//! refers to it is handed in. One that no row refers to is removed at the next start.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use hilum_db::{AppendFile, DbClass, DbError};
use hilum_message::{BlobRange, BlobRef, Cut, Failpoint, MessageId, Payload};
use sha2::{Digest, Sha256};

use super::{Inner, Journal};
use crate::error::{AcceptError, JournalError};
use crate::model::StoredBlob;
use crate::partition::blob_folder;
use crate::partition::ops::{Body, Prepared};
use crate::prepare::prepare;
use crate::shared::Core;

/// Bytes copied at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Writes one blob. Dropped before [`BlobWriter::finish`], it removes what was written.
pub struct BlobWriter {
    core: Arc<Core>,
    file: Option<Box<dyn AppendFile>>,
    path: PathBuf,
    blob: BlobRef,
    bytes: u64,
    digest: Sha256,
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobWriter({}, {} bytes)", self.blob.name, self.bytes)
    }
}

impl Journal {
    /// Begins the `number`-th blob of a message. The calls of the writer block on the disk.
    ///
    /// # Errors
    /// If the disk fails or there is such a blob.
    pub fn blob(&self, message: MessageId, number: u32) -> Result<BlobWriter, JournalError> {
        let open = self.inner.open_partition().ok_or(JournalError::Closed)?;
        let name = format!("{message}-{number}");
        Ok(self.inner.create_blob(open.name().clone(), name)?)
    }

    /// Reads a part of a blob into `buf`; fewer bytes only at the end of the range. Blocks.
    ///
    /// # Errors
    /// If the blob is not there or the disk fails.
    pub fn read_blob(
        &self,
        range: &BlobRange,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, JournalError> {
        let core = &self.inner.core;
        let path = blob_path(core, &range.blob);
        let left = range.length.saturating_sub(offset);
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let Some(buf) = buf.get_mut(..want).filter(|buf| !buf.is_empty()) else {
            return Ok(0);
        };
        let read = core.files.read_at(&path, range.offset + offset, buf);
        let got = read.map_err(|error| DbError::io("read the blob", &path, error))?;
        if got < want {
            return Err(JournalError::damaged("blob", &range.blob.name));
        }
        Ok(got)
    }

    /// All bytes of a payload in memory, up to a limit.
    ///
    /// # Errors
    /// If it is longer than `max` or a blob cannot be read.
    pub fn whole(&self, payload: &Payload, max: u64) -> Result<Bytes, JournalError> {
        if let Some(inline) = payload.as_inline() {
            return Ok(inline.clone());
        }
        if payload.len() > max {
            let doing = "load into memory a body above the limit of";
            return Err(DbError::new(DbClass::Internal, doing, "the caller").into());
        }
        let mut whole = Vec::with_capacity(usize::try_from(payload.len()).unwrap_or(0));
        for piece in payload.pieces() {
            match piece {
                hilum_message::Piece::Inline(bytes) => whole.extend_from_slice(&bytes),
                hilum_message::Piece::Blob(range) => {
                    let from = whole.len();
                    let length = usize::try_from(range.length).unwrap_or(usize::MAX);
                    whole.resize(from.saturating_add(length), 0);
                    self.read_blob(&range, 0, whole.get_mut(from..).unwrap_or_default())?;
                }
            }
        }
        Ok(whole.into())
    }
}

fn blob_path(core: &Core, blob: &BlobRef) -> PathBuf {
    blob_folder(&core.dir, &blob.partition).join(&*blob.name)
}

impl BlobWriter {
    /// Appends bytes.
    ///
    /// # Errors
    /// If the disk fails; the blob is then of no use.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let Some(file) = &mut self.file else {
            return Err(JournalError::Closed);
        };
        file.append(bytes)
            .map_err(|error| DbError::io("write the blob", &self.path, error))?;
        Failpoint::BlobWrite.reach();
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// The bytes so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the blob is, to refer to ranges of it while it grows.
    #[must_use]
    pub const fn blob(&self) -> &BlobRef {
        &self.blob
    }

    /// Syncs the blob and its name. The first message that refers to it owns it: a blob that no
    /// message owns is removed at the next start.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn finish(self) -> Result<StoredBlob, JournalError> {
        let core = Arc::clone(&self.core);
        let stored = self.sync()?;
        core.unclaimed()
            .insert(stored.blob.name.clone(), stored.clone());
        Ok(stored)
    }

    fn sync(mut self) -> Result<StoredBlob, JournalError> {
        let Some(mut file) = self.file.take() else {
            return Err(JournalError::Closed);
        };
        let folder = blob_folder(&self.core.dir, &self.blob.partition);
        let synced = file.sync().and_then(|()| self.core.files.sync_dir(&folder));
        if let Err(error) = synced {
            self.file = Some(file);
            return Err(DbError::io("sync the blob", &self.path, error).into());
        }
        let digest = std::mem::take(&mut self.digest).finalize();
        Ok(StoredBlob {
            blob: self.blob.clone(),
            bytes: self.bytes,
            digest: digest.into(),
        })
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What cannot be removed now is removed at the next start.
            drop(self.core.files.remove(&self.path));
        }
    }
}

impl Inner {
    pub(crate) fn create_blob(
        &self,
        partition: Arc<str>,
        name: String,
    ) -> Result<BlobWriter, DbError> {
        let core = &self.core;
        let folder = blob_folder(&core.dir, &partition);
        let path = folder.join(&name);
        let io = |error| DbError::io("create the blob", &path, error);
        let known = core.files.list(&folder).map_err(io)?;
        if known.is_empty() {
            core.files.create_dir(&folder).map_err(io)?;
            core.files.sync_dir(&core.dir).map_err(io)?;
        }
        let file = core.files.create(&path).map_err(io)?;
        Ok(BlobWriter {
            core: core.clone(),
            file: Some(file),
            path,
            blob: BlobRef {
                partition,
                name: name.into(),
            },
            bytes: 0,
            digest: Sha256::new(),
        })
    }

    /// Copies a blob into a partition; returns it as stored there.
    pub(crate) fn copy_blob(
        &self,
        blob: &BlobRef,
        partition: Arc<str>,
    ) -> Result<StoredBlob, JournalError> {
        let from = blob_path(&self.core, blob);
        let to = blob_folder(&self.core.dir, &partition).join(&*blob.name);
        // A copy that was interrupted, or made for a commit that failed.
        let io = |error| DbError::io("copy the blob", &to, error);
        self.core.files.remove(&to).map_err(io)?;
        let mut copy = self.create_blob(partition, blob.name.to_string())?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut offset = 0;
        loop {
            let got = self.core.files.read_at(&from, offset, &mut chunk);
            let got = got.map_err(|error| DbError::io("copy the blob", &from, error))?;
            if got == 0 {
                return copy.sync();
            }
            copy.append(chunk.get(..got).unwrap_or_default())?;
            offset += got as u64;
        }
    }

    /// Brings the blobs of messages, and bodies that they share with older rows, into the
    /// partition that is open now.
    pub(super) fn bring_here(&self, messages: Vec<Prepared>) -> Result<Vec<Prepared>, AcceptError> {
        let open = self.open_partition().ok_or(AcceptError::Closed)?;
        let mut brought: Vec<Prepared> = Vec::with_capacity(messages.len());
        for message in messages {
            let keeps_body = matches!(&message.body, Body::Origin(_, at) if at == open.name());
            let mut request = message.request;
            self.move_blobs(&mut request, open.name())
                .map_err(|error| match error {
                    JournalError::Db(error) => AcceptError::Blob(error),
                    _ => AcceptError::Blob(self.core.closed()),
                })?;
            let origin = keeps_body.then(|| open.name().clone());
            let prepared = prepare(&self.core.codecs, request, &brought, origin);
            brought.push(prepared);
        }
        Ok(brought)
    }

    /// Copies the blobs that a request refers to into `partition` and rewrites the references.
    pub(crate) fn move_blobs(
        &self,
        request: &mut crate::model::AcceptRequest,
        partition: &Arc<str>,
    ) -> Result<(), JournalError> {
        let mut moved: Vec<StoredBlob> = Vec::new();
        let mut payloads: Vec<&mut Payload> = vec![&mut request.received];
        payloads.extend(request.deliveries.iter_mut().map(|d| &mut d.payload));
        for payload in payloads {
            let mut cuts: Vec<Cut> = payload.cuts().to_vec();
            for cut in &mut cuts {
                let blob = &mut cut.range.blob;
                if blob.partition == *partition {
                    continue;
                }
                if !moved.iter().any(|known| known.blob.name == blob.name) {
                    moved.push(self.copy_blob(blob, partition.clone())?);
                }
                blob.partition = partition.clone();
            }
            if !cuts.is_empty() {
                *payload = Payload::with_cuts(payload.text().clone(), cuts);
            }
        }
        for blob in moved {
            match request
                .blobs
                .iter_mut()
                .find(|b| b.blob.name == blob.blob.name)
            {
                Some(known) => *known = blob,
                None => request.blobs.push(blob),
            }
        }
        Ok(())
    }
}
