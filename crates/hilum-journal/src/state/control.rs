//! `control.db`: folded state and timers, pins, the store's index key.

use std::sync::mpsc::SyncSender;

use hilum_db::rusqlite::{Connection, params};
use hilum_db::{DbError, Doing, Handler, Recovery};

use super::{Change, ChangeOf};

/// What the writer of `control.db` is asked to do; each is answered.
#[derive(Debug)]
pub(crate) struct ControlOp {
    pub(crate) what: ControlWrite,
    pub(crate) done: SyncSender<Result<(), DbError>>,
}

#[derive(Debug)]
pub(crate) enum ControlWrite {
    /// Changes, at most one of a key, and the sequence up to which all are folded then; 0 while there
    /// are more of them.
    Fold { changes: Vec<Change>, reached: u64 },
    /// Removes values that expired before this time.
    Expire { before_ms: u64 },
    /// Everything pending of this partition was copied to `pinned.db`.
    Pinned { partition: String },
    /// The partition is gone.
    Dropped { partition: String },
    /// No sequence up to this one is given out again.
    Sequence(u64),
    /// The key of before, found in a partition.
    IndexKey([u8; 16]),
}

/// Writes `control.db`.
#[derive(Debug, Default)]
pub(crate) struct ControlHandler;

const FILE: &str = "control.db";

fn fold(conn: &Connection, change: &Change) -> Result<(), hilum_db::rusqlite::Error> {
    let sequence = change.sequence;
    match &change.what {
        ChangeOf::Value(write) => match &write.value {
            Some(value) => conn
                .prepare_cached(
                    "INSERT INTO state (scope, key, version, value, expires_ms) \
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
                     version = excluded.version, value = excluded.value, \
                     expires_ms = excluded.expires_ms",
                )?
                .execute(params![
                    &*write.scope,
                    &*write.key,
                    sequence,
                    &**value,
                    write.expires_ms
                ]),
            None => conn
                .prepare_cached("DELETE FROM state WHERE scope = ?1 AND key = ?2")?
                .execute([&*write.scope, &*write.key]),
        },
        ChangeOf::Timer(channel, timer) => match timer.due_ms {
            Some(due_ms) => conn
                .prepare_cached(
                    "INSERT INTO timer (channel, scope, key, due_ms) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT DO UPDATE SET due_ms = excluded.due_ms",
                )?
                .execute(params![&**channel, &*timer.scope, &*timer.key, due_ms]),
            None => conn
                .prepare_cached("DELETE FROM timer WHERE channel = ?1 AND scope = ?2 AND key = ?3")?
                .execute([&**channel, &*timer.scope, &*timer.key]),
        },
    }
    .map(drop)
}

fn write(conn: &Connection, what: &ControlWrite) -> Result<(), hilum_db::rusqlite::Error> {
    let set = |name: &str, value: u64| {
        conn.prepare_cached("UPDATE meta SET value = max(value, ?2) WHERE name = ?1")?
            .execute(params![name, value])
            .map(drop)
    };
    match what {
        ControlWrite::Fold { changes, reached } => {
            changes.iter().try_for_each(|change| fold(conn, change))?;
            set("folded", *reached)
        }
        ControlWrite::Expire { before_ms } => conn
            .prepare_cached("DELETE FROM state WHERE expires_ms < ?1")?
            .execute([before_ms])
            .map(drop),
        ControlWrite::Pinned { partition } => conn
            .prepare_cached("INSERT OR IGNORE INTO pinned (partition) VALUES (?1)")?
            .execute([partition])
            .map(drop),
        ControlWrite::Dropped { partition } => conn
            .prepare_cached("DELETE FROM pinned WHERE partition = ?1")?
            .execute([partition])
            .map(drop),
        ControlWrite::Sequence(sequence) => set("sequence", *sequence),
        ControlWrite::IndexKey(key) => conn
            .prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'index-key'")?
            .execute([key])
            .map(drop),
    }
}

impl Handler for ControlHandler {
    type Op = ControlOp;

    fn opened(&mut self, _conn: &Connection, _recovery: Recovery) -> Result<(), DbError> {
        Ok(())
    }

    fn begin(&mut self) {}

    fn apply(&mut self, conn: &Connection, op: &mut ControlOp) -> Result<(), DbError> {
        write(conn, &op.what).doing("write to", FILE)
    }

    fn mark(&mut self) {}

    fn rewind(&mut self) {}

    fn closing(&mut self, _conn: &Connection) -> Result<(), DbError> {
        Ok(())
    }

    fn committed(&mut self, _conn: &Connection, ops: Vec<ControlOp>) {
        for op in ops {
            // Whoever asked may have stopped waiting.
            drop(op.done.send(Ok(())));
        }
    }

    fn refused(&mut self, op: ControlOp, error: &DbError) {
        drop(op.done.send(Err(error.clone())));
    }

    fn failed(&mut self, ops: Vec<ControlOp>, error: &DbError) {
        for op in ops {
            self.refused(op, error);
        }
    }
}
