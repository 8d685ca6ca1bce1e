//! A sender as hospitals have them: one message at a time, again until it is accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use hilum_testkit::mllp::Client;
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
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) patient: u64,
    /// Answered AA or CA with its own control id.
    pub(super) accepted: bool,
    /// How often it was sent.
    pub(super) times: u32,
}

#[derive(Debug)]
pub(super) struct Sender {
    position: u64,
    senders: u64,
    mix: Mix,
    over: Arc<AtomicBool>,
    accepted: Arc<AtomicU64>,
    open: Option<Client>,
}

impl Sender {
    pub(super) fn new(
        position: u64,
        senders: u64,
        mix: Mix,
        over: &Arc<AtomicBool>,
        accepted: &Arc<AtomicU64>,
    ) -> Self {
        Self {
            position,
            senders,
            mix,
            over: Arc::clone(over),
            accepted: Arc::clone(accepted),
            open: None,
        }
    }

    /// Sends until it is told to stop; the message under way is brought to its end.
    pub(super) async fn run(mut self) -> Result<Vec<Sent>> {
        let mut all = Vec::new();
        for count in 0.. {
            if self.over.load(Ordering::SeqCst) {
                break;
            }
            let number = self.position + self.senders * count;
            let patient = self.position + self.senders * (count % PATIENTS);
            let message = self.mix.message(patient, number);
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
            self.accepted.fetch_add(1, Ordering::SeqCst);
            all.push(sent);
        }
        Ok(all)
    }

    /// One attempt, counted in `times` once there is a connection.
    async fn once(&mut self, message: &[u8], id: &str, times: &mut u32) -> bool {
        if self.open.is_none() {
            self.open = Client::connect(relay::listens()).await.ok();
        }
        let Some(client) = self.open.as_mut() else {
            return false;
        };
        *times += 1;
        match timeout(ANSWER_WITHIN, client.exchange(message)).await {
            Ok(Ok(answer)) => accepts(&answer, id),
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
