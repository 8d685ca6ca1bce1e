//! The rows of one message.

use hilum_db::rusqlite::{Connection, Error, params};
use hilum_db::{DbClass, DbError, Doing};

use super::handler::PartitionHandler;
use super::names::destination_name;
use super::ops::{Body, Prepared};
use crate::bytes::pack_keys;
use crate::codec::Codec;
use crate::model::{DeliveryState, Disposition, NewState};
use crate::row::{AttemptParts, delivery_base, delivery_sum, written};
use crate::schema::NameKind;
use crate::state::log_row;

/// Writes the message row. `sequences` are those of the messages so far, this one included.
pub(super) fn insert_message(
    handler: &mut PartitionHandler,
    conn: &Connection,
    message: &Prepared,
    sequence: u64,
    sequences: &[u64],
) -> Result<(), DbError> {
    let request = &message.request;
    let channel = handler.name(conn, NameKind::Channel, request.channel.as_bytes())?;
    let kind = request.kind.as_ref().map(|kind| kind.as_bytes());
    let kind = kind.map(|kind| handler.name(conn, NameKind::MessageType, kind));
    let peer = request.peer.as_ref().map(|peer| peer.as_bytes());
    let peer = peer.map(|peer| handler.name(conn, NameKind::Peer, peer));
    let plan = handler.name(conn, NameKind::Plan, &request.plan.0)?;
    let origin = match &message.body {
        Body::Stored(_) => None,
        Body::Shared(at) => match sequences.get(*at) {
            Some(origin) => Some(*origin),
            None => {
                let what = "share a body in";
                return Err(DbError::new(DbClass::Internal, what, handler.file()));
            }
        },
        Body::Origin(origin, _) => Some(*origin),
    };
    let origin_bytes = origin.unwrap_or(0).to_le_bytes();
    let (codec, dictionary, body): (Codec, Option<i64>, &[u8]) = match &message.body {
        Body::Stored(stored) => (stored.codec, stored.dictionary_id(), &stored.bytes),
        Body::Shared(_) | Body::Origin(..) => (Codec::Other, None, &origin_bytes),
    };
    if let Body::Stored(stored) = &message.body
        && let Some(dictionary) = &stored.dictionary
    {
        handler.carry(conn, &request.channel, dictionary)?;
    }
    let sum = written(message.sum, sequence, handler.now_ms, origin);
    let (answer, answer_bytes) = message.answer();
    let parent = request.parent.as_ref();
    let (kind, peer) = (kind.transpose()?, peer.transpose()?);
    conn.prepare_cached(
        "INSERT INTO message (seq, id, channel, arrived_ms, committed_ms, disposition, kind, plan, \
         peer, origin, tokens, control_id, reason, parent, part, replay_of, hold, metadata, reads, \
         findings, resend, answer, answer_bytes, codec, dictionary, text_bytes, total_bytes, \
         sum, place, cuts, body, outbound) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
         ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            sequence,
            request.message.bytes(),
            channel,
            request.arrived_ms,
            handler.now_ms,
            request.disposition as u8,
            kind,
            plan,
            peer,
            request.completes,
            message.tokens,
            request.control_id.as_deref(),
            request.reason.as_deref(),
            parent.map(|(parent, _)| parent.bytes()),
            parent.map(|(_, part)| part),
            request.replay_of.map(|replayed| replayed.bytes()),
            message.hold,
            message.metadata,
            message.reads,
            message.findings,
            message.resend,
            answer,
            answer_bytes,
            codec as u8,
            dictionary,
            request.received.text().len(),
            request.received.len(),
            sum,
            request.place,
            message.cuts,
            body,
            message.outbound.as_deref(),
        ])
    })
    .doing("write a message to", handler.file())?;
    let tallied = request.disposition as i64;
    handler.tally(channel, tallied, request.received.len());
    Ok(())
}

/// Writes the deliveries, open work, blobs, state and timers of a message.
pub(super) fn insert_parts(
    handler: &mut PartitionHandler,
    conn: &Connection,
    message: &Prepared,
    sequence: u64,
) -> Result<(), DbError> {
    let request = &message.request;
    insert_deliveries(handler, conn, message, sequence)?;
    if matches!(
        request.disposition,
        Disposition::Held | Disposition::Received | Disposition::BatchOpen
    ) {
        conn.prepare_cached("INSERT INTO work (seq) VALUES (?1)")
            .and_then(|mut statement| statement.execute([sequence]))
            .doing("note open work in", handler.file())?;
    }
    for blob in &request.blobs {
        let sql = "INSERT OR IGNORE INTO blob (name, seq, bytes, digest) VALUES (?1, ?2, ?3, ?4)";
        let row = params![&*blob.blob.name, sequence, blob.bytes, blob.digest];
        conn.prepare_cached(sql)
            .and_then(|mut statement| statement.execute(row))
            .doing("note a blob in", handler.file())?;
    }
    let log = log_row(
        sequence,
        message.writes(),
        &request.channel,
        &request.timers,
    );
    if let Some((changes, sum)) = log {
        conn.prepare_cached("INSERT INTO state_log (seq, sum, changes) VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| statement.execute(params![sequence, sum, changes]))
            .doing("write state to", handler.file())?;
    }
    Ok(())
}

fn insert_deliveries(
    handler: &mut PartitionHandler,
    conn: &Connection,
    message: &Prepared,
    sequence: u64,
) -> Result<(), DbError> {
    let request = &message.request;
    for delivery in &request.deliveries {
        let name = destination_name(&request.channel, &delivery.destination);
        let destination = handler.name(conn, NameKind::Destination, &name)?;
        let (state, reason) = match &delivery.state {
            NewState::Pending => (DeliveryState::Pending, None),
            NewState::DeadLetter(reason) => (DeliveryState::DeadLetter, Some(&**reason)),
        };
        let sql = "INSERT INTO delivery (seq, ordinal, destination, state, priority, bytes, \
                   attempts, keys, reason, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9)";
        let keys = pack_keys(&delivery.keys);
        let base = delivery_base(
            (sequence, delivery.ordinal),
            &name,
            delivery.priority,
            delivery.payload.len(),
            keys.as_deref(),
        );
        conn.prepare_cached(sql)
            .and_then(|mut statement| {
                statement.execute(params![
                    sequence,
                    delivery.ordinal,
                    destination,
                    state as u8,
                    delivery.priority,
                    delivery.payload.len(),
                    keys,
                    reason,
                    delivery_sum(base, state as u8, 0)
                ])
            })
            .doing("write a delivery to", handler.file())?;
    }
    Ok(())
}

/// One attempt.
pub(crate) struct AttemptRow<'a> {
    pub(crate) parts: AttemptParts<'a>,
    pub(crate) reason: Option<&'a str>,
}

impl AttemptRow<'_> {
    pub(crate) fn write(&self, conn: &Connection) -> Result<(), Error> {
        let parts = &self.parts;
        let ((sequence, ordinal, n), (codec, dictionary, bytes)) = (parts.key, parts.form);
        conn.prepare_cached(
            "INSERT OR REPLACE INTO attempt (seq, ordinal, n, started_ms, duration_ms, outcome, \
             reason, codec, dictionary, reply_bytes, reply, sum) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            sequence,
            ordinal,
            n,
            parts.started_ms,
            parts.duration_ms,
            parts.outcome,
            self.reason,
            codec,
            dictionary,
            bytes,
            parts.reply,
            parts.sum()
        ])
        .map(drop)
    }
}

/// Writes a copy of a message that is open elsewhere, under its own sequence and time.
pub(crate) fn insert_copy(
    handler: &mut PartitionHandler,
    conn: &Connection,
    pinned: &crate::pins::PinnedMessage,
) -> Result<(), DbError> {
    let now_ms = std::mem::replace(&mut handler.now_ms, pinned.committed_ms);
    let result = insert_message(handler, conn, &pinned.message, pinned.sequence, &[]);
    handler.now_ms = now_ms;
    result?;
    insert_deliveries(handler, conn, &pinned.message, pinned.sequence)?;
    if pinned.is_work {
        conn.prepare_cached("INSERT OR IGNORE INTO work (seq) VALUES (?1)")
            .and_then(|mut statement| statement.execute([pinned.sequence]))
            .doing("note open work in", handler.file())?;
    }
    Ok(())
}
