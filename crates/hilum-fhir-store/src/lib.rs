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
//! It does no HTTP, parses no resource and knows no definition of FHIR beyond what search needs:
//! types and parameters are names that the caller registers.

mod body;
mod catalog;
mod commit;
mod config;
mod cursor;
mod entry;
mod error;
mod id;
mod normal;
mod query;
mod reindex;
mod row;
mod rows;
mod search;
mod sqlite;
mod store;
mod stored;

pub use body::instant;
pub use catalog::{Catalog, Param};
pub use commit::{
    Change, Commit, Committed, Delivery, Expect, Expected, Method, OutboxEvent, OutboxRow, Written,
};
pub use config::{Clock, Limits, ParamSpec, Place, StoreConfig};
pub use error::StoreError;
pub use id::{DeliveryId, ParamKey, ParamKind, Pk, ResourceType, Seq};
pub use query::{
    Chain, Criterion, Cursor, Direction, Has, IntervalTest, NumberTest, Prefix, QuantityTest,
    Query, ReferenceTest, SortBy, SortKey, StringMode, Test, TokenTest, Total, UnitTest, UriMode,
};
pub use reindex::Progress;
pub use row::{CompositePart, IndexRow, IndexValue};
pub use rows::{ParamMap, param_specs};
pub use sqlite::file as store_file;
pub use store::Store;
pub use stored::{Body, Found, HistoryPage, HistoryQuery, HistoryScope, Page, Stored};
