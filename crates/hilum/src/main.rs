//! The `hilum` command line.
fn main() {}
