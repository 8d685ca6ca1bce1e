//! SQLite files with one writer each, group commit, backup and verify.
