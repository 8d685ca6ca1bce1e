//! The store through its public door.

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's door is a failure of the test"
)]

mod care;
mod commits;
mod door;
mod jobs;
mod model;
mod moment;
mod power;
mod searches;
