//! The demo hospital: hilum with simulated systems around it, over real MLLP and HTTP on loopback.
//!
//! Admissions, changes and discharges go to three systems; results reach the record with codes that
//! everybody understands; prescriptions reach the pharmacy. The pharmacy goes down and catches up.
//! The record refuses a critical potassium, and whoever is on duty hears of it. A stay is played with
//! all that goes wrong in one, and every system has to have the right view of it at the end. With
//! `--for` it ends by itself and fails if any of that did not happen.

mod check;
mod peer;
mod sender;
mod story;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::folder;
use crate::program::Program;

use check::Expected;
use peer::{Peer, Protocol};
use sender::{Journal, Kind, Sender};
use story::Story;

const READY_WITHIN: Duration = Duration::from_secs(15);
const STOP_WITHIN: Duration = Duration::from_secs(40);
/// When, within a round, what happens.
const POTASSIUM_AT: Duration = Duration::from_secs(3);
const PHARMACY_DOWN_AT: Duration = Duration::from_secs(5);
const PHARMACY_UP_AT: Duration = Duration::from_secs(9);
/// A round must be long enough for what happens in it.
const ROUND: Duration = Duration::from_secs(30);
const SHORTEST: Duration = Duration::from_secs(15);
/// How long before the end nothing new is sent.
const QUIET: Duration = Duration::from_secs(4);
/// How long something may take before the demo says that it did not happen.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// `hilum-rig demo`
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The program
    #[arg(long, value_name = "FILE")]
    hilum: PathBuf,
    /// The site to copy
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "config/examples/hospital"
    )]
    site: PathBuf,
    /// End after so long, such as 30s, and fail if something did not happen
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    lasting: Option<Duration>,
    /// Where the hospital and its data go
    #[arg(long, value_name = "FOLDER", default_value = "target/rig")]
    work: PathBuf,
}

/// The systems that receive.
struct Hospital {
    ehr: Peer,
    pharmacy: Peer,
    pacs: Peer,
    duty: Peer,
    lis: Peer,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    let duration = number
        .parse::<u32>()
        .map(|seconds| Duration::from_secs(seconds.into()))
        .map_err(|_| format!("`{text}` is no time; write 30s"))?;
    if duration < SHORTEST {
        return Err(format!(
            "shorter than {SHORTEST:?}: not everything can happen"
        ));
    }
    Ok(duration)
}

impl Demo {
    pub(crate) async fn run(self) -> Result<()> {
        let home = self.work.join("demo");
        folder::empty(&home)?;
        let site = home.join("st-elsewhere");
        folder::copy(&self.site, &site)?;
        let mut hospital = Hospital::open()?;
        let mut hilum = Command::new(&self.hilum);
        let data = home.join("data");
        hilum.arg("run").arg(&site).arg("--data").arg(&data);
        let log = home.join("hilum.log");
        let mut program = Program::start(&mut hilum, &log, READY_WITHIN)?;
        println!(
            "St Elsewhere is open.\n  site     {}\n  data     {}\n  log      {}\n  metrics  \
             http://127.0.0.1:26700/metrics\n  program  {} (ready after {:?})\n",
            site.display(),
            data.display(),
            log.display(),
            self.hilum.display(),
            program.ready_after,
        );
        let over = Arc::new(AtomicBool::new(false));
        let sent = Journal::default();
        let mut senders = JoinSet::new();
        for kind in [Kind::Pas, Kind::Lis, Kind::Cpoe] {
            senders.spawn(Sender::new(kind, &sent, &over).run());
        }
        let start = Instant::now();
        let end = self.lasting.map(|lasting| start + lasting);
        let mut expected = Expected::default();
        loop {
            let round = Instant::now();
            hospital.round(&sent, &mut expected, round).await?;
            program.must_run()?;
            let quiet = end.map(|end| end - QUIET);
            let next = round + ROUND;
            let until = quiet.map_or(next, |quiet| quiet.min(next));
            if !hospital.watch(&sent, until).await? || quiet.is_some_and(|quiet| until == quiet) {
                break;
            }
        }
        over.store(true, Ordering::SeqCst);
        while let Some(sender) = senders.join_next().await {
            sender.context("a sender failed")??;
        }
        let result = hospital.confirm(&sent, &expected).await;
        program.stop(STOP_WITHIN)?;
        result
    }
}

impl Hospital {
    fn open() -> Result<Self> {
        Ok(Self {
            ehr: Peer::start("ehr", Protocol::Mllp, 26_721, check::record_mind)?,
            pharmacy: Peer::start("pharmacy", Protocol::Mllp, 26_722, |_| "AA")?,
            pacs: Peer::start("pacs", Protocol::Http, 26_723, |_| "AA")?,
            duty: Peer::start("duty", Protocol::Http, 26_724, |_| "AA")?,
            lis: Peer::start("lis", Protocol::Mllp, 26_725, |_| "AA")?,
        })
    }

    /// What happens once in a round: the potassium, and the pharmacy's maintenance.
    async fn round(
        &mut self,
        sent: &Journal,
        expected: &mut Expected,
        start: Instant,
    ) -> Result<()> {
        sleep_until(start + POTASSIUM_AT).await;
        let told = self.duty.count();
        let id = sender::critical_potassium(sent).await?;
        let at = Instant::now();
        println!("lis       a critical potassium, 7.1 mmol/L ({id})");
        await_that("the record refuses it", || {
            let seen = self.ehr.seen();
            seen.iter().any(|a| check::is(a, &id) && a.answer != "AA")
        })
        .await?;
        println!("ehr       refuses {id}: AR, thinks it impossible");
        await_that("whoever is on duty is told", || {
            let seen = self.duty.seen();
            seen.iter()
                .skip(told)
                .any(|a| check::tells_of_dead_letter(&a.bytes))
        })
        .await?;
        println!(
            "duty      was told after {} ms; it is a dead letter now",
            at.elapsed().as_millis()
        );
        expected.refused.push(id);

        sleep_until(start + PHARMACY_DOWN_AT).await;
        println!("pharmacy  goes down for maintenance");
        self.pharmacy.down().await;
        let before = self.pharmacy.count();
        sleep_until(start + PHARMACY_UP_AT).await;
        let waiting: Vec<String> = sent.for_pharmacy();
        let missing = waiting.len().saturating_sub(self.pharmacy.count());
        self.pharmacy.up()?;
        let up = Instant::now();
        println!("pharmacy  is back; {missing} messages wait for it");
        if missing == 0 || self.pharmacy.count() > before + missing {
            bail!("nothing waited for the pharmacy while it was down");
        }
        await_that("the pharmacy catches up", || {
            check::all_arrived(&waiting, &self.pharmacy.seen())
        })
        .await?;
        println!("pharmacy  caught up after {} ms", up.elapsed().as_millis());
        expected.outages += 1;

        let mut story = Story::of(expected.stories);
        story.play(&mut self.lis).await?;
        let mut wrong = Vec::new();
        let right = await_that("every system has the right view of the stay", || {
            wrong = story.wrong(&self.ehr, [&self.pharmacy, &self.pacs], &self.lis);
            wrong.is_empty()
        });
        if let Err(error) = right.await {
            for one in &wrong {
                println!("WRONG: {one}");
            }
            return Err(error);
        }
        println!(
            "story     admitted, ordered, partly resulted, corrected, a swapped tube withdrawn, merged, \
             an order cancelled, the laboratory down, discharged: every system has the right view"
        );
        expected.stories += 1;
        Ok(())
    }

    /// Reports until the time comes; `false` when somebody pressed Ctrl-C.
    async fn watch(&self, sent: &Journal, until: Instant) -> Result<bool> {
        loop {
            println!(
                "          {} sent and accepted; ehr {}, pharmacy {}, pacs {}, duty {}",
                sent.count(),
                self.ehr.count(),
                self.pharmacy.count(),
                self.pacs.count(),
                self.duty.count()
            );
            let next = (Instant::now() + REPORT_EVERY).min(until);
            tokio::select! {
                () = sleep_until(next) => {}
                pressed = tokio::signal::ctrl_c() => {
                    pressed?;
                    return Ok(false);
                }
            }
            if Instant::now() >= until {
                return Ok(true);
            }
        }
    }

    /// Everything that was to be shown did happen.
    async fn confirm(&self, sent: &Journal, expected: &Expected) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ehr = self.ehr.seen();
            let findings = expected.findings(sent, &ehr, &self.pharmacy.seen(), &self.pacs.seen());
            if findings.is_empty() {
                println!(
                    "\nall of it happened: {} messages accepted, each where it belongs, in order; {} \
                     refused and noticed; {} outage(s) caught up; {} stay(s) right everywhere",
                    sent.count(),
                    expected.refused.len(),
                    expected.outages,
                    expected.stories
                );
                return Ok(());
            }
            if Instant::now() > deadline {
                for finding in findings.iter().take(20) {
                    println!("MISSING: {finding}");
                }
                bail!(
                    "{} things that were to be shown did not happen",
                    findings.len()
                );
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

async fn await_that(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > deadline {
            bail!("it did not happen within {PATIENCE:?} that {what}");
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}
