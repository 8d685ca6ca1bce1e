//! Sources and destinations, one folder per technology.
//!
//! Each folder has the same files: `mod` with the spec, `config` with what a user writes, `source`
//! and `destination`. Adding one is a folder and a line in [`specs`].
//!
//! Invariants: every socket comes from `hilum-net`; a source says yes only with what intake
//! replied; a destination makes one attempt and never tries again; no error text, address or log
//! holds content of a message.

mod body;
mod endpoint;
mod fhir;
mod file;
mod http;
mod mllp;
mod sql;

use hilum_component::ComponentSpec;

/// Every source and destination of this crate.
#[must_use]
pub fn specs() -> Vec<ComponentSpec> {
    vec![
        mllp::source_spec(),
        mllp::destination_spec(),
        file::source_spec(),
        file::destination_spec(),
        http::source_spec(),
        http::destination_spec(),
        fhir::source_spec(),
        fhir::destination_spec(),
        sql::source_spec(),
        sql::destination_spec(),
    ]
}
