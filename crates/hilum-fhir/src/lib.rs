//! FHIR R4 as hilum's canonical form: resources as trees, checked by tables.
//!
//! A [`Resource`] is read from JSON or XML, strictly and in one pass, and written in either. It
//! implements the tree of FHIRPath, so that every expression of the standard runs on it.
//!
//! Invariants: no input makes this crate panic; every limit of [`Limits`] is checked; a problem
//! names the place and the rule, never content. There is no input or output and no clock here.
//!
//! ```
//! use hilum_fhir::{Limits, Style, json, xml};
//!
//! let bytes = br#"{"resourceType":"Patient","id":"p1","name":[{"family":"Ames"}]}"#;
//! let patient = json::parse(bytes, &Limits::default())?;
//! assert_eq!(patient.root().child("name").map(|name| name.path()).as_deref(), Some("Patient.name[0]"));
//!
//! let mut out = Vec::new();
//! xml::write(&patient, Style::Compact, &mut out);
//! assert_eq!(xml::parse(&out, &Limits::default())?.id(), Some("p1"));
//!
//! let wrong = json::parse(br#"{"resourceType":"Patient","nam":[]}"#, &Limits::default()).unwrap_err();
//! assert_eq!(wrong.0[0].expression.as_deref(), Some("Patient"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod definitions;
pub mod fhirpath;
pub mod fuzz_bodies;
pub mod json;
mod lexical;
mod limits;
mod outcome;
pub mod package;
pub mod patch;
mod problem;
pub mod profile;
mod report;
pub mod resource;
pub mod search;
pub mod snapshot;
pub mod systems;
pub mod validate;
mod xhtml;
pub mod xml;

pub use json::Style;
pub use lexical::{Base64Check, fault as value_fault, is_id};
pub use limits::Limits;
pub use outcome::{operation_outcome, operation_outcome_json};
pub use problem::{IssueType, Position, Problem, Problems, Severity};
pub use resource::{At, Draft, EditError, Editor, Moved, Node, Resource, Stretch};
