//! The journal: what was accepted and every attempt since, searchable.
//!
//! **Invariant**: a call of [`Journal::accept`] that returned a proof survives power loss. Only the
//! writer's thread makes that proof ([`hilum_message::Accepted`]), after a COMMIT that was synced.
//!
//! # Files
//! ```text
//! control.db                    folded state and timers, pins, the key of index tokens
//! journal-<utc-day>-<n>.db      messages, deliveries, attempts, state changes of that time
//! journal-<utc-day>-<n>.idx     tokens by value; can be rebuilt from the .db
//! journal-<utc-day>-<n>.blobs/  content above 256 kB, one file each
//! pinned.db                     copies of open deliveries that are older than 7 days
//! ```
//! The databases are SQLite in WAL mode with `synchronous=FULL` and 4 KiB pages (the index files
//! with `OFF`); each has one writer thread that owns every checkpoint (`hilum-db`). A partition
//! opens alone: the names, plans and compression dictionaries that its rows refer to lie in it, and
//! a copy of the key of index tokens, from which `control.db` has it again if it is made anew.
//! It is rolled by UTC day or at 4 GB; the next one is opened ahead. A message and its deliveries
//! lie in the same partition, and no transaction spans two files.
//!
//! - A **message** row is written once and never updated: header, searchable tokens, the received
//!   body and behind it the answer (one zstd frame without its header, made with the channel's
//!   dictionary, or plain, named by the row's codec, dictionary and key id), the outbound bytes of
//!   all its deliveries (compressed against the received ones), and a checksum over them. The
//!   commit sequence, ascending over all files, is its key.
//! - A **delivery** row is small and changes: pending, delivered, dead letter, withdrawn, pinned.
//! - **Work** rows mark what is held, unprocessed or an unfinished batch. Completing one is a new
//!   row of the same message id that shares its body; a `once` row keeps it from happening twice.
//! - **State** changes and timers are rows of the open partition in the same commit, kept in memory
//!   until they are folded into `control.db` in sequence order. A partition is dropped only when
//!   folded.
//! - **Blobs** are written and synced, name included, by the task that receives, before the row.
//!
//! # Limits
//! Each has a name and a default in [`JournalLimits`]: 4,096 messages or 16 MiB in acceptance, half
//! of it for one channel; 8,192 queued settlements; 512 operations or 4 MiB in a group; 200,000
//! changes of state that are not folded; 1,000 parts committed with their parent; inline text of at
//! most twice the blob limit; a read takes at most 5 s; 50 results a page by default.
//!
//! # Order and outcome
//! Messages wait in a lane per channel; the writer takes them by weighted round robin, all that
//! wait in one group (natural group commit, no timer). Outcomes are told in commit order through
//! [`CommitSink`], then to the waiting futures. Settlements ride with the next group or linger at
//! most 20 ms (100 ms in files that are not open any more): after a crash what was in that batch is
//! delivered again, which at-least-once allows.
//!
//! # Failure and recovery
//! - A commit or sync that fails: the whole group is answered [`AcceptError::Failed`], because its
//!   fate is unknown; the file is closed and opened again, its log rewritten, synced, checkpointed
//!   and emptied, before anything is appended. What is found then counts as accepted and is told by
//!   [`CommitSink::recovered`], so that a resend is matched to it.
//! - A full disk: [`AcceptError::Full`], nothing stored; the next acceptance tries again, so that
//!   no restart is needed. Outcomes of deliveries are kept in memory meanwhile.
//! - An unclean stop: the same care for every file with a log, then [`Recovered`] says what is
//!   pending, held, unprocessed and due, and which repetitions to recognise. Index files that were
//!   not closed in order are rebuilt in the background while searches scan what they lack.
//! - Damage: [`Journal::verify`] runs SQLite's check and compares the checksum of every row, the
//!   digest of every blob and the references between rows. What is read to be sent is compared
//!   first: damaged bytes are never sent. A file that cannot be opened is set aside, never deleted,
//!   and what can be read of it takes its place ([`Recovered::set_aside`]); one that is found
//!   damaged while it is open is left for the next partition, and mended at the next start.
//!
//! # What it does not do
//! It knows no protocol and interprets no content. It does not retry, order or dispatch (the engine
//! does). It never deletes rows; retention drops whole partitions.

#![deny(clippy::indexing_slicing)]

mod bytes;
mod care;
mod codec;
mod content;
mod error;
mod index;
mod journal;
mod model;
mod options;
mod partition;
mod pins;
mod prepare;
mod read;
mod recover;
mod row;
mod salvage;
mod schema;
mod search;
mod shared;
mod sql;
mod state;
mod survey;
mod upkeep;

pub use care::{Finding, PartitionInfo};
pub use content::{ContentQuery, ContentStep};
pub use error::{AcceptError, JournalError, StaleRead};
pub use hilum_db::Cancel;
pub use journal::{
    BlobWriter, Journal, JournalFigures, MessageTrace, Publication, Tally, TallyRow,
};
pub use model::{
    AcceptRequest, Attempt, CommitSink, CommittedMessage, DeliveryRef, DeliveryState, Disposition,
    Hold, MessageFinding, NewDelivery, NewState, OrderKeys, Outcome, PendingDelivery, Resend,
    Settlement, Severity, StateMerge, StateRead, StateWrite, StoredBlob, TimerWrite, Token,
};
pub use options::{Background, Clock, FreeSpace, JournalLimits, JournalOptions};
pub use read::{StoredAttempt, StoredDelivery, StoredMessage};
pub use recover::{Backlog, Recovered, ResendEntry};
pub use salvage::SetAside;
pub use search::{AnyOf, PAGE_DEFAULT, PAGE_MAX, Page, Query};
pub use sql::{Cell, Content, SqlAnswer, SqlError, sql};
pub use state::{StateValue, Timer};
pub use survey::{FileSurvey, QueueSurvey, RowSurvey, checkpoint, survey};
