//! What the crate promises, against samples and random input.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![expect(clippy::print_stdout, reason = "a test that did not run says so")]

mod answers;
mod bodies;
mod edits;
mod expressions;
mod mllp;
mod profiles;
mod samples;
mod shared;
mod validation;
mod xml;
