//! The server over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "tests, helpers included, stop at the first surprise"
)]

mod bundle;
mod clients;
mod codes;
mod conditional;
mod crud;
mod export;
mod guide;
mod hostile;
mod kit;
mod operations;
mod parameters;
mod port;
mod profiles;
mod protocol;
mod search;
mod standard;
mod strict;
mod synthea;
mod us_core;
mod walk;
