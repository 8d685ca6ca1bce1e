//! Copies of old open deliveries in `pinned.db`, so that retention never waits for them.

use hilum_db::DbError;
use hilum_db::Doing;
use hilum_db::rusqlite::{Connection, params};

use crate::partition::ops::{Done, Prepared};
use crate::partition::{PartitionHandler, insert_copy};
use crate::read::{StoredAttempt, has_message};

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

/// Copies for `pinned.db`. Doing it again changes nothing.
#[derive(Debug)]
pub(crate) struct PinOp {
    pub(crate) messages: Vec<PinnedMessage>,
    /// Copies of deliveries that were settled in the old partition meanwhile.
    pub(crate) withdrawn: Vec<(u64, u32)>,
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
                continue;
            }
            insert_copy(handler, conn, pinned)?;
            for (ordinal, attempts) in &pinned.attempts {
                write_attempts(conn, pinned.sequence, *ordinal, attempts)
                    .doing("write attempts to", "pinned.db")?;
            }
        }
        for (sequence, ordinal) in &self.withdrawn {
            let sql = "DELETE FROM delivery WHERE seq = ?1 AND ordinal = ?2";
            conn.prepare_cached(sql)
                .and_then(|mut statement| statement.execute(params![sequence, ordinal]))
                .doing("withdraw a copy from", "pinned.db")?;
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

fn write_attempts(
    conn: &Connection,
    sequence: u64,
    ordinal: u32,
    attempts: &[StoredAttempt],
) -> Result<(), hilum_db::rusqlite::Error> {
    for attempt in attempts {
        conn.prepare_cached(
            "INSERT OR REPLACE INTO attempt (seq, ordinal, n, started_ms, duration_ms, outcome, \
             reason, codec, reply_bytes, reply) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9)",
        )?
        .execute(params![
            sequence,
            ordinal,
            attempt.number,
            attempt.started_ms,
            attempt.duration_ms,
            attempt.outcome as u8,
            attempt.reason.as_deref(),
            attempt.reply.as_ref().map(|reply| reply.len()),
            attempt.reply.as_deref(),
        ])?;
    }
    let sql = "UPDATE delivery SET attempts = ?3 WHERE seq = ?1 AND ordinal = ?2";
    conn.prepare_cached(sql)?
        .execute(params![sequence, ordinal, attempts.len()])
        .map(drop)
}
