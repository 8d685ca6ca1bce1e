//! What links, matching and memory do together, as a step uses them.

mod build;
mod links;
mod matching;
mod order_of_arrival;
