//! What sends to the channels of a generated site, and the record of what was accepted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Entry, HospitalChannel, Hospitals};
use crate::http::HttpClient;
use crate::messages::{Event, Synthetic};
use crate::mllp::Client;

/// Numbers from here on are not the load's.
pub const OWN: u64 = 100_000_000;
/// Numbers that one channel has.
const SHARE: u64 = 100_000;
/// How long a sender rests after each message: many channels, each with little to do.
const REST: Duration = Duration::from_millis(200);

/// One message of a number, for one channel.
#[must_use]
pub fn message(number: u64) -> Synthetic {
    let event = if number.is_multiple_of(2) {
        Event::Admit
    } else {
        Event::Result
    };
    Synthetic::new(event, number / 3, number)
}

/// A sender of one channel that keeps its connection.
#[derive(Debug)]
pub struct Feeder {
    entry: Entry,
    open: Option<Open>,
}

#[derive(Debug)]
enum Open {
    Mllp(Client),
    Http(HttpClient),
}

impl Feeder {
    /// A sender that connects with its first message.
    #[must_use]
    pub fn new(channel: &HospitalChannel) -> Self {
        Self {
            entry: channel.entry.clone(),
            open: None,
        }
    }

    /// Whether a message can be sent to the channel from outside.
    #[must_use]
    pub const fn can_send(&self) -> bool {
        !matches!(self.entry, Entry::Topic(_))
    }

    /// Sends a message; whether it was accepted. Into a folder it is only put: see
    /// [`Feeder::taken`]. An error ends the connection, and the next message makes a new one.
    pub async fn send(&mut self, message: &Synthetic) -> io::Result<bool> {
        let result = self.attempt(message).await;
        if result.is_err() {
            self.open = None;
        }
        result
    }

    async fn attempt(&mut self, message: &Synthetic) -> io::Result<bool> {
        let bytes = message.build();
        match &self.entry {
            Entry::Topic(_) => Ok(false),
            Entry::Folder(folder, _) => {
                let part = folder.join(format!(".{}", message.control_id()));
                std::fs::write(&part, &bytes)?;
                std::fs::rename(part, folder.join(message.control_id()))?;
                Ok(true)
            }
            Entry::Mllp(address) => {
                let client = match self.open.take() {
                    Some(Open::Mllp(client)) => client,
                    Some(Open::Http(_)) | None => Client::connect(address).await?,
                };
                let Open::Mllp(client) = self.open.insert(Open::Mllp(client)) else {
                    return Ok(false);
                };
                let answer = client.exchange(&bytes).await?;
                Ok(says_yes(&answer, &message.control_id()))
            }
            Entry::Http(address, path) => {
                let client = match self.open.take() {
                    Some(Open::Http(client)) => client,
                    Some(Open::Mllp(_)) | None => HttpClient::connect(*address).await?,
                };
                let Open::Http(client) = self.open.insert(Open::Http(client)) else {
                    return Ok(false);
                };
                let line = format!("POST {path}");
                let answer = client.exchange(&line, &[], &bytes).await?;
                Ok(answer.status().is_some_and(|status| status < 300))
            }
        }
    }

    /// Whether a message that was put into a folder has been taken; others have once they were
    /// accepted.
    #[must_use]
    pub fn taken(&self, message: &Synthetic) -> bool {
        match &self.entry {
            Entry::Folder(_, done) => done.join(message.control_id()).exists(),
            Entry::Mllp(_) | Entry::Http(..) | Entry::Topic(_) => true,
        }
    }
}

fn says_yes(answer: &[u8], id: &str) -> bool {
    let answer = String::from_utf8_lossy(answer);
    ["AA", "CA"].iter().any(|code| {
        answer
            .split('\r')
            .any(|line| line.starts_with(&format!("MSA|{code}|{id}")))
    })
}

/// A message that was accepted.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// The place of its channel in the list of channels.
    pub channel: usize,
    /// The message.
    pub message: Synthetic,
}

/// Senders of all channels, until they are told to stop.
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    senders: JoinSet<Vec<Accepted>>,
}

impl Load {
    /// Starts a sender for each channel; numbers of messages begin at `first`.
    #[must_use]
    pub fn start(hospitals: &Hospitals, first: u64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicU64::new(0));
        let refused = Arc::new(AtomicU64::new(0));
        let mut senders = JoinSet::new();
        for (at, channel) in hospitals.channels.iter().enumerate() {
            let first = first + at as u64 * SHARE;
            senders.spawn(feed(
                at,
                channel.clone(),
                first,
                Arc::clone(&over),
                Arc::clone(&count),
                Arc::clone(&refused),
            ));
        }
        Self {
            over,
            count,
            refused,
            senders,
        }
    }

    /// How many messages were not accepted so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    /// How many messages were accepted so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Ends the load; what was accepted.
    pub async fn end(mut self) -> io::Result<Vec<Accepted>> {
        self.over.store(true, Ordering::SeqCst);
        let mut all = Vec::new();
        while let Some(accepted) = self.senders.join_next().await {
            all.extend(accepted.map_err(io::Error::other)?);
        }
        Ok(all)
    }
}

/// One message after the other; what is not accepted is not recorded and not sent again.
async fn feed(
    at: usize,
    channel: HospitalChannel,
    first: u64,
    over: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
) -> Vec<Accepted> {
    let mut feeder = Feeder::new(&channel);
    let mut accepted = Vec::new();
    let mut number = first;
    if !feeder.can_send() {
        return accepted;
    }
    // So that not all of them send at the same moment.
    sleep(REST.mul_f64((at % 50) as f64 / 50.0)).await;
    let mut put = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let message = message(number);
        number += 1;
        if feeder.send(&message).await.unwrap_or(false) {
            put.push(message);
            count.fetch_add(1, Ordering::SeqCst);
        } else {
            refused.fetch_add(1, Ordering::SeqCst);
        }
        sleep(REST).await;
    }
    put.retain(|message| feeder.taken(message));
    accepted.extend(put.into_iter().map(|message| Accepted {
        channel: at,
        message,
    }));
    accepted
}
