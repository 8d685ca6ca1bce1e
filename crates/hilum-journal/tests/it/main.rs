//! The journal through its public door.

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's door is a failure of the test"
)]

mod basics;
mod care;
mod damage;
mod door;
mod faults;
mod kept;
mod living;
mod model;
mod power;
mod related;
