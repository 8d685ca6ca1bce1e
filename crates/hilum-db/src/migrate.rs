//! Schema versions: a file says in `user_version` how far it was brought.

use rusqlite::Connection;

use crate::error::{DbClass, DbError, Doing};

/// The steps of one kind of file; step `n` brings it from version `n` to `n + 1`.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Marks the kind of file (`application_id`), so that one is not taken for another.
    pub application_id: i32,
    /// SQL of each step. A step is never changed once released, only followed by another.
    pub steps: &'static [&'static str],
}

impl Schema {
    /// Brings the file to the newest version, each step in a transaction of its own.
    ///
    /// # Errors
    /// If the file is of another kind or from a newer program, or a step fails.
    pub fn migrate(&self, conn: &Connection, file: &str) -> Result<(), DbError> {
        let number = |name| {
            conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0))
                .doing("read the version of", file)
        };
        let (kind, version) = (number("application_id")?, number("user_version")?);
        let newest = i32::try_from(self.steps.len()).unwrap_or(i32::MAX);
        if version > newest {
            let what = "open, although a newer program wrote it,";
            return Err(DbError::new(DbClass::Unsuitable, what, file));
        }
        if version > 0 && kind != self.application_id {
            let what = "open, although it is a file of another kind,";
            return Err(DbError::new(DbClass::Corrupt, what, file));
        }
        for (at, step) in (0_i32..).zip(self.steps) {
            if at < version {
                continue;
            }
            let sql = format!(
                "BEGIN IMMEDIATE; {step}; PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT;",
                self.application_id,
                at + 1,
            );
            if let Err(error) = conn.execute_batch(&sql) {
                if !conn.is_autocommit() {
                    // The first error is the one to report; the file is left at the last version.
                    drop(conn.execute_batch("ROLLBACK"));
                }
                return Err(DbError::sqlite("bring to the newest version", file, error));
            }
        }
        Ok(())
    }
}
