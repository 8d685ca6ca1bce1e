//! Stored messages of a span of time, from a running node or from the folder of one that is
//! stopped, for commands that look at many.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use hilum_admin::{message_json, trace_json};
use hilum_journal::{Journal, Query};
use hilum_message::{DeliveryId, MessageId};
use hilum_net::HostPort;
use serde_json::Value;

use super::journal::{node, open};
use super::node::{Remote, part};

/// Messages of a page.
const PAGE: usize = 1_000;
/// Messages that are listed at most.
pub(crate) const LISTED_MAX: usize = 1_000_000;
/// Bytes of one message.
const MESSAGE_BYTES_MAX: u64 = 64_000_000;

/// Which messages.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) channel: Option<String>,
    /// Arrived at or after, Unix milliseconds.
    pub(crate) from_ms: u64,
    /// Arrived before.
    pub(crate) until_ms: u64,
}

/// A message that was found.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: MessageId,
    pub(crate) arrived_ms: u64,
    /// As the management API shows it, without content.
    pub(crate) row: Value,
}

/// Where the messages are.
pub(crate) enum History<'a> {
    Node(Remote<'a>),
    Folder {
        journal: Journal,
        runtime: tokio::runtime::Runtime,
        _lock: File,
    },
}

impl<'a> History<'a> {
    /// The folder if one is named and no node runs on it, else the node.
    pub(crate) fn new(data: Option<&Path>, at: &'a HostPort) -> anyhow::Result<Self> {
        let (None, Some(data)) = (node(data, at)?, data) else {
            return Ok(Self::Node(Remote::new(at)?));
        };
        let (lock, journal) = open(data)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the I/O thread")?;
        Ok(Self::Folder {
            journal,
            runtime,
            _lock: lock,
        })
    }

    /// The messages that came from outside in a span of time, oldest first: no parts, no
    /// repetitions on request, no recognised resends.
    pub(crate) fn list(&self, span: &Span) -> anyhow::Result<Vec<Stored>> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut before = None;
        loop {
            let (rows, next) = self.page(span, before)?;
            for row in rows {
                let own = from_outside(&row);
                let id = row["message"].as_str().and_then(|id| id.parse().ok());
                let Some(id) = id.filter(|id| own && seen.insert(*id)) else {
                    continue;
                };
                found.push(Stored {
                    id,
                    arrived_ms: row["arrived-ms"].as_u64().unwrap_or_default(),
                    row,
                });
            }
            if found.len() > LISTED_MAX {
                bail!("there are more than {LISTED_MAX} messages; choose a shorter span");
            }
            match next {
                Some(next) => before = Some(next),
                None => break,
            }
        }
        found.reverse();
        Ok(found)
    }

    fn page(&self, span: &Span, before: Option<u64>) -> anyhow::Result<(Vec<Value>, Option<u64>)> {
        let to_ms = span.until_ms.saturating_sub(1);
        match self {
            Self::Node(remote) => {
                let mut path = format!(
                    "/api/v1/messages?limit={PAGE}&from-ms={}&to-ms={to_ms}",
                    span.from_ms
                );
                if let Some(channel) = &span.channel {
                    path.push_str(&format!("&channel={}", part(channel)));
                }
                if let Some(before) = before {
                    path.push_str(&format!("&before={before}"));
                }
                let page = remote.get(&path)?;
                let rows = page["messages"].as_array().cloned().unwrap_or_default();
                Ok((rows, page["next"].as_u64()))
            }
            Self::Folder {
                journal, runtime, ..
            } => {
                let query = Query {
                    channel: span.channel.as_deref().map(Arc::from),
                    from_ms: span.from_ms,
                    to_ms,
                    before,
                    limit: PAGE,
                    ..Query::default()
                };
                let page = runtime.block_on(journal.search(query))?;
                Ok((page.messages.iter().map(message_json).collect(), page.next))
            }
        }
    }

    /// The deliveries of a message, as the management API shows them.
    pub(crate) fn deliveries(&self, id: MessageId) -> anyhow::Result<Vec<Value>> {
        let trace = match self {
            Self::Node(remote) => remote.get(&format!("/api/v1/messages/{id}"))?,
            Self::Folder {
                journal, runtime, ..
            } => trace_json(&runtime.block_on(journal.trace(id))?),
        };
        Ok(trace["deliveries"].as_array().cloned().unwrap_or_default())
    }

    /// The bytes of a delivery as its destination got them.
    pub(crate) fn sent(&self, delivery: &str) -> anyhow::Result<Bytes> {
        match self {
            Self::Node(remote) => {
                remote.bytes(&format!("/api/v1/deliveries/{}/sent", part(delivery)))
            }
            Self::Folder {
                journal, runtime, ..
            } => {
                let id: DeliveryId = delivery.parse()?;
                let trace = runtime.block_on(journal.trace(id.message))?;
                let mut known = trace
                    .deliveries
                    .iter()
                    .map(|(row, _)| row.delivery.delivery);
                let found = known
                    .find(|known| known.id == id)
                    .with_context(|| format!("there is no delivery {delivery}"))?;
                let (_, payload) = runtime.block_on(journal.body(found))?;
                Ok(journal.whole(&payload, MESSAGE_BYTES_MAX)?)
            }
        }
    }

    /// The bytes of a message as they were received.
    pub(crate) fn bytes(&self, id: MessageId) -> anyhow::Result<Bytes> {
        match self {
            Self::Node(remote) => remote.bytes(&format!("/api/v1/messages/{id}/received")),
            Self::Folder {
                journal, runtime, ..
            } => {
                let (_, payload) = runtime.block_on(journal.received(id))?;
                Ok(journal.whole(&payload, MESSAGE_BYTES_MAX)?)
            }
        }
    }
}

/// A message that came from outside: no part, no repetition on request, no recognised resend.
pub(super) fn from_outside(row: &Value) -> bool {
    row["parent"].is_null() && row["from"].is_null() && row["disposition"] != "suppressed"
}

/// The span of a UTC day, such as 2026-11-20, or `today`.
pub(crate) fn day(text: &str) -> anyhow::Result<(u64, u64)> {
    let date: jiff::civil::Date = match text {
        "today" => jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date(),
        text => text
            .parse()
            .with_context(|| format!("{text} is no day, such as 2026-11-20 or today"))?,
    };
    let start = |date: jiff::civil::Date| -> anyhow::Result<u64> {
        let zoned = date.to_zoned(jiff::tz::TimeZone::UTC)?;
        Ok(u64::try_from(zoned.timestamp().as_millisecond())?)
    };
    Ok((start(date)?, start(date.tomorrow()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_of_utc() {
        assert_eq!(day("1970-01-02").unwrap(), (86_400_000, 172_800_000));
        let (from, until) = day("today").unwrap();
        assert_eq!(until - from, 86_400_000);
        assert!(day("yesterday").is_err());
        assert!(day("2026-02-30").is_err());
    }
}
