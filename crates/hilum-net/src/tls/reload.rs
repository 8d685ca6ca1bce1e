//! A value made from files, made again when they change.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::NetError;

/// How often, at most, the files are looked at; only when a connection is made.
pub const RELOAD_CHECK_EVERY: Duration = Duration::from_secs(2);

/// Time of change and length of a file; `None` if it is not there.
type Stamp = Option<(SystemTime, u64)>;

#[derive(Debug)]
pub(super) struct Reloading<T> {
    files: Vec<PathBuf>,
    current: Mutex<Current<T>>,
}

#[derive(Debug)]
struct Current<T> {
    value: Arc<T>,
    stamps: Vec<Stamp>,
    refused: Option<Vec<Stamp>>,
    checked: Instant,
}

impl<T> Reloading<T> {
    pub(super) fn new(
        files: Vec<PathBuf>,
        load: impl FnOnce() -> Result<T, NetError>,
    ) -> Result<Self, NetError> {
        // The stamps come first: a change during the load is seen at the next look.
        let stamps = stamps(&files);
        let value = Arc::new(load()?);
        let current = Current {
            value,
            stamps,
            refused: None,
            checked: Instant::now(),
        };
        Ok(Self {
            files,
            current: Mutex::new(current),
        })
    }

    /// The value, from the files as they are. Files that cannot be used leave the value as it
    /// was, with one warning per change.
    pub(super) fn get(&self, load: impl FnOnce() -> Result<T, NetError>) -> Arc<T> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.checked.elapsed() < RELOAD_CHECK_EVERY {
            return Arc::clone(&current.value);
        }
        current.checked = Instant::now();
        let now = stamps(&self.files);
        if now == current.stamps || current.refused.as_ref() == Some(&now) {
            return Arc::clone(&current.value);
        }
        match load() {
            Ok(value) => {
                current.value = Arc::new(value);
                current.stamps = now;
                current.refused = None;
                tracing::info!(files = ?self.files, "read changed TLS files");
            }
            Err(error) => {
                current.refused = Some(now);
                let error = error.chain();
                tracing::warn!(%error, "changed TLS files cannot be used, the old ones stay in use");
            }
        }
        Arc::clone(&current.value)
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(stamp).collect()
}
