//! How many bytes stay on disk for each byte received, as a relay fills a journal: every message
//! with its answer, an outbound message that differs in one field, the peer's reply, the index.
//!
//! `HILUM_KEPT=<n>` measures with another number of messages.

use std::path::Path;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hilum_journal::{
    AcceptRequest, Attempt, Background, NewDelivery, NewState, OrderKeys, Outcome, Resend,
    Settlement, Token,
};
use hilum_message::{IndexToken, MessageId, OrderKey, Payload, PlanDigest};
use hilum_testkit::messages::{Event, Synthetic, answer};

use crate::door::{Door, NOON_MS, open, run};

const MESSAGES: u64 = 6_000;

const EVENTS: [Event; 8] = [
    Event::Admit,
    Event::Update,
    Event::Update,
    Event::Result,
    Event::Result,
    Event::Result,
    Event::Discharge,
    Event::Prescription,
];

fn mixed(n: u64) -> u64 {
    let mixed = (n ^ 0x5851_F42D).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ (mixed >> 32)
}

/// What the engine hands over for the relay example.
fn relayed(n: u64) -> AcceptRequest {
    let event = EVENTS[usize::try_from(mixed(n) % 8).unwrap()];
    let synthetic = Synthetic::new(event, mixed(n) % 20_000, n);
    let received = synthetic.build();
    let control_id = synthetic.control_id();
    let patient = synthetic.patient_id();
    let text = String::from_utf8(received.clone()).unwrap();
    let ward = ["ICU", "MED1", "SURG"][usize::try_from(mixed(n) % 3).unwrap()];
    let sent = text.replacen("|HILUM|STE|", &format!("|HILUM|{ward}|"), 1);
    let time = NOON_MS + n;
    let id = MessageId::new(time, u128::from(mixed(n)) << 16 | u128::from(mixed(n + 7)));
    let mut request = AcceptRequest::new(id, "adt".into(), Payload::inline(Bytes::from(received)));
    request.control_id = Some(control_id.as_str().into());
    request.kind = Some(format!("{event:?}").as_str().into());
    request.peer = Some("127.0.0.1".into());
    request.plan = PlanDigest([7; 32]);
    request.metadata.set("patient", &*patient);
    request.metadata.set("ward", ward);
    let token = |kind, value: &str| Token {
        kind,
        value: IndexToken(
            mixed(value.bytes().fold(1, |sum, b| sum * 31 + u64::from(b))).cast_signed(),
        ),
    };
    request.tokens = vec![
        token(Token::CONTROL_ID, &control_id),
        token(Token::TYPE, &format!("{event:?}")),
        token(Token::PATIENT, &patient),
    ];
    let halves = [mixed(n), mixed(n + 1)].map(u64::to_le_bytes).concat();
    request.resend = Some(Resend {
        key: mixed(n + 2).to_le_bytes(),
        digest: halves.as_slice().try_into().unwrap(),
    });
    request.answer = Some(answer(text.as_bytes(), "AA", None).into());
    request.deliveries = vec![NewDelivery {
        ordinal: 0,
        destination: "ehr".into(),
        keys: OrderKeys::from_slice(&[OrderKey(mixed(n % 20_000))]),
        priority: 0,
        payload: Payload::inline(Bytes::from(sent)),
        state: NewState::Pending,
    }];
    request
}

fn disk_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

async fn relay(door: &Door, messages: std::ops::Range<u64>) -> u64 {
    let tasks: Vec<_> = (0..32_u64)
        .map(|sender| {
            let messages = messages.clone();
            let (journal, clock) = (door.journal.clone(), door.clock.clone());
            tokio::task::spawn(async move {
                let mut received = 0;
                for n in (messages.start + sender..messages.end).step_by(32) {
                    clock.fetch_max(NOON_MS + n, Ordering::Relaxed);
                    let request = relayed(n);
                    received += request.received.len();
                    let reply = answer(request.received.text(), "AA", None);
                    let id = request.message;
                    let proof = journal.accept(request).await.unwrap();
                    let delivery = hilum_journal::DeliveryRef {
                        id: hilum_message::DeliveryId {
                            message: id,
                            ordinal: 0,
                        },
                        sequence: proof.sequence(),
                    };
                    let last = Attempt {
                        started_ms: NOON_MS + n,
                        duration_ms: 2,
                        outcome: Outcome::Delivered,
                        reason: Some("AA".into()),
                        reply: Some(Payload::inline(Bytes::from(reply))),
                    };
                    journal.settle(Settlement { delivery, last }).await.unwrap();
                }
                received
            })
        })
        .collect();
    let mut received = 0;
    for task in tasks {
        received += task.await.unwrap();
    }
    door.journal.flush().await.unwrap();
    received
}

#[test]
fn a_relay_keeps_few_bytes_for_each_byte_received() {
    let asked = std::env::var("HILUM_KEPT").ok();
    let messages = asked.and_then(|n| n.parse().ok()).unwrap_or(MESSAGES);
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |options| {
        options.background = Background::Threads
    });
    // Dictionaries are there once a channel has sent a while.
    let mut received = run(relay(&door, 0..1_500));
    door.journal.maintain().unwrap();
    received += run(relay(&door, 1_500..messages));
    let running = disk_bytes(dir.path());
    door.close();
    let kept = disk_bytes(dir.path());
    let share = kept as f64 / received as f64;
    let per_message = received / messages;
    let line = format!("{per_message} received per message: {share:.2} kept, running {running}");
    assert!(share < 1.5, "{line}");
}
