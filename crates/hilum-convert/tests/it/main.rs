//! The crate from outside.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests, one of which says that nothing was run"
)]

mod again;
mod as_of;
mod attachments;
mod bodies;
mod conversion;
mod data_types;
mod kit;
mod known_again;
mod language;
mod members;
mod nulls;
mod orders;
mod owners;
mod pairs;
mod results;
mod reverse;
mod round_trip;
mod samples;
mod shipped;
mod true_values;
mod us_core;
mod values;
