//! HL7 v2: lossless messages, paths, dictionary, profiles, answers, MLLP framing.
//!
//! Pure: no socket, no file, no clock. What a peer sends becomes a value with warnings, never an
//! error beyond [`Reject`].

#![warn(clippy::indexing_slicing)]

pub mod answer;
pub mod batch;
pub mod charset;
mod delimiters;
pub mod dictionary;
mod escape;
pub mod fuzz_bodies;
pub mod header;
mod inspect;
pub mod message;
pub mod mllp;
pub mod path;
pub mod profile;
pub mod structure;
mod tree;
pub mod validate;
mod warning;
pub mod xml;

pub use charset::Charset;
pub use delimiters::Delimiters;
pub use inspect::{Inspected, Inspection, Status, inspect};
pub use message::{
    EditError, Grouping, Groups, Level, Message, ParseOptions, Part, Placement, Segment,
    Structures, Terminator,
};
pub use path::{Path, PathError, V2Dialect};
pub use warning::{Reject, Warning, WarningCode};
