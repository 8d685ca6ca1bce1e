//! HL7 v2: lossless messages, paths, dictionary, profiles, answers, MLLP framing.
//!
//! Pure: no socket, no file, no clock. What a peer sends becomes a value with warnings, never an
//! error beyond [`Reject`].
//!
//! ```
//! use hilum_hl7v2::{Message, Path};
//!
//! let received = "MSH|^~\\&|LIS|H|||2026||ORU^R01|7|P|2.5\rPID|1||42^^^H||M\\T\\S^Ann\rZZZ|x\r";
//! let mut message = Message::parse(received)?;
//! assert_eq!(message.component("PID", 5, 1).as_deref(), Some("M&S"));
//! assert_eq!(message.write(), received, "untouched, it is what was received");
//!
//! message.set(&Path::parse("PID-3.4")?, "NORTH")?;
//! let written = message.write();
//! assert_eq!(written, received.replace("42^^^H", "42^^^NORTH"), "nothing else changed");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub mod time;
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
