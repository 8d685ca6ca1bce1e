//! Steps, one folder each.
