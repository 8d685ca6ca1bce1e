//! FHIRPath over a small tree trait.

pub mod tree;

pub use tree::{Dialect, NodeId, PathLiteral, Scalar, Tree, Visit};
