//! Code systems, value sets and concept maps: look-up, membership, expansion, translation.
//!
//! A [`Terminology`] is a set of [`Source`]s of one moment; an [`Engine`] answers the questions of
//! one request from it. Nothing here waits: what a source does not have at hand is
//! [`Failure::Missing`], and whoever asked loads it and asks again.
//!
//! - `table`: the concepts of a system as columns, in memory and in a file; `system`: what is said
//!   about a system; `set` and `map`: value sets and concept maps as they are defined; `naming`:
//!   the names of systems; `standard`: what FHIR R4 brings along, and UCUM.
//! - `check`: whether codes are valid; `expand`: the codes of a value set; `lookup`, `map`: the
//!   rest; `validate`: the same for the validator of `hilum-fhir`, `steps`: for steps of channels.
//!
//! Invariants: what is shared never changes; every pattern is matched in linear time; every list
//! and every walk is bounded; an incomplete system is never taken for a whole one.
//!
//! ```
//! use std::sync::Arc;
//! use hilum_fhir::{Limits, json};
//! use hilum_terminology::{Engine, Library, Options, Terminology};
//!
//! let system = br#"{"resourceType":"CodeSystem","url":"http://example.org/a","status":"active",
//!   "content":"complete","concept":[{"code":"x","display":"X","concept":[{"code":"y"}]}]}"#;
//! let mut library = Library::new();
//! library.add(json::parse(system, &Limits::default())?)?;
//! let terminology = Terminology::new(vec![Arc::new(library)]);
//! let options = Options::default();
//! let engine = Engine::new(&terminology, &options);
//! let system = engine.needed_system("http://example.org/a", None).unwrap();
//! assert_eq!(engine.subsumes(&system, "x", "y").unwrap().code(), "subsumes");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod check;
mod engine;
pub mod expand;
pub mod import;
pub mod installed;
mod issue;
mod language;
mod lookup;
pub mod map;
mod names;
pub mod naming;
mod options;
mod select;
mod set;
mod shelf;
mod shipped;
mod source;
mod standard;
mod steps;
mod system;
pub mod table;
mod validate;
pub mod version;

pub use check::{CODINGS_MAX, Checked, Coding, Given};
pub use engine::{Engine, IMPORTS_MAX};
pub use issue::{Failure, Issue, issues};
pub use language::{LANGUAGES_MAX, LanguageError, Languages};
pub use lookup::Subsumption;
pub use options::{Options, Rule, RuleKind};
pub use set::{Chosen, ChosenName, Filter, Listed, Operator, PATTERN_BYTES_MAX, Part, ValueSet};
pub use shelf::Shelf;
pub use shipped::{Shipped, v2_system};
pub use source::{Library, Missing, Source, Terminology, Versions, Wanted};
pub use standard::Standard;
pub use steps::ForSteps;
pub use system::{Body, Concept, Content, Name, PropertyDef, ReadError, Standing, System, UCUM};
pub use validate::Bindings;
