//! Measurements over a month of days: searches and retention.
//!
//! No load makes a month of partitions in minutes, so these rows fill a journal of their own, with
//! the crate that the program uses, on a clock that is set forward day by day.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hilum_journal::{
    AcceptRequest, AnyOf, Attempt, Background, Clock, CommitSink, CommittedMessage, DeliveryRef,
    Journal, JournalOptions, NewDelivery, NewState, OrderKeys, Outcome, Query, Resend, Settlement,
    Token,
};
use hilum_message::{DeliveryId, IndexKey, IndexToken, MessageId, OrderKey, Payload};
use hilum_testkit::mllp::Percentiles;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ms;
use super::report::Row;
use crate::{folder, relay};

const DAYS: u64 = 30;
const DAY_MS: u64 = 24 * 3_600_000;
/// Noon of the first day.
const FIRST_MS: u64 = 20_000 * DAY_MS + DAY_MS / 2;
/// Messages that wait for their commit at once.
const SENDERS: u64 = 64;
/// Messages of one patient in a month.
const OF_A_PATIENT: u64 = 100;
const SEARCHES: u64 = 200;
/// Days that are dropped while the append rate is measured.
const DROPPED: u64 = 8;
/// How long the append rate is measured before and after.
const RATE_FOR: Duration = Duration::from_secs(4);

/// What is committed needs no lanes here.
struct Nobody;

impl CommitSink for Nobody {
    fn committed(&self, _message: CommittedMessage) {}
    fn recovered(&self, _message: CommittedMessage, _resend: Option<Resend>) {}
}

/// Finding among so many messages in 30 partitions, and dropping a day under load.
pub(super) async fn month(work: &Path, messages: u64) -> Result<Vec<Row>> {
    let home = work.join("month");
    folder::empty(&home)?;
    let now_ms = Arc::new(AtomicU64::new(FIRST_MS));
    let options = JournalOptions {
        clock: {
            let now_ms = Arc::clone(&now_ms);
            Clock::new(move || now_ms.load(Ordering::SeqCst))
        },
        background: Background::Caller,
        ..JournalOptions::default()
    };
    let (journal, _) = Journal::open(&home, &options, Arc::new(Nobody))?;
    let patients = (messages / OF_A_PATIENT).max(1);
    let filled = Instant::now();
    for day in 0..DAYS {
        now_ms.store(FIRST_MS + day * DAY_MS, Ordering::SeqCst);
        maintain(&journal).await?;
        let first = messages / DAYS * day;
        let range = first..first + messages / DAYS;
        append(&journal, now_ms.load(Ordering::SeqCst), range, patients).await?;
    }
    while journal.figures().index_tail > 0 {
        maintain(&journal).await?;
    }
    let filled = filled.elapsed();
    let partitions = journal.partitions()?.len();
    let mut rows = find(&journal, messages, partitions, patients, filled).await?;
    rows.push(retention(&journal, &now_ms, messages, patients).await?);
    drop(journal);
    std::fs::remove_dir_all(&home).with_context(|| format!("remove {}", home.display()))?;
    Ok(rows)
}

async fn maintain(journal: &Journal) -> Result<()> {
    let journal = journal.clone();
    tokio::task::spawn_blocking(move || journal.maintain()).await??;
    Ok(())
}

async fn find(
    journal: &Journal,
    messages: u64,
    partitions: usize,
    patients: u64,
    filled: Duration,
) -> Result<Vec<Row>> {
    let key = journal.index_key();
    let by = async |kind: u16, field: &str, value: String, wanted: usize| -> Result<Duration> {
        let query = Query {
            tokens: vec![AnyOf {
                kind,
                values: vec![IndexToken::of(&key, field, &value)],
            }],
            ..Query::default()
        };
        let begun = Instant::now();
        let page = journal.search(query).await?;
        let took = begun.elapsed();
        ensure!(
            page.messages.len() == wanted,
            "{field} found {} of {wanted}",
            page.messages.len()
        );
        Ok(took)
    };
    let (mut ids, mut newest) = (Vec::new(), Vec::new());
    // Once for warmth, once for the record.
    for _ in 0..2 {
        (ids, newest) = (Vec::new(), Vec::new());
        for at in 0..SEARCHES {
            let number = at * (messages / DAYS * DAYS / SEARCHES);
            ids.push(
                by(
                    Token::CONTROL_ID,
                    "control-id",
                    relay::control_id(number),
                    1,
                )
                .await?,
            );
            let patient = (number % patients).to_string();
            newest.push(by(Token::PATIENT, "patient", patient, 50).await?);
        }
    }
    let (ids, newest) = (Percentiles::of(ids), Percentiles::of(newest));
    let note = |times: Percentiles| {
        format!(
            "p99 {:.2} ms; {messages} messages in {partitions} partitions, appended at {:.0} a second",
            ms(times.p99),
            messages as f64 / filled.as_secs_f64()
        )
    };
    Ok(vec![
        Row::new("find by control id, warm, p50", ms(ids.p50), "ms")
            .at_most(1.0, 0.3)
            .decimals(2)
            .note(note(ids)),
        Row::new(
            "find a patient's newest 50, warm, p50",
            ms(newest.p50),
            "ms",
        )
        .at_most(5.0, 1.0)
        .decimals(2)
        .note(note(newest)),
    ])
}

/// The append rate while a day is dropped, against the rate before.
async fn retention(
    journal: &Journal,
    now_ms: &AtomicU64,
    messages: u64,
    patients: u64,
) -> Result<Row> {
    let now = now_ms.load(Ordering::SeqCst);
    let over = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (journal, over, count) = (journal.clone(), Arc::clone(&over), Arc::clone(&count));
        senders.spawn(async move {
            let mut number = messages * 2 + sender;
            while !over.load(Ordering::Relaxed) {
                let request = request(&journal.index_key(), now, number, patients);
                deliver(&journal, request).await?;
                count.fetch_add(1, Ordering::Relaxed);
                number += SENDERS;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    let rate = async |during: std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>>| {
        let (begun, before) = (Instant::now(), count.load(Ordering::Relaxed));
        during.await?;
        let appended = count.load(Ordering::Relaxed) - before;
        Ok::<_, anyhow::Error>((
            appended as f64 / begun.elapsed().as_secs_f64(),
            begun.elapsed(),
        ))
    };
    let rest = || {
        Box::pin(async {
            tokio::time::sleep(RATE_FOR).await;
            Ok(())
        })
    };
    let (before, _) = rate(rest()).await?;
    let dropping = journal.clone();
    let (during, took) = rate(Box::pin(async move {
        tokio::task::spawn_blocking(move || drop_days(&dropping, now)).await?
    }))
    .await?;
    let (after, _) = rate(rest()).await?;
    over.store(true, Ordering::Relaxed);
    while let Some(sender) = senders.join_next().await {
        sender?.context("append while a day is dropped")?;
    }
    // What is before and after shows how steady the rate is without.
    let usual = f64::midpoint(before, after);
    Ok(Row::new(
        "fall of the append rate while days are dropped",
        100.0 * (1.0 - during / usual),
        "%",
    )
    .at_most(10.0, 0.0)
    .note(format!(
        "{during:.0} a second for {:.0} ms, {before:.0} before and {after:.0} after; {DROPPED} days \
         of {}, one after the other",
        ms(took),
        messages / DAYS
    )))
}

/// Drops the oldest days one by one: one alone is gone too soon to measure a rate beside it.
fn drop_days(journal: &Journal, now_ms: u64) -> Result<()> {
    for kept in (DAYS - DROPPED..DAYS).rev() {
        let keep_ms = kept * DAY_MS - DAY_MS / 2;
        let dropped = journal.drop_before(now_ms - keep_ms)?;
        ensure!(dropped.len() == 1, "{} days were dropped", dropped.len());
    }
    Ok(())
}

async fn append(
    journal: &Journal,
    now_ms: u64,
    numbers: std::ops::Range<u64>,
    patients: u64,
) -> Result<()> {
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (journal, numbers) = (journal.clone(), numbers.clone());
        senders.spawn(async move {
            let key = journal.index_key();
            for number in numbers.skip(sender as usize).step_by(SENDERS as usize) {
                deliver(&journal, request(&key, now_ms, number, patients)).await?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender?.context("fill the journal")?;
    }
    journal.flush().await?;
    Ok(())
}

/// A message of the relay as the engine hands it over, with a delivery that was made at once.
fn request(key: &IndexKey, now_ms: u64, number: u64, patients: u64) -> AcceptRequest {
    let patient = number % patients;
    let received = relay::message(patient, number);
    let sent = relay::relayed(&received);
    let id = MessageId::new(now_ms, u128::from(number) << 16);
    let control_id = relay::control_id(number);
    let token = |kind, field: &str, value: &str| Token {
        kind,
        value: IndexToken::of(key, field, value),
    };
    let tokens = vec![
        token(Token::CONTROL_ID, "control-id", &control_id),
        token(
            Token::TYPE,
            "type",
            if number.is_multiple_of(2) {
                "ADT^A01"
            } else {
                "ORU^R01"
            },
        ),
        token(Token::PATIENT, "patient", &patient.to_string()),
    ];
    let mut request = AcceptRequest::new(id, "relay".into(), Payload::inline(received.into()));
    request.arrived_ms = now_ms;
    request.control_id = Some(control_id.into());
    request.tokens = tokens;
    request.deliveries = vec![NewDelivery {
        ordinal: 0,
        destination: "receiver".into(),
        keys: OrderKeys::from_slice(&[OrderKey(patient)]),
        priority: 0,
        payload: Payload::inline(sent.into()),
        state: NewState::Pending,
    }];
    request
}

/// Accepts a message and records that its delivery was made.
async fn deliver(journal: &Journal, request: AcceptRequest) -> Result<()> {
    let message = request.message;
    let started_ms = request.arrived_ms;
    let accepted = journal.accept(request).await?;
    let delivery = DeliveryRef {
        id: DeliveryId {
            message,
            ordinal: 0,
        },
        sequence: accepted.sequence(),
    };
    let last = Attempt {
        started_ms,
        duration_ms: 1,
        outcome: Outcome::Delivered,
        reason: None,
        reply: None,
    };
    journal.settle(Settlement { delivery, last }).await?;
    Ok(())
}
