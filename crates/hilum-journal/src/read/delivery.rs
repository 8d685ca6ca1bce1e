//! Delivery and attempt rows.

use std::sync::Arc;

use bytes::Bytes;
use hilum_db::rusqlite::{Connection, OptionalExtension, Row, params};
use hilum_db::{DbError, Doing};
use hilum_message::{DeliveryId, MessageId};

use crate::bytes::unpack_keys;
use crate::codec::{Codec, Codecs, Stored};
use crate::model::{DeliveryRef, DeliveryState, Outcome, PendingDelivery};
use crate::partition::PartitionShared;
use crate::read::message::find_dictionary;

/// A delivery as it is stored.
#[derive(Clone, Debug)]
pub struct StoredDelivery {
    /// What a pending one would be dispatched with.
    pub delivery: PendingDelivery,
    /// Where it is now.
    pub state: DeliveryState,
    /// Why it is there.
    pub reason: Option<Arc<str>>,
}

/// An attempt as it is stored.
#[derive(Clone)]
pub struct StoredAttempt {
    /// Its number, from 1.
    pub number: u32,
    /// When it began, Unix milliseconds.
    pub started_ms: u64,
    /// How long it took.
    pub duration_ms: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<Arc<str>>,
    /// What the peer answered.
    pub reply: Option<Bytes>,
}

impl std::fmt::Debug for StoredAttempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredAttempt({}, {:?})", self.number, self.outcome)
    }
}

const COLUMNS: &str = "delivery.seq, delivery.ordinal, delivery.destination, delivery.state, \
    delivery.priority, delivery.bytes, delivery.attempts, delivery.keys, delivery.reason, \
    message.id, message.place";

fn delivery_from(
    row: &Row<'_>,
    shared: &PartitionShared,
) -> Result<StoredDelivery, hilum_db::rusqlite::Error> {
    let sequence = row.get(0)?;
    let id = row.get::<_, Vec<u8>>(9)?.try_into().unwrap_or_default();
    let id = DeliveryId {
        message: MessageId::from_bytes(id),
        ordinal: row.get(1)?,
    };
    let (channel, destination) = shared.names.destination(row.get(2)?).unwrap_or_default();
    let keys = row.get::<_, Option<Vec<u8>>>(7)?.unwrap_or_default();
    Ok(StoredDelivery {
        delivery: PendingDelivery {
            delivery: DeliveryRef { id, sequence },
            place: row.get::<_, Option<u64>>(10)?.unwrap_or(sequence),
            channel,
            destination,
            keys: unpack_keys(&keys).unwrap_or_default(),
            priority: row.get(4)?,
            bytes: row.get(5)?,
            attempts: row.get(6)?,
            payload: None,
        },
        state: DeliveryState::from_code(row.get(3)?).unwrap_or(DeliveryState::DeadLetter),
        reason: row.get::<_, Option<String>>(8)?.map(Into::into),
    })
}

/// Deliveries of one destination in one state (pending or dead letters) after a place, in order.
pub(crate) fn pending_of(
    conn: &Connection,
    shared: &PartitionShared,
    destination: i64,
    state: DeliveryState,
    after: (u64, Option<u32>),
    limit: usize,
) -> Result<Vec<StoredDelivery>, DbError> {
    // The state is part of the text, because a bound value would not select the partial index.
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery JOIN message USING (seq) WHERE delivery.destination = ?1 \
         AND delivery.state = {} AND (delivery.seq, delivery.ordinal) > (?2, ?3) \
         ORDER BY delivery.seq, delivery.ordinal LIMIT ?4",
        state as u8
    );
    let ordinal = after.1.map_or(-1, i64::from);
    let read = || {
        let mut statement = conn.prepare_cached(&sql)?;
        let rows = statement.query_map(params![destination, after.0, ordinal, limit], |row| {
            delivery_from(row, shared)
        })?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().doing("read deliveries of", &shared.name)
}

/// Pending deliveries that keep an earlier place in the order, by commit sequence.
pub(crate) fn placed_of(
    conn: &Connection,
    shared: &PartitionShared,
) -> Result<Vec<PendingDelivery>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM message INDEXED BY placed CROSS JOIN delivery USING (seq) \
         WHERE message.place IS NOT NULL AND delivery.state = 0 \
         ORDER BY message.seq, delivery.ordinal"
    );
    let read = || {
        let mut statement = conn.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| Ok(delivery_from(row, shared)?.delivery))?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().doing("read deliveries that keep their place in", &shared.name)
}

/// All deliveries of one message row, or one of them.
pub(crate) fn deliveries_of(
    conn: &Connection,
    shared: &PartitionShared,
    sequence: u64,
) -> Result<Vec<StoredDelivery>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery JOIN message USING (seq) WHERE delivery.seq = ?1 \
         ORDER BY delivery.ordinal"
    );
    let read = || {
        let mut statement = conn.prepare_cached(&sql)?;
        let rows = statement.query_map([sequence], |row| delivery_from(row, shared))?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().doing("read deliveries of", &shared.name)
}

/// The attempts of one delivery, in order.
pub(crate) fn attempts_of(
    conn: &Connection,
    codecs: &Codecs,
    shared: &PartitionShared,
    sequence: u64,
    ordinal: u32,
) -> Result<Vec<StoredAttempt>, DbError> {
    let sql = "SELECT n, started_ms, duration_ms, outcome, reason, codec, reply_bytes, reply, \
               dictionary FROM attempt WHERE seq = ?1 AND ordinal = ?2 ORDER BY n";
    let read = || {
        let mut statement = conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![sequence, ordinal], |row| {
            let reply = match row.get::<_, Option<Vec<u8>>>(7)? {
                None => None,
                Some(bytes) => {
                    let codec = Codec::from_code(row.get(5)?).unwrap_or(Codec::Plain);
                    let dictionary = match row.get(8)? {
                        None => None,
                        Some(id) => find_dictionary(conn, codecs, id)?,
                    };
                    let stored = Stored {
                        codec,
                        dictionary: None,
                        bytes: bytes.into(),
                    };
                    codecs.restore(&stored, row.get(6)?, dictionary.as_deref(), b"")
                }
            };
            Ok(StoredAttempt {
                number: row.get(0)?,
                started_ms: row.get(1)?,
                duration_ms: row.get(2)?,
                outcome: Outcome::from_code(row.get(3)?).unwrap_or(Outcome::Retry),
                reason: row.get::<_, Option<String>>(4)?.map(Into::into),
                reply,
            })
        })?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().doing("read attempts of", &shared.name)
}

/// A row exists in a table keyed by sequence.
pub(crate) fn has_message(conn: &Connection, file: &str, sequence: u64) -> Result<bool, DbError> {
    conn.prepare_cached("SELECT 1 FROM message WHERE seq = ?1")
        .and_then(|mut statement| statement.query_row([sequence], |_| Ok(())).optional())
        .map(|found| found.is_some())
        .doing("look for a message in", file)
}
