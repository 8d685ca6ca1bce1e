//! Formats and documents over the pure format crates.
