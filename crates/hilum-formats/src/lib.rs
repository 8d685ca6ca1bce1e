//! The formats of hilum, one folder each, over the pure format crates.
//!
//! A format here says how messages are told apart, identified, answered and written to; grammar
//! and editing are the pure crates'. A document's [`hilum_component::Document::as_any`] gives the
//! pure crate's own type (`hilum_hl7v2::Message`, `hilum_fhir::Resource`, `hilum_tree::JsonDocument`), so that
//! steps of one format need not know this crate.
//!
//! Invariants: no input makes a format panic; an untouched document is written as the very
//! payload that was read; texts of problems and errors hold no content.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod delimited;
mod fhir;
mod hl7v2;
mod json;
mod raw;
mod tree_document;
mod xml;

use hilum_component::ComponentSpec;

/// All formats, in the order in which documentation lists them.
#[must_use]
pub fn specs() -> Vec<ComponentSpec> {
    vec![
        hl7v2::spec(),
        fhir::spec(),
        xml::spec(),
        json::spec(),
        delimited::spec(),
        raw::spec(),
    ]
}
