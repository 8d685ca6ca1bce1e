//! SQLite files with one writer each, and all other file work behind one trait.
//!
//! - [`Writer`]: a thread per file that owns its only writing connection and every checkpoint;
//!   operations from many tasks share one synced commit (natural group commit, no timer).
//! - [`Readers`]: a few bounded, cancellable reading connections per file.
//! - [`DbFile`]: the settings (WAL, `synchronous=FULL`, 4 KiB pages), recovery after an unclean
//!   stop, [`Schema`] migrations by `user_version`.
//! - [`backup`], [`integrity`], [`probe_sync`], [`refuse_unsuitable`]: care for files.
//! - [`Files`]: file work outside SQLite, so that one simulated disk can stand in for both.
//!
//! Invariants:
//! - an outcome is told after the synced COMMIT, in commit order;
//! - after a failed COMMIT or sync the group's fate is unknown and nothing is appended before the
//!   file was opened again with its log rewritten, synced, checkpointed and emptied;
//! - a full disk is a class of its own ([`DbClass::Full`]): the operation is refused, and the next
//!   one finds out by itself whether there is space again.
//!
//! It knows no table: what the operations mean is a [`Handler`]'s business.
//!
//! # The seam for PostgreSQL
//! A second store (several nodes, a channel on one node at a time) would replace the two values
//! through which everything above passes: the handle with `submit`, `submit_background`,
//! `submit_urgent`, `close_lanes` and `lanes_idle` ([`Writer`]) and the one with `read`
//! ([`Readers`]). [`Handler`] is the contract between them: the same operations, grouped, told in
//! commit order, with *refused* (surely not stored) and *failed* (fate unknown) kept apart, which is
//! also what a server that goes away between COMMIT and its reply leaves behind. Nothing of it is
//! built now, and nothing above may reach around these two.

mod care;
mod error;
mod files;
mod migrate;
mod open;
mod readers;
mod writer;

pub use care::{SyncProbe, backup, integrity, probe_sync, refuse_unsuitable};
pub use error::{DbClass, DbError, Doing};
pub use files::{AppendFile, DirEntry, Files, RealFiles, free_bytes};
pub use migrate::Schema;
pub use open::{DbFile, Recovery, Synchronous};
pub use readers::{Cancel, READ_MAX, Readers};
pub use rusqlite;
pub use writer::{Handler, LanesIdle, QueueLimits, Refusal, Writer, WriterFigures, WriterLimits};
