//! What links, matching and memory do together, as a step uses them.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests stop at what must not happen"
)]

mod build;
mod links;
mod matching;
mod order_of_arrival;
