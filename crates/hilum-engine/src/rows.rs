//! Rows that the engine keeps for itself in the state: JSON by key.

use std::sync::Arc;

use bytes::Bytes;
use hilum_journal::{JournalError, StateWrite};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runtime::Core;

/// A row, to be committed.
pub(crate) fn write(
    scope: &str,
    key: &str,
    row: &impl Serialize,
    expires_ms: Option<u64>,
) -> Option<StateWrite> {
    Some(StateWrite {
        scope: Arc::from(scope),
        key: Arc::from(key),
        value: Some(Bytes::from(serde_json::to_vec(row).ok()?)),
        expires_ms,
    })
}

/// A row that is to go.
pub(crate) fn remove(scope: &str, key: &str) -> StateWrite {
    StateWrite {
        scope: Arc::from(scope),
        key: Arc::from(key),
        value: None,
        expires_ms: None,
    }
}

/// The rows of a scope in the order of their keys. One that a newer program has written is left out.
pub(crate) fn read<T: DeserializeOwned>(
    core: &Core,
    scope: &str,
    limit: usize,
) -> Result<Vec<T>, JournalError> {
    let found = core.journal.state_of(scope, "", limit)?;
    let rows = found
        .into_iter()
        .filter_map(|(_, value)| serde_json::from_slice(&value).ok());
    Ok(rows.collect())
}
