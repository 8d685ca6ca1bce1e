//! Copies of old open deliveries in `pinned.db`, so that retention never waits for them.

use hilum_db::DbError;
use hilum_db::Doing;
use hilum_db::rusqlite::{Connection, Error, params};

use crate::codec::Codec;
use crate::model::{DeliveryState, NewState};
use crate::partition::ops::{Done, Prepared};
use crate::partition::{AttemptRow, PartitionHandler, insert_copy};
use crate::read::{StoredAttempt, has_message};
use crate::row::AttemptParts;

/// A message with the deliveries that are still open.
#[derive(Debug)]
pub(crate) struct PinnedMessage {
    pub(crate) sequence: u64,
    pub(crate) committed_ms: u64,
    pub(crate) message: Prepared,
    /// Ordinal and attempts so far, of each delivery in the request.
    pub(crate) attempts: Vec<(u32, Vec<StoredAttempt>)>,
    /// It is held or unprocessed.
    pub(crate) is_work: bool,
}

impl PinnedMessage {
    /// Its deliveries as they were when it was copied.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = OpenDelivery> {
        let deliveries = self.message.request.deliveries.iter();
        deliveries.zip(&self.attempts).map(|(delivery, attempts)| {
            let (state, reason) = match &delivery.state {
                NewState::Pending => (DeliveryState::Pending, None),
                NewState::DeadLetter(reason) => {
                    (DeliveryState::DeadLetter, Some(reason.to_string()))
                }
            };
            OpenDelivery {
                sequence: self.sequence,
                ordinal: delivery.ordinal,
                state,
                attempts: u32::try_from(attempts.1.len()).unwrap_or(u32::MAX),
                reason,
            }
        })
    }
}

/// A delivery that is copied, and how it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenDelivery {
    pub(crate) sequence: u64,
    pub(crate) ordinal: u32,
    pub(crate) state: DeliveryState,
    pub(crate) attempts: u32,
    pub(crate) reason: Option<String>,
}

/// Copies for `pinned.db`. Doing it again changes nothing.
#[derive(Debug)]
pub(crate) struct PinOp {
    pub(crate) messages: Vec<PinnedMessage>,
    /// Copies whose deliveries changed in the old partition meanwhile.
    pub(crate) changed: Vec<OpenDelivery>,
    pub(crate) done: Option<Done<()>>,
}

impl PinOp {
    pub(crate) fn apply(
        &self,
        handler: &mut PartitionHandler,
        conn: &Connection,
    ) -> Result<(), DbError> {
        for pinned in &self.messages {
            if has_message(conn, "pinned.db", pinned.sequence)? {
                // Copied before a crash; its deliveries may have changed since.
                let mut deliveries = pinned.deliveries();
                deliveries
                    .try_for_each(|delivery| follow(conn, &delivery))
                    .doing("correct a copy in", "pinned.db")?;
                continue;
            }
            insert_copy(handler, conn, pinned)?;
            for (ordinal, attempts) in &pinned.attempts {
                write_attempts(conn, pinned.sequence, *ordinal, attempts)
                    .doing("write attempts to", "pinned.db")?;
            }
        }
        for changed in &self.changed {
            follow(conn, changed).doing("correct a copy in", "pinned.db")?;
        }
        Ok(())
    }

    pub(crate) fn done(self, result: Result<(), DbError>) {
        if let Some(done) = self.done {
            // Whoever asked may have stopped waiting.
            drop(done.send(result));
        }
    }
}

/// Makes a copy what its delivery became before it was marked as copied.
fn follow(conn: &Connection, now: &OpenDelivery) -> Result<(), Error> {
    let (sequence, ordinal) = (now.sequence, now.ordinal);
    match now.state {
        DeliveryState::Pending | DeliveryState::DeadLetter => {
            let sql = "UPDATE delivery SET state = ?3, attempts = ?4, reason = ?5, \
                       sum = (sum & 4294967295) | (?3 << 32) | (?4 << 40) WHERE seq = ?1 AND ordinal = ?2";
            let state = now.state as u8;
            conn.prepare_cached(sql)?.execute(params![
                sequence,
                ordinal,
                state,
                now.attempts,
                now.reason
            ])
        }
        DeliveryState::Delivered | DeliveryState::Withdrawn | DeliveryState::Pinned => {
            let sql = "DELETE FROM delivery WHERE seq = ?1 AND ordinal = ?2";
            conn.prepare_cached(sql)?
                .execute(params![sequence, ordinal])
        }
    }
    .map(drop)
}

/// Marks deliveries as copied in their old partition. Those that are not any more what was copied
/// come back as they are now.
pub(crate) fn unpend(
    conn: &Connection,
    copied: &[OpenDelivery],
) -> Result<Vec<OpenDelivery>, Error> {
    let mut changed = Vec::new();
    for copy in copied {
        let key = params![copy.sequence, copy.ordinal];
        let sql = "SELECT state, attempts, reason FROM delivery WHERE seq = ?1 AND ordinal = ?2";
        let now = conn.prepare_cached(sql)?.query_row(key, |row| {
            let state = DeliveryState::from_code(row.get(0)?);
            Ok(OpenDelivery {
                state: state.unwrap_or(DeliveryState::DeadLetter),
                attempts: row.get(1)?,
                reason: row.get(2)?,
                ..copy.clone()
            })
        })?;
        let sql = "UPDATE delivery SET state = 4, \
                   sum = (sum & 4294967295) | (4 << 32) | (attempts << 40) WHERE seq = ?1 AND ordinal = ?2 \
                   AND state IN (0, 2)";
        conn.prepare_cached(sql)?.execute(key)?;
        if now != *copy {
            changed.push(now);
        }
    }
    Ok(changed)
}

fn write_attempts(
    conn: &Connection,
    sequence: u64,
    ordinal: u32,
    attempts: &[StoredAttempt],
) -> Result<(), Error> {
    for attempt in attempts {
        let reply = attempt.reply.as_deref();
        let plain = reply.map(|_| Codec::Plain as u8);
        let reason = attempt.reason.as_deref();
        let row = AttemptRow {
            parts: AttemptParts {
                key: (sequence, ordinal, attempt.number),
                started_ms: attempt.started_ms,
                duration_ms: attempt.duration_ms,
                outcome: attempt.outcome as u8,
                reason: reason.map(str::as_bytes),
                form: (plain, None, reply.map(|reply| reply.len() as u64)),
                reply,
            },
            reason,
        };
        row.write(conn)?;
    }
    let sql = "UPDATE delivery SET attempts = ?3, \
               sum = (sum & 4294967295) | (state << 32) | (?3 << 40) WHERE seq = ?1 AND ordinal = ?2";
    conn.prepare_cached(sql)?
        .execute(params![sequence, ordinal, attempts.len()])
        .map(drop)
}
