//! What the journal holds, compared with what was sent and with what must have been delivered.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::relay;

/// Connections to the API.
const READERS: usize = 8;
/// Messages of a page of a search.
const PAGE: usize = 1_000;
/// Findings after which the comparison is given up.
const FINDINGS_MAX: usize = 20;

/// A channel of a running program.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its management API.
    pub(crate) admin: SocketAddr,
    pub(crate) channel: String,
}

/// A row of the journal.
struct Row {
    message: String,
    /// The message that it came again for.
    repeats: String,
    control_id: String,
    accepted: bool,
}

/// How many messages were compared, and what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) messages: usize,
    pub(crate) broken: Vec<String>,
}

/// Whether messages may be dropped while they are read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    /// All of them are kept.
    Off,
    /// What was found may be gone a moment later.
    On,
}

/// Reads back every message of a channel and every delivery that the running program has.
pub(crate) async fn compare(
    place: &Place,
    originals: HashMap<String, Vec<u8>>,
    retention: Retention,
) -> Result<Compared> {
    let rows = rows(place).await?;
    let messages = rows.len();
    let mut shares: Vec<Vec<Row>> = (0..READERS).map(|_| Vec::new()).collect();
    for (at, row) in rows.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(at % READERS) {
            share.push(row);
        }
    }
    let originals = Arc::new(originals);
    let mut readers = JoinSet::new();
    for share in shares {
        readers.spawn(read(place.admin, share, Arc::clone(&originals), retention));
    }
    let mut broken = Vec::new();
    while let Some(found) = readers.join_next().await {
        broken.extend(found.context("a reader failed")??);
    }
    Ok(Compared { messages, broken })
}

async fn rows(place: &Place) -> Result<Vec<Row>> {
    let mut api = Api::new(place.admin);
    let mut rows = Vec::new();
    let mut before = String::new();
    loop {
        let query = format!("channel={}&limit={PAGE}{before}", place.channel);
        let page = api.find(&query).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        rows.extend(page.iter().map(|row| Row {
            message: text(&row["message"]),
            repeats: text(&row["from"]),
            control_id: text(&row["control-id"]),
            accepted: row["disposition"] == "accepted",
        }));
        match page.last() {
            Some(last) if page.len() == PAGE => before = format!("&before={}", last["sequence"]),
            Some(_) | None => break,
        }
    }
    // A message that came again is recorded as a repetition of the first one.
    let ids: HashMap<String, String> = rows
        .iter()
        .map(|row| (row.message.clone(), row.control_id.clone()))
        .collect();
    for row in &mut rows {
        if let Some(id) = ids.get(&row.repeats) {
            row.control_id.clone_from(id);
        }
    }
    // The first one may have been dropped by retention.
    rows.retain(|row| !row.control_id.is_empty() || row.repeats.is_empty());
    Ok(rows)
}

async fn read(
    admin: SocketAddr,
    rows: Vec<Row>,
    originals: Arc<HashMap<String, Vec<u8>>>,
    retention: Retention,
) -> Result<Vec<String>> {
    let mut api = Api::new(admin);
    let mut broken = Vec::new();
    for row in rows {
        if broken.len() >= FINDINGS_MAX {
            break;
        }
        let Some(original) = originals.get(&row.control_id) else {
            bail!("the journal has {}, which was never sent", row.control_id);
        };
        let received = format!("/api/v1/messages/{}/received", row.message);
        let sent = format!("/api/v1/deliveries/{}.0/sent", row.message);
        let relayed = relay::relayed(original);
        let parts = [
            ("stored", received, &original[..], true),
            ("recorded as sent", sent, &relayed[..], row.accepted),
        ];
        for (what, path, expected, there) in parts {
            if !there {
                continue;
            }
            match api.bytes_if_there(&path).await? {
                Some(found) if found == expected => {}
                Some(_) => broken.push(format!("{} is {what} with other bytes", row.control_id)),
                None if retention == Retention::On => {}
                None => broken.push(format!("{} is not {what} any more", row.control_id)),
            }
        }
    }
    Ok(broken)
}
