//! One measurement: a warm-up that finds the rate, the load, and the way out of the queue.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use hilum_testkit::mllp::{Behaviour, Keep, Load, LoadReport, MessageOf, Receiver};
use tokio::time::{Instant, sleep};

use super::figures::Figures;
use crate::folder;
use crate::program::Program;
use crate::relay;

/// Messages of the warm-up: enough to train dictionaries and fill caches.
const WARM_UP: u64 = 2_000;
/// Patients in the load: far more than there are lanes.
const PATIENTS: u64 = 5_000;
/// How long a queue may take to drain before the measurement is given up.
const DRAIN_WITHIN: Duration = Duration::from_secs(120);
/// How often the sink is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) senders: usize,
    pub(super) seconds: f64,
}

/// The peer at the other end.
#[derive(Debug)]
pub(super) struct Sink(Receiver);

impl Sink {
    pub(super) async fn start(address: SocketAddr) -> Result<Self> {
        let receiver = Receiver::start_at(address, Behaviour::default(), Keep::Ids).await?;
        Ok(Self(receiver))
    }

    /// Gives the address back before the next measurement wants it.
    pub(super) async fn end(mut self) {
        self.0.down().await;
    }

    async fn holds(&self, count: u64) -> Result<()> {
        let deadline = Instant::now() + DRAIN_WITHIN;
        while self.0.count() < count {
            if Instant::now() > deadline {
                bail!(
                    "delivered {} of {count} within {DRAIN_WITHIN:?}",
                    self.0.count()
                );
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

pub(super) async fn run(
    program: &mut Program,
    sink: &Sink,
    data: &Path,
    shape: Shape,
) -> Result<Figures> {
    let idle_mb = program.resident_mb()?;
    let warm = send(shape.senders, 0, WARM_UP).await?;
    sink.holds(WARM_UP).await?;
    let count = ((warm.rate() * shape.seconds) as u64).max(WARM_UP);
    let received_bytes: u64 = (0..WARM_UP + count)
        .map(|number| relay::message(number % PATIENTS, number).len() as u64)
        .sum();

    let cpu_before = program.cpu_seconds()?;
    let start = Instant::now();
    let report = send(shape.senders, WARM_UP, count).await?;
    let sent_after = start.elapsed();
    let loaded_mb = program.resident_mb()?;
    sink.holds(WARM_UP + count).await?;
    let delivered_after = start.elapsed();
    program.must_run()?;
    let cpu = program.cpu_seconds()? - cpu_before;

    Ok(Figures {
        acknowledged_per_s: report.rate(),
        delivered_per_s: count as f64 / delivered_after.as_secs_f64(),
        drained_after_s: (delivered_after - sent_after).as_secs_f64(),
        cpu_s_per_1000: cpu * 1000.0 / count as f64,
        latency: report.latency,
        idle_mb,
        loaded_mb,
        ready_after: program.ready_after,
        kept_per_byte: folder::bytes(data) as f64 / received_bytes as f64,
    })
}

/// Sends `count` messages from number `first` on; every one of them must be answered AA.
pub(super) async fn send(senders: usize, first: u64, count: u64) -> Result<LoadReport> {
    let message: MessageOf = Arc::new(move |number| {
        let number = first + number;
        relay::message(number % PATIENTS, number)
    });
    let report = Load::new(relay::listens(), senders, count, message)
        .run()
        .await?;
    if !report.failed.is_empty() {
        bail!(
            "{} of {count} messages were not accepted; answers: {:?}",
            report.failed.len(),
            report.answers
        );
    }
    Ok(report)
}
