//! Backup, verification, retention.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hilum_db::rusqlite::{Connection, OptionalExtension};
use hilum_db::{Cancel, DbError, DbFile, Doing, backup, integrity};
use hilum_message::{Failpoint, PlanDigest};
use sha2::{Digest, Sha256};

use crate::error::JournalError;
use crate::journal::{Inner, Journal, Pinned};
use crate::partition::{Partition, blob_folder};
use crate::row::damaged_rows;
use crate::schema::NameKind;
use crate::state::ControlWrite;
use crate::upkeep;

/// Longest verification or backup of one file.
const LONG_READ: Duration = Duration::from_secs(24 * 3600);
/// Findings kept per file: a damaged one has many.
const FINDINGS_MAX: usize = 100;
/// Bytes of a blob read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: Arc<str>,
    /// The commit sequence of the row, if it is about one.
    pub sequence: Option<u64>,
    /// What is wrong; without content.
    pub text: String,
}

impl Journal {
    /// Compares everything with its checksums and references. Empty is good. Blocks, for as long
    /// as reading everything takes; messages are accepted meanwhile.
    ///
    /// # Errors
    /// If it was cancelled, or a file cannot be read at all.
    pub fn verify(&self, cancel: &Cancel) -> Result<Vec<Finding>, JournalError> {
        self.verify_telling(cancel, &|_, _| {})
    }

    /// As [`Journal::verify`]; tells the number of files that are done, and of all.
    ///
    /// # Errors
    /// As [`Journal::verify`].
    pub fn verify_telling(
        &self,
        cancel: &Cancel,
        tell: &dyn Fn(usize, usize),
    ) -> Result<Vec<Finding>, JournalError> {
        let inner = &self.inner;
        let mut findings = Vec::new();
        let partitions = inner.all(Pinned::Included);
        let files = partitions.len() + 1;
        tell(0, files);
        let control = inner.core.state.control();
        let lines = control.read_within(LONG_READ, cancel, |conn| integrity(conn, "control.db"))?;
        findings.extend(lines.into_iter().map(|text| Finding {
            file: "control.db".into(),
            sequence: None,
            text,
        }));
        findings.extend(crate::salvage::findings(&inner.core)?);
        for (done, partition) in partitions.iter().enumerate() {
            tell(done + 1, files);
            verify_partition(inner, partition, cancel, &mut findings)?;
        }
        tell(files, files);
        Ok(findings)
    }

    /// Copies the journal to a folder, consistent, while it is in use; returns the files. Blocks.
    ///
    /// `control.db` is copied first: what was folded later is folded again from the partitions.
    ///
    /// # Errors
    /// If it was cancelled, or reading or writing fails.
    pub fn backup(&self, to: &Path, cancel: &Cancel) -> Result<Vec<PathBuf>, JournalError> {
        self.backup_telling(to, cancel, &|_, _| {})
    }

    /// As [`Journal::backup`]; tells the number of databases that are done, and of all.
    ///
    /// # Errors
    /// As [`Journal::backup`].
    pub fn backup_telling(
        &self,
        to: &Path,
        cancel: &Cancel,
        tell: &dyn Fn(usize, usize),
    ) -> Result<Vec<PathBuf>, JournalError> {
        let inner = &self.inner;
        let core = &inner.core;
        let io = |error| DbError::io("back up to", to, error);
        core.files.create_dir(to).map_err(io)?;
        let mut made = Vec::new();
        let copy = |readers: &hilum_db::Readers| -> Result<PathBuf, DbError> {
            let from = readers.file();
            let path = to.join(&**from.name());
            let mut target = DbFile::new(path.clone(), from.files.clone(), from.schema);
            target.vfs.clone_from(&from.vfs);
            readers.read_within(LONG_READ, cancel, |conn| {
                backup(conn, from.name(), &target, cancel)
            })?;
            Ok(path)
        };
        made.push(copy(core.state.control())?);
        let partitions = inner.all(Pinned::Included);
        for (done, partition) in partitions.iter().enumerate() {
            tell(done + 1, partitions.len() + 1);
            made.push(copy(&partition.readers)?);
            // After the rows: a blob is on disk before its row is.
            copy_blobs(inner, partition, to, cancel, &mut made)?;
        }
        core.files.sync_dir(to).map_err(io)?;
        Ok(made)
    }

    /// Drops every partition whose last message was committed before a time. What is still open
    /// in them is pinned first. Returns the names of those dropped. Blocks.
    ///
    /// # Errors
    /// If pinning, folding or removing fails; what was not dropped is there as before.
    pub fn drop_before(&self, before_ms: u64) -> Result<Vec<Arc<str>>, JournalError> {
        let inner = &self.inner;
        // Housekeeping pins and folds too; not both at once.
        let _upkeep = inner.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let old: Vec<Arc<Partition>> = {
            let partitions = inner.read_partitions();
            let list = partitions.list.iter().rev().skip(1);
            list.rev().cloned().collect()
        };
        let mut dropped = Vec::new();
        for partition in old {
            let last = upkeep::last_commit(&partition)?;
            if last.is_none_or(|at| at >= before_ms) {
                break;
            }
            if !partition.pinned.load(Ordering::Acquire) {
                upkeep::pin(inner, &partition)?;
            }
            if !upkeep::open_rows(&partition, 0)?.is_empty() {
                tracing::error!(partition = %partition.name(), "kept although it is old: open rows in it are damaged");
                continue;
            }
            upkeep::fold(inner)?;
            let waiting = inner.core.state.oldest_waiting();
            if waiting.is_some_and(|oldest| oldest <= partition.shared.last()) {
                break;
            }
            inner.control(ControlWrite::Sequence(inner.core.sequence()))?;
            inner
                .write_partitions()
                .list
                .retain(|known| !Arc::ptr_eq(known, &partition));
            partition.remove()?;
            Failpoint::Retention.reach();
            let name = partition.name().to_string();
            inner.control(ControlWrite::Dropped { partition: name })?;
            tracing::info!(partition = %partition.name(), "dropped by retention");
            dropped.push(partition.name().clone());
        }
        Ok(dropped)
    }

    /// The plans that rows of any partition refer to.
    #[must_use]
    pub fn plans(&self) -> BTreeSet<PlanDigest> {
        let mut plans = BTreeSet::new();
        for partition in self.inner.all(Pinned::Included) {
            let names = partition.shared.names.all(NameKind::Plan);
            plans.extend(names.iter().filter_map(|name| {
                let bytes: [u8; 32] = name.as_ref().try_into().ok()?;
                Some(PlanDigest(bytes))
            }));
        }
        plans
    }

    /// The partitions, oldest first.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn partitions(&self) -> Result<Vec<PartitionInfo>, JournalError> {
        let all = self.inner.all(Pinned::Left);
        let each = all.iter().map(|partition| {
            Ok(PartitionInfo {
                name: partition.name().clone(),
                last_commit_ms: upkeep::last_commit(partition)?,
                is_pinned: partition.pinned.load(Ordering::Acquire),
            })
        });
        each.collect()
    }
}

/// A partition, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Its name.
    pub name: Arc<str>,
    /// When its last message was committed, Unix milliseconds.
    pub last_commit_ms: Option<u64>,
    /// What is open in it was copied to `pinned.db`.
    pub is_pinned: bool,
}

fn copy_blobs(
    inner: &Inner,
    partition: &Partition,
    to: &Path,
    cancel: &Cancel,
    made: &mut Vec<PathBuf>,
) -> Result<(), JournalError> {
    let files = &inner.core.files;
    let folder = partition.blob_folder();
    let target = blob_folder(to, partition.name());
    let io = |error| DbError::io("back up the blobs of", &folder, error);
    let entries = files.list(&folder).map_err(io)?;
    if entries.is_empty() {
        return Ok(());
    }
    files.create_dir(&target).map_err(io)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    for entry in entries {
        let Some(name) = entry.path.file_name() else {
            continue;
        };
        let path = target.join(name);
        let mut copy = files.create(&path).map_err(io)?;
        let mut offset = 0;
        loop {
            if cancel.is_cancelled() {
                let class = hilum_db::DbClass::Cancelled;
                return Err(DbError::new(class, "back up", partition.name().clone()).into());
            }
            let got = files.read_at(&entry.path, offset, &mut chunk).map_err(io)?;
            if got == 0 {
                break;
            }
            copy.append(chunk.get(..got).unwrap_or_default())
                .map_err(io)?;
            offset += got as u64;
        }
        copy.sync().map_err(io)?;
        made.push(path);
    }
    files.sync_dir(&target).map_err(io)?;
    Ok(())
}

fn verify_partition(
    inner: &Inner,
    partition: &Partition,
    cancel: &Cancel,
    findings: &mut Vec<Finding>,
) -> Result<(), JournalError> {
    let name = partition.name();
    let file: Arc<str> = partition.file().name().clone();
    let mut add = |sequence, text: String| {
        findings.push(Finding {
            file: file.clone(),
            sequence,
            text,
        });
    };
    let read = partition.readers.read_within(LONG_READ, cancel, |conn| {
        for text in integrity(conn, name)? {
            add(None, text);
        }
        for row in damaged_rows(conn, &partition.shared, FINDINGS_MAX)? {
            add(Some(row.sequence), row.text());
        }
        for (sql, text) in REFERENCES {
            let sequence = conn
                .query_row(sql, [], |row| row.get::<_, u64>(0))
                .optional()
                .doing("verify", name)?;
            if sequence.is_some() {
                add(sequence, text.to_owned());
            }
        }
        blobs_of(conn, name)
    });
    let blobs = match read {
        Ok(blobs) => blobs,
        Err(error) if error.class() == hilum_db::DbClass::Corrupt => {
            add(None, "the file is damaged beyond reading".to_owned());
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    for (blob, sequence, bytes, digest) in blobs {
        let path = partition.blob_folder().join(&blob);
        match digest_of(inner, &path) {
            Ok((length, sum)) if length == bytes && sum[..] == digest[..] => {}
            Ok(_) => add(Some(sequence), "its blob is not what was written".into()),
            Err(_) => add(Some(sequence), "its blob cannot be read".into()),
        }
    }
    Ok(())
}

/// What must not be found.
const REFERENCES: [(&str, &str); 4] = [
    (
        "SELECT seq FROM delivery WHERE seq NOT IN (SELECT seq FROM message) LIMIT 1",
        "a delivery without its message",
    ),
    (
        "SELECT seq FROM work WHERE seq NOT IN (SELECT seq FROM message) LIMIT 1",
        "open work without its message",
    ),
    (
        "SELECT seq FROM message WHERE dictionary IS NOT NULL AND dictionary NOT IN \
         (SELECT id FROM dictionary) LIMIT 1",
        "a body whose dictionary is not there",
    ),
    (
        "SELECT seq FROM attempt WHERE dictionary IS NOT NULL AND dictionary NOT IN \
         (SELECT id FROM dictionary) LIMIT 1",
        "a reply whose dictionary is not there",
    ),
];

type BlobRow = (String, u64, u64, Vec<u8>);

fn blobs_of(conn: &Connection, file: &str) -> Result<Vec<BlobRow>, DbError> {
    let read = || {
        let mut statement = conn.prepare("SELECT name, seq, bytes, digest FROM blob")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().doing("verify the blobs of", file)
}

fn digest_of(inner: &Inner, path: &Path) -> std::io::Result<(u64, [u8; 32])> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut digest = Sha256::new();
    let mut offset = 0;
    loop {
        let got = inner.core.files.read_at(path, offset, &mut chunk)?;
        if got == 0 {
            return Ok((offset, digest.finalize().into()));
        }
        digest.update(chunk.get(..got).unwrap_or_default());
        offset += got as u64;
    }
}
