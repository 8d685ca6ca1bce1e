//! What the step `match` costs: the relay with it beside the relay without it.
//!
//! A hospital's worth of patients is registered first, through the program itself, so that what is
//! known lies on the disk as it would. The load is that of the relay's other rows: so many patients
//! are in the house, all over the known ones. Both sites run on the same folder of data in turns, and
//! the difference of their CPU time is what the step, its reads and its rows in the commit cost. A
//! second figure is for a load that names all known patients alike, as no hospital sends.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use hilum_testkit::messages::{Event, Synthetic};
use hilum_testkit::mllp::{Behaviour, Keep, Load, MessageOf, Receiver};
use tokio::time::{Duration, Instant, sleep};

use super::nowhere;
use super::paced::all_accepted;
use super::report::Row;
use super::site::{Relays, Site};

/// Patients who are registered before anything is measured.
pub(super) const KNOWN: u64 = 1_000_000;
/// Patients of the load, as of the relay's other rows.
const IN_HOUSE: u64 = 5_000;
const SENDERS: usize = 32;
const STEP: &str = "  - match: {}\n";
const STOP_WITHIN: Duration = Duration::from_secs(120);
const DRAIN_WITHIN: Duration = Duration::from_secs(900);
/// Messages of each measurement that fill caches first.
const WARM_UP: u64 = 10_000;

/// The shortest measurement, in seconds: what changed is folded within, which is a part of the cost.
const SECONDS_MIN: f64 = 30.0;

/// The CPU time of a message with the step, less that without it.
pub(super) async fn matched(
    hilum: &Path,
    work: &Path,
    seconds: f64,
    rounds: usize,
    known: u64,
) -> Result<Vec<Row>> {
    let seconds = seconds.max(SECONDS_MIN);
    let sink = Receiver::start_at(nowhere(), Behaviour::default(), Keep::Ids).await?;
    let with = Relays {
        steps: STEP,
        ..Relays::of(1)
    };
    let with = Site::write(&work.join("match"), with, sink.address())?;
    let without = Site::write(&work.join("match-without"), Relays::of(1), sink.address())?;
    let mut bench = Bench {
        hilum,
        sink: &sink,
        next: 0,
        known,
        in_house: 0,
    };
    let begun = Instant::now();
    let mut program = with.start(hilum)?;
    bench.send(&with, known, registration).await?;
    let data_mb = crate::folder::bytes(&with.data()) as f64 / 1e6;
    let resident_mb = program.resident_mb()?;
    program.stop(STOP_WITHIN)?;
    let filled = begun.elapsed().as_secs_f64();
    let mut rows = Vec::new();
    for (who, in_house) in [
        ("who are in the house", IN_HOUSE),
        ("all known alike", known),
    ] {
        bench.in_house = in_house.min(known);
        let (mut cost, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..rounds.max(1) {
            // The folder of data is the same one, so that both write beside the same rows.
            std::fs::rename(with.data(), without.data()).context("move the data")?;
            let without_it = bench.measure(&without, seconds).await?;
            std::fs::rename(without.data(), with.data()).context("move the data back")?;
            let with_it = bench.measure(&with, seconds).await?;
            cost.push(with_it - without_it);
            plain.push(without_it);
        }
        let rounds: Vec<_> = cost.iter().map(|one| format!("{one:.0}")).collect();
        let note = format!(
            "{known} known, {} of them named; {:.0} µs a message without the step; rounds {}",
            bench.in_house,
            median(plain),
            rounds.join(", "),
        );
        let what = format!("CPU of `match` for a message of the relay, patients {who}");
        let row = Row::new(what, median(cost), "µs").note(note);
        rows.push(match in_house {
            IN_HOUSE => row.at_most(40.0, 20.0),
            _ => row,
        });
    }
    with.remove()?;
    without.remove()?;
    rows.push(
        Row::new("registering them", known as f64 / filled, "/s")
            .decimals(0)
            .note(format!(
                "{data_mb:.0} MB of data, {resident_mb:.0} MB resident"
            )),
    );
    Ok(rows)
}

struct Bench<'a> {
    hilum: &'a Path,
    sink: &'a Receiver,
    /// The number of the next message.
    next: u64,
    known: u64,
    /// Of how many of them the messages are.
    in_house: u64,
}

impl Bench<'_> {
    /// Microseconds of CPU for a message.
    async fn measure(&mut self, site: &Site, seconds: f64) -> Result<f64> {
        let mut program = site.start(self.hilum)?;
        let rate = self.send(site, WARM_UP, mixed).await?;
        let count = ((rate * seconds) as u64).max(WARM_UP);
        let before = program.cpu_seconds()?;
        self.send(site, count, mixed).await?;
        let cpu = program.cpu_seconds()? - before;
        program.must_run()?;
        program.stop(STOP_WITHIN)?;
        Ok(cpu * 1e6 / count as f64)
    }

    /// Sends so many messages and waits until all were delivered; the rate of the answers.
    async fn send(
        &mut self,
        site: &Site,
        count: u64,
        make: fn(u64, &Patients) -> Vec<u8>,
    ) -> Result<f64> {
        let (first, before) = (self.next, self.sink.count());
        self.next += count;
        let patients = Patients {
            known: self.known,
            in_house: self.in_house,
        };
        let message: MessageOf = Arc::new(move |number| make(first + number, &patients));
        let report = Load::new(site.listens(0)?, SENDERS, count, message)
            .run()
            .await?;
        all_accepted(&report)?;
        let begun = Instant::now();
        while self.sink.count() < before + count {
            ensure!(
                begun.elapsed() < DRAIN_WITHIN,
                "delivered {} of {count}: some were held or withheld",
                self.sink.count() - before
            );
            sleep(Duration::from_millis(1)).await;
        }
        Ok(report.rate())
    }
}

fn registration(number: u64, _: &Patients) -> Vec<u8> {
    Synthetic::new(Event::Admit, number, number).build()
}

/// Of whom messages are.
struct Patients {
    known: u64,
    in_house: u64,
}

/// Changes and results by turns, of patients all over the known ones.
fn mixed(number: u64, patients: &Patients) -> Vec<u8> {
    let place = number % patients.in_house;
    let patient = place.wrapping_mul(0x9E37_79B9_7F4A_7C15) % patients.known;
    // Each patient has both, one after the other.
    let event = if (number + number / patients.in_house).is_multiple_of(2) {
        Event::Update
    } else {
        Event::Result
    };
    Synthetic::new(event, patient, number).build()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
