//! What an update changes in the index tables.

use super::{Rows, TableRow, table_rows};
use crate::normal::Tokens;

/// A row that one of two packings has and the other does not.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Differs<'d, 'r> {
    /// The old one has it.
    Gone(&'d TableRow<'r>),
    /// The new one has it.
    New(&'d TableRow<'r>),
}

/// Hands on every row in which two packings differ, in the order of the rows.
///
/// # Errors
/// The first one of `each`.
pub(crate) fn difference<E>(
    old: &[u8],
    new: &[u8],
    tokens: &Tokens,
    mut each: impl FnMut(Differs<'_, '_>) -> Result<(), E>,
) -> Result<(), E> {
    let (old, new) = (table_rows(Rows(old), tokens), table_rows(Rows(new), tokens));
    let (mut was, mut is) = (old.iter().peekable(), new.iter().peekable());
    loop {
        match (was.peek(), is.peek()) {
            (None, None) => return Ok(()),
            (Some(a), Some(b)) if a == b => {
                was.next();
                is.next();
            }
            (Some(a), b) if b.is_none_or(|b| a < b) => {
                each(Differs::Gone(a))?;
                was.next();
            }
            (_, Some(b)) => {
                each(Differs::New(b))?;
                is.next();
            }
            (Some(_), None) => return Ok(()),
        }
    }
}
