//! What becomes of a delivery, on the writer's thread.

use hilum_db::rusqlite::{Connection, Error, OptionalExtension, params};
use hilum_db::{DbError, Doing};

use super::handler::{PartitionHandler, TALLY_OUTCOME};
use super::insert::AttemptRow;
use super::ops::{AttemptOp, Op};
use crate::codec::REPLIES;
use crate::model::{DeliveryRef, DeliveryState, Outcome};
use crate::row::{AttemptParts, LOW, delivery_sum};

/// What became of a settlement.
pub(super) enum Settled {
    /// The number of the attempt, and the destination's name.
    Now(u32, i64),
    /// The delivery was copied to `pinned.db`.
    Pinned,
    /// There is none that waits (any more).
    Not,
}

impl PartitionHandler {
    /// Sets the state of a pending delivery, or withdraws a dead letter.
    pub(super) fn settle_row(
        &self,
        conn: &Connection,
        delivery: DeliveryRef,
        state: DeliveryState,
        reason: Option<&str>,
    ) -> Result<Settled, DbError> {
        let (sequence, ordinal) = (delivery.sequence, delivery.id.ordinal);
        let settle = || -> Result<Settled, Error> {
            // Read, then written: RETURNING would cost more than both.
            let found = conn
                .prepare_cached(
                    "SELECT state, attempts, destination, sum FROM delivery \
                     WHERE seq = ?1 AND ordinal = ?2",
                )?
                .query_row(params![sequence, ordinal], |row| {
                    Ok((
                        row.get(0)?,
                        row.get::<_, u32>(1)?,
                        row.get(2)?,
                        row.get::<_, i64>(3)?,
                    ))
                })
                .optional()?;
            let Some((was, attempts, destination, sum)) = found else {
                return Ok(Settled::Not);
            };
            let withdraws = state == DeliveryState::Withdrawn;
            match DeliveryState::from_code(was) {
                Some(DeliveryState::Pending) => {}
                Some(DeliveryState::DeadLetter) if withdraws => {}
                Some(DeliveryState::Pinned) => return Ok(Settled::Pinned),
                Some(
                    DeliveryState::DeadLetter | DeliveryState::Delivered | DeliveryState::Withdrawn,
                )
                | None => return Ok(Settled::Not),
            }
            let attempts = attempts.saturating_add(1);
            let sum = delivery_sum(sum & LOW, state as u8, attempts);
            let sql = "UPDATE delivery SET state = ?3, attempts = ?4, sum = ?5, \
                       reason = coalesce(?6, reason) WHERE seq = ?1 AND ordinal = ?2";
            let row = params![sequence, ordinal, state as u8, attempts, sum, reason];
            conn.prepare_cached(sql)?.execute(row)?;
            Ok(Settled::Now(attempts, destination))
        };
        settle().doing("settle in", self.file())
    }

    pub(super) fn attempt(&mut self, conn: &Connection, op: &AttemptOp) -> Result<(), DbError> {
        let state = match (op.settles, op.attempt.outcome) {
            (true, Outcome::Delivered) => DeliveryState::Delivered,
            (true, Outcome::DeadLetter) => DeliveryState::DeadLetter,
            (true, Outcome::Withdrawn) => DeliveryState::Withdrawn,
            (true, Outcome::Retry | Outcome::Halt) | (false, _) => DeliveryState::Pending,
        };
        let reason = op.attempt.reason.as_deref();
        let shown = reason.filter(|_| state != DeliveryState::Delivered);
        let (n, destination) = match self.settle_row(conn, op.delivery, state, shown)? {
            Settled::Now(n, destination) => (n, destination),
            Settled::Pinned => {
                // It was copied away while this waited: the journal hands it in again, there.
                self.shared
                    .keep_for_later(Op::Attempt(Box::new(op.clone())));
                return Ok(());
            }
            Settled::Not => return Ok(()),
        };
        let reply = op.reply.as_ref();
        if let Some(dictionary) = reply.and_then(|(stored, _)| stored.dictionary.as_ref()) {
            self.carry(conn, REPLIES, dictionary)?;
        }
        let row = AttemptRow {
            parts: AttemptParts {
                key: (op.delivery.sequence, op.delivery.id.ordinal, n),
                started_ms: op.attempt.started_ms,
                duration_ms: op.attempt.duration_ms,
                outcome: op.attempt.outcome as u8,
                reason: reason.map(str::as_bytes),
                form: (
                    reply.map(|(stored, _)| stored.codec as u8),
                    reply.and_then(|(stored, _)| stored.dictionary_id()),
                    reply.map(|(_, bytes)| *bytes as u64),
                ),
                reply: reply.map(|(stored, _)| &*stored.bytes),
            },
            reason,
        };
        row.write(conn).doing("write an attempt to", self.file())?;
        self.tally(destination, TALLY_OUTCOME + op.attempt.outcome as i64, 0);
        Ok(())
    }
}
