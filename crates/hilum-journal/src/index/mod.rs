//! Index files: tokens by value in sorted runs, written by a thread of their own without syncs.
//!
//! They can be rebuilt from their partition at any time, so one that was not closed in order is
//! thrown away. Searches scan what is not indexed yet; see [`crate::search`].

mod run;

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use hilum_db::rusqlite::{Connection, Row, params};
use hilum_db::{Cancel, DbClass, DbError, DbFile, Doing, Readers};
use hilum_message::Failpoint;

use crate::bytes::unpack_tokens;
use crate::error::JournalError;
use crate::journal::{Inner, Journal, Pinned};
use crate::model::Disposition;
use crate::partition::Partition;
use run::Entry;
pub(crate) use run::find;

/// Rows indexed in one transaction.
const ROWS_PER_STEP: u64 = 4096;
/// Pages of an index's log.
const LOG_PAGES: u32 = 256;
/// A message that was committed this long after it arrived is found by a token of its own, so that
/// a search over a time range need not look further.
pub(crate) const LATE_MS: u64 = 10 * 60_000;

/// Index of channels.
pub(crate) const CHANNEL: u16 = 1;
/// Index of dispositions other than accepted.
pub(crate) const DISPOSITION: u16 = 2;
/// Index of message ids.
pub(crate) const MESSAGE: u16 = 3;
/// Index of what was committed late.
pub(crate) const LATE: u16 = 4;
/// Index of the message that a part, a replay or a repetition belongs to.
pub(crate) const RELATED: u16 = 5;

/// The token of a message id.
pub(crate) fn id_token(id: &[u8]) -> i64 {
    crate::bytes::sum(&[id])
}

/// The token of a channel.
pub(crate) fn channel_token(channel: &str) -> i64 {
    crate::bytes::sum(&[channel.as_bytes()])
}

/// The connection of one partition's indexer.
pub(crate) struct Indexer {
    conn: Connection,
    reached: u64,
}

/// One pass over all partitions whose index is behind, the open one first.
pub(crate) fn pass(inner: &Inner) -> Result<(), JournalError> {
    // `pinned.db` holds few rows, in no order: searches scan it.
    for (age, partition) in inner.all(Pinned::Left).into_iter().rev().enumerate() {
        loop {
            match step(&partition) {
                Ok(false) => break,
                Ok(true) if inner.core.wake.is_stopped() => return Ok(()),
                Ok(true) => {}
                Err(JournalError::Db(error)) if error.class() == DbClass::Corrupt => {
                    discard(&partition)?;
                    return Err(error.into());
                }
                Err(error) => return Err(error),
            }
        }
        if age > 0 {
            seal(&partition)?;
        }
    }
    Ok(())
}

impl Journal {
    /// Builds the index of one partition, or of all, anew; returns their names. Blocks.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn reindex(&self, only: Option<&str>) -> Result<Vec<Arc<str>>, JournalError> {
        let mut done = Vec::new();
        for partition in self.inner.all(Pinned::Left) {
            if only.is_none_or(|name| name == &**partition.name()) {
                discard(&partition)?;
                done.push(partition.name().clone());
            }
        }
        pass(&self.inner)?;
        Ok(done)
    }
}

/// Throws a damaged index away; the next pass builds it anew.
pub(crate) fn discard(partition: &Partition) -> Result<(), DbError> {
    let shared = &partition.shared;
    let mut slot = shared
        .indexer
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *slot = None;
    shared.indexed.store(0, Ordering::Release);
    *partition
        .index
        .write()
        .unwrap_or_else(PoisonError::into_inner) = None;
    remove(partition)
}

/// Rows that are not indexed yet.
pub(crate) fn tail_of(partition: &Partition) -> u64 {
    let last = partition.shared.last();
    last.saturating_sub(
        partition.shared.indexed.load(Ordering::Acquire).max(
            partition
                .shared
                .first()
                .min(last.saturating_add(1))
                .saturating_sub(1),
        ),
    )
}

/// Indexes some rows; `true` if there are more.
fn step(partition: &Partition) -> Result<bool, JournalError> {
    let shared = &partition.shared;
    let mut slot = shared
        .indexer
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let done = slot.is_none() && shared.indexed.load(Ordering::Acquire) >= shared.last();
    if shared.last() == 0 || done {
        return Ok(false);
    }
    if slot.is_none() {
        let indexer = open(partition)?;
        shared.indexed.store(indexer.reached, Ordering::Release);
        *slot = Some(indexer);
        let mut readers = partition
            .index
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *readers = Some(Arc::new(Readers::new(partition.index_file(), 2)));
    }
    let Some(indexer) = slot.as_mut() else {
        return Ok(false);
    };
    if indexer.reached >= shared.last() {
        return Ok(false);
    }
    let name = shared.name.clone();
    let found = partition.readers.read(&Cancel::new(), |conn| {
        read_rows(conn, partition, indexer.reached)
    })?;
    let last = found.last;
    if found.rows == 0 {
        indexer.reached = shared.last();
        return Ok(false);
    }
    write_rows(&indexer.conn, found).doing("index", &name)?;
    indexer.reached = last;
    shared.indexed.store(last, Ordering::Release);
    Ok(last < shared.last())
}

fn open(partition: &Partition) -> Result<Indexer, DbError> {
    let file = partition.index_file();
    let name = file.name().clone();
    let attempt = || -> Result<(Connection, u64, bool), DbError> {
        let (conn, _) = file.open_writer()?;
        let sql = "SELECT seq, clean FROM reached";
        let (reached, clean) = conn
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .doing("read", &name)?;
        Ok((conn, reached, clean))
    };
    let length = file.files.len(file.path());
    let is_new = length.is_ok_and(|bytes| bytes.is_none());
    let usable = match attempt() {
        Ok((conn, reached, clean)) if clean || is_new => Some((conn, reached)),
        Ok(_) | Err(_) => None,
    };
    let (conn, reached) = match usable {
        Some(found) => found,
        None => {
            remove(partition)?;
            let (conn, reached, _) = attempt()?;
            (conn, reached)
        }
    };
    mark(&conn, &file, Mark::InUse)?;
    // Without syncs a short log costs nothing, and runs are long writes anyway.
    conn.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)
        .and_then(|()| conn.pragma_update(None, "journal_size_limit", 0))
        .doing("begin to index", &name)?;
    Ok(Indexer { conn, reached })
}

fn remove(partition: &Partition) -> Result<(), DbError> {
    let file = partition.index_file();
    for path in file.all_paths() {
        let removed = file.files.remove(&path);
        removed.map_err(|error| DbError::io("remove", &path, error))?;
    }
    Ok(())
}

/// Whether an index file can be trusted after the power was lost.
#[derive(Clone, Copy)]
enum Mark {
    InUse = 0,
    Closed = 1,
}

/// Writes the mark so that it is on disk before (`InUse`) or after (`Closed`) everything else.
fn mark(conn: &Connection, file: &DbFile, mark: Mark) -> Result<(), DbError> {
    let synchronous = |value: &str| {
        conn.pragma_update(None, "synchronous", value)
            .doing("mark", file.name())
    };
    synchronous("FULL")?;
    file.checkpoint_all(conn)?;
    conn.execute("UPDATE reached SET clean = ?1", [mark as u8])
        .doing("mark", file.name())?;
    file.checkpoint_all(conn)?;
    synchronous("OFF")
}

/// The tokens of some rows, and the sequences of the first and the last of them.
struct Found {
    entries: Vec<Entry>,
    rows: u64,
    first: u64,
    last: u64,
}

fn read_rows(conn: &Connection, partition: &Partition, after: u64) -> Result<Found, DbError> {
    let shared = &partition.shared;
    let sql = "SELECT seq, id, channel, arrived_ms, committed_ms, disposition, tokens, parent, \
               replay_of FROM message WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let read = || -> Result<Found, hilum_db::rusqlite::Error> {
        let mut found = Found {
            entries: Vec::new(),
            rows: 0,
            first: 0,
            last: 0,
        };
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![after, ROWS_PER_STEP])?;
        // Most rows that follow each other are of one channel.
        let mut channel = (i64::MIN, 0);
        while let Some(row) = rows.next()? {
            let sequence = row.get(0)?;
            let id: i64 = row.get(2)?;
            if channel.0 != id {
                channel = (id, channel_token(&shared.names.text(id)));
            }
            found.row(sequence, row, channel.1)?;
        }
        Ok(found)
    };
    read().doing("read what is to be indexed of", &shared.name)
}

impl Found {
    fn row(
        &mut self,
        sequence: u64,
        row: &Row<'_>,
        channel: i64,
    ) -> Result<(), hilum_db::rusqlite::Error> {
        let blob = |at: usize| -> Result<Option<&[u8]>, hilum_db::rusqlite::Error> {
            Ok(row.get_ref(at)?.as_blob_or_null()?)
        };
        let mut add = |kind, value| self.entries.push(Entry::new(kind, value, sequence));
        for token in unpack_tokens(blob(6)?.unwrap_or_default()).unwrap_or_default() {
            add(token.kind, token.value.0);
        }
        add(MESSAGE, id_token(blob(1)?.unwrap_or_default()));
        add(CHANNEL, channel);
        let (arrived, committed): (u64, u64) = (row.get(3)?, row.get(4)?);
        if committed.saturating_sub(arrived) > LATE_MS {
            add(LATE, 0);
        }
        let disposition: i64 = row.get(5)?;
        if disposition != Disposition::Accepted as i64 {
            add(DISPOSITION, disposition);
        }
        for at in [7, 8] {
            if let Some(related) = blob(at)? {
                add(RELATED, id_token(related));
            }
        }
        if self.rows == 0 {
            self.first = sequence;
        }
        self.rows += 1;
        self.last = sequence;
        Ok(())
    }
}

fn write_rows(conn: &Connection, found: Found) -> Result<(), hilum_db::rusqlite::Error> {
    let transaction = conn.unchecked_transaction()?;
    let bounds = (found.first, found.last, found.rows);
    run::write(&transaction, found.entries, bounds)?;
    while run::merge_some(&transaction)? {}
    transaction
        .prepare_cached("UPDATE reached SET seq = ?1")?
        .execute([found.last])?;
    Failpoint::IndexWrite.reach();
    transaction.commit()
}

/// Marks the index files as closed in order, so that they need not be rebuilt.
pub(crate) fn close(inner: &Inner) {
    for partition in inner.all(Pinned::Left) {
        close_one(&partition);
    }
}

/// The last merge of a partition that gets no more rows, and the end of its indexer.
fn seal(partition: &Partition) -> Result<(), DbError> {
    let slot = &partition.shared.indexer;
    let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(indexer) = slot.as_ref() {
        let merged = || {
            let transaction = indexer.conn.unchecked_transaction()?;
            run::merge_all(&transaction)?;
            transaction.commit()?;
            indexer.conn.execute_batch("VACUUM")
        };
        merged().doing("seal the index of", partition.name())?;
    }
    drop(slot);
    close_one(partition);
    Ok(())
}

fn close_one(partition: &Partition) {
    let indexer = partition
        .shared
        .indexer
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(indexer) = indexer else {
        return;
    };
    if let Err(error) = mark(&indexer.conn, &partition.index_file(), Mark::Closed) {
        tracing::warn!(%error, "an index was not closed in order, it will be rebuilt");
    }
}
