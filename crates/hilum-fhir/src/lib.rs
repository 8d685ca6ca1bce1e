//! FHIR R4 as hilum's canonical form: resources as trees, checked by tables.

#![warn(clippy::indexing_slicing)]

pub mod definitions;
