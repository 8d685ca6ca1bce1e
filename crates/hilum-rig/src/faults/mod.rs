//! Faults around a program that runs on: peers that misbehave, and a disk that fills up.
//!
//! The program is started once and never again: whatever happens, it must go on by itself when the
//! fault is over (or when a person resumes what it paused). See [`crate::promise`] for what must
//! hold of every message. A sync that fails cannot be had from outside without special rights; a
//! test of the program over a simulated disk proves that.

mod disk;
mod peers;
mod site;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use hilum_testkit::mllp::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::machine;
use crate::program::Program;
use crate::promise::{Load, Place, Record, Retention, Sent, compare};
use crate::relay::Mix;

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(40);
/// How long what is expected may take on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Deliveries before a cut that may be made again after it.
const WINDOW: usize = 4 * site::CONNECTIONS;
/// Findings that are shown of each channel.
const SHOWN: usize = 5;

/// `hilum-rig faults`
#[derive(Debug, Args)]
pub(crate) struct Faults {
    /// The program
    #[arg(long, value_name = "FILE")]
    hilum: PathBuf,
    /// How many seconds a fault lasts
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only the faults of peers, or of the disk
    #[arg(long, value_name = "peers|disk")]
    only: Option<String>,
    /// Where the site, data and logs go
    #[arg(long, value_name = "FOLDER", default_value = "target/rig")]
    work: PathBuf,
}

impl Faults {
    pub(crate) async fn run(self) -> Result<()> {
        println!("machine: {}", machine::described());
        let wants = |part: &str| self.only.as_deref().is_none_or(|only| only == part);
        let lasting = Duration::from_secs(self.seconds);
        std::fs::create_dir_all(&self.work)?;
        let work = self
            .work
            .canonicalize()
            .with_context(|| format!("find {}", self.work.display()))?;
        let begun = Instant::now();
        if wants("peers") {
            peers::run(&self.hilum, &work.join("faults-peers"), lasting).await?;
        }
        if wants("disk") {
            disk::run(&self.hilum, &work.join("faults-disk"), lasting).await?;
        }
        println!(
            "every promise was kept; {:.0} s in all",
            begun.elapsed().as_secs_f64()
        );
        Ok(())
    }
}

/// The senders of one channel, and what they sent.
struct Senders {
    load: Load,
    tasks: JoinSet<Result<Vec<Sent>>>,
}

impl Senders {
    fn start(load: Load) -> Self {
        let tasks = load.start();
        Self { load, tasks }
    }

    /// Brings what is under way to its end. `cuts` are the connections that the receiver had had
    /// when it cut them off: an answer under way then may not have come, as with a kill.
    async fn end(mut self, mix: Mix, cuts: Vec<u64>) -> Result<Record> {
        self.load.end();
        let mut record = Record::new(cuts, WINDOW, mix);
        while let Some(sent) = self.tasks.join_next().await {
            record.sent(sent.context("a sender failed")??);
        }
        Ok(record)
    }
}

/// Waits until all of a record has arrived, and compares; a sentence, or what is broken.
async fn kept(
    program: &mut Program,
    place: &Place,
    record: &Record,
    receiver: &Receiver,
) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    while !record.all_arrived(&receiver.control_ids()) && Instant::now() < deadline {
        program.must_run()?;
        sleep(LOOK_EVERY).await;
    }
    let compared = compare(place, record.originals(), Retention::Off).await?;
    let mut findings = record.check(&receiver.received());
    if compared.messages < record.count() {
        findings.broken.push(format!(
            "the journal has {} messages of {}",
            compared.messages,
            record.count()
        ));
    }
    findings.broken.extend(compared.broken);
    if findings.broken.is_empty() {
        return Ok(findings.summary);
    }
    for broken in findings.broken.iter().take(SHOWN) {
        println!("  {broken}");
    }
    bail!(
        "{}: {} promises broken ({})",
        place.channel,
        findings.broken.len(),
        findings.summary
    )
}
