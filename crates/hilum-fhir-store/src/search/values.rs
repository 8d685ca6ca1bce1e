//! One resource for each different value that parameters have.
//!
//! The index of tokens is clustered by value, so each value is one step in it. What tells values
//! apart that share a hash (the system of a code) is not part of that order: all rows of one code
//! are looked at, once for each of its systems and once more.

use super::Source;
use crate::entry::IndexId;
use crate::error::StoreError;

/// Such resources, each once, in the order of creation.
///
/// # Errors
/// If there are more than `max` values.
pub(super) fn one_of_each<S: Source>(
    source: &mut S,
    params: &[u32],
    max: usize,
) -> Result<Vec<i64>, StoreError> {
    let mut pks = Vec::new();
    for param in params {
        let index = IndexId::value(*param).0;
        let mut code = i64::MIN;
        while let Some(next) = source.token_behind(index, code)? {
            code = next;
            let mut extra = -1;
            while let Some((next, pk)) = source.extra_behind(index, code, extra)? {
                if pks.len() >= max {
                    return Err(StoreError::Limit {
                        limit: "distinct_max",
                        max: max as u64,
                    });
                }
                extra = next;
                pks.push(pk);
            }
        }
    }
    pks.sort_unstable();
    pks.dedup();
    Ok(pks)
}
