//! HL7 v2 to FHIR R4 by rows.
//!
//! The rows stand in map files (`maps/` of this crate, and a site's own beside them);
//! `docs/reference/maps.md` is their language. They are read and compiled once to a plan of numbers;
//! a conversion looks up no name and reads no row.
//!
//! Invariants: pure, no clock and no randomness, so that the same message and settings give the same
//! Bundle; no message makes it panic; what it does not carry over it reports, with the place and
//! never with content.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod coverage;
mod finding;
pub mod fuzz_bodies;
mod maps;
mod plan;
mod problem;
pub mod reverse;
mod run;
mod settings;
pub mod text;
mod value;

pub use finding::{Finding, FindingCode, Location};
pub use maps::Maps;
pub use problem::{Problem, Problems, Spot};
pub use run::{Converted, Reason, to_fhir};
pub use settings::{
    Arrived, Attachments, BundleType, ClockChange, DecimalSign, FixedZone, LocalTime, Original,
    Settings, Zone,
};
pub use value::hash::uuid as derived_id;
pub use value::number;
pub use value::outside::Outside;
pub use value::uri::{known_system, system as system_uri};
