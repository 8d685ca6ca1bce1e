//! Writing one group: the transaction, its failures, and the file's way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;

use super::{Figures, Handler, WriterLimits};
use crate::error::{DbClass, DbError, Doing};
use crate::open::{DbFile, Recovery};

/// The writer's thread: its file, and what the operations mean.
pub(super) struct Engine<H: Handler> {
    file: DbFile,
    limits: WriterLimits,
    handler: H,
    figures: Arc<Figures>,
    /// Closed after a failure until it was opened again.
    conn: Option<Connection>,
    log_pages: Arc<AtomicU32>,
}

/// How a group ended.
enum Ended<Op> {
    Committed(Vec<Op>),
    /// Nothing of it is stored: it failed before anything could reach the disk for good.
    Refused(Vec<Op>, DbError),
    Unknown(Vec<Op>, DbError),
}

impl<H: Handler> Engine<H> {
    pub(super) fn new(
        file: DbFile,
        limits: WriterLimits,
        handler: H,
        figures: Arc<Figures>,
    ) -> Self {
        Self {
            file,
            limits,
            handler,
            figures,
            conn: None,
            log_pages: Arc::new(AtomicU32::new(0)),
        }
    }

    pub(super) fn open(&mut self) -> Result<(), DbError> {
        let (mut conn, recovery) = self.file.open_writer()?;
        self.install(&mut conn)?;
        self.handler.opened(&conn, recovery)?;
        self.conn = Some(conn);
        Ok(())
    }

    fn install(&self, conn: &mut Connection) -> Result<(), DbError> {
        let pages = self.log_pages.clone();
        pages.store(0, Ordering::Relaxed);
        let hook = move |_: &mut rusqlite::hooks::Wal, count: i32| {
            pages.store(u32::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        conn.wal_hook(Some(hook))
            .doing("configure", self.file.name())
    }

    /// Opens the file again after a failure. Its log is rewritten, synced and emptied by
    /// [`DbFile::open_writer`]; the handler then looks for what survived of failed groups.
    fn reopen(&mut self) -> Result<(), DbError> {
        let (mut conn, _) = self.file.open_writer()?;
        self.install(&mut conn)?;
        self.handler.opened(&conn, Recovery::Unclean)?;
        self.conn = Some(conn);
        self.figures.broken.store(false, Ordering::Relaxed);
        tracing::warn!(file = %self.file.name(), "opened again after a failed write");
        Ok(())
    }

    pub(super) fn write(&mut self, ops: Vec<H::Op>) {
        if self.conn.is_none()
            && let Err(error) = self.reopen()
        {
            for op in ops {
                self.handler.refused(op, &error);
            }
            return;
        }
        let Some(conn) = self.conn.take() else {
            return;
        };
        match self.group(&conn, ops) {
            Ended::Committed(ops) => {
                self.figures.groups.fetch_add(1, Ordering::Relaxed);
                let count = ops.len() as u64;
                self.figures.ops.fetch_add(count, Ordering::Relaxed);
                self.handler.committed(&conn, ops);
                self.conn = Some(conn);
                self.after_commit();
            }
            Ended::Refused(ops, error) => {
                self.broken(conn, &error);
                for op in ops {
                    self.handler.refused(op, &error);
                }
            }
            Ended::Unknown(ops, error) => {
                self.broken(conn, &error);
                self.handler.failed(ops, &error);
            }
        }
    }

    fn broken(&mut self, conn: Connection, error: &DbError) {
        drop(conn);
        self.figures.failures.fetch_add(1, Ordering::Relaxed);
        if !self.figures.broken.swap(true, Ordering::Relaxed) {
            let class = error.class();
            tracing::error!(file = %self.file.name(), %class, "a group failed, the file is closed until it is safe again");
        }
    }

    /// First without savepoints, because an operation that passed its checks hardly ever fails;
    /// if one does, again with a savepoint for each.
    fn group(&mut self, conn: &Connection, mut ops: Vec<H::Op>) -> Ended<H::Op> {
        let name = self.file.name().clone();
        let begin = |conn: &Connection| {
            let mut statement = conn.prepare_cached("BEGIN IMMEDIATE")?;
            statement.execute([]).map(drop)
        };
        self.handler.begin();
        if let Err(error) = begin(conn) {
            return Ended::Refused(ops, DbError::sqlite("begin a group in", &name, error));
        }
        let all = ops
            .iter_mut()
            .try_for_each(|op| self.handler.apply(conn, op));
        if let Err(error) = all {
            if !conn.is_autocommit()
                && let Err(error) = conn.execute_batch("ROLLBACK")
            {
                return Ended::Refused(ops, DbError::sqlite("roll back in", &name, error));
            }
            if poisons(error.class()) {
                return Ended::Refused(ops, error);
            }
            self.handler.begin();
            if let Err(error) = begin(conn) {
                return Ended::Refused(ops, DbError::sqlite("begin a group in", &name, error));
            }
            ops = match self.each_in_savepoint(conn, ops) {
                Ok(ops) => ops,
                Err((ops, error)) => return Ended::Refused(ops, error),
            };
        }
        if let Err(error) = self.handler.closing(conn) {
            return Ended::Refused(ops, error);
        }
        let commit = conn
            .prepare_cached("COMMIT")
            .and_then(|mut statement| statement.execute([]));
        match commit {
            Ok(_) => Ended::Committed(ops),
            Err(error) => Ended::Unknown(ops, DbError::sqlite("commit to", &name, error)),
        }
    }

    /// Applies what can be applied; what cannot is refused now and is not among the returned.
    #[expect(
        clippy::type_complexity,
        reason = "the operations come back either way"
    )]
    fn each_in_savepoint(
        &mut self,
        conn: &Connection,
        ops: Vec<H::Op>,
    ) -> Result<Vec<H::Op>, (Vec<H::Op>, DbError)> {
        let name = self.file.name().clone();
        let run = |sql: &str| conn.execute_batch(sql).doing("use a savepoint in", &name);
        let mut kept = Vec::with_capacity(ops.len());
        let mut rest = ops.into_iter();
        while let Some(mut op) = rest.next() {
            self.handler.mark();
            let applied = run("SAVEPOINT op").and_then(|()| self.handler.apply(conn, &mut op));
            let ended = match applied {
                Ok(()) => {
                    kept.push(op);
                    run("RELEASE op")
                }
                // The whole transaction is gone with it, or the disk is.
                Err(error) if conn.is_autocommit() || poisons(error.class()) => {
                    kept.push(op);
                    Err(error)
                }
                Err(error) => {
                    self.handler.rewind();
                    self.handler.refused(op, &error);
                    run("ROLLBACK TO op; RELEASE op")
                }
            };
            if let Err(error) = ended {
                kept.extend(rest);
                return Err((kept, error));
            }
        }
        Ok(kept)
    }

    fn after_commit(&mut self) {
        let pages = self.log_pages.load(Ordering::Relaxed);
        let count = |pages: u32| u64::from(pages);
        self.figures
            .log_pages
            .store(count(pages), Ordering::Relaxed);
        if pages < self.limits.checkpoint_pages {
            return;
        }
        let Some(conn) = self.conn.take() else {
            return;
        };
        match self.file.checkpoint_some(&conn) {
            Ok(left) => {
                self.figures.checkpoints.fetch_add(1, Ordering::Relaxed);
                if left == 0 {
                    self.log_pages.store(0, Ordering::Relaxed);
                }
                self.conn = Some(conn);
            }
            // The log is intact and synced; only its way into the file failed.
            Err(error) if error.class() == DbClass::Busy => self.conn = Some(conn),
            Err(error) => self.broken(conn, &error),
        }
    }

    /// Empties the log while nobody waits, so that a quiet journal takes no more room than it
    /// needs. A reader that is in the way is left alone: the next idle time comes.
    pub(super) fn idle(&mut self) {
        let Some(conn) = self.conn.take() else {
            return;
        };
        match self.file.checkpoint_now(&conn) {
            Ok(()) => {
                self.figures.checkpoints.fetch_add(1, Ordering::Relaxed);
                self.figures.log_pages.store(0, Ordering::Relaxed);
                self.log_pages.store(0, Ordering::Relaxed);
                self.conn = Some(conn);
            }
            Err(error) if error.class() == DbClass::Busy => self.conn = Some(conn),
            Err(error) => self.broken(conn, &error),
        }
    }

    pub(super) fn close(&mut self) {
        if let Some(conn) = self.conn.take()
            && let Err(error) = self.file.checkpoint_all(&conn)
        {
            // The next opening finds the log and recovers it.
            tracing::warn!(file = %self.file.name(), %error, "closed without emptying the log");
        }
    }
}

/// A failure that is not the operation's own fault.
fn poisons(class: DbClass) -> bool {
    match class {
        DbClass::Full | DbClass::Io | DbClass::Corrupt | DbClass::Busy | DbClass::Closed => true,
        DbClass::Constraint | DbClass::Cancelled | DbClass::Unsuitable | DbClass::Internal => false,
    }
}
