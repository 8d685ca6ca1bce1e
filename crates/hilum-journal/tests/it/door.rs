//! One door to a journal for all tests.

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hilum_journal::{
    AcceptRequest, Attempt, Background, Clock, CommitSink, CommittedMessage, DeliveryRef, Journal,
    JournalOptions, NewDelivery, NewState, OrderKeys, Outcome, Recovered, Resend, Settlement,
};
use hilum_message::{MessageId, OrderKey, Payload};

/// Noon of a day.
pub(crate) const NOON_MS: u64 = 1_750_000_000_000 / 86_400_000 * 86_400_000 + 43_200_000;

/// Collects what the journal tells.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) committed: Mutex<Vec<CommittedMessage>>,
    pub(crate) recovered: Mutex<Vec<CommittedMessage>>,
}

impl CommitSink for Told {
    fn committed(&self, message: CommittedMessage) {
        self.committed.lock().unwrap().push(message);
    }

    fn recovered(&self, message: CommittedMessage, _resend: Option<Resend>) {
        self.recovered.lock().unwrap().push(message);
    }
}

pub(crate) struct Door {
    pub(crate) journal: Journal,
    pub(crate) told: Arc<Told>,
    pub(crate) clock: Arc<AtomicU64>,
    pub(crate) recovered: Recovered,
}

pub(crate) fn test_clock(start: u64) -> (Arc<AtomicU64>, Clock) {
    let clock = Arc::new(AtomicU64::new(start));
    let read = clock.clone();
    (clock, Clock::new(move || read.load(Ordering::Relaxed)))
}

/// Opens a journal whose housekeeping is done by `maintain`.
pub(crate) fn open(dir: &Path, change: impl FnOnce(&mut JournalOptions)) -> Door {
    open_at(dir, NOON_MS, change)
}

pub(crate) fn open_at(dir: &Path, now_ms: u64, change: impl FnOnce(&mut JournalOptions)) -> Door {
    let (clock, read) = test_clock(now_ms);
    let mut options = JournalOptions {
        clock: read,
        background: Background::Caller,
        ..JournalOptions::default()
    };
    change(&mut options);
    let told = Arc::new(Told::default());
    let (journal, recovered) = Journal::open(dir, &options, told.clone()).unwrap();
    Door {
        journal,
        told,
        clock,
        recovered,
    }
}

impl Door {
    pub(crate) fn close(self) {
        drop(self.journal);
    }
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn id(n: u64) -> MessageId {
    MessageId::new(NOON_MS + n, u128::from(n) * 0x9E37_79B9_7F4A_7C15)
}

pub(crate) fn text(n: u64) -> Payload {
    let text = format!(
        "MSH|^~\\&|LIS|LAB|EHR|HOSP|20250615120000||ORU^R01|C{n}|P|2.5\rPID|1||{n:08}^^^H^MR||DOE^J\rOBX|1|NM|K^Potassium||{}.{}|mmol/l\r",
        n % 7,
        n % 10
    );
    Payload::inline(Bytes::from(text))
}

/// A message for `count` destinations `d0`, `d1`, …
pub(crate) fn request(n: u64, count: u32) -> AcceptRequest {
    let mut request = AcceptRequest::new(id(n), "adt".into(), text(n));
    request.control_id = Some(format!("C{n}").into());
    request.deliveries = (0..count)
        .map(|ordinal| NewDelivery {
            ordinal,
            destination: format!("d{ordinal}").into(),
            keys: OrderKeys::from_slice(&[OrderKey(n % 5)]),
            priority: 0,
            payload: text(n + u64::from(ordinal)),
            state: NewState::Pending,
        })
        .collect();
    request
}

pub(crate) fn attempt(outcome: Outcome) -> Attempt {
    Attempt {
        started_ms: NOON_MS,
        duration_ms: 3,
        outcome,
        reason: Some("because".into()),
        reply: Some(Payload::inline(Bytes::from_static(b"MSA|AA|1\r"))),
    }
}

pub(crate) fn settlement(delivery: DeliveryRef, outcome: Outcome) -> Settlement {
    Settlement {
        delivery,
        last: attempt(outcome),
    }
}
