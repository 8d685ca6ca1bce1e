//! Bounds of what is read.

/// Bounds of one document; a document beyond one of them is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole document.
    pub bytes_max: usize,
    /// Objects, arrays or elements within each other.
    pub depth_max: usize,
    /// Values, attributes, elements or cells.
    pub nodes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 256_000_000,
            depth_max: 256,
            nodes_max: 8_000_000,
        }
    }
}
