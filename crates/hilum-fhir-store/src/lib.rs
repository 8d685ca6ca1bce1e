//! A versioned store of FHIR resources: bytes, index rows, an atomic commit, search and history.
//!
//! - [`Commit`] is the only way to change anything: all of it or nothing, durable when answered.
//! - [`Query`] is a search without HTTP: criteria over parameters that [`Catalog`] names.
//! - [`IndexRow`] is what a parameter says about a resource; the store normalises and hashes it.
//!
//! Invariants:
//! - every change has a number ([`Seq`]), without gaps and in the order of `updated_ms`;
//! - a version is written once and never changed; what was committed together has neighbouring
//!   numbers;
//! - identifiers, codes and references are kept in the index tables as keyed hashes only.
//!
//! # What decided the layout
//! Synthea's resources under ever new identities (`benches/million`: 1,046,000 resources, 1.5 kB of
//! JSON and 19 values each), on two cores that others used at the same time:
//! - A resource's rows lie packed beside it (`resource.rows`): one fetch answers every remaining
//!   test. Searches need no joins, no statistics of SQLite and no plan of its own.
//! - Bodies lie apart, in the order of changes. 2.0 kB on disk for each resource with all its rows.
//! - Import 2,700 resources a second at first and 1,400 at a million, one bundle a commit, eight
//!   under way, parsing and extraction included.
//! - A read by id takes 40 us; 29 of 33 kinds of searches have a median below 5 ms and 27 a p99
//!   below 25 ms. The slow ones test thousands of candidates that lie all over the file, which is
//!   why a searching connection has a page cache of 64 MiB, or count a third of all resources.
//! - Making a zstd context for each body cost three times the read; a LIMIT bound to another value
//!   made SQLite plan again (see `hilum-db`); sorting 15,000 candidates took 120 ms where walking
//!   the index of the order takes 20.
//!
//! It does no HTTP, parses no resource and knows no definition of FHIR beyond what search needs:
//! types and parameters are names that the caller registers.

mod body;
mod catalog;
mod commit;
mod config;
mod content;
mod cursor;
mod entry;
mod erase;
mod error;
mod id;
mod job;
mod moment;
mod normal;
mod postgres;
mod prepare;
mod query;
mod reindex;
mod row;
mod rows;
mod search;
mod shared;
mod sqlite;
mod store;
mod stored;
mod survey;
mod threads;
mod together;

pub use body::instant;
pub use catalog::{Catalog, Param};
pub use commit::{
    Change, Commit, Committed, Delivery, Expect, Expected, JobStep, Method, OutboxEvent, OutboxRow,
    Watched, Written,
};
pub use config::{Clock, Limits, ParamSpec, Place, Postgres, StoreConfig};
pub use content::{Apart, ContentId, PART_BYTES};
pub use erase::{EraseStep, Erased};
pub use error::StoreError;
pub use id::{DeliveryId, ParamKey, ParamKind, Pk, ResourceType, Seq};
pub use job::{Job, JobState, NewJob};
pub use moment::{Kept, Listing, MomentPage, MomentQuery};
pub use query::{
    Chain, Contained, Criterion, Cursor, Direction, Has, IntervalTest, NumberTest, Prefix,
    QuantityTest, Query, ReferenceTest, SortBy, SortKey, StringMode, Test, TokenTest, Total,
    UnitTest, UriMode,
};
pub use reindex::{Counted, Progress};
pub use row::{CompositePart, IndexRow, IndexValue};
pub use rows::{index_values, version_below};
pub use search::{Condition, Searchable};
pub use sqlite::file as store_file;
pub use store::Store;
pub use stored::{
    BESIDE_BYTES_MAX, Body, Found, HistoryPage, HistoryPart, HistoryQuery, HistoryScope, Page,
    Stored,
};
pub use survey::{Server, Survey, back_up_file, survey, verify_file};
