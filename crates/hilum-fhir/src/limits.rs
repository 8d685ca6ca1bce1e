//! Bounds of what is read.

/// Bounds of one resource; a document beyond one of them is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole document.
    pub bytes_max: usize,
    /// Elements within each other.
    pub depth_max: usize,
    /// Elements and primitive values.
    pub nodes_max: usize,
    /// Problems that are collected before reading ends.
    pub problems_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 50_000_000,
            depth_max: 100,
            nodes_max: 5_000_000,
            problems_max: 100,
        }
    }
}
