//! What becomes of a delivery, on the writer's thread.

use hilum_db::rusqlite::{Connection, OptionalExtension, params};
use hilum_db::{DbError, Doing};

use super::handler::{PartitionHandler, TALLY_OUTCOME};
use super::insert::AttemptRow;
use super::ops::{AttemptOp, Op};
use crate::codec::REPLIES;
use crate::model::{DeliveryRef, DeliveryState, Outcome};
use crate::row::AttemptParts;

impl PartitionHandler {
    /// Sets the state of a pending delivery, or withdraws a dead letter (state 2 to state 3);
    /// `None` if it is in no such state (any more).
    pub(super) fn settle_row(
        &self,
        conn: &Connection,
        delivery: DeliveryRef,
        state: DeliveryState,
        reason: Option<&str>,
    ) -> Result<Option<(u32, i64)>, DbError> {
        let sql = "UPDATE delivery SET state = ?3, attempts = attempts + 1, \
                   reason = coalesce(?4, reason), \
                   sum = (sum & 4294967295) | (?3 << 32) | ((attempts + 1) << 40) \
                   WHERE seq = ?1 AND ordinal = ?2 AND (state = 0 OR (state = 2 AND ?3 = 3)) \
                   RETURNING attempts, destination";
        conn.prepare_cached(sql)
            .and_then(|mut statement| {
                let row = params![delivery.sequence, delivery.id.ordinal, state as u8, reason];
                statement
                    .query_row(row, |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .doing("settle in", self.file())
    }

    fn is_pinned(&self, conn: &Connection, delivery: DeliveryRef) -> Result<bool, DbError> {
        let sql = "SELECT state = 4 FROM delivery WHERE seq = ?1 AND ordinal = ?2";
        conn.prepare_cached(sql)
            .and_then(|mut statement| {
                let row = params![delivery.sequence, delivery.id.ordinal];
                let pinned = statement.query_row(row, |row| row.get(0)).optional();
                Ok(pinned?.unwrap_or(false))
            })
            .doing("look for a delivery in", self.file())
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
        let Some((n, destination)) = self.settle_row(conn, op.delivery, state, shown)? else {
            if self.is_pinned(conn, op.delivery)? {
                // It was copied away while this waited: the journal hands it in again, there.
                self.shared
                    .keep_for_later(Op::Attempt(Box::new(op.clone())));
            }
            return Ok(());
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
