//! The crate from outside.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests, one of which says that nothing was run"
)]

mod conversion;
mod language;
mod samples;
mod shipped;
mod values;
