//! The code tables of a site: CSV files that say which code of theirs is which code of ours.
//!
//! [`Table`] is what a step or a conversion looks codes up in; [`Sheet`] is the file as people work
//! on it, with every row and where each of its cells stands, so that a row can be reviewed and
//! approved without another byte of the file changing. [`Risk`] says which tables two people have
//! to look at, [`Candidates`] finds similar codes, and [`shown`] says which codes may be shown.
//!
//! Invariants: pure, without a clock (times are handed in as Unix milliseconds); no text makes it
//! panic; a row that nobody approved is never used. It does not know code systems: what a LOINC
//! code means is `hilum-terminology`'s.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod list;
mod risk;
mod scan;
mod shown;
mod similar;
mod table;
mod time;

pub use list::{LIST_MAX, list};
pub use risk::{Risk, alone};
pub use shown::{CODE_SHOWN_MAX, shown};
pub use similar::{Candidate, Candidates, Match};
pub use table::{
    COLUMNS, Coding, Column, Equivalence, Mistake, ROWS_MAX, Row, SAME_CODE_MAX, Sheet, Signed,
    Status, Table, TableOptions, Used,
};
pub use time::{Span, day_of};
