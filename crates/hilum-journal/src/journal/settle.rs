//! What became of deliveries.

use hilum_db::DbError;
use tokio::sync::oneshot;

use super::{Inner, Journal, Pinned};
use crate::codec::REPLIES;
use crate::error::JournalError;
use crate::model::{Attempt, DeliveryRef, Settlement};
use crate::partition::ops::{AttemptOp, Op};

impl Journal {
    /// Records the end of a delivery. It is written with one of the next groups; [`Journal::flush`]
    /// waits for that. After a crash before it the delivery is pending again.
    ///
    /// Waits only while too many settlements are queued.
    ///
    /// # Errors
    /// If the journal is closed or the delivery's partition cannot be opened.
    pub async fn settle(&self, settlement: Settlement) -> Result<(), JournalError> {
        self.record(settlement.delivery, settlement.last, true)
            .await
    }

    /// Records an attempt after which the delivery stays pending.
    ///
    /// # Errors
    /// As [`Journal::settle`].
    pub async fn attempt(
        &self,
        delivery: DeliveryRef,
        attempt: Attempt,
    ) -> Result<(), JournalError> {
        self.record(delivery, attempt, false).await
    }

    async fn record(
        &self,
        delivery: DeliveryRef,
        attempt: Attempt,
        settles: bool,
    ) -> Result<(), JournalError> {
        let core = &self.inner.core;
        let reply = attempt.reply.as_ref().map(|reply| {
            let dictionary = core.codecs.current(REPLIES);
            let stored = core.codecs.compress(reply.text(), dictionary.as_ref());
            (stored, reply.text().len())
        });
        let mut op = Op::Attempt(Box::new(AttemptOp {
            delivery,
            attempt,
            reply,
            settles,
        }));
        loop {
            let room = core.room.notified();
            match self.inner.route(op) {
                Ok(()) => return Ok(()),
                Err((_, Some(error))) => return Err(error.into()),
                Err((back, None)) => op = *back,
            }
            room.await;
        }
    }

    /// Returns when every settlement handed in before is on disk.
    ///
    /// # Errors
    /// If a file failed; what was not written is tried again by the housekeeping.
    pub async fn flush(&self) -> Result<(), JournalError> {
        let mut waits = Vec::new();
        for partition in self.inner.all(Pinned::Included) {
            if partition.writer().is_some() {
                let (done, outcome) = oneshot::channel();
                partition.urgent(Op::Flush(Some(done)))?;
                waits.push(outcome);
            }
        }
        for outcome in waits {
            outcome.await.map_err(|_| JournalError::Closed)??;
        }
        Ok(())
    }

    /// Makes a dead letter (or a withdrawn delivery) pending again; `false` if it is neither. What is
    /// said of it stands among its attempts, by the same commit; it has no reply.
    ///
    /// # Errors
    /// If the file failed.
    pub async fn requeue(
        &self,
        delivery: DeliveryRef,
        why: Option<Attempt>,
    ) -> Result<bool, JournalError> {
        let (done, outcome) = oneshot::channel();
        let op = Op::Requeue {
            delivery,
            why,
            changed: false,
            done: Some(done),
        };
        self.inner.keeper(delivery.sequence).urgent(op)?;
        Ok(outcome.await.map_err(|_| JournalError::Closed)??)
    }

    /// Ends a held or unprocessed row without a message that completes it.
    ///
    /// # Errors
    /// If the file failed.
    pub async fn abandon(&self, sequence: u64) -> Result<(), JournalError> {
        let keeper = self.inner.keeper(sequence);
        keeper.urgent(Op::Finish { sequence })?;
        let (done, outcome) = oneshot::channel();
        keeper.urgent(Op::Flush(Some(done)))?;
        Ok(outcome.await.map_err(|_| JournalError::Closed)??)
    }
}

impl Inner {
    /// Hands in again what could not be written when the disk was full or the delivery was being
    /// copied to `pinned.db`.
    pub(crate) fn retry_kept(&self) -> Result<(), DbError> {
        for partition in self.all(Pinned::Included) {
            for op in partition.shared.take_kept() {
                self.route_or_keep(op);
            }
        }
        Ok(())
    }
}
