//! A look at a store from beside it: it changes nothing, makes nothing, and may run while a program
//! uses the store.

use std::path::Path;

use hilum_db::Cancel;

use crate::config::{Clock, Place};
use crate::error::StoreError;
use crate::{postgres, sqlite};

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The version of its tables; none if there is no store yet.
    pub version: Option<i64>,
    /// The version that this program makes.
    pub newest: i64,
    /// Changes that it holds.
    pub changes: u64,
    /// Its bytes and those of its log, where it is a file.
    pub bytes: Option<(u64, u64)>,
    /// What does not hold together; none if that would take too long to see.
    pub findings: Option<Vec<String>>,
    /// The server, where it is in a database.
    pub server: Option<Server>,
}

/// A database server as the store's user sees it.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Its version as a number, 150004 for 15.4.
    pub version: i64,
    /// Text is kept as UTF-8.
    pub utf8: bool,
    /// The user may make what is missing: the schema, or tables in it.
    pub may_make: bool,
    /// How much its clock is ahead of ours, milliseconds.
    pub ahead_ms: i64,
}

/// Looks at a store. Blocks.
///
/// # Errors
/// If it cannot be reached or read.
pub fn survey(place: &Place, clock: &Clock) -> Result<Survey, StoreError> {
    match place {
        Place::Sqlite(path) => sqlite::survey(path),
        Place::Postgres(place) => postgres::survey(place, clock),
    }
}

/// What does not hold together in the file of a store; kinds and numbers only, empty is good. As
/// [`Store::verify`](crate::Store::verify), without opening the store. Blocks.
///
/// # Errors
/// If it was cancelled, or the file cannot be opened.
pub fn verify_file(path: &Path, cancel: &Cancel) -> Result<Vec<String>, StoreError> {
    sqlite::verify_file(path, cancel)
}

/// Copies one moment of the file of a store to another, synced. As
/// [`Store::backup`](crate::Store::backup), without opening the store. Blocks.
///
/// # Errors
/// If reading or writing fails or it was cancelled; `to` is then no backup.
pub fn back_up_file(path: &Path, to: &Path, cancel: &Cancel) -> Result<(), StoreError> {
    sqlite::back_up_file(path, to, cancel)
}
