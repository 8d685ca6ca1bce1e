//! Code systems, value sets and concept maps from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests, helpers included, stop at the first surprise"
)]

mod check;
mod expand;
mod filters;
mod import;
mod map;
mod model;
mod releases;
mod resume;
mod tables;
