//! Rows that the engine keeps for itself in the state: JSON by key, and looks at now and then.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::Stop;
use hilum_journal::{JournalError, StateWrite};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runtime::Core;
use crate::store;

/// A row, to be committed.
pub(crate) fn write(
    scope: &str,
    key: &str,
    row: &impl Serialize,
    expires_ms: Option<u64>,
) -> Option<StateWrite> {
    Some(StateWrite {
        scope: scope.into(),
        key: key.into(),
        value: Some(Bytes::from(serde_json::to_vec(row).ok()?)),
        expires_ms,
    })
}

/// A row that is to go.
pub(crate) fn remove(scope: &str, key: &str) -> StateWrite {
    StateWrite {
        scope: scope.into(),
        key: key.into(),
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

/// Looks at rows every so often until `stop`, and records what became of them in one commit. `of` is what
/// they are, for people.
pub(crate) async fn watch(
    core: Arc<Core>,
    mut stop: Stop,
    (of, every): (&str, Duration),
    look: impl AsyncFn(&Arc<Core>) -> Result<Vec<StateWrite>, JournalError>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.requested() => return,
        }
        let writes = match look(&core).await {
            Ok(writes) if writes.is_empty() => continue,
            Ok(writes) => writes,
            Err(error) => {
                let error = store::chain(&error);
                tracing::error!(error, "{of} cannot be looked up");
                continue;
            }
        };
        let reason = format!("{of} were looked up");
        if let Err(failure) = store::write_state(&core, reason, writes).await {
            // Whoever was told is told once more, which is better than not at all.
            let error = failure.text();
            tracing::error!(error, "{of} were looked up, which could not be recorded");
        }
    }
}
