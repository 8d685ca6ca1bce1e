//! Accepting and settling on the disk of the temporary folder, by 1, 8, 32 and 64 that each wait.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use divan::Bencher;
use hilum_journal::{
    AcceptRequest, Attempt, CommitSink, CommittedMessage, DeliveryRef, Journal, JournalOptions,
    NewDelivery, NewState, OrderKeys, Outcome, Resend, Settlement, Token,
};
use hilum_message::{IndexToken, MessageId, OrderKey, Payload};

const MESSAGES: u64 = 4096;

#[derive(Default)]
struct Sent(Mutex<Vec<DeliveryRef>>);

impl CommitSink for Sent {
    fn committed(&self, message: CommittedMessage) {
        let mut sent = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        sent.extend(message.deliveries.iter().map(|d| d.delivery));
    }

    fn recovered(&self, _message: CommittedMessage, _resend: Option<Resend>) {}
}

fn main() {
    divan::main();
}

fn request(n: u64) -> AcceptRequest {
    let body = |to: &str| {
        let text = format!(
            "MSH|^~\\&|LIS|LAB|{to}|HOSP|20250615120000||ORU^R01|C{n}|P|2.5\rPID|1||{n:08}^^^H^MR||DOE^JOHN{n}||19700101|M\r{}",
            (0..8)
                .map(|at| format!(
                    "OBX|{at}|NM|{at}^Something measured^L||{}.{}|mmol/l|3.5-5.1|N|||F\r",
                    n % 97,
                    at
                ))
                .collect::<String>()
        );
        Payload::inline(Bytes::from(text))
    };
    let id = MessageId::new(1_750_000_000_000 + n, u128::from(n));
    let mut request = AcceptRequest::new(id, "lab".into(), body("HILUM"));
    request.control_id = Some(format!("C{n}").into());
    request.tokens = [Token::CONTROL_ID, Token::PATIENT, Token::TYPE]
        .map(|kind| Token {
            kind,
            value: IndexToken(n.cast_signed().wrapping_mul(0x9E37_79B9)),
        })
        .to_vec();
    request.resend = Some(Resend {
        key: [1; 8],
        digest: [2; 16],
    });
    request.answer = Some(Bytes::from_static(
        b"MSH|^~\\&|HILUM|H|LIS|LAB|20250615120000||ACK|1|P|2.5\rMSA|AA|C1\r",
    ));
    request.deliveries = vec![NewDelivery {
        ordinal: 0,
        destination: "ehr".into(),
        keys: OrderKeys::from_slice(&[OrderKey(n)]),
        priority: 0,
        payload: body("EHR"),
        state: NewState::Pending,
    }];
    request
}

/// Accepts [`MESSAGES`] and settles each delivery, as a relay does.
#[divan::bench(args = [1, 8, 32, 64], sample_count = 5, sample_size = 1)]
fn accept_and_settle(bencher: Bencher<'_, '_>, senders: u64) {
    let dir = tempfile::tempdir();
    let Ok(dir) = dir else { return };
    let sent = Arc::new(Sent::default());
    let opened = Journal::open(dir.path(), &JournalOptions::default(), sent.clone());
    let Ok((journal, _)) = opened else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let Ok(runtime) = runtime else { return };
    let mut from = 0;
    bencher
        .counter(divan::counter::ItemsCount::new(MESSAGES))
        .bench_local(|| {
            let tasks: Vec<_> = (0..senders)
                .map(|sender| {
                    let journal = journal.clone();
                    runtime.spawn(async move {
                        for n in (from + sender..from + MESSAGES).step_by(senders as usize) {
                            drop(journal.accept(request(n)).await);
                        }
                    })
                })
                .collect();
            from += MESSAGES;
            runtime.block_on(async {
                for task in tasks {
                    while !task.is_finished() {
                        let done = std::mem::take(
                            &mut *sent
                                .0
                                .lock()
                                .unwrap_or_else(std::sync::PoisonError::into_inner),
                        );
                        for delivery in done {
                            let last = Attempt {
                                started_ms: 1_750_000_000_000,
                                duration_ms: 1,
                                outcome: Outcome::Delivered,
                                reason: None,
                                reply: Some(Payload::inline(Bytes::from_static(b"MSA|AA|C1"))),
                            };
                            drop(journal.settle(Settlement { delivery, last }).await);
                        }
                        tokio::task::yield_now().await;
                    }
                }
                drop(journal.flush().await);
            });
        });
}
