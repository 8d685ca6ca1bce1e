//! Measurements at a modest rate: end to end, urgent messages during catch-up, noisy neighbours.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use hilum_testkit::messages::{Event, Synthetic};
use hilum_testkit::mllp::{Behaviour, Client, Keep, Load, LoadReport, MessageOf, Receiver};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::report::Row;
use super::site::{Relays, STAT_FIRST, Site};
use super::timing::Departures;
use super::{ms, nowhere};
use crate::relay;

/// Rate of the end-to-end measurement, messages a second.
const RATE: f64 = 200.0;
/// Messages that wait when the receiver comes back.
const BACKLOG: u64 = 20_000;
/// Urgent messages a second during the catch-up, and how many.
const STAT_RATE: f64 = 25.0;
const STATS: u64 = 100;
/// Rate of the quiet channel, messages a second.
const QUIET_RATE: f64 = 10.0;
/// A body of this many bytes.
pub(super) const LARGE_BYTES: usize = 100_000_000;
const STOP_WITHIN: Duration = Duration::from_secs(60);
const DOWN_WITHIN: Duration = Duration::from_secs(30);

/// From the sender to the receiver at 200 messages a second.
pub(super) async fn end_to_end(hilum: &Path, work: &Path, seconds: f64) -> Result<Vec<Row>> {
    let sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let site = Site::write(&work.join("end-to-end"), Relays::of(1), sink.address())?;
    let mut program = site.start(hilum)?;
    let departures = Departures::default();
    let count = (RATE * seconds * 2.0) as u64;
    let message = departures.noted(|number| relay::message(number % 500, number));
    let mut load = Load::new(site.listens(0)?, 8, count, message);
    load.rate = Some(RATE);
    all_accepted(&load.run().await?)?;
    let times = departures.until_arrival(&sink).await?;
    program.stop(STOP_WITHIN)?;
    site.remove()?;
    Ok(vec![
        Row::new("end to end at 200/s, p99", ms(times.p99), "ms")
            .at_most(20.0, 8.0)
            .note(format!(
                "p50 {:.1} ms, max {:.1} ms",
                ms(times.p50),
                ms(times.max)
            )),
    ])
}

/// Urgent messages while a backlog of others drains.
pub(super) async fn stat(hilum: &Path, work: &Path) -> Result<Vec<Row>> {
    let mut sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let stat_first = Relays {
        more: STAT_FIRST,
        ..Relays::of(1)
    };
    let site = Site::write(&work.join("stat"), stat_first, sink.address())?;
    let mut program = site.start(hilum)?;
    sink.down().await;
    let backlog: MessageOf =
        Arc::new(|number| Synthetic::new(Event::Admit, number % 5_000, number).build());
    all_accepted(
        &Load::new(site.listens(0)?, 16, BACKLOG, backlog)
            .run()
            .await?,
    )?;
    // Slow enough that the catch-up outlasts the urgent messages.
    sink.behave(Behaviour {
        delay: Duration::from_millis(2),
        ..Behaviour::default()
    });
    sink.up().await?;
    let begun = Instant::now();
    while sink.count() == 0 {
        ensure!(
            begun.elapsed() < DOWN_WITHIN,
            "the queue did not begin to drain"
        );
        sleep(Duration::from_millis(1)).await;
    }
    let departures = Departures::default();
    let urgent = departures.noted(|number| {
        let number = BACKLOG + number;
        Synthetic::new(Event::Potassium(71), 10_000 + number, number).build()
    });
    let mut load = Load::new(site.listens(0)?, 4, STATS, urgent);
    load.rate = Some(STAT_RATE);
    all_accepted(&load.run().await?)?;
    let left = (BACKLOG + STATS).saturating_sub(sink.count());
    let times = departures.until_arrival(&sink).await?;
    program.stop(STOP_WITHIN)?;
    site.remove()?;
    Ok(vec![
        Row::new("STAT during catch-up, p99", times.p99.as_secs_f64(), "s")
            .at_most(1.0, 0.3)
            .decimals(3)
            .note(format!(
                "p50 {:.0} ms; {left} of {BACKLOG} others still waited at the end",
                ms(times.p50)
            )),
    ])
}

/// A quiet channel alone, beside one that is flat out, and beside one that gets huge bodies.
pub(super) async fn neighbour(hilum: &Path, work: &Path, seconds: f64) -> Result<Vec<Row>> {
    let sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let site = Site::write(&work.join("neighbour"), Relays::of(2), sink.address())?;
    let mut program = site.start(hilum)?;
    let (quiet, loud) = (site.listens(0)?, site.listens(1)?);
    let count = (QUIET_RATE * (seconds * 3.0).max(15.0)) as u64;
    let measure = async |first: u64| -> Result<Duration> {
        let message: MessageOf = Arc::new(move |number| relay::message(number, first + number));
        let mut load = Load::new(quiet, 1, count, message);
        load.rate = Some(QUIET_RATE);
        let report = load.run().await?;
        all_accepted(&report)?;
        Ok(report.latency.p99)
    };
    measure(0).await?; // A warm-up of the same length.
    let idle = measure(1_000_000).await?;

    let over = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..32)
        .map(|at| tokio::spawn(flat_out(loud, at, Arc::clone(&over))))
        .collect();
    let beside_load = measure(2_000_000).await?;
    let sent = end(&over, others).await?;

    let over = Arc::new(AtomicBool::new(false));
    let body = large_message(LARGE_BYTES);
    let others = vec![tokio::spawn(huge(loud, body, Arc::clone(&over)))];
    let beside_huge = measure(3_000_000).await?;
    let huge = end(&over, others).await?;
    program.stop(STOP_WITHIN)?;
    site.remove()?;
    let row = |what: &str, p99: Duration, note: String| {
        let times = p99.as_secs_f64() / idle.as_secs_f64().max(1e-9);
        Row::new(
            format!("p99 at 10/s beside a channel that {what}"),
            times,
            "x idle",
        )
        .at_most(3.0, 1.5)
        .note(format!(
            "{:.1} ms, idle {:.1} ms; {note}",
            ms(p99),
            ms(idle)
        ))
    };
    Ok(vec![
        row(
            "is flat out",
            beside_load,
            format!("it took {sent} messages"),
        ),
        row(
            "gets 100 MB bodies",
            beside_huge,
            format!("it took {huge} of them"),
        ),
    ])
}

/// Extra memory that one message of 100 MB takes.
pub(super) async fn large(hilum: &Path, work: &Path) -> Result<Vec<Row>> {
    let sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let site = Site::write(&work.join("large"), Relays::of(1), sink.address())?;
    let mut program = site.start(hilum)?;
    let message: MessageOf = Arc::new(|number| relay::message(number % 500, number));
    all_accepted(&Load::new(site.listens(0)?, 8, 2_000, message).run().await?)?;
    program.forget_peak()?;
    let before = program.peak_mb()?;
    let begun = Instant::now();
    let mut client = Client::connect(site.listens(0)?).await?;
    let answer = client.exchange(&large_message(LARGE_BYTES)).await?;
    ensure!(
        answer
            .windows(6)
            .any(|bytes| bytes == b"MSA|AA" || bytes == b"MSA|CA"),
        "a message of 100 MB was not accepted"
    );
    while sink.count() < 2_001 {
        ensure!(begun.elapsed() < STOP_WITHIN, "it did not arrive");
        sleep(Duration::from_millis(5)).await;
    }
    let took = begun.elapsed();
    let extra = program.peak_mb()? - before;
    program.stop(STOP_WITHIN)?;
    site.remove()?;
    Ok(vec![
        Row::new("extra memory of a 100 MB OBX-5", extra.max(0.0), "MB")
            .at_most(16.0, 4.0)
            .note(format!("delivered after {:.1} s", took.as_secs_f64())),
    ])
}

/// One message after the other until it is over; how many were accepted.
async fn flat_out(
    address: std::net::SocketAddr,
    sender: u64,
    over: Arc<AtomicBool>,
) -> Result<u64> {
    let mut client = Client::connect(address).await?;
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) {
        let number = 10_000_000 * (sender + 1) + sent;
        client.exchange(&relay::message(number, number)).await?;
        sent += 1;
    }
    Ok(sent)
}

async fn huge(address: std::net::SocketAddr, body: Bytes, over: Arc<AtomicBool>) -> Result<u64> {
    let mut client = Client::connect(address).await?;
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) {
        client.exchange(&body).await?;
        sent += 1;
    }
    Ok(sent)
}

async fn end(over: &AtomicBool, others: Vec<JoinHandle<Result<u64>>>) -> Result<u64> {
    over.store(true, Ordering::Relaxed);
    let mut sum = 0;
    for other in others {
        sum += other.await.context("a neighbour failed")??;
    }
    Ok(sum)
}

/// A result whose attachment has so many bytes.
fn large_message(bytes: usize) -> Bytes {
    let mut message = Synthetic::new(Event::Result, 1, 900_000_000).build();
    message.reserve(bytes + 64);
    message.extend_from_slice(b"OBX|99|ED|PDF^Report^L||^AP^PDF^Base64^");
    message.extend((b'A'..=b'Z').cycle().take(bytes));
    message.extend_from_slice(b"||||||F\r");
    message.into()
}

pub(super) fn all_accepted(report: &LoadReport) -> Result<()> {
    if report.failed.is_empty() {
        return Ok(());
    }
    bail!(
        "{} messages were not accepted; answers: {:?}",
        report.failed.len(),
        report.answers
    )
}
