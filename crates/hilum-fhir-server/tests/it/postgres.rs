//! The same tests on stores in PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "tests, helpers included, stop at the first surprise"
)]

/// Where the tests keep their stores.
const POSTGRES: bool = true;

mod as_of;
mod beside;
mod bundle;
mod clients;
mod codes;
mod conditional;
mod contained;
mod crud;
mod erase;
mod export;
mod finding;
mod guide;
mod hostile;
mod import;
mod kit;
mod later;
mod limits;
mod linked;
mod listed;
mod numbers;
mod operations;
mod parameters;
mod port;
mod profiles;
mod protocol;
mod replaced;
mod search;
mod standard;
mod strict;
mod subscriptions;
mod synthea;
mod terminology;
mod terminology_suite;
mod topics;
mod us_core;
mod walk;
