//! A message row: its header without touching the body, and its bytes.

use std::sync::Arc;

use bytes::Bytes;
use hilum_db::rusqlite::{Connection, OptionalExtension, Row};
use hilum_db::{DbError, Doing};
use hilum_message::{Cut, MessageId, Metadata, Payload, PlanDigest};

use crate::bytes::{
    unpack_cuts, unpack_findings, unpack_hold, unpack_metadata, unpack_reads, unpack_resend,
    unpack_tokens,
};
use crate::codec::{Codec, Codecs, Dictionary, Stored, unpack_outbound};
use crate::error::JournalError;
use crate::model::{Disposition, Hold, MessageFinding, Resend, StateRead, Token};
use crate::partition::PartitionShared;
use crate::row::{delivery_is_intact, message_is_intact};

/// Rows that share a body refer to the first; longer chains than this are damage.
const CHAIN_MAX: usize = 64;

/// A stored message without its bytes.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// Its commit sequence, by which everything else about it is found.
    pub sequence: u64,
    /// Its id.
    pub message: MessageId,
    /// Its channel.
    pub channel: Arc<str>,
    /// When it arrived, Unix milliseconds.
    pub arrived_ms: u64,
    /// When it was committed, Unix milliseconds.
    pub committed_ms: u64,
    /// What became of it.
    pub disposition: Disposition,
    /// Why.
    pub reason: Option<Arc<str>>,
    /// Its type.
    pub kind: Option<Arc<str>>,
    /// Its control id.
    pub control_id: Option<Arc<str>>,
    /// The plan that processed it.
    pub plan: PlanDigest,
    /// Where it came from.
    pub peer: Option<Arc<str>>,
    /// The row that it completed.
    pub completes: Option<u64>,
    /// The commit sequence whose place in the order it keeps, if not its own.
    pub place: Option<u64>,
    /// The message that it is part of, and its place there.
    pub parent: Option<(MessageId, u32)>,
    /// The message that it repeats.
    pub replay_of: Option<MessageId>,
    /// How it comes back, if it is held.
    pub hold: Option<Hold>,
    /// What it is found by.
    pub tokens: Vec<Token>,
    /// What was noticed about it.
    pub findings: Vec<MessageFinding>,
    /// Named values.
    pub metadata: Metadata,
    /// The state that it was processed with.
    pub state_reads: Vec<StateRead>,
    /// To recognise a repetition.
    pub resend: Option<Resend>,
    /// The number of bytes received.
    pub bytes: u64,
    /// The partition that holds it.
    pub partition: Arc<str>,
}

/// The columns of a header, in the order in which [`header_from`] reads them.
pub(crate) const HEADER_COLUMNS: &str = "seq, id, channel, arrived_ms, committed_ms, disposition, \
    kind, plan, peer, origin, tokens, control_id, reason, parent, part, replay_of, hold, metadata, \
    reads, resend, total_bytes, findings, place";

type SqlError = hilum_db::rusqlite::Error;

fn id(bytes: Option<Vec<u8>>) -> Option<MessageId> {
    Some(MessageId::from_bytes(bytes?.try_into().ok()?))
}

/// Reads a header; what cannot be unpacked is left empty, because the body is what counts and
/// `verify` names the damage.
pub(crate) fn header_from(
    row: &Row<'_>,
    shared: &PartitionShared,
) -> Result<StoredMessage, SqlError> {
    let name = |at: usize| -> Result<Option<Arc<str>>, SqlError> {
        Ok(row
            .get::<_, Option<i64>>(at)?
            .map(|id| shared.names.text(id)))
    };
    let text = |at: usize| -> Result<Option<Arc<str>>, SqlError> {
        Ok(row.get::<_, Option<String>>(at)?.map(Into::into))
    };
    let bytes = |at: usize| row.get::<_, Option<Vec<u8>>>(at);
    let plan = row.get::<_, Option<i64>>(7)?;
    let plan = plan.and_then(|id| shared.names.value(id));
    let plan = plan.and_then(|plan| plan.as_ref().try_into().ok());
    let parent = id(bytes(13)?).zip(row.get::<_, Option<u32>>(14)?);
    let code = row.get(5)?;
    Ok(StoredMessage {
        sequence: row.get(0)?,
        message: id(bytes(1)?).unwrap_or_default(),
        channel: shared.names.text(row.get(2)?),
        arrived_ms: row.get(3)?,
        committed_ms: row.get(4)?,
        disposition: Disposition::from_code(code).unwrap_or(Disposition::Rejected),
        reason: text(12)?,
        kind: name(6)?,
        control_id: text(11)?,
        plan: PlanDigest(plan.unwrap_or_default()),
        peer: name(8)?,
        completes: row.get(9)?,
        parent,
        replay_of: id(bytes(15)?),
        hold: bytes(16)?.and_then(|packed| unpack_hold(&packed)),
        tokens: bytes(10)?
            .and_then(|packed| unpack_tokens(&packed))
            .unwrap_or_default(),
        metadata: bytes(17)?
            .and_then(|packed| unpack_metadata(&packed))
            .unwrap_or_default(),
        state_reads: bytes(18)?
            .and_then(|packed| unpack_reads(&packed))
            .unwrap_or_default(),
        resend: bytes(19)?.and_then(|packed| unpack_resend(&packed)),
        bytes: row.get(20)?,
        place: row.get(22)?,
        findings: bytes(21)?
            .and_then(|packed| unpack_findings(&packed))
            .unwrap_or_default(),
        partition: shared.name.clone(),
    })
}

/// The header of one row.
pub(crate) fn header_of(
    conn: &Connection,
    shared: &PartitionShared,
    sequence: u64,
) -> Result<Option<StoredMessage>, DbError> {
    let sql = format!("SELECT {HEADER_COLUMNS} FROM message WHERE seq = ?1");
    conn.prepare_cached(&sql)
        .and_then(|mut statement| {
            statement
                .query_row([sequence], |row| header_from(row, shared))
                .optional()
        })
        .doing("read a message of", &shared.name)
}

/// The rows of one file after a commit sequence that keep an earlier place, in commit order.
pub(crate) fn placed_rows(
    conn: &Connection,
    shared: &PartitionShared,
    after: u64,
) -> Result<Vec<StoredMessage>, DbError> {
    let read = || {
        let sql = format!(
            "SELECT {HEADER_COLUMNS} FROM message INDEXED BY placed \
             WHERE place IS NOT NULL AND seq > ?1 ORDER BY seq"
        );
        let mut statement = conn.prepare_cached(&sql)?;
        let rows = statement.query_map([after], |row| header_from(row, shared))?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().doing("read rows that keep their place in", &shared.name)
}

/// A dictionary of the file, from memory if it was used before.
pub(super) fn find_dictionary(
    conn: &Connection,
    codecs: &Codecs,
    id: i64,
) -> Result<Option<Arc<Dictionary>>, SqlError> {
    if let Some(dictionary) = codecs.loaded(id) {
        return Ok(Some(dictionary));
    }
    let mut statement = conn.prepare_cached("SELECT bytes FROM dictionary WHERE id = ?1")?;
    let bytes = statement.query_row([id], |row| row.get::<_, Vec<u8>>(0));
    let dictionary = bytes
        .optional()?
        .and_then(|bytes| Dictionary::new(bytes.into()));
    if let Some(dictionary) = &dictionary {
        codecs.keep(dictionary.clone());
    }
    Ok(dictionary)
}

/// What the body column of a row holds, restored.
pub(crate) struct StoredContent {
    /// The received text, and behind it the answer.
    pub(crate) bytes: Bytes,
    text_bytes: usize,
    cuts: Vec<Cut>,
}

/// The bytes of a row exactly as received.
pub(crate) fn body_of(
    conn: &Connection,
    codecs: &Codecs,
    shared: &PartitionShared,
    sequence: u64,
) -> Result<Payload, JournalError> {
    let content = content_of(conn, codecs, shared, sequence)?;
    let text = content.bytes.slice(..content.text_bytes);
    Ok(Payload::with_cuts(text, content.cuts))
}

/// The answer that was given to a row.
pub(crate) fn answer_of(
    conn: &Connection,
    codecs: &Codecs,
    shared: &PartitionShared,
    sequence: u64,
) -> Result<Option<Bytes>, JournalError> {
    let row = conn
        .prepare_cached("SELECT answer, answer_bytes FROM message WHERE seq = ?1")
        .and_then(|mut statement| {
            let row = statement.query_row([sequence], |row| {
                let answer = row.get::<_, Option<Vec<u8>>>(0)?;
                Ok((answer, row.get::<_, Option<u64>>(1)?))
            });
            row.optional()
        })
        .doing("read an answer of", &shared.name)?;
    match row {
        None => Err(JournalError::not_found("message", sequence)),
        Some((Some(answer), _)) => match message_is_intact(conn, shared, sequence)? {
            Some(false) => Err(JournalError::damaged("message", sequence)),
            Some(true) | None => Ok(Some(answer.into())),
        },
        Some((None, None)) => Ok(None),
        Some((None, Some(_))) => {
            let content = content_of(conn, codecs, shared, sequence)?;
            Ok(Some(content.bytes.slice(content.text_bytes..)))
        }
    }
}

/// The received text and the answer of a row; of the row whose body it shares, if it has none.
pub(crate) fn content_of(
    conn: &Connection,
    codecs: &Codecs,
    shared: &PartitionShared,
    sequence: u64,
) -> Result<StoredContent, JournalError> {
    let mut at = sequence;
    for _ in 0..CHAIN_MAX {
        if message_is_intact(conn, shared, at)? == Some(false) {
            return Err(JournalError::damaged("message", at));
        }
        let row = conn
            .prepare_cached(
                "SELECT codec, dictionary, text_bytes, cuts, body, ifnull(answer_bytes, 0) \
                 FROM message WHERE seq = ?1",
            )
            .and_then(|mut statement| {
                let row = statement.query_row([at], |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get::<_, Option<i64>>(1)?,
                        row.get::<_, usize>(2)?,
                        row.get::<_, Option<Vec<u8>>>(3)?,
                        row.get::<_, Vec<u8>>(4)?,
                        row.get::<_, usize>(5)?,
                    ))
                });
                row.optional()
            })
            .doing("read a body of", &shared.name)?;
        let Some((code, dictionary, text_bytes, cuts, body, answer_bytes)) = row else {
            return Err(JournalError::not_found("message", sequence));
        };
        let damaged = || JournalError::damaged("message", sequence);
        let codec = Codec::from_code(code).ok_or_else(damaged)?;
        if codec == Codec::Other {
            at = u64::from_le_bytes(body.try_into().map_err(|_| damaged())?);
            continue;
        }
        let dictionary = match dictionary {
            None => None,
            Some(id) => {
                find_dictionary(conn, codecs, id).doing("read a dictionary of", &shared.name)?
            }
        };
        let stored = Stored {
            codec,
            dictionary: None,
            bytes: body.into(),
        };
        let plain_bytes = text_bytes.saturating_add(answer_bytes);
        let bytes = codecs
            .restore(&stored, plain_bytes, dictionary.as_deref(), b"")
            .ok_or_else(damaged)?;
        let cuts = cuts.unwrap_or_default();
        let cuts = unpack_cuts(&cuts, &shared.name).ok_or_else(damaged)?;
        return Ok(StoredContent {
            bytes,
            text_bytes,
            cuts,
        });
    }
    Err(JournalError::damaged("message", sequence))
}

/// The bytes of one delivery of a row.
pub(crate) fn outbound_of(
    conn: &Connection,
    codecs: &Codecs,
    shared: &PartitionShared,
    sequence: u64,
    ordinal: u32,
) -> Result<Payload, JournalError> {
    let packed = conn
        .prepare_cached("SELECT outbound FROM message WHERE seq = ?1")
        .and_then(|mut statement| {
            let row = statement.query_row([sequence], |row| row.get::<_, Option<Vec<u8>>>(0));
            row.optional()
        })
        .doing("read outbound bytes of", &shared.name)?;
    let id = format!("{sequence}.{ordinal}");
    let Some(packed) = packed.flatten() else {
        return Err(JournalError::not_found("delivery", id));
    };
    if delivery_is_intact(conn, shared, sequence, ordinal)? == Some(false) {
        return Err(JournalError::damaged("delivery", id));
    }
    let received = body_of(conn, codecs, shared, sequence)?;
    let packed = Bytes::from(packed);
    unpack_outbound(codecs, &packed, ordinal, &received, &shared.name)
        .ok_or_else(|| JournalError::damaged("delivery", id))
}
