//! The store through its public door, in a SQLite file; `postgres.rs` runs the same tests in a
//! schema of PostgreSQL.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a failure in a test's door is a failure of the test"
)]

/// Where the tests keep their stores.
const POSTGRES: bool = false;

mod care;
mod commits;
mod content;
mod door;
mod erase;
mod file;
mod jobs;
mod limits;
mod model;
mod moment;
mod power;
mod searches;
