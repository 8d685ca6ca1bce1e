//! Fake peers and builders for tests and the demo.
