//! Searching in bodies: a scan in bounded steps, over a time range that must be given.

use std::sync::Arc;

use hilum_db::rusqlite::params;
use hilum_db::{Cancel, Doing};

use crate::error::JournalError;
use crate::journal::{Inner, Journal, Pinned};
use crate::read::{StoredMessage, body_of, header_of};
use crate::recover::first_since;

/// Rows of one step.
const STEP_ROWS: usize = 500;

/// What to look for in received bodies. Content of blobs is not searched.
#[derive(Clone)]
pub struct ContentQuery {
    /// The bytes.
    pub needle: Vec<u8>,
    /// Of this channel.
    pub channel: Option<Arc<str>>,
    /// Committed at or after, Unix milliseconds.
    pub from_ms: u64,
    /// Committed at or before.
    pub to_ms: u64,
}

impl std::fmt::Debug for ContentQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContentQuery({} bytes)", self.needle.len())
    }
}

/// Result of a step.
#[derive(Clone, Debug, Default)]
pub struct ContentStep {
    /// Messages whose body holds the bytes, oldest first.
    pub found: Vec<StoredMessage>,
    /// Rows looked at in this step.
    pub scanned: usize,
    /// Where to go on; `None` at the end.
    pub next: Option<u64>,
    /// The last sequence in range when the step began: progress is `next` on the way to it.
    pub last: u64,
}

impl Journal {
    /// Does one step of a content search, from the sequence that the step before returned (0 at
    /// first). To cancel, do not call it again, or drop the future.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub async fn content_step(
        &self,
        query: ContentQuery,
        from: u64,
    ) -> Result<ContentStep, JournalError> {
        self.read(move |inner, cancel| inner.content_step(&query, from, cancel))
            .await
    }
}

impl Inner {
    fn content_step(
        &self,
        query: &ContentQuery,
        from: u64,
        cancel: &Cancel,
    ) -> Result<ContentStep, JournalError> {
        let mut step = ContentStep::default();
        for partition in self.all(Pinned::Left) {
            let shared = &partition.shared;
            step.last = step.last.max(shared.last());
            if step.next.is_some() || shared.last() < from || shared.last() == 0 {
                continue;
            }
            let (codecs, channel) = (&self.core.codecs, query.channel.as_ref());
            partition.readers.read(cancel, |conn| {
                let begin = from.max(first_since(conn, shared, query.from_ms)?);
                let read = || {
                    let sql = "SELECT seq, channel FROM message WHERE seq >= ?1 \
                               AND committed_ms <= ?2 ORDER BY seq LIMIT ?3";
                    let mut statement = conn.prepare_cached(sql)?;
                    let to_ms = query.to_ms.min(i64::MAX.unsigned_abs());
                    let rows = statement.query_map(params![begin, to_ms, STEP_ROWS], |row| {
                        Ok((row.get::<_, u64>(0)?, row.get::<_, i64>(1)?))
                    })?;
                    rows.collect::<Result<Vec<_>, _>>()
                };
                let rows = read().doing("search the bodies of", &shared.name)?;
                if rows.len() == STEP_ROWS {
                    step.next = rows.last().map(|(sequence, _)| sequence.saturating_add(1));
                }
                for (sequence, of) in rows {
                    step.scanned += 1;
                    if channel.is_some_and(|channel| *channel != shared.names.text(of)) {
                        continue;
                    }
                    // A damaged body is not found; `verify` names it.
                    let Ok(body) = body_of(conn, codecs, shared, sequence) else {
                        continue;
                    };
                    if contains(body.text(), &query.needle) {
                        step.found.extend(header_of(conn, shared, sequence)?);
                    }
                }
                Ok(())
            })?;
        }
        Ok(step)
    }
}

fn contains(body: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && body.windows(needle.len()).any(|window| window == needle)
}
