//! Questions about single messages, destinations and channels.

use std::sync::Arc;

use bytes::Bytes;
use hilum_db::rusqlite::{Connection, params};
use hilum_db::{Cancel, DbError, Doing};
use hilum_message::{DeliveryId, MessageId, Payload};

use super::{Inner, Journal, Pinned};
use crate::error::JournalError;
use crate::model::{DeliveryRef, DeliveryState, Disposition, Outcome, PendingDelivery};
use crate::partition::names::destination_name;
use crate::partition::{Partition, TALLY_OUTCOME};
use crate::read::{
    StoredAttempt, StoredDelivery, StoredMessage, answer_of, attempts_of, body_of, deliveries_of,
    header_of, outbound_of, pending_of, placed_rows,
};
use crate::recover::open_work;
use crate::schema::NameKind;

/// Everything that is known of a message.
#[derive(Clone, Debug)]
pub struct MessageTrace {
    /// Its rows, in commit order: one, or more if it was stored before it was processed or held.
    pub rows: Vec<StoredMessage>,
    /// Its deliveries with their attempts.
    pub deliveries: Vec<(StoredDelivery, Vec<StoredAttempt>)>,
    /// Parts of it, and messages that repeat it, in commit order; at most the newest 10,000.
    pub related: Vec<StoredMessage>,
    /// There are older ones that belong to it.
    pub related_truncated: bool,
}

/// A count of one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TallyRow {
    /// Hours since 1970.
    pub hour: u64,
    /// The channel.
    pub channel: Arc<str>,
    /// What was counted.
    pub what: Tally,
    /// How many.
    pub count: u64,
    /// Their bytes received.
    pub bytes: u64,
}

/// What a count counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Messages.
    Message(Disposition),
    /// Attempts at a destination.
    Attempt(Arc<str>, Outcome),
}

impl Journal {
    /// Pending deliveries of a destination after a place in the order, at most `limit`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub async fn pending(
        &self,
        channel: Arc<str>,
        destination: Arc<str>,
        after: Option<DeliveryRef>,
        limit: usize,
    ) -> Result<Vec<PendingDelivery>, JournalError> {
        let found = self.read(move |inner, cancel| {
            let state = DeliveryState::Pending;
            inner.deliveries_in(&channel, &destination, state, after, limit, cancel)
        });
        let found = found.await?;
        Ok(found.into_iter().map(|stored| stored.delivery).collect())
    }

    /// Dead letters of a destination after a place in the order, at most `limit`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub async fn dead_letters(
        &self,
        channel: Arc<str>,
        destination: Arc<str>,
        after: Option<DeliveryRef>,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, JournalError> {
        self.read(move |inner, cancel| {
            let state = DeliveryState::DeadLetter;
            inner.deliveries_in(&channel, &destination, state, after, limit, cancel)
        })
        .await
    }

    /// The bytes to send, and their message.
    ///
    /// # Errors
    /// If there is no such delivery, or its bytes are damaged.
    pub async fn body(
        &self,
        delivery: DeliveryRef,
    ) -> Result<(StoredMessage, Payload), JournalError> {
        self.read(move |inner, cancel| {
            let (sequence, ordinal) = (delivery.sequence, delivery.id.ordinal);
            inner.at(sequence, cancel, |conn, partition| {
                let shared = &partition.shared;
                let body = outbound_of(conn, &inner.core.codecs, shared, sequence, ordinal)?;
                Ok((found_header(conn, partition, sequence)?, body))
            })
        })
        .await
    }

    /// A message without its bytes, by its id.
    ///
    /// # Errors
    /// If there is no such message.
    pub async fn header(&self, message: MessageId) -> Result<StoredMessage, JournalError> {
        self.read(move |inner, cancel| inner.last_row_of(message, cancel))
            .await
    }

    /// A message without its bytes, by its commit sequence.
    ///
    /// # Errors
    /// If there is no such message.
    pub async fn header_at(&self, sequence: u64) -> Result<StoredMessage, JournalError> {
        self.read(move |inner, cancel| {
            inner.at(sequence, cancel, |conn, partition| {
                found_header(conn, partition, sequence)
            })
        })
        .await
    }

    /// The answer that was given to a message, by its commit sequence.
    ///
    /// # Errors
    /// If there is no such message, or its bytes are damaged.
    pub async fn answer_at(&self, sequence: u64) -> Result<Option<Bytes>, JournalError> {
        self.read(move |inner, cancel| {
            inner.at(sequence, cancel, |conn, partition| {
                answer_of(conn, &inner.core.codecs, &partition.shared, sequence)
            })
        })
        .await
    }

    /// A message and its bytes exactly as received, by its id.
    ///
    /// # Errors
    /// If there is no such message, or its bytes are damaged.
    pub async fn received(
        &self,
        message: MessageId,
    ) -> Result<(StoredMessage, Payload), JournalError> {
        self.read(move |inner, cancel| {
            let row = inner.last_row_of(message, cancel)?;
            let body = inner.body_at(row.sequence, cancel)?;
            Ok((row, body))
        })
        .await
    }

    /// A message and its bytes exactly as received, by its commit sequence.
    ///
    /// # Errors
    /// As [`Journal::received`].
    pub async fn received_at(
        &self,
        sequence: u64,
    ) -> Result<(StoredMessage, Payload), JournalError> {
        self.read(move |inner, cancel| {
            inner.at(sequence, cancel, |conn, partition| {
                let row = found_header(conn, partition, sequence)?;
                let body = body_of(conn, &inner.core.codecs, &partition.shared, sequence)?;
                Ok((row, body))
            })
        })
        .await
    }

    /// Where a delivery is, by its id.
    ///
    /// # Errors
    /// If there is no such delivery.
    pub async fn find_delivery(&self, id: DeliveryId) -> Result<StoredDelivery, JournalError> {
        self.read(move |inner, cancel| {
            for row in inner.rows_of(id.message, cancel)?.into_iter().rev() {
                let mut deliveries = inner.deliveries_at(row.sequence, cancel)?.into_iter();
                let found = deliveries.find(|stored| stored.delivery.delivery.id == id);
                if let Some(found) = found {
                    return Ok(found);
                }
            }
            Err(JournalError::not_found("delivery", id))
        })
        .await
    }

    /// The deliveries of a message, by its commit sequence.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub async fn deliveries_of(&self, sequence: u64) -> Result<Vec<StoredDelivery>, JournalError> {
        self.read(move |inner, cancel| inner.deliveries_at(sequence, cancel))
            .await
    }

    /// The commit sequence from which on messages are still there, whatever became of them: of what
    /// was committed before, retention has left open work alone.
    #[must_use]
    pub fn whole_since(&self) -> u64 {
        let partitions = self.inner.all(Pinned::Left);
        partitions.first().map_or(0, |oldest| oldest.shared.first())
    }

    /// Everything that is known of a message.
    ///
    /// # Errors
    /// If there is no such message.
    pub async fn trace(&self, message: MessageId) -> Result<MessageTrace, JournalError> {
        self.read(move |inner, cancel| {
            let rows = inner.rows_of(message, cancel)?;
            if rows.is_empty() {
                return Err(JournalError::not_found("message", message));
            }
            let codecs = &inner.core.codecs;
            let mut deliveries = Vec::new();
            for row in &rows {
                for stored in inner.deliveries_at(row.sequence, cancel)? {
                    let delivery = stored.delivery.delivery;
                    let (sequence, ordinal) = (delivery.sequence, delivery.id.ordinal);
                    let attempts = inner.at(sequence, cancel, |conn, partition| {
                        let shared = &partition.shared;
                        Ok(attempts_of(conn, codecs, shared, sequence, ordinal)?)
                    })?;
                    deliveries.push((stored, attempts));
                }
            }
            let related = inner.related_to(message, cancel)?;
            Ok(MessageTrace {
                rows,
                deliveries,
                related: related.rows,
                related_truncated: related.is_truncated,
            })
        })
        .await
    }

    /// Held messages, oldest first.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub async fn holds(&self) -> Result<Vec<StoredMessage>, JournalError> {
        self.read(|inner, cancel| {
            let mut work = inner.work(cancel)?;
            work.retain(|message| message.disposition == Disposition::Held);
            Ok(work)
        })
        .await
    }

    /// Rows after a commit sequence that keep the place of a held message, in commit order: those by
    /// which such messages went on.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub async fn placed_since(&self, after: u64) -> Result<Vec<StoredMessage>, JournalError> {
        self.read(move |inner, cancel| {
            let mut found = Vec::new();
            for partition in inner.all(Pinned::Left) {
                if partition.shared.last() > after {
                    let read = |conn: &Connection| placed_rows(conn, &partition.shared, after);
                    found.extend(partition.readers.read(cancel, read)?);
                }
            }
            found.sort_by_key(|row: &StoredMessage| row.sequence);
            Ok(found)
        })
        .await
    }

    /// The first place of a batch that no stored part has: where a batch that was interrupted goes
    /// on. `opened` is the commit sequence of its parent's row.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub async fn first_missing_part(
        &self,
        parent: MessageId,
        opened: u64,
    ) -> Result<u32, JournalError> {
        self.read(move |inner, cancel| {
            let mut parts = Vec::new();
            for partition in inner.all(Pinned::Included) {
                if partition.shared.last() >= opened {
                    let read = |conn: &Connection| parts_of(conn, &partition, parent, opened);
                    parts.extend(partition.readers.read(cancel, read)?);
                }
            }
            parts.sort_unstable();
            parts.dedup();
            let contiguous = (0..).zip(&parts).take_while(|(want, got)| want == *got);
            Ok(u32::try_from(contiguous.count()).unwrap_or(u32::MAX))
        })
        .await
    }

    /// Counts per hour since an hour, of one channel or all, in order of time.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub async fn statistics(
        &self,
        channel: Option<Arc<str>>,
        since_ms: u64,
    ) -> Result<Vec<TallyRow>, JournalError> {
        self.read(move |inner, cancel| {
            let mut rows: Vec<TallyRow> = Vec::new();
            for partition in inner.all(Pinned::Left) {
                let read = |conn: &Connection| tallies(conn, &partition, since_ms / 3_600_000);
                rows.extend(partition.readers.read(cancel, read)?);
            }
            if let Some(channel) = channel {
                rows.retain(|row| row.channel == channel);
            }
            rows.sort_by_key(|row| row.hour);
            Ok(rows)
        })
        .await
    }
}

fn found_header(
    conn: &Connection,
    partition: &Partition,
    sequence: u64,
) -> Result<StoredMessage, JournalError> {
    header_of(conn, &partition.shared, sequence)?
        .ok_or_else(|| JournalError::not_found("message", sequence))
}

/// The places of the parts of a batch that lie in one file. Read from the rows themselves, which
/// are there when the index is not yet; a batch is resumed rarely.
fn parts_of(
    conn: &Connection,
    partition: &Partition,
    parent: MessageId,
    opened: u64,
) -> Result<Vec<u32>, DbError> {
    let read = || {
        let sql = "SELECT part FROM message WHERE seq > ?1 AND parent = ?2";
        let mut statement = conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![opened, parent.bytes()], |row| row.get(0))?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().doing("read the parts of a batch in", partition.name())
}

fn tallies(
    conn: &Connection,
    partition: &Partition,
    since_hour: u64,
) -> Result<Vec<TallyRow>, DbError> {
    let names = &partition.shared.names;
    let read = || {
        let sql = "SELECT hour, name, what, count, bytes FROM tally WHERE hour >= ?1";
        let mut statement = conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![since_hour], |row| {
            let (name, what): (i64, i64) = (row.get(1)?, row.get(2)?);
            let (channel, what) = if what >= TALLY_OUTCOME {
                let (channel, destination) = names.destination(name).unwrap_or_default();
                let outcome = Outcome::from_code(what - TALLY_OUTCOME).unwrap_or(Outcome::Retry);
                (channel, Tally::Attempt(destination, outcome))
            } else {
                let disposition = Disposition::from_code(what).unwrap_or(Disposition::Rejected);
                (names.text(name), Tally::Message(disposition))
            };
            Ok(TallyRow {
                hour: row.get(0)?,
                channel,
                what,
                count: row.get(3)?,
                bytes: row.get(4)?,
            })
        })?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().doing("read the counts of", partition.name())
}

impl Inner {
    /// Reads at a row, in the partition that holds it; in `pinned.db` if that one is gone.
    pub(crate) fn at<T>(
        &self,
        sequence: u64,
        cancel: &Cancel,
        read: impl Fn(&Connection, &Partition) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let pinned = self.read_partitions().pinned.clone();
        let holder = self.holder(sequence);
        let mut last = Err(JournalError::not_found("message", sequence));
        for partition in holder.iter().chain([&pinned]) {
            let mut result = None;
            partition.readers.read(cancel, |conn| {
                result = Some(read(conn, partition));
                Ok(())
            })?;
            match result {
                Some(Err(JournalError::NotFound { .. })) | None => {}
                Some(result) => {
                    last = result;
                    break;
                }
            }
        }
        last
    }

    fn last_row_of(
        &self,
        message: MessageId,
        cancel: &Cancel,
    ) -> Result<StoredMessage, JournalError> {
        let last = self.rows_of(message, cancel)?.pop();
        last.ok_or_else(|| JournalError::not_found("message", message))
    }

    pub(crate) fn body_at(&self, sequence: u64, cancel: &Cancel) -> Result<Payload, JournalError> {
        self.at(sequence, cancel, |conn, partition| {
            body_of(conn, &self.core.codecs, &partition.shared, sequence)
        })
    }

    /// The deliveries of a row; of those that were copied to `pinned.db`, the copies.
    pub(crate) fn deliveries_at(
        &self,
        sequence: u64,
        cancel: &Cancel,
    ) -> Result<Vec<StoredDelivery>, JournalError> {
        let pinned = self.read_partitions().pinned.clone();
        let mut found: Vec<StoredDelivery> = Vec::new();
        for partition in self.holder(sequence).iter().chain([&pinned]) {
            let shared = &partition.shared;
            let read = |conn: &Connection| deliveries_of(conn, shared, sequence);
            for stored in partition.readers.read(cancel, read)? {
                let id = stored.delivery.delivery.id;
                let known = |known: &&mut StoredDelivery| known.delivery.delivery.id == id;
                match found.iter_mut().find(known) {
                    None => found.push(stored),
                    Some(known) if known.state == DeliveryState::Pinned => *known = stored,
                    Some(_) => {}
                }
            }
        }
        Ok(found)
    }

    /// Rows with open work, oldest first.
    pub(crate) fn work(&self, cancel: &Cancel) -> Result<Vec<StoredMessage>, JournalError> {
        let mut work = Vec::new();
        for partition in self.all(Pinned::Included) {
            if !partition.pinned.load(std::sync::atomic::Ordering::Acquire) {
                let read = |conn: &Connection| open_work(conn, &partition.shared);
                work.extend(partition.readers.read(cancel, read)?);
            }
        }
        work.sort_by_key(|message| message.sequence);
        Ok(work)
    }

    fn deliveries_in(
        &self,
        channel: &str,
        destination: &str,
        state: DeliveryState,
        after: Option<DeliveryRef>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<Vec<StoredDelivery>, JournalError> {
        let name = destination_name(channel, destination);
        let after = after.map_or((0, None), |d| (d.sequence, Some(d.id.ordinal)));
        let mut found = Vec::new();
        for partition in self.all(Pinned::Included) {
            let shared = &partition.shared;
            let Some(id) = shared.names.id(NameKind::Destination, &name) else {
                continue;
            };
            if found.len() >= limit {
                break;
            }
            if after.0 > shared.last() {
                continue;
            }
            let left = limit - found.len();
            let read = |conn: &Connection| pending_of(conn, shared, id, state, after, left);
            found.extend(partition.readers.read(cancel, read)?);
        }
        // What is pinned is older than what is not, except around the moment of pinning.
        found.sort_by_key(|stored| {
            let delivery = stored.delivery.delivery;
            (delivery.sequence, delivery.id.ordinal)
        });
        Ok(found)
    }
}
