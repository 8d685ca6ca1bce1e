//! Map files as text: blocks of rows, each with its place. `docs/reference/maps.md` is the language.
//!
//! This reads what a file says and looks nothing up; [`crate::plan`] checks the names.

mod block;
mod condition;
mod lines;
mod logic;
mod path;
mod reverse;
mod scan;
mod through;

pub use block::{
    Block, CodeRow, Entry, Head, How, IdentityRow, Key, Link, LinkTo, MapName, MapRow, MessageRow,
    Origin, Role, Rows, Sign, Why,
};
pub use condition::{Compare, Condition, Operand};
pub use lines::MapFile;
pub(crate) use path::EXTENSIONS;
pub use path::{Place, Source, Step, Target};
pub use reverse::ReverseHead;
pub(crate) use reverse::{Backward, FhirCond, FhirPath, FhirStep, Inverse, Start};
pub use through::{Function, Given, JoinPart, Through};
