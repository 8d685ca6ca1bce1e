//! The searchable form of one resource: its index rows packed into a few hundred bytes.
//!
//! It lies beside the resource and answers every test about it with one look. The index tables hold
//! the same rows the other way round, to find candidates; an update compares the former packing
//! with the new one and writes only the difference.
//!
//! A packing is a sequence of rows in the order of their parameters, each: parameter (varint),
//! kind (one byte), length of the payload (varint), payload.
//!
//! A contained resource is one row under a number of its type behind those of all parameters; its
//! payload holds a packing of its own, whose parameters are marked, so that neither its values nor
//! their rows in the index tables are taken for those of the resource that contains it.

mod build;
mod contained;
mod difference;
mod keys;
mod read;
mod unit;

pub(crate) use build::pack;
pub(crate) use contained::{CONTAINS, MARK, contained};
pub(crate) use difference::{Differs, difference};
pub(crate) use keys::{IndexId, SHORT_DATE_MS, TableRow, short, table_rows};
pub(crate) use read::{Cell, Rows};
pub(crate) use unit::canonical;

/// Kinds of rows, as stored; never renumbered.
mod kind {
    pub(super) const TOKEN: u8 = 1;
    pub(super) const TOKEN_TEXT: u8 = 2;
    pub(super) const OF_TYPE: u8 = 3;
    pub(super) const STRING: u8 = 4;
    pub(super) const DATE: u8 = 5;
    pub(super) const NUMBER: u8 = 6;
    pub(super) const QUANTITY: u8 = 7;
    pub(super) const REFERENCE: u8 = 8;
    pub(super) const REFERENCE_URL: u8 = 9;
    pub(super) const REFERENCE_IDENTIFIER: u8 = 10;
    pub(super) const URI: u8 = 11;
    pub(super) const COMPOSITE: u8 = 12;
    pub(super) const CONTAINED: u8 = 13;
}

/// Characters of a token that are kept for sorting.
const TOKEN_SORT_CHARS: usize = 24;

#[cfg(test)]
mod tests;
