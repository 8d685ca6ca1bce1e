//! Finding messages: the index, and a scan of what it does not have yet.

use hilum_db::rusqlite::{Connection, params};
use hilum_db::{Cancel, DbError, Doing};
use hilum_message::MessageId;

use crate::error::JournalError;
use crate::index::{MESSAGE, RELATED, id_token};
use crate::journal::{Inner, Pinned};
use crate::partition::Partition;
use crate::read::{HEADER_COLUMNS, StoredMessage, header_from, header_of};

/// Rows of a related list.
const RELATED_MAX: usize = 10_000;

impl Inner {
    /// All rows of a message id, in commit order.
    pub(crate) fn rows_of(
        &self,
        message: MessageId,
        cancel: &Cancel,
    ) -> Result<Vec<StoredMessage>, JournalError> {
        let sql = "id = ?2";
        self.by_id_token(MESSAGE, message, sql, cancel, |row| row.message == message)
    }

    /// Parts of a message and messages that repeat it, in commit order.
    pub(crate) fn related_to(
        &self,
        message: MessageId,
        cancel: &Cancel,
    ) -> Result<Vec<StoredMessage>, JournalError> {
        let sql = "(parent = ?2 OR replay_of = ?2)";
        self.by_id_token(RELATED, message, sql, cancel, |row| {
            let parent = row.parent.map(|(parent, _)| parent);
            parent == Some(message) || row.replay_of == Some(message)
        })
    }

    fn by_id_token(
        &self,
        kind: u16,
        message: MessageId,
        condition: &str,
        cancel: &Cancel,
        is_it: impl Fn(&StoredMessage) -> bool,
    ) -> Result<Vec<StoredMessage>, JournalError> {
        let token = id_token(&message.bytes());
        let mut found: Vec<StoredMessage> = Vec::new();
        for partition in self.all(Pinned::Included) {
            let indexed = indexed_until(&partition);
            let sequences = token_rows(&partition, kind, token, cancel)?;
            let shared = &partition.shared;
            let rows = partition.readers.read(cancel, |conn| {
                let mut rows = Vec::new();
                for sequence in sequences {
                    rows.extend(header_of(conn, shared, sequence)?);
                }
                let sql = format!(
                    "SELECT {HEADER_COLUMNS} FROM message WHERE seq > ?1 AND {condition} \
                     ORDER BY seq LIMIT ?3"
                );
                rows.extend(tail(conn, &partition, &sql, indexed, message)?);
                Ok(rows)
            })?;
            for row in rows {
                let known = found.iter().any(|known| known.sequence == row.sequence);
                if is_it(&row) && !known {
                    found.push(row);
                }
            }
        }
        found.sort_by_key(|row| row.sequence);
        Ok(found)
    }
}

/// The last sequence up to which the index of a partition is complete.
pub(crate) fn indexed_until(partition: &Partition) -> u64 {
    use std::sync::atomic::Ordering;
    partition.shared.indexed.load(Ordering::Acquire)
}

fn token_rows(
    partition: &Partition,
    kind: u16,
    value: i64,
    cancel: &Cancel,
) -> Result<Vec<u64>, DbError> {
    let index = partition
        .index
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone();
    let Some(index) = index else {
        return Ok(Vec::new());
    };
    index.read(cancel, |conn| {
        let sql = "SELECT seq FROM token WHERE kind = ?1 AND value = ?2 ORDER BY seq LIMIT ?3";
        let read = || {
            let mut statement = conn.prepare_cached(sql)?;
            let rows = statement.query_map(params![kind, value, RELATED_MAX], |row| row.get(0))?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().doing("search the index of", partition.name())
    })
}

fn tail(
    conn: &Connection,
    partition: &Partition,
    sql: &str,
    after: u64,
    message: MessageId,
) -> Result<Vec<StoredMessage>, DbError> {
    let shared = &partition.shared;
    let read = || {
        let mut statement = conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![after, message.bytes(), RELATED_MAX], |row| {
            header_from(row, shared)
        })?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().doing("search", &shared.name)
}
