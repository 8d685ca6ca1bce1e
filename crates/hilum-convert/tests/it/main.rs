//! The crate from outside.

mod language;
mod shipped;
mod values;
