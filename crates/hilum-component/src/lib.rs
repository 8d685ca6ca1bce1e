//! The contract between engine and components.
