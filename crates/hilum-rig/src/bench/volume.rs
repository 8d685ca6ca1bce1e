//! Measurements over much: many channels, long load, long queues.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hilum_testkit::mllp::{Behaviour, Keep, Load, MessageOf, Receiver};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::paced::all_accepted;
use super::report::Row;
use super::site::{PLAIN, Site};
use super::{ms, nowhere};
use crate::{folder, relay};

const CHANNELS: usize = 300;
/// Messages a second of each of many channels.
const EACH: f64 = 20.0;
const SENDERS: usize = 32;
const PATIENTS: u64 = 5_000;
/// Messages that find the rate.
const WARM_UP: u64 = 5_000;
const STOP_WITHIN: Duration = Duration::from_secs(120);
const DRAIN_WITHIN: Duration = Duration::from_secs(900);

/// Start and CPU of 300 channels.
pub(super) async fn many(hilum: &Path, work: &Path, seconds: f64) -> Result<Vec<Row>> {
    let sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let site = Site::write(&work.join("many"), CHANNELS, sink.address(), PLAIN)?;
    let mut program = site.start(hilum)?;
    let (ready, idle_mb) = (program.ready_after, program.resident_mb()?);
    let count = (EACH * seconds * 2.0) as u64;
    let cpu_before = program.cpu_seconds()?;
    let begun = Instant::now();
    let mut loads = JoinSet::new();
    for channel in 0..CHANNELS {
        let address = site.listens(channel)?;
        let first = channel as u64 * 1_000_000;
        let message: MessageOf =
            Arc::new(move |number| relay::message(first + number, first + number));
        let mut load = Load::new(address, 1, count, message);
        load.rate = Some(EACH);
        loads.spawn(async move {
            // So that they do not all send at the same moments.
            sleep(Duration::from_secs_f64(
                channel as f64 / CHANNELS as f64 / EACH,
            ))
            .await;
            load.run().await
        });
    }
    while let Some(report) = loads.join_next().await {
        all_accepted(&report.context("a sender failed")??)?;
    }
    let all = count * CHANNELS as u64;
    drained(&sink, all).await?;
    let took = begun.elapsed().as_secs_f64();
    let cpu = program.cpu_seconds()? - cpu_before;
    let loaded_mb = program.resident_mb()?;
    program.stop(STOP_WITHIN)?;
    site.remove()?;
    let rate = all as f64 / took;
    let wanted = EACH * CHANNELS as f64;
    Ok(vec![
        Row::new("start to ready, 300 channels", ready.as_secs_f64(), "s")
            .at_most(1.5)
            .decimals(2)
            .note(format!(
                "{idle_mb:.0} MB resident, {loaded_mb:.0} MB under load"
            )),
        Row::new(
            "300 channels at 20 msg/s each, engine CPU",
            cpu / took,
            "cores",
        )
        .at_most(0.7)
        .decimals(2)
        .note(format!("{rate:.0} messages a second of {wanted:.0} wanted")),
    ])
}

/// Load for minutes: the slowest answers, and what is kept of it on the disk.
pub(super) async fn long(hilum: &Path, work: &Path, minutes: f64) -> Result<Vec<Row>> {
    let sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let site = Site::write(&work.join("long"), 1, sink.address(), PLAIN)?;
    let mut program = site.start(hilum)?;
    let send = async |first: u64, count: u64| -> Result<_> {
        let message: MessageOf = Arc::new(move |number| {
            let number = first + number;
            relay::message(number % PATIENTS, number)
        });
        let report = Load::new(site.listens(0)?, SENDERS, count, message)
            .run()
            .await?;
        all_accepted(&report)?;
        Ok(report)
    };
    let warm = send(0, WARM_UP).await?;
    let count = ((warm.rate() * minutes * 60.0) as u64).max(WARM_UP);
    let report = send(WARM_UP, count).await?;
    let loaded_mb = program.resident_mb()?;
    drained(&sink, WARM_UP + count).await?;
    // Stopping checkpoints and closes: what is there afterwards is what is kept.
    program.stop(STOP_WITHIN)?;
    let kept = folder::bytes(&site.data()) as f64;
    let received = (0..WARM_UP + count)
        .map(|number| relay::message(number % PATIENTS, number).len() as f64)
        .sum::<f64>();
    let partitions = partitions(&site.data())?;
    site.remove()?;
    let what = format!(
        "{:.1} min, {count} messages, {:.0} a second, {} partitions",
        report.elapsed.as_secs_f64() / 60.0,
        report.rate(),
        partitions
    );
    Ok(vec![
        Row::new(
            "answer p99.9 at 32 senders over minutes",
            ms(report.latency.p999),
            "ms",
        )
        .at_most(50.0)
        .note(format!(
            "{what}; p99 {:.1} ms, max {:.1} ms, {loaded_mb:.0} MB resident",
            ms(report.latency.p99),
            ms(report.latency.max)
        )),
        Row::new(
            "bytes kept per byte received, indexes included",
            kept / received,
            "",
        )
        .at_most(1.5)
        .decimals(2)
        .note(format!("{:.0} MB received", received / 1e6)),
    ])
}

/// A long queue: memory, and the start after a kill.
pub(super) async fn queued(hilum: &Path, work: &Path, queued: u64) -> Result<Vec<Row>> {
    let mut sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let site = Site::write(&work.join("queued"), 1, sink.address(), PLAIN)?;
    sink.down().await;
    let mut program = site.start(hilum)?;
    let message: MessageOf = Arc::new(|number| relay::message(number % PATIENTS, number));
    let report = Load::new(site.listens(0)?, SENDERS, queued, message)
        .run()
        .await?;
    all_accepted(&report)?;
    let resident = program.resident_mb()?;
    program.must_run()?;
    program.kill()?;
    let mut program = site.start(hilum)?;
    let (ready, again_mb) = (program.ready_after, program.resident_mb()?);
    sink.up().await?;
    let begun = Instant::now();
    drained(&sink, queued).await?;
    let rate = queued as f64 / begun.elapsed().as_secs_f64();
    program.stop(STOP_WITHIN)?;
    site.remove()?;
    Ok(vec![
        Row::new("resident with 1 M queued", resident, "MB")
            .at_most(160.0)
            .note(format!("{queued} queued; {again_mb:.0} MB after the start")),
        Row::new(
            "start to ready after kill -9 with 1 M queued",
            ready.as_secs_f64(),
            "s",
        )
        .at_most(2.0)
        .decimals(2)
        .note(format!(
            "{queued} queued, which then drained at {rate:.0} a second"
        )),
    ])
}

async fn drained(sink: &Receiver, count: u64) -> Result<()> {
    let deadline = Instant::now() + DRAIN_WITHIN;
    while sink.count() < count {
        ensure!(
            Instant::now() < deadline,
            "{} of {count} arrived within {DRAIN_WITHIN:?}",
            sink.count()
        );
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Journal files in a folder of data.
fn partitions(data: &Path) -> Result<usize> {
    let names = std::fs::read_dir(data).with_context(|| format!("read {}", data.display()))?;
    let count = names
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("journal-") && name.ends_with(".db"))
        .count();
    Ok(count)
}
