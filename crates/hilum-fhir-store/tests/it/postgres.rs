//! The same tests in a schema of PostgreSQL, but for those of the file itself; and those of a server
//! that goes away.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a failure in a test's door is a failure of the test"
)]

/// Where the tests keep their stores.
const POSTGRES: bool = true;

mod care;
mod commits;
mod content;
mod door;
mod erase;
mod jobs;
mod limits;
mod model;
mod moment;
mod searches;
mod server;
