//! A sender as hospitals have them: one message at a time, again until it is accepted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use hilum_testkit::mllp::Client;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::relay::{self, Mix};

/// Patients of one sender: few, so that each has many messages whose order can be seen.
const PATIENTS: u64 = 5;
/// How long it waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long it waits before it connects again.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// One message that was accepted, or was under way at the end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) patient: u64,
    /// Answered AA or CA with its own control id.
    pub(crate) accepted: bool,
    /// How often it was sent.
    pub(crate) times: u32,
}

/// What the senders of a channel have in common.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// Where they send to.
    pub(crate) to: SocketAddr,
    pub(crate) mix: Mix,
    pub(crate) senders: u64,
    /// The number of the first message; those of one patient never share one.
    pub(crate) first: u64,
    /// How long a sender rests after each message.
    pub(crate) rest: Duration,
    over: Arc<AtomicBool>,
    accepted: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Load {
    /// So many senders that never rest.
    pub(crate) fn new(to: SocketAddr, mix: Mix, senders: u64) -> Self {
        Self {
            to,
            mix,
            senders,
            first: 0,
            rest: Duration::ZERO,
            over: Arc::default(),
            accepted: Arc::default(),
            refused: Arc::default(),
        }
    }

    /// Starts the senders.
    pub(crate) fn start(&self) -> JoinSet<Result<Vec<Sent>>> {
        (0..self.senders)
            .map(|position| Sender::new(position, self.clone()).run())
            .collect()
    }

    /// Tells the senders to stop.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// How many messages were accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// How many negative answers came so far.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Sender {
    position: u64,
    load: Load,
    open: Option<Client>,
}

impl Sender {
    const fn new(position: u64, load: Load) -> Self {
        Self {
            position,
            load,
            open: None,
        }
    }

    /// Sends until it is told to stop; the message under way is brought to its end.
    async fn run(mut self) -> Result<Vec<Sent>> {
        let mut all = Vec::new();
        for count in 0.. {
            if self.load.over.load(Ordering::SeqCst) {
                break;
            }
            let number = self.load.first + self.position + self.load.senders * count;
            let patient = self.load.first + self.position + self.load.senders * (count % PATIENTS);
            let message = self.load.mix.message(patient, number);
            let mut sent = Sent {
                number,
                patient,
                accepted: false,
                times: 0,
            };
            while !sent.accepted {
                sent.accepted = self
                    .once(&message, &relay::control_id(number), &mut sent.times)
                    .await;
                if !sent.accepted {
                    self.open = None;
                    sleep(AGAIN_AFTER).await;
                }
            }
            self.load.accepted.fetch_add(1, Ordering::SeqCst);
            all.push(sent);
            if !self.load.rest.is_zero() {
                sleep(self.load.rest).await;
            }
        }
        Ok(all)
    }

    /// One attempt, counted in `times` once there is a connection.
    async fn once(&mut self, message: &[u8], id: &str, times: &mut u32) -> bool {
        if self.open.is_none() {
            self.open = Client::connect(self.load.to).await.ok();
        }
        let Some(client) = self.open.as_mut() else {
            return false;
        };
        *times += 1;
        match timeout(ANSWER_WITHIN, client.exchange(message)).await {
            Ok(Ok(answer)) => {
                let yes = accepts(&answer, id);
                if !yes {
                    self.load.refused.fetch_add(1, Ordering::SeqCst);
                }
                yes
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

/// Whether an answer says yes, in either mode, to the message with this control id.
fn accepts(answer: &[u8], id: &str) -> bool {
    answer.split(|byte| *byte == b'\r').any(|line| {
        let mut fields = line.split(|byte| *byte == b'|');
        fields.next() == Some(b"MSA")
            && matches!(fields.next(), Some(b"AA" | b"CA"))
            && fields.next() == Some(id.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_a_yes_to_its_own_message() {
        assert!(accepts(b"MSH|x\rMSA|AA|T1\r", "T1"));
        assert!(accepts(b"MSH|x\rMSA|CA|T1|text\r", "T1"));
        assert!(!accepts(b"MSH|x\rMSA|AA|T12\r", "T1"));
        assert!(!accepts(b"MSH|x\rMSA|AE|T1\r", "T1"));
    }
}
