//! The store in a schema of a PostgreSQL database: one writer with group commit, readers on
//! snapshots. The tables and everything that decides are the same as in SQLite.

mod care;
mod columns;
mod content;
mod erase;
mod group;
mod job;
mod link;
mod moment;
mod names;
mod open;
mod outbox;
mod read;
mod reading;
mod reindex;
mod schema;
mod source;
mod survey;
mod text;
mod together;
mod writer;
mod writing;

pub(crate) use open::PgStore;
pub(crate) use survey::survey;
