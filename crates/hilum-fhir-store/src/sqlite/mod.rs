//! The store in one SQLite file: one writer with group commit, readers on snapshots.

mod apply;
mod care;
mod content;
mod delivery;
mod erase;
mod handler;
mod index;
mod job;
mod moment;
mod names;
mod open;
mod outbox;
mod read;
mod reindex;
mod schema;
mod source;
mod survey;

pub(crate) use care::{back_up_file, verify_file};
pub(crate) use open::SqliteStore;
pub use open::file;
pub(crate) use survey::survey;
