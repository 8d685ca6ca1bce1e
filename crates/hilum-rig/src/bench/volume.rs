//! Measurements over much: many channels, long load, long queues.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hilum_testkit::mllp::{Behaviour, Keep, Load, MessageOf, Receiver};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::paced::all_accepted;
use super::report::Row;
use super::site::{Relays, Site};
use super::{ms, nowhere};
use crate::{folder, relay};

const CHANNELS: usize = 300;
/// Messages a second of each of many channels.
const EACH: f64 = 20.0;
const SENDERS: usize = 32;
const PATIENTS: u64 = 5_000;
/// As many as a queue may have by default, which is what its targets are for.
pub(super) const MANY_QUEUED: u64 = 999_000;
/// How often ten channels are started, and how long each start rests before its memory is read.
const STARTS: usize = 5;
const RESTS_FOR: Duration = Duration::from_millis(500);
/// Destinations of a channel that sends to many.
const DESTINATIONS: usize = 20;
const FAN_OUT_WARM_UP: u64 = 500;
/// Messages that find the rate.
const WARM_UP: u64 = 5_000;
const STOP_WITHIN: Duration = Duration::from_secs(120);
const DRAIN_WITHIN: Duration = Duration::from_secs(900);

/// Start and memory of ten channels that have nothing to do.
pub(super) async fn idle(hilum: &Path, work: &Path) -> Result<Vec<Row>> {
    let sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let site = Site::write(&work.join("idle"), Relays::of(10), sink.address())?;
    let (mut ready, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let mut program = site.start(hilum)?;
        ready.push(program.ready_after.as_secs_f64());
        sleep(RESTS_FOR).await;
        resident.push(program.resident_mb()?);
        program.stop(STOP_WITHIN)?;
    }
    site.remove()?;
    let of = format!("median of {STARTS} starts");
    Ok(vec![
        Row::new("start to ready, 10 channels", median(ready), "s")
            .at_most(0.3, 0.1)
            .decimals(2)
            .note(&of),
        Row::new("resident idle with 10 channels", median(resident), "MB")
            .at_most(40.0, 25.0)
            .note(&of),
    ])
}

/// One channel with many destinations.
pub(super) async fn fan_out(hilum: &Path, work: &Path, seconds: f64) -> Result<Vec<Row>> {
    let sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let relays = Relays {
        destinations: DESTINATIONS,
        ..Relays::of(1)
    };
    let site = Site::write(&work.join("fan-out"), relays, sink.address())?;
    let mut program = site.start(hilum)?;
    let send = async |first: u64, count: u64| -> Result<f64> {
        let message: MessageOf =
            Arc::new(move |number| relay::message(number % PATIENTS, first + number));
        let report = Load::new(site.listens(0)?, SENDERS, count, message)
            .run()
            .await?;
        all_accepted(&report)?;
        drained(&sink, (first + count) * DESTINATIONS as u64).await?;
        Ok(report.rate())
    };
    let rate = send(0, FAN_OUT_WARM_UP).await?;
    let count = ((rate * seconds / 4.0) as u64).max(FAN_OUT_WARM_UP);
    let (begun, cpu_before) = (Instant::now(), program.cpu_seconds()?);
    let rate = send(FAN_OUT_WARM_UP, count).await?;
    let deliveries = (count * DESTINATIONS as u64) as f64;
    let per_second = deliveries / begun.elapsed().as_secs_f64();
    let cpu = program.cpu_seconds()? - cpu_before;
    program.stop(STOP_WITHIN)?;
    site.remove()?;
    let what = format!("deliveries per second to {DESTINATIONS} destinations, 32 senders");
    Ok(vec![Row::new(what, per_second, "/s").decimals(0).note(
        format!(
            "{rate:.0} messages a second acknowledged, {:.3} CPU s per 1000 deliveries",
            cpu * 1000.0 / deliveries
        ),
    )])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Start and CPU of 300 channels.
pub(super) async fn many(hilum: &Path, work: &Path, seconds: f64) -> Result<Vec<Row>> {
    let sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let site = Site::write(&work.join("many"), Relays::of(CHANNELS), sink.address())?;
    let checked = Instant::now();
    let check = Command::new(hilum)
        .arg("check")
        .arg(site.folder())
        .stdout(Stdio::null())
        .status()?;
    ensure!(check.success(), "hilum check: {check}");
    let checked = checked.elapsed();
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
        Row::new("check of 300 channels", checked.as_secs_f64(), "s").decimals(2),
        Row::new("start to ready, 300 channels", ready.as_secs_f64(), "s")
            .at_most(1.5, 0.5)
            .decimals(2)
            .note(format!(
                "{idle_mb:.0} MB resident, {loaded_mb:.0} MB under load"
            )),
        Row::new(
            "300 channels at 20 msg/s each, engine CPU",
            cpu / all as f64 * wanted,
            "cores",
        )
        .at_most(0.7, 0.4)
        .decimals(2)
        .note(format!(
            "by the CPU time of a message; {rate:.0} messages a second of {wanted:.0} wanted"
        )),
    ])
}

/// Load for minutes: the slowest answers, and what is kept of it on the disk.
pub(super) async fn long(hilum: &Path, work: &Path, minutes: f64) -> Result<Vec<Row>> {
    let sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let site = Site::write(&work.join("long"), Relays::of(1), sink.address())?;
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
        .at_most(50.0, 15.0)
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
        .at_most(1.5, 0.8)
        .decimals(2)
        .note(format!("{:.0} MB received", received / 1e6)),
    ])
}

/// A long queue: memory, and the start after a kill.
pub(super) async fn queued(hilum: &Path, work: &Path, queued: u64) -> Result<Vec<Row>> {
    let mut sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let site = Site::write(&work.join("queued"), Relays::of(1), sink.address())?;
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
    let cpu_before = program.cpu_seconds()?;
    sink.up().await?;
    let begun = Instant::now();
    drained(&sink, queued).await?;
    let rate = queued as f64 / begun.elapsed().as_secs_f64();
    let cpu = program.cpu_seconds()? - cpu_before;
    let caught_up_mb = program.resident_mb()?;
    program.stop(STOP_WITHIN)?;
    site.remove()?;
    // The targets are for 1 M; a short run says what it had.
    let many = if queued >= MANY_QUEUED {
        "1 M".to_owned()
    } else {
        format!("{queued} (of 1 M)")
    };
    Ok(vec![
        Row::new(format!("resident with {many} queued"), resident, "MB")
            .at_most(160.0, 100.0)
            .note(format!("{again_mb:.0} MB after the start")),
        Row::new(
            format!("start to ready after kill -9 with {many} queued"),
            ready.as_secs_f64(),
            "s",
        )
        .at_most(2.0, 1.0)
        .decimals(2),
        Row::new("catching up after the receiver was away", rate, "/s")
            .decimals(0)
            .note(format!(
                "{many} queued; {:.3} CPU s per 1000, {caught_up_mb:.0} MB resident at the end",
                cpu * 1000.0 / queued as f64
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
