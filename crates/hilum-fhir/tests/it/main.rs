//! The FHIR model against real material.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests, one of which says that nothing was run"
)]

mod bodies;
mod examples;
mod fhirpath;
mod patch;
mod profiles;
mod search;
mod shared;
mod slicing;
mod snapshots;
mod strict;
mod validator_suite;
